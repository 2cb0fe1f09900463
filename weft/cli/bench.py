"""``make bench``: how fast the generated Verilog simulates, on one core."""

import argparse
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from golden.machine import Machine
from hw.npu.config import load_config
from sim.run import Simulator
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.host import host_before
from weft.run.inputs import random_sample
from weft.run.progress import Steps

ROOT = Path(__file__).resolve().parent.parent
NETWORKS = (ROOT.parent / "shared" / "models" / "mlperf_ic_resnet8_int8.tflite", ROOT / "examples" / "digits" / "digits.tflite")
"""Those that are there are run; the first comes from the `mlcommons/tiny` repository."""


def measure(model: Path, config, seconds: float) -> dict:
    """Runs a network again and again for about so many seconds; speeds of the RTL, the golden machine and the compiler."""
    graph = read_tflite(model)
    began = time.perf_counter()
    compiled = compile_graph(graph, config)
    compile_seconds = time.perf_counter() - began
    inputs = host_before(compiled, random_sample(graph, 1))
    began = time.perf_counter()
    Machine(compiled.program).run(inputs)
    machine_seconds = time.perf_counter() - began
    simulator = Simulator(config, stage=Steps().stage)
    best, runs, spent = np.inf, 1, 0.0
    while spent < seconds:
        began = time.perf_counter()
        results = simulator.run_all(compiled.program, [inputs] * runs, log=False)
        elapsed = time.perf_counter() - began
        spent += elapsed
        best = min(best, elapsed / runs)
        runs = max(runs, round(runs * seconds / 3 / elapsed))
    macs = sum(layer.macs for layer in compiled.program.layers)
    cycles = results[0].cycles
    return {
        "network": graph.name.removeprefix("mlperf_"),
        "cycles": cycles,
        "Mcycles/s": cycles / best / 1e6,
        "MMACs/s": macs / best / 1e6,
        "RTL ms": best * 1e3,
        "machine ms": machine_seconds * 1e3,
        "compiler ms": compile_seconds * 1e3,
    }


def _shown(value) -> str:
    """A cell: floats with three digits, whole numbers with separators."""
    if isinstance(value, str):
        return value
    return f"{value:.3g}" if isinstance(value, float) else f"{value:,}"


def main(arguments=None):
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m weft.cli.bench", description="Speed of the simulated RTL, one core.")
    parser.add_argument("--config", default="small", help="preset or TOML file")
    parser.add_argument("--seconds", type=float, default=10, help="time spent on each network")
    options = parser.parse_args(arguments)
    config = load_config(options.config)
    table = Table(title=f"{config.name}: one inference, the best of several batches, start of the process included", box=None)
    for model in NETWORKS:
        if not model.is_file():
            print(f"{model.name} is not there: it comes from the mlcommons/tiny repository")
            continue
        row = measure(model, config, options.seconds)
        if not table.columns:
            for name in row:
                table.add_column(name, justify="left" if name == "network" else "right", no_wrap=True)
        table.add_row(*map(_shown, row.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
