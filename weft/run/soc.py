"""The main job on a SoC: a network alone and under a scenario's traffic, compared and reported as `weft.run.network` does it."""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from golden.machine import Machine
from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from hw.npu.interface.isa import Error
from hw.soc.config import SocConfig
from sim.build import BuildOptions
from sim.compare import diagnose
from sim.job import Log
from sim.scenario import Scenario
from sim.soc_memory import check_scenario
from sim.soc_run import SocRun, SocSimulator, same_writes
from weft.compiler.driver import Compiled
from weft.compiler.evaluate import evaluate
from weft.compiler.host import host_after, host_before
from weft.report.contention import network_reports, soc_report, with_soc
from weft.report.report import Report
from weft.run.host_rows import with_host_rows
from weft.run.job import Job, Request, run_on
from weft.run.network import Outcome, compare_stream, facts_of, outcome_of
from weft.run.progress import Steps
from weft.run.stages import Compared, run_stages
from weft.run.whole import NpuStep, Whole


def run_on_soc(model, config: SocConfig, scenario: Scenario, *, steps: Steps | None = None, **options) -> Job:
    """What ``weft run`` does with a scenario; the figures are those of the slowest inference under traffic.

    `options` are the fields of `weft.run.job.Request`.

    Raises
    ------
    WeftError
        As `weft.run.job.run_on`, and if the scenario cannot be.
    """
    request = Request(**options)
    if request.sample is None:  # one inference follows another with one input, also where a file has several
        request = dataclasses.replace(request, sample=0)
    return run_on(model, SocTarget(config, scenario), request, steps)


@dataclass(frozen=True)
class SocTarget:
    """A SoC's Verilog, under the traffic of a scenario.

    Attributes
    ----------
    config : SocConfig
    scenario : Scenario
    """

    config: SocConfig
    scenario: Scenario
    place = "the SoC, alone and under traffic"

    @property
    def npu(self) -> NpuConfig:
        """The NPU in it."""
        return self.config.npu

    def check(self, request: Request):
        """Refuse a stream of inputs, and a scenario that does not fit the SoC."""
        if request.count is not None:
            raise WeftError("--steps is for a run outside of a SoC, where inferences follow each other anyway", remedy="leave it out")
        check_scenario(self.scenario, self.config)

    def begin(self, whole: Whole, options: BuildOptions, steps: Steps) -> "SocSession":
        """As `weft.run.job.Target.begin`."""
        step = whole.only("a run in a SoC")
        return SocSession(self, whole, step, SocSimulator(self.config, options, stage=steps.stage))


@dataclass
class SocSession:
    """As `weft.run.job.Session`, of one network in a SoC.

    Attributes
    ----------
    target : SocTarget
    whole : Whole
    step : NpuStep
        Its program.
    simulator : SocSimulator
    measured : SocRun or None
        What the latest run measured.
    """

    target: SocTarget
    whole: Whole
    step: NpuStep
    simulator: SocSimulator
    measured: SocRun | None = None

    def run(self, samples: list[dict], trace: Path | None) -> list[Outcome]:
        """As `weft.run.job.Session.run`, of one sample: its outcome is that of the slowest inference."""

        def program(step: NpuStep, given: list[dict]) -> list[Compared]:
            (values,) = given
            self.measured, compared = run_and_compare(self.simulator, step.compiled, values, self.target.scenario, trace=trace)
            return [compared]

        (frame,) = run_stages(self.whole, samples, program)
        return [outcome_of(self.whole, frame)]

    def report(self, outcomes: Sequence[Outcome], number: int) -> Report:
        """As `weft.run.job.Session.report`."""
        assert self.measured is not None
        whole, scenario, outcome = self.whole, self.target.scenario, outcomes[number]
        facts = facts_of(whole, self.step, outcomes, *outcome.compared)
        alone, slowest = network_reports(self.step.compiled.program, self.measured, scenario, **facts)
        soc = soc_report(self.measured, scenario, self.target.npu.axi_bits)
        return with_host_rows(with_soc(slowest, alone, soc), whole, outcome.moved)


def run_and_compare(
    simulator: SocSimulator, compiled: Compiled, sample: dict, scenario: Scenario, *, trace: Path | None = None
) -> tuple[SocRun, Compared]:
    """Run a scenario, and compare every inference's every tensor with the reference.

    The inference alone is compared as `weft.run.network.run_samples` does it. Those under traffic must write the same bytes in the same
    order (a digest says so); where one does not, all run again with the whole log, so that the first wrong command is found.
    """
    inputs = host_before(compiled, sample)
    if compiled.program.states:
        return _run_steps(simulator, compiled, sample, scenario, trace)
    expected = evaluate(compiled.graph, sample)
    machine = Machine(compiled.program).run(inputs, writes=True)
    run = simulator.run(compiled.program, inputs, scenario, trace=trace)
    _refuse_starved(run, compiled.program.network)
    mismatch = diagnose(compiled.program, run.alone, machine, expected)
    if mismatch is None and not all(same_writes(run.alone, one) for one in run.runs):
        run = simulator.run(compiled.program, inputs, scenario, log=Log.FULL)
        mismatch = next(filter(None, (diagnose(compiled.program, one, machine, expected) for one in run.runs)), None)
        assert mismatch, "inferences under traffic wrote the right bytes in another order"
    compared = len(expected.keys() & machine.tensors.keys())
    return run, Compared(run.slowest, host_after(compiled, run.slowest.outputs, sample), expected, compared, mismatch)


def _run_steps(simulator, compiled, sample, scenario, trace) -> tuple[SocRun, Compared]:
    """The same of a network with states: each inference is another step, and is compared whole.

    The outcome is that of the inference alone, the first step, with the first difference of all of them.
    """
    run = simulator.run(compiled.program, host_before(compiled, sample), scenario, log=Log.FULL, trace=trace)
    _refuse_starved(run, compiled.program.network)
    outcomes = compare_stream(compiled, itertools.repeat(sample), (run.alone, *run.runs))
    wrong = next((outcome.mismatch for outcome in outcomes if outcome.mismatch is not None), None)
    return run, dataclasses.replace(outcomes[0], mismatch=wrong)


def _refuse_starved(run: SocRun, network: str):
    """An NPU that the others leave nothing stops itself: the scenario is at fault, not the RTL."""
    for number, one in enumerate(run.runs, 1):
        if one.error == Error.TIMEOUT:
            raise WeftError(
                f"the NPU was starved: inference {number} under traffic stopped with TIMEOUT at command {one.error_index}, "
                f"after {one.cycles} cycles",
                file=network,
                remedy="give it a better class, set age_limit, limit the others, or take a faster DDR",
            )


def with_options(scenario: Scenario, **options) -> Scenario:
    """A scenario with the options that were given; None is none."""
    return dataclasses.replace(scenario, **{name: value for name, value in options.items() if value is not None})
