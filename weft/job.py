"""The main job: read a network, compile it, run it on the RTL, compare every tensor with the reference, report.

`prepare` does what is done once for a network and a configuration, `run_samples` what is done for each input.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from golden.machine import Machine
from golden.reference import reference_version
from golden.reference_process import ReferenceProcess
from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from hw.npu.files import write_whole
from sim.build import BuildOptions
from sim.compare import Mismatch, diagnose
from sim.job import TraceError
from sim.npu_job import RunResult
from sim.run import Simulator
from weft import __version__
from weft.analysis.precision import int4_operators
from weft.analysis.report import DEFAULT_CLOCK_MHZ, ReferenceVerdict, Report, build_report
from weft.analysis.search import Searched, search
from weft.compiler.driver import Compiled
from weft.compiler.evaluate import evaluate, next_states
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.graph import Graph
from weft.compiler.host import handed_out, host_after, host_before
from weft.outputs import check_writable
from weft.progress import Steps
from weft.reference_judge import ReferenceMismatch, judge_stream
from weft.stream import choose_samples, joined, reset_note

TRACES = (".fst", ".vcd")
"""Suffixes of waveforms."""


@dataclass(frozen=True)
class Prepared:
    """A network, compiled, and the simulator of its configuration, built.

    Attributes
    ----------
    compiled : Compiled
    simulator : Simulator
    searched : Searched or None
        How the program was found, where a search found it.
    """

    compiled: Compiled
    simulator: Simulator
    searched: Searched | None = None


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
    mismatch : Mismatch, ReferenceMismatch or None
        The first difference; None if everything is bit-exact.
    computed : dict of str to ndarray
        Every tensor by the golden operators.
    reference : ReferenceVerdict or None
        How far the reference interpreter judged the golden operators; None where it was not asked.
    """

    run: RunResult
    outputs: dict
    compared: int
    mismatch: Mismatch | ReferenceMismatch | None
    computed: dict
    reference: ReferenceVerdict | None = None


@dataclass(frozen=True)
class Job:
    """A run with its report.

    Attributes
    ----------
    searched : Searched or None
    report : Report
    outcome : Outcome
        Of the first step in which something differs, else of the slowest.
    seed : int or None
        Of the random input.
    notes : tuple of str
        Where the input came from and what was done to it.
    trace_error : TraceError or None
        Why there is no waveform, where one was wanted.
    step : int
        Which step `outcome` is, from 0.
    """

    searched: Searched | None
    report: Report
    outcome: Outcome
    seed: int | None
    notes: tuple[str, ...]
    trace_error: TraceError | None = None
    step: int = 0


def compile_model(
    model, config: NpuConfig, *, keep_tensors: bool = False, steps: Steps | None = None, signature: str | None = None
) -> Searched:
    """Read a `.tflite` file and compile it, with the tuning that the timing model finds best."""
    graph = read_tflite(model, signature)
    with (steps or Steps(quiet=True)).stage(f"compiling {graph.name} for {config.name}"):
        return search(graph, config, keep_tensors=keep_tensors)


def prepare(
    model,
    config: NpuConfig,
    *,
    keep_tensors: bool = False,
    trace: Path | None = None,
    steps: Steps | None = None,
    signature: str | None = None,
    check: Callable[[], None] | None = None,
) -> Prepared:
    """Compile the network and build the simulator, able to write the waveform `trace` if that is given.

    `check` may refuse the network before the build, which can take a minute.
    """
    options = BuildOptions("quick" if trace else "fast", trace=trace_format(trace))  # a waveform is slow to write anyway
    steps = steps or Steps(quiet=True)
    searched = compile_model(model, config, keep_tensors=keep_tensors, steps=steps, signature=signature)
    if check is not None:
        check()
    return Prepared(searched.compiled, Simulator(config, options, stage=steps.stage), searched)


def trace_format(trace):
    if trace is None:
        return None
    if trace.suffix not in TRACES:
        raise WeftError(f"a waveform is a {' or '.join(TRACES)} file", file=trace)
    check_writable(trace, "the waveform")
    return trace.suffix[1:]


def run_samples(prepared: Prepared, samples: list[dict[str, np.ndarray]], *, trace: Path | None = None) -> list[Outcome]:
    """Run inputs on the RTL, one after another, and compare every tensor of each with the reference.

    The states of the network have their initial values before the first, and go on from one to the next.

    What the output stage writes is compared with the golden machine command by command, and the machine's tensors with the golden
    operators.

    Parameters
    ----------
    prepared : Prepared
    samples : list of dict of str to ndarray
        For each run a value for each input of the network.
    trace : Path, optional
        Waveform to write.
    """
    compiled = prepared.compiled
    inputs = [host_before(compiled, sample) for sample in samples]
    runs = prepared.simulator.run_all(compiled.program, inputs, trace=trace)
    return compare_stream(compiled, samples, runs)


def compare_stream(compiled: Compiled, samples: Iterable[dict], runs: Iterable[RunResult]) -> list[Outcome]:
    """Compare runs that followed each other from a reset on: golden operators and machine keep the network's states as the RTL does."""
    machine, states, outcomes = Machine(compiled.program), {}, []
    for sample, run in zip(samples, runs):
        expected = evaluate(compiled.graph, sample | states)
        states = next_states(compiled.graph, expected)
        golden = machine.run(host_before(compiled, sample), writes=True)
        mismatch = diagnose(compiled.program, run, golden, expected)
        compared = len(expected.keys() & golden.tensors.keys())
        outcomes.append(Outcome(run, host_after(compiled, run.outputs, sample), compared, mismatch, expected))
    return outcomes


def report_of(prepared: Prepared, outcome: Outcome, *, clock_mhz: float = DEFAULT_CLOCK_MHZ, stream: Sequence[Outcome] = ()) -> Report:
    """The report of one run; of a stream of several that of one step, with the verdict on all of them."""
    steps = stream or [outcome]
    report = build_report(
        prepared.compiled.program,
        outcome.run.records,
        outcome.run.cycles,
        host_ops=[host.operator.op for host in prepared.compiled.host_ops],
        bit_exact=all(step.mismatch is None for step in steps),
        compared_tensors=outcome.compared,
        reference=joined([step.reference for step in steps]),
        int4_operators=int4_operators(prepared.compiled.graph),
        notes=[*handed_out(prepared.compiled), *reset_note(prepared.compiled.graph, len(steps))],
        clock_mhz=clock_mhz,
    )
    return dataclasses.replace(report, steps=len(steps), step_cycles=tuple(step.run.cycles for step in steps))


def shown_step(outcomes: Sequence[Outcome]) -> int:
    """The first step in which something differs, else the slowest one."""
    wrong = (number for number, outcome in enumerate(outcomes) if outcome.mismatch is not None)
    return next(wrong, max(range(len(outcomes)), key=lambda number: (outcomes[number].run.cycles, -number)))


def run_model(
    model,
    config: NpuConfig,
    *,
    input_path: Path | None = None,
    sample: int | None = None,
    count: int | None = None,
    seed: int | None = None,
    keep_tensors: bool = False,
    trace: Path | None = None,
    clock_mhz: float = DEFAULT_CLOCK_MHZ,
    reference: bool = True,
    steps: Steps | None = None,
    signature: str | None = None,
) -> Job:
    """What ``weft run`` does; the arguments are its options. The reference interpreter runs beside compiler and simulator.

    Raises
    ------
    WeftError
        For what the user can mend: the model, the configuration, the input, a missing tool.
    """
    steps = steps or Steps(quiet=True)
    graph = read_tflite(model, signature)
    samples, seed, notes = choose_samples(graph, input_path, sample, seed, count)  # before the slow part, so that a mistake shows at once
    with ExitStack() as stack:
        interpreter = stack.enter_context(start_reference(graph, samples)) if reference else None
        check = interpreter and interpreter.check_loads
        prepared = prepare(model, config, keep_tensors=keep_tensors, trace=trace, steps=steps, signature=signature, check=check)
        with steps.stage(f"running {graph.name} on the RTL"):
            outcomes, trace_error = with_trace(lambda place: run_samples(prepared, samples, trace=place), trace)
        outcomes = judged(graph, outcomes, interpreter, steps)
    number = shown_step(outcomes)
    report = report_of(prepared, outcomes[number], clock_mhz=clock_mhz, stream=outcomes)
    return Job(prepared.searched, report, outcomes[number], seed, tuple(notes), trace_error, number)


def with_trace(run: Callable, trace: Path | None) -> tuple:
    """The result of a run that writes a waveform, and None; or that of one without, and why there is no waveform."""
    try:
        return run(trace), None
    except TraceError as error:
        return run(None), error


def start_reference(graph: Graph, samples: Sequence[dict]) -> ReferenceProcess:
    """The reference interpreter, begun on a network's file and a stream of inputs."""
    first, *further = ([sample[name] for name in graph.inputs] for sample in samples)
    return ReferenceProcess(Path(graph.file), first, graph.subgraph, further=further)


def judged(graph: Graph, outcomes: Sequence[Outcome], interpreter: ReferenceProcess | None, steps: Steps) -> list[Outcome]:
    """The outcomes of a stream with what the reference interpreter says of those that it reached.

    If golden operators and interpreter differ, that is the mismatch.

    The golden operators are what everything else is compared with, so that their own fault comes before others.
    """
    if interpreter is None:
        return list(outcomes)
    with steps.stage(f"comparing with the reference interpreter {reference_version()}"):
        found = judge_stream(graph, Path(graph.file), interpreter.results(), [outcome.computed for outcome in outcomes])
    told = [
        dataclasses.replace(outcome, reference=verdict, mismatch=mismatch or outcome.mismatch)
        for outcome, (verdict, mismatch) in zip(outcomes, found)
    ]
    return [*told, *outcomes[len(told) :]]


def write_json(job: Job, path: Path):
    """Write the report, with where the input came from."""
    content = job.report.to_json() | {"weft": __version__, "seed": job.seed, "input": list(job.notes)}
    content["mismatch"] = job.outcome.mismatch and {**dataclasses.asdict(job.outcome.mismatch), "step": job.step}
    write_whole(path, json.dumps(content, indent=2) + "\n", "the report")
