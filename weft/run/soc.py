"""The main job on a SoC: a network alone and under a scenario's traffic, compared and reported as `weft.run.network` does it."""

import dataclasses
import itertools
from contextlib import ExitStack
from pathlib import Path

from golden.machine import Machine
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
from weft.compiler.frontends.tflite import read_file, read_tflite
from weft.compiler.host import host_after, host_before
from weft.report.contention import network_reports, soc_report, with_soc
from weft.run.host_rows import with_host_rows
from weft.run.network import (
    Job,
    Outcome,
    check_reference,
    compare_stream,
    compile_file,
    facts_of,
    judged,
    outcome_of,
    start_reference,
    trace_format,
    with_trace,
)
from weft.run.progress import Steps
from weft.run.stages import Compared, run_stages
from weft.run.stream import choose_samples
from weft.run.whole import NpuStep, Whole


def run_on_soc(
    model,
    config: SocConfig,
    scenario: Scenario,
    *,
    input_path: Path | None = None,
    sample: int | None = None,
    count: int | None = None,
    seed: int | None = None,
    keep_tensors: bool = False,
    trace: Path | None = None,
    reference: bool = True,
    steps: Steps | None = None,
    signature: str | None = None,
    host: bool = True,
) -> Job:
    """What ``weft run`` does with a scenario; the arguments are its options. The figures are those of the slowest inference under traffic.

    Raises
    ------
    WeftError
        For what the user can mend: the model, the configuration, the scenario, the input, a missing tool.
    """
    steps = steps or Steps(quiet=True)
    graph = read_file(model, signature).rewritten() if host else read_tflite(model, signature)
    if count is not None:
        raise WeftError("--steps is for a run outside of a SoC, where inferences follow each other anyway", remedy="leave it out")
    # before the slow part, so that a mistake shows at once
    (values,), seed, notes = choose_samples(graph, input_path, sample or 0, seed, None)
    check_scenario(scenario, config)
    options = BuildOptions("quick" if trace else "fast", trace=trace_format(trace))
    with ExitStack() as stack:
        interpreter = stack.enter_context(start_reference(graph, [values])) if reference else None
        whole = compile_file(model, config.npu, keep_tensors=keep_tensors, steps=steps, signature=signature, host=host)
        step = whole.only("a run in a SoC")
        if interpreter is not None:
            check_reference(interpreter, whole)
        simulator = SocSimulator(config, options, stage=steps.stage)
        with steps.stage(f"running {graph.name} on the SoC, alone and under traffic"):
            (run, outcome), trace_error = with_trace(lambda place: _run_whole(simulator, whole, values, scenario, place), trace)
        (outcome,) = judged(whole.on_npu, [outcome], interpreter, steps)
    facts = facts_of(whole, step, [outcome], *outcome.compared)
    alone, slowest = network_reports(step.compiled.program, run, scenario, **facts)
    report = with_host_rows(with_soc(slowest, alone, soc_report(run, scenario, config.npu.axi_bits)), whole, outcome.moved)
    return Job(whole.searched, report, outcome, seed, tuple(notes), trace_error)


def _run_whole(simulator, whole: Whole, sample: dict, scenario: Scenario, trace: Path | None) -> tuple[SocRun, Outcome]:
    """The scenario with what the host's steps give to its program, and the outcome after the host's last step."""
    runs: list[SocRun] = []

    def program(step: NpuStep, given: list[dict]) -> list[Compared]:
        (values,) = given
        run, compared = run_and_compare(simulator, step.compiled, values, scenario, trace=trace)
        runs.append(run)
        return [compared]

    (frame,) = run_stages(whole, [sample], program)
    return runs[0], outcome_of(whole, frame)


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
