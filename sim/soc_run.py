"""Runs a network on the Verilog of a whole SoC, alone and under the traffic of a scenario."""

from dataclasses import dataclass, field

import numpy as np

from golden.program import Program
from hw.emit.cache import Stage, no_stage
from hw.emit.verilog import soc_verilog
from hw.npu.errors import WeftError
from hw.soc.config import SocConfig
from sim.build import HARNESS, BuildOptions, build, check_tools
from sim.job import Job, Log
from sim.npu_job import Regions, RunResult, result_of
from sim.run import LIMIT
from sim.scenario import Scenario
from sim.soc_memory import SocMemory
from sim.soc_traffic import Snapshot, Traffic, between

BIN_CYCLES = 1024
"""Cycles of a time bin of the bandwidth."""


@dataclass(frozen=True)
class SocRun:
    """A network on the SoC.

    Attributes
    ----------
    alone : RunResult
        An inference while nobody else uses the DDR, with the whole log of what it wrote.
    runs : tuple of RunResult
        Inferences under traffic, one behind the other; with the digest of what they wrote, or the log if that was asked for.
    traffic : Traffic
        What the DDR's port saw meanwhile.
    """

    alone: RunResult
    runs: tuple[RunResult, ...]
    traffic: Traffic = field(repr=False)

    @property
    def slowest(self) -> RunResult:
        """The inference under traffic that took most cycles."""
        return max(self.runs, key=lambda run: run.cycles)


class SocSimulator:
    """The SoC of one configuration, emitted, built and ready to run; a random master stands in the place of its CPU.

    Parameters
    ----------
    config : SocConfig
    options : BuildOptions
    stage : Stage
        Shows what is slow, where it was not done before.
    """

    def __init__(self, config: SocConfig, options: BuildOptions | None = None, *, stage: Stage = no_stage):
        check_tools()
        self.config = config
        self.verilog = soc_verilog(config, observe=True, traffic=True, stage=stage)
        self.executable = build(self.verilog, options or BuildOptions(), top="soc", main=HARNESS / "soc" / "main.cpp", stage=stage)

    def run(self, program: Program, inputs: dict, scenario: Scenario, *, log=Log.DIGEST, limit=LIMIT, seed=1, trace=None) -> SocRun:
        """An inference alone; then traffic sets in, and inferences follow each other until camera and display have made their pictures.

        States of the network have their initial values before the first, and go on from each to the next.

        Parameters
        ----------
        program : Program
        inputs : dict of str to ndarray
            A value for each of `Program.inputs`; the same for all inferences.
        scenario : Scenario
        log : Log
            What is kept of the writes of the inferences under traffic.
        limit : int
            Cycles after which an inference is given up.
        seed : int
            Of what the display shows, and of registers without reset in builds with ``random_start``.
        trace : Path, optional
            Write a waveform; needs a build with ``trace``.

        Raises
        ------
        WeftError
            If the program is for another configuration, an input is missing, or the scenario cannot be set.
        BenchError
            If a rule of AXI is broken, something is written that must not be, camera or display deal in wrong bytes, or an inference does
            not end.
        """
        if program.config != self.config.npu:
            raise WeftError(f"the program is compiled for configuration {program.config.name}, not for {self.config.npu.name}")
        regions = Regions.of(program, records=True)
        memory = SocMemory.of(scenario, self.config, regions.end, seed)
        job = Job(memory.end, lanes=program.config.lanes, seed=seed)
        job.reset(scenario.dram.pack(scenario.bus_ps), BIN_CYCLES.to_bytes(8, "little"))
        regions.fill(job, program)
        memory.fill(job)
        regions.tell(job, records=True, timeout=None)
        memory.prioritize(job)
        alone = regions.start(job, program, inputs, True, Log.FULL, limit)
        before = job.statistics(Snapshot.read)
        memory.begin(job)
        with job.loop(scenario.frames) as loop:
            again = regions.start(job, program, inputs, True, log, limit, reset=False)
        after = job.statistics(Snapshot.read)
        left = memory.dump(job)
        answers = job.run(self.executable, trace=trace)

        def result(marks, found):
            return result_of(program, regions, {name: found[place] for name, place in marks.items()}, limit)

        memory.check({name: answers[place] for name, place in left.items()}, answers[after])
        runs = tuple(result(again, found) for found in answers[loop])
        return SocRun(result(alone, answers), runs, between(answers[before], answers[after], BIN_CYCLES))


def same_writes(alone: RunResult, other: RunResult) -> bool:
    """Whether two inferences wrote the same bytes to the same places in the same order, and left the same region ARENA."""
    return alone.waited.digest == other.waited.digest and bool(np.array_equal(alone.arena, other.arena))
