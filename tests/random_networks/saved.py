"""A network on disk: its file, configuration and inputs, and the line that runs it again: `python -m tests.random_networks.saved STEM`."""

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from hw.npu.config import NpuConfig, load_config
from tests.random_networks.check import Fault, Tally, check
from tests.random_networks.network import Network
from tests.random_networks.reference_process import ReferenceProcess
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.tuning import USUAL, Tuning


def save(network: Network, stem: Path, fault: Fault) -> Path:
    """Write ``.tflite``, ``.toml``, ``.npz`` and ``.txt``: the line that repeats the fault, then the fault.

    Returns
    -------
    Path
        Of the text.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    model = stem.with_name(stem.name + ".tflite")
    model.write_bytes(network.content)
    stem.with_name(stem.name + ".toml").write_text(toml(network.config))
    try:
        np.savez(stem.with_name(stem.name + ".npz"), **network.sample(read_tflite(model)))
    except Exception as error:  # the frontend itself is at fault, or refuses the file
        print(f"{model}: no inputs written: {error}", file=sys.stderr)
    text = stem.with_name(stem.name + ".txt")
    text.write_text(f"{command(network, stem)}\n\n{len(network.ops)} operators: {' '.join(network.ops)}\n{network.config}\n\n{fault}\n")
    return text


def toml(config: NpuConfig) -> str:
    """The configuration as `weft run --config` reads it; of text, numbers and truth JSON's words are TOML's."""
    values = ((field.name, getattr(config, field.name)) for field in dataclasses.fields(config))
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values)


def command(network: Network, stem: Path) -> str:
    """The line that runs the network again, with what decides how it is compiled."""
    options = [f"--tuning {','.join(str(int(value)) for value in dataclasses.astuple(network.tuning))}"] if network.tuning != USUAL else []
    options += ["--keep-tensors"] * network.keep_tensors + ["--searched"] * network.searched
    return " ".join(["python -m tests.random_networks.saved", str(stem), *options])


def load(stem: Path, *, keep_tensors=False, searched=False, tuning: Tuning = USUAL) -> Network:
    """The network of a stem that `save` was given. A run of part of it is not possible: its parts are not kept."""
    model, values = (stem.with_name(stem.name + suffix) for suffix in (".tflite", ".npz"))
    inputs = dict(np.load(values)) if values.exists() else None
    config = load_config(stem.with_name(stem.name + ".toml"))
    return Network(model.read_bytes(), (), config, keep_tensors, tuning, searched, values=inputs)


def main():
    """Run a saved network; the exit code is 1 where the fault is still there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stem", type=Path)
    parser.add_argument("--keep-tensors", action="store_true")
    parser.add_argument("--searched", action="store_true")
    parser.add_argument("--tuning", type=lambda text: [int(number) for number in text.split(",")])
    given = parser.parse_args()
    tuning = Tuning(bool(given.tuning[0]), *given.tuning[1:]) if given.tuning else USUAL
    network, tally = load(given.stem, keep_tensors=given.keep_tensors, searched=given.searched, tuning=tuning), Tally()
    with ReferenceProcess() as reference, tempfile.TemporaryDirectory() as folder:
        try:
            check(network, reference, Path(folder), tally)
        except Fault as fault:
            print(fault)
            sys.exit(1)
    print(f"refused: {next(iter(tally.refusals))}" if tally.refusals else "exact", f"({next(iter(tally.reference), 'no reference')})")


if __name__ == "__main__":
    main()
