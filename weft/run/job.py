"""The main job: read a network once, compile it, run it on a target, compare every tensor with the references, report.

A target is what runs programs: the NPU's Verilog alone, or a whole SoC's (`weft.run.soc`).
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hw.npu.config import NpuConfig
from hw.npu.files import write_whole
from hw.version import VERSION
from sim.build import BuildOptions
from sim.job import TraceError
from weft.analysis.search import Searched
from weft.report.report import Report
from weft.run.network import (
    Outcome,
    Prepared,
    build_options,
    check_reference,
    judged,
    prepared_for,
    report_of,
    run_samples,
    start_reference,
)
from weft.run.progress import Steps
from weft.run.source import read_source
from weft.run.stream import choose_samples
from weft.run.whole import Whole


@dataclass(frozen=True)
class Request:
    """What ``weft run`` is asked for, whatever the target; the fields are its options.

    Attributes
    ----------
    input_path : Path or None
        A file of inputs; without it they are random.
    sample, count, seed : int or None
        As `weft.run.stream.choose_samples` takes them.
    keep_tensors : bool
        Every tensor of a program has a place of its own.
    trace : Path or None
        The waveform to write.
    reference : bool
        Compare with the reference interpreter too; it runs beside compiler and simulator.
    signature : str or None
    host : bool
        The host may run a part of the network.
    """

    input_path: Path | None = None
    sample: int | None = None
    count: int | None = None
    seed: int | None = None
    keep_tensors: bool = False
    trace: Path | None = None
    reference: bool = True
    signature: str | None = None
    host: bool = True


@dataclass(frozen=True)
class Job:
    """A run with its report.

    Attributes
    ----------
    searched : tuple of Searched
        How each program was found, where a search found it.
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

    searched: tuple[Searched, ...]
    report: Report
    outcome: Outcome
    seed: int | None
    notes: tuple[str, ...]
    trace_error: TraceError | None = None
    step: int = 0


class Session(Protocol):
    """A compiled network on a target that is ready to run it."""

    def run(self, samples: list[dict], trace: Path | None) -> list[Outcome]:
        """Run inputs one after another, and compare every tensor of each; writes the waveform `trace` if that is given."""

    def report(self, outcomes: Sequence[Outcome], number: int) -> Report:
        """The report of one of the outcomes of `run`, with the verdict on all of them."""


class Target(Protocol):
    """What runs programs."""

    @property
    def npu(self) -> NpuConfig:
        """What programs are compiled for."""

    @property
    def place(self) -> str:
        """Where a message says that the network runs."""

    def check(self, request: Request):
        """Refuse what this target cannot do, before anything slow.

        Raises
        ------
        WeftError
        """

    def begin(self, whole: Whole, options: BuildOptions, steps: Steps) -> Session:
        """Build the target's simulator."""


def run_on(model, target: Target, request: Request, steps: Steps | None = None) -> Job:
    """What ``weft run`` does.

    Raises
    ------
    WeftError
        For what the user can mend: the model, the configuration, the input, a missing tool.
    """
    steps = steps or Steps(quiet=True)
    source = read_source(model, request.signature, host=request.host)
    graph = source.graph
    target.check(request)  # this and the inputs before the slow part, so that a mistake shows at once
    samples, seed, notes = choose_samples(graph, request.input_path, request.sample, request.seed, request.count)
    options = build_options(request.trace)
    with ExitStack() as stack:
        interpreter = stack.enter_context(start_reference(graph, samples)) if request.reference else None
        whole = source.compiled(target.npu, keep_tensors=request.keep_tensors, steps=steps)
        if interpreter is not None:
            check_reference(interpreter, whole)
        session = target.begin(whole, options, steps)
        with steps.stage(f"running {graph.name} on {target.place}"):
            outcomes, trace_error = with_trace(lambda place: session.run(samples, place), request.trace)
        outcomes = judged(whole.on_npu, outcomes, interpreter, steps)
    number = shown_step(outcomes)
    return Job(whole.searched, session.report(outcomes, number), outcomes[number], seed, tuple(notes), trace_error, number)


def with_trace(run: Callable[[Path | None], list[Outcome]], trace: Path | None) -> tuple[list[Outcome], TraceError | None]:
    """The result of a run that writes a waveform, and None; or that of one without, and why there is no waveform."""
    try:
        return run(trace), None
    except TraceError as error:
        return run(None), error


def shown_step(outcomes: Sequence[Outcome]) -> int:
    """The first step in which something differs, else the slowest one."""
    wrong = (number for number, outcome in enumerate(outcomes) if outcome.mismatch is not None)
    return next(wrong, max(range(len(outcomes)), key=lambda number: (outcomes[number].cycles, -number)))


@dataclass(frozen=True)
class NpuTarget:
    """The NPU's Verilog alone, on the reference DDR.

    Attributes
    ----------
    npu : NpuConfig
    clock_mhz : float or None
        For latency and power; without one that of `weft.report.clock.choose_clock`.
    """

    npu: NpuConfig
    clock_mhz: float | None = None
    place = "the RTL"

    def check(self, request: Request):
        """It can do all that can be asked for."""

    def begin(self, whole: Whole, options: BuildOptions, steps: Steps) -> "NpuSession":
        """As `Target.begin`."""
        return NpuSession(prepared_for(whole, self.npu, options, steps), self.clock_mhz)


@dataclass(frozen=True)
class NpuSession:
    """As `Session`, of the NPU alone."""

    prepared: Prepared
    clock_mhz: float | None

    def run(self, samples: list[dict], trace: Path | None) -> list[Outcome]:
        """As `Session.run`."""
        return run_samples(self.prepared, samples, trace=trace)

    def report(self, outcomes: Sequence[Outcome], number: int) -> Report:
        """As `Session.report`."""
        return report_of(self.prepared, outcomes[number], clock_mhz=self.clock_mhz, stream=outcomes)


def run_model(model, config: NpuConfig, *, clock_mhz: float | None = None, steps: Steps | None = None, **options) -> Job:
    """What ``weft run`` does outside of a SoC; `options` are the fields of `Request`, and errors those of `run_on`."""
    return run_on(model, NpuTarget(config, clock_mhz), Request(**options), steps)


def write_json(job: Job, path: Path):
    """Write the report, with where the input came from."""
    content = job.report.to_json() | {"weft": VERSION, "seed": job.seed, "input": list(job.notes)}
    content["mismatch"] = job.outcome.mismatch and {**dataclasses.asdict(job.outcome.mismatch), "step": job.step}
    write_whole(path, json.dumps(content, indent=2) + "\n", "the report")
