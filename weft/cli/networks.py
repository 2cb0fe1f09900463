"""``make networks``: every network of a folder on the generated Verilog, one line each: the figures of the README."""

import argparse
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hw.npu.config import NpuConfig, load_config
from hw.npu.errors import WeftError
from sim.job import BenchError
from weft.cli.options import USER_ERROR
from weft.report.clock import choose_clock
from weft.report.host_report import in_words
from weft.run.inputs import random_sample
from weft.run.network import prepare, report_of, run_samples
from weft.run.progress import Steps

MODELS = Path(__file__).resolve().parent.parent.parent / "shared" / "models"
HEADINGS = ("network", "MACs", "cycles", "model", "util %", "ms", "uJ", "DDR KiB", "exact", "s")


def models_of(folder: Path) -> list[Path]:
    """The networks of a folder, by name."""
    found = sorted(folder.glob("*.tflite"))
    if not found:
        raise WeftError("no .tflite file is here", file=folder, remedy="name a folder of networks")
    return found


def line(model: Path, config: NpuConfig, steps: Steps) -> tuple[tuple[str, ...], str]:
    """A network's row, measured on RTL with a random input, every tensor compared; and what of it the host has, if anything."""
    began = time.perf_counter()
    prepared = prepare(model, config, steps=steps)
    with steps.stage(f"running {model.stem} on the RTL"):
        (outcome,) = run_samples(prepared, [random_sample(prepared.whole.graph, 1)])
    report = report_of(prepared, outcome)
    predicted = sum(searched.cycles for searched in prepared.whole.searched)
    name = model.stem.removeprefix("mlperf_").removesuffix("_int8")
    cells = (
        name,
        f"{report.macs / 1e6:.2f}M",
        f"{report.cycles:,}",
        f"{100 * (predicted / report.cycles - 1):+.1f} %",
        f"{100 * report.utilization:.1f}",
        f"{report.latency_ms:.3g}",
        f"{report.energy_uj:.4g}",
        f"{sum(report.ddr_bytes.values()) / 1024:,.0f}",
        "no" if outcome.mismatch else f"{report.compared_tensors} tensors",
        f"{time.perf_counter() - began:.0f}",
    )
    return cells, f"{name}: on the host {in_words(report.host_ops, report.npu_mac_share)}" if report.host_ops else ""


def main(arguments=None):
    """Run them all and print the table."""
    parser = argparse.ArgumentParser(prog="python -m weft.cli.networks", description="Every network of a folder on the generated Verilog.")
    parser.add_argument("folder", nargs="?", type=Path, default=MODELS, help="folder of .tflite files")
    parser.add_argument("--config", default="small", help="preset or TOML file")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="override a field of the configuration")
    options = parser.parse_args(arguments)
    try:
        config, models = load_config(options.config, options.set), models_of(options.folder)
    except WeftError as error:
        parser.exit(USER_ERROR, f"weft: error: {error}\n")
    steps = Steps()
    clock = choose_clock(config)
    table = Table(title=f"{config.name}, reference DDR; clock: {clock.source}", title_justify="left", box=None)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "network" else "right", no_wrap=True)
    notes, refused = [], []
    for model in models:
        try:
            cells, note = line(model, config, steps)
            table.add_row(*cells)
            notes += [note] if note else []
        except (WeftError, BenchError) as error:
            refused.append(str(error))
    Console(width=120).print(table)
    for message in (*notes, *refused):
        print(message)


if __name__ == "__main__":
    main()
