"""Prints the tables of ``docs/weight_compression.md``."""

import argparse
import sys
from pathlib import Path

from hw.npu.config import load_config
from hw.npu.errors import WeftError
from weft.analysis.timing import DdrParameters
from weft.analysis.weight_codes.codes import CODES
from weft.analysis.weight_codes.measure import Measured, measure
from weft.compiler.frontends.tflite import read_tflite


def _row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def _heading(*cells):
    _row(*cells)
    _row(*("---" for _ in cells))


def _less(value, whole):
    return f"{100 * (1 - value / whole):.1f}"


def print_tables(measured: list[Measured]):
    """What the weights are; what each code saves in DDR; what it saves in cycles. Percent of the plain figure."""
    names = [code.name for code in CODES]
    _heading("network", "weights", "zeros", "entropy", "by layer", "bytes in DDR", "bytes loaded", "LOADs")
    for one in measured:
        entropies = f"{one.entropy:.2f}", f"{one.layer_entropy:.2f}"
        _row(one.network, one.weights, f"{100 * one.zeros:.1f} %", *entropies, one.image, one.loaded, one.pieces)
    print("\nBytes in DDR saved, %\n")
    _heading("network", *names, "best", "entropy")
    for one in measured:
        _row(one.network, *(_less(one.coded[name], one.image) for name in (*names, "best")), _less(one.bound, one.image))
    print("\nCycles, and saved, %\n")
    _heading("network", "plain", *names, "best", "entropy", "free")
    for one in measured:
        plain = one.cycles["plain"]
        _row(one.network, plain, *(_less(one.cycles[name], plain) for name in (*names, "best", "bound", "free")))
    print("\nKiB of the image at each k\n")
    for one in measured:
        for name in ("split", "masked split"):
            kept = ", ".join(f"{k}: {size / 1024:.0f}" for k, size in sorted(one.choices[name].items()))
            print(f"- {one.network}, {name}: {kept or 'none'}")


def main() -> int:
    """Measure the models that the command line names; exit code 2 where one cannot be compiled."""
    parser = argparse.ArgumentParser(prog="python -m weft.analysis.weight_codes", description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help=".tflite files")
    parser.add_argument("--config", default="small", help="preset or TOML file")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="FIELD=VALUE", help="change a field")
    parser.add_argument("--ddr-bytes", type=int, default=DdrParameters.bytes_per_cycle, help="bytes a cycle of DDR (default %(default)s)")
    arguments = parser.parse_args()
    try:
        ddr = DdrParameters(bytes_per_cycle=arguments.ddr_bytes)
        config = load_config(arguments.config, arguments.overrides)
        print_tables([measure(read_tflite(model), config, ddr=ddr) for model in arguments.models])
    except WeftError as error:
        print(f"weft: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
