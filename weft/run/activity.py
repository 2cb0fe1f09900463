"""What the registers of an NPU do while a network runs on its RTL: windows of cycles, spread over the run."""

import tempfile
from collections.abc import Collection
from pathlib import Path

import numpy as np

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from hw.npu.interface.isa import EXECUTE
from sim.build import BuildOptions
from weft.analysis.power.measure import Activity
from weft.analysis.power.waves import WINDOW, WINDOWS, Windows, read_waves
from weft.analysis.synthesis.blocks import TOP
from weft.compiler.host import host_before
from weft.run.inputs import random_sample
from weft.run.network import compare_stream, prepared_for
from weft.run.progress import Steps
from weft.run.stages import run_stages
from weft.run.whole import Whole

SEED = 0
"""Of the random input."""


def record_activity(whole: Whole, config: NpuConfig, bits: Collection[str], steps: Steps) -> Activity:
    """Run a network twice on one random input: once for its cycles, which must be right, and once to see windows of them.

    Parameters
    ----------
    whole : Whole
        The network, compiled for the configuration.
    config : NpuConfig
    bits : collection of str
        Names of the bits that are wanted.
    steps : Steps

    Raises
    ------
    WeftError
        Where nothing of the network runs on the NPU, or the run is too short for a window.
    """
    if not whole.npu_steps:
        raise WeftError("nothing of the network runs on the NPU", file=whole.graph.file, remedy="choose a network of 8-bit operators")
    simulator = prepared_for(whole, config, BuildOptions("quick", trace="activity"), steps).simulator
    seen = []

    def program(step, given):
        inputs = [host_before(step.compiled, sample) for sample in given]
        runs = simulator.run_all(step.compiled.program, inputs)
        seen.append(_windows(simulator, step.compiled.program, inputs[:1], runs[0], bits))
        return compare_stream(step.compiled, given, runs)

    with steps.stage(f"running {whole.graph.name} on the RTL, with activity"):
        (frame,) = run_stages(whole, [random_sample(whole.graph, SEED)], program)
    wrong = next((each.mismatch for each in frame.programs if each.mismatch is not None), None)
    if wrong is not None:
        raise AssertionError(f"the run differs from the reference: {wrong}")
    cycles = sum(each.run.cycles for each in frame.programs)
    if not any(count for _, _, count, _ in seen):
        raise WeftError(f"the run of {cycles} cycles is shorter than {WINDOW}, a window", remedy="choose a larger network")
    names = set.intersection(*(set(waves) for waves, *_ in seen))
    weights = np.concatenate([np.full(count, run / max(1, count)) for _, run, count, _ in seen])
    return Activity(
        network=whole.graph.name,
        note=f"one random input, seed {SEED}",
        cycles=cycles,
        waves={name: np.concatenate([waves[name] for waves, *_ in seen]) for name in names},
        weights=weights / weights.sum(),
        layers=tuple(layer for *_, layers in seen for layer in layers),
    )


def _windows(simulator, program, inputs, run, bits):
    """Words of the bits in a run of one program, its cycles, its windows, and the layer of each."""
    windows = Windows.spread(run.waited.cycles, WINDOWS)
    with tempfile.TemporaryDirectory(prefix="weft-") as folder:
        file = Path(folder) / "activity.vcd"
        simulator.run_all(program, inputs, trace=file, windows=(WINDOW, windows.period))
        waves = read_waves(file, windows, bits, TOP)
    return waves, run.cycles, len(windows.starts), [_layer(program, run.records, start + WINDOW // 2) for start in windows.starts]


def _layer(program, records, cycle):
    """The layer whose command the execute unit works at in a cycle; empty where it waits for transfers."""
    for planned, record in zip(program.commands, records):
        if planned.command.opcode in EXECUTE and record["start"] <= cycle < record["end"]:
            return program.layers[planned.layer].name
    return ""
