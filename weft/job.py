"""The main job: read a network, compile it, run it on the RTL, compare every tensor with the reference, report.

`prepare` does what is done once for a network and a configuration, `run_sample` what is done for each input.
"""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from hw.npu.npu import Npu
from sim.compare import diagnose
from sim.emit import emit_verilog
from sim.run import RunResult, Simulator
from weft import __version__
from weft.analysis.report import DEFAULT_CLOCK_MHZ, Report, build_report
from weft.compiler.driver import Compiled, compile_graph
from weft.compiler.evaluate import evaluate
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.host import host_after, host_before
from weft.inputs import load_samples, random_sample
from weft.progress import Steps

TOP = "npu"
"""Name of the Verilog's top module."""
SEEDS = 1 << 32
"""A seed that nobody gave is below it."""


@dataclass(frozen=True)
class Prepared:
    """A network, compiled, and the simulator of its configuration, built.

    Attributes
    ----------
    compiled : Compiled
    simulator : Simulator
    """

    compiled: Compiled
    simulator: Simulator


@dataclass(frozen=True)
class Outcome:
    """One input's run.

    Attributes
    ----------
    run : RunResult
        Of the RTL.
    outputs : dict of str to ndarray
        The network's outputs, after the host's operators.
    compared : int
        Tensors that were compared with the reference.
    differences : tuple of str
        What differs, a line each; empty if all are bit-exact.
    """

    run: RunResult
    outputs: dict
    compared: int
    differences: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """A run with its report.

    Attributes
    ----------
    report : Report
    outcome : Outcome
    seed : int or None
        Of the random input.
    notes : tuple of str
        Where the input came from and what was done to it.
    """

    report: Report
    outcome: Outcome
    seed: int | None
    notes: tuple[str, ...]


def generate_verilog(config: NpuConfig) -> str:
    """The Verilog that ships."""
    return emit_verilog(Npu(config), TOP, config=config)


def compile_model(model, config: NpuConfig, *, keep_tensors: bool = False, steps: Steps | None = None) -> Compiled:
    """Read and compile a `.tflite` file."""
    graph = read_tflite(model)
    with (steps or Steps(quiet=True)).stage(f"compiling {graph.name} for {config.name}"):
        return compile_graph(graph, config, keep_tensors=keep_tensors)


def prepare(model, config: NpuConfig, *, keep_tensors: bool = False, trace: bool = False, steps: Steps | None = None) -> Prepared:
    """Compile the network and build the simulator."""
    steps = steps or Steps(quiet=True)
    compiled = compile_model(model, config, keep_tensors=keep_tensors, steps=steps)
    with steps.stage(f"building the simulator of {config.name} (kept for the next time)"):
        simulator = Simulator(config, trace=trace)
    return Prepared(compiled, simulator)


def run_sample(prepared: Prepared, sample: dict[str, np.ndarray], *, trace: Path | None = None) -> Outcome:
    """Run one input on the RTL and compare every tensor with the reference.

    Parameters
    ----------
    prepared : Prepared
    sample : dict of str to ndarray
        A value for each input of the network.
    trace : Path, optional
        Waveform to write.
    """
    compiled = prepared.compiled
    program = compiled.program
    expected = evaluate(compiled.graph, sample)
    run = prepared.simulator.run(program, host_before(compiled, sample), trace=trace)
    found = run.tensors | run.outputs
    wrong = [name for name, value in found.items() if not np.array_equal(value, expected[name])]
    differences = diagnose(program, expected, run) if wrong else ()
    return Outcome(run, host_after(compiled, run.outputs), len(found), tuple(differences))


def report_of(prepared: Prepared, outcome: Outcome, *, clock_mhz: float = DEFAULT_CLOCK_MHZ) -> Report:
    """The report of one run."""
    return build_report(
        prepared.compiled.program,
        outcome.run.records,
        outcome.run.cycles,
        host_ops=[host.operator.op for host in prepared.compiled.host_ops],
        bit_exact=not outcome.differences,
        compared_tensors=outcome.compared,
        clock_mhz=clock_mhz,
    )


def run_model(
    model,
    config: NpuConfig,
    *,
    input_path: Path | None = None,
    sample: int = 0,
    seed: int | None = None,
    keep_tensors: bool = False,
    trace: Path | None = None,
    clock_mhz: float = DEFAULT_CLOCK_MHZ,
    steps: Steps | None = None,
) -> Job:
    """What ``weft run`` does; the arguments are its options.

    Raises
    ------
    WeftError
        For what the user can mend: the model, the configuration, the input, a missing tool.
    """
    steps = steps or Steps(quiet=True)
    graph = read_tflite(model)
    values, seed, notes = choose_input(graph, input_path, sample, seed)  # before the slow part, so that a mistake shows at once
    prepared = prepare(model, config, keep_tensors=keep_tensors, trace=trace is not None, steps=steps)
    with steps.stage(f"running {graph.name} on the RTL"):
        outcome = run_sample(prepared, values, trace=trace)
    return Job(report_of(prepared, outcome, clock_mhz=clock_mhz), outcome, seed, tuple(notes))


def choose_input(graph, path, sample, seed):
    """The sample to run, the seed if it is random, and notes for the user."""
    if path is None:
        seed = secrets.randbelow(SEEDS) if seed is None else seed
        return random_sample(graph, seed), seed, [f"random, --seed {seed}"]
    if seed is not None:
        raise WeftError("--seed is for the random input", remedy="leave out --input or --seed")
    samples, notes = load_samples(graph, path)
    if sample >= len(samples):
        raise WeftError(f"--sample {sample} is not in the file", file=path, remedy=f"it holds {len(samples)}, counted from 0")
    if len(samples) > 1:
        notes.append(f"sample {sample} of {len(samples)}")
    return samples[sample], None, [str(path), *notes]


def write_json(job: Job, path: Path):
    """Write the report, with where the input came from."""
    content = job.report.to_json() | {"weft": __version__, "seed": job.seed, "input": list(job.notes)}
    content["differences"] = list(job.outcome.differences)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
