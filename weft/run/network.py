"""A network on the RTL: compile it, run it, compare every tensor with the reference, report.

`prepare` does what is done once for a network and a configuration, `run_samples` what is done for each input.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from golden.machine import Machine
from golden.reference import reference_version
from golden.reference_process import ReferenceProcess
from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from sim.build import BuildOptions
from sim.compare import Mismatch, diagnose
from sim.npu_job import RunResult
from sim.run import Simulator
from weft.analysis.search import Searched, search
from weft.compiler.driver import Compiled
from weft.compiler.evaluate import evaluate, next_states
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.graph import Graph
from weft.compiler.host import handed_out, host_after, host_before
from weft.report.precision import int4_operators
from weft.report.report import ReferenceVerdict, Report, build_report, chained
from weft.run.host_rows import with_host_rows
from weft.run.inputs import random_sample
from weft.run.outputs import check_writable
from weft.run.progress import Steps
from weft.run.reference_judge import ReferenceMismatch, judge_stream
from weft.run.source import read_source
from weft.run.stages import Compared, Frame, run_stages
from weft.run.stream import joined, reset_note
from weft.run.whole import NpuStep, Whole

TRACES = (".fst", ".vcd")
"""Suffixes of waveforms."""


@dataclass(frozen=True)
class Prepared:
    """A network, compiled, and the simulator of its configuration, built.

    Attributes
    ----------
    whole : Whole
    simulator : Simulator
    """

    whole: Whole
    simulator: Simulator


@dataclass(frozen=True)
class Outcome:
    """One input's run.

    Attributes
    ----------
    runs : tuple of RunResult
        Of the RTL, one for each program.
    outputs : dict of str to ndarray
        The network's outputs, after the host's operators.
    compared : tuple of int
        Tensors of each program that were compared with the golden operators.
    mismatch : Mismatch, ReferenceMismatch or None
        The first difference; None if everything is bit-exact.
    computed : dict of str to ndarray
        Every tensor of the programs by the golden operators.
    reference : ReferenceVerdict or None
        How far the reference interpreter judged the golden operators; None where it was not asked.
    moved : tuple of (int, int)
        Bytes in and out of each host step.
    """

    runs: tuple[RunResult, ...]
    outputs: dict
    compared: tuple[int, ...]
    mismatch: Mismatch | ReferenceMismatch | None
    computed: dict
    reference: ReferenceVerdict | None = None
    moved: tuple[tuple[int, int], ...] = ()

    @property
    def run(self) -> RunResult:
        """The RTL's run of a network that is one program."""
        (run,) = self.runs
        return run

    @property
    def cycles(self) -> int:
        """Of all programs."""
        return sum(run.cycles for run in self.runs)


def compile_model(model, config: NpuConfig, *, keep_tensors: bool = False) -> Searched:
    """Read a `.tflite` file and compile it for the NPU alone, with the tuning that the timing model finds best."""
    return search(read_tflite(model), config, keep_tensors=keep_tensors)


def compile_file(
    model,
    config: NpuConfig,
    *,
    keep_tensors: bool = False,
    steps: Steps | None = None,
    signature: str | None = None,
    host: bool = True,
) -> Whole:
    """Read a `.tflite` file and compile it; what the NPU does not run is the host's, or refused if that is not wanted."""
    return read_source(model, signature, host=host).compiled(config, keep_tensors=keep_tensors, steps=steps)


def prepare(model, config: NpuConfig, *, keep_tensors: bool = False, trace: Path | None = None, steps: Steps | None = None) -> Prepared:
    """Compile a file and build the simulator, able to write the waveform `trace` if that is given."""
    options, steps = build_options(trace), steps or Steps(quiet=True)
    return prepared_for(compile_file(model, config, keep_tensors=keep_tensors, steps=steps), config, options, steps)


def prepared_for(whole: Whole, config: NpuConfig, options: BuildOptions, steps: Steps) -> Prepared:
    """A compiled network with the simulator of its configuration, which takes a minute to build where it is not kept."""
    return Prepared(whole, Simulator(config, options, stage=steps.stage))


def build_options(trace: Path | None) -> BuildOptions:
    """How the simulator is built that can write a waveform there, or none: a waveform is slow to write anyway."""
    return BuildOptions("quick" if trace else "fast", trace=trace_format(trace))


def trace_format(trace):
    if trace is None:
        return None
    if trace.suffix not in TRACES:
        raise WeftError(f"a waveform is a {' or '.join(TRACES)} file", file=trace)
    check_writable(trace, "the waveform")
    return trace.suffix[1:]


def trace_of(trace: Path | None, whole: Whole, step: NpuStep) -> Path | None:
    """Where the waveform of a program goes: of several, beside the place that was given, with the program's name behind its own."""
    if trace is None or len(whole.npu_steps) == 1:
        return trace
    return trace.with_stem(f"{trace.stem}-{step.name}")


def run_samples(prepared: Prepared, samples: list[dict[str, np.ndarray]], *, trace: Path | None = None) -> list[Outcome]:
    """Run inputs on the RTL, one after another, and compare every tensor of each with the reference.

    The states of the network have their initial values before the first, and go on from one to the next.

    What the output stage writes is compared with the golden machine command by command, and the machine's tensors with the golden
    operators. What the host computes is the reference interpreter's own.

    Parameters
    ----------
    prepared : Prepared
    samples : list of dict of str to ndarray
        For each run a value for each input of the network.
    trace : Path, optional
        Waveform to write; of several programs one each, as `trace_of` calls them.
    """

    def program(step: NpuStep, given: list[dict]) -> list[Compared]:
        inputs = [host_before(step.compiled, sample) for sample in given]
        runs = prepared.simulator.run_all(step.compiled.program, inputs, trace=trace_of(trace, prepared.whole, step))
        return compare_stream(step.compiled, given, runs)

    return [outcome_of(prepared.whole, frame) for frame in run_stages(prepared.whole, samples, program)]


def compare_stream(compiled: Compiled, samples: Iterable[dict], runs: Iterable[RunResult]) -> list[Compared]:
    """Compare runs that followed each other from a reset on: golden operators and machine keep the network's states as the RTL does."""
    machine, states, found = Machine(compiled.program), {}, []
    for sample, run in zip(samples, runs):
        expected = evaluate(compiled.graph, sample | states)
        states = next_states(compiled.graph, expected)
        golden = machine.run(host_before(compiled, sample), writes=True)
        mismatch = diagnose(compiled.program, run, golden, expected)
        compared = len(expected.keys() & golden.tensors.keys())
        found.append(Compared(run, host_after(compiled, run.outputs, sample), expected, compared, mismatch))
    return found


def outcome_of(whole: Whole, frame: Frame) -> Outcome:
    """One input's outcome, from what its programs and host steps left behind."""
    return Outcome(
        runs=tuple(each.run for each in frame.programs),
        outputs=frame.outputs(whole),
        compared=tuple(each.compared for each in frame.programs),
        mismatch=next((each.mismatch for each in frame.programs if each.mismatch is not None), None),
        computed=frame.computed,
        moved=tuple(frame.moved),
    )


def report_of(prepared: Prepared, outcome: Outcome, *, clock_mhz: float | None = None, stream: Sequence[Outcome] = ()) -> Report:
    """The report of one run; of a stream of several that of one step, with the verdict on all of them."""
    whole, steps = prepared.whole, stream or [outcome]
    reports = [
        build_report(step.compiled.program, run.records, run.cycles, clock_mhz=clock_mhz, **facts_of(whole, step, steps, compared))
        for step, run, compared in zip(whole.npu_steps, outcome.runs, outcome.compared)
    ]
    report = with_host_rows(chained(reports), whole, outcome.moved)
    return dataclasses.replace(report, steps=len(steps), step_cycles=tuple(step.cycles for step in steps))


def facts_of(whole: Whole, step: NpuStep, outcomes: Sequence[Outcome], compared: int) -> dict[str, Any]:
    """What the report of a program says beside its cycles, as `weft.report.report.build_report` takes it."""
    return {
        "bit_exact": all(outcome.mismatch is None for outcome in outcomes),
        "compared_tensors": compared,
        "reference": joined([outcome.reference for outcome in outcomes]),
        "int4_operators": int4_operators(step.compiled.graph),
        "notes": [*handed_out(whole.on_npu), *reset_note(whole.on_npu, len(outcomes))],
    }


def check_reference(interpreter: ReferenceProcess, whole: Whole):
    """Refuse a file that the reference interpreter does not load, or of which it cannot run what is the host's."""
    check_loads(interpreter, whole)
    if whole.host_steps:
        whole.refuse_failing_host(interpreter.results()[-1])


def try_host(whole: Whole):
    """Refuse a compiled file of which the reference interpreter dies in an operator that is the host's, on random values.

    A kernel that merely refuses such values may take others.
    """
    if whole.host_steps:
        with start_reference(whole.graph, [random_sample(whole.graph, 0)]) as interpreter:
            check_loads(interpreter, whole)
            run = interpreter.result()
        if run.stop is not None and run.stop.reason.startswith("SIG"):
            whole.refuse_failing_host(run)


def check_loads(interpreter: ReferenceProcess, whole: Whole):
    """Refuse a file that the reference interpreter does not load, with the layer where it is a custom operator's fault."""
    try:
        interpreter.check_loads()
    except WeftError as error:
        raise whole.with_custom_layer(error) from None


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
