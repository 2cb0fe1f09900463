"""Runs compiled programs on the generated Verilog."""

from golden.program import Program
from hw.emit.cache import Stage, no_stage
from hw.emit.verilog import npu_verilog
from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from sim.build import BuildOptions, build, check_tools
from sim.ddr import DdrConfig
from sim.job import Job
from sim.npu_job import Regions, RunResult, result_of

LIMIT = 500_000_000
"""Cycles after which a run is given up."""


class Simulator:
    """The NPU of one configuration, emitted, built and ready to run.

    Parameters
    ----------
    config : NpuConfig
    options : BuildOptions
        How it is built; ``BuildOptions("quick")`` for short runs.
    verilog : str, optional
        Run this text instead of the configuration's own.
    stage : Stage
        Shows what is slow, where it was not done before.
    """

    def __init__(self, config: NpuConfig, options: BuildOptions | None = None, *, verilog=None, stage: Stage = no_stage):
        check_tools()
        self.config = config
        self.options = options or BuildOptions()
        self.verilog = verilog or npu_verilog(config, observe=True, stage=stage)
        self.executable = build(self.verilog, self.options, stage=stage)

    def run(self, program: Program, inputs: dict, **options) -> RunResult:
        """Run one inference; the options are those of `run_all`."""
        return self.run_all(program, [inputs], **options)[0]

    def run_all(
        self,
        program: Program,
        inputs: list,
        *,
        ddr=None,
        records=True,
        log=True,
        limit=LIMIT,
        timeout=None,
        seed=1,
        trace=None,
        windows=(),
        resets=(0,),
    ) -> list:
        """Run one job for each set of inputs, in a row on one NPU that is reset once.

        They are a stream: the states of the network stay in DDR from job to job, and nothing but the NPU touches them.

        Parameters
        ----------
        program : Program
        inputs : list of dict of str to ndarray
            A value for each of `Program.inputs`, by tensor name.
        ddr : DdrConfig, optional
            The reference DDR if not given. A list gives each job its own (the NPU is reset where it changes).
        records, log : bool
            Have the NPU write its records; keep what the output stage writes (for `RunResult.writes`).
        limit : int
            Cycles after which a job is given up.
        timeout : int, optional
            The NPU's own limit for a silent bus; its default if not given.
        seed : int
            Of registers without reset, in builds with ``random_start``.
        trace, windows : Path and tuple of int, optional
            Write a waveform; needs a build with ``trace``. With windows only so many cycles of every so many, by cycles of the job.
        resets : collection of int
            Numbers of the jobs before which the states of the network get their initial values; before the first they always do.

        Raises
        ------
        WeftError
            If the program is for another configuration or an input is missing.
        BenchError
            If the NPU breaks a rule of AXI, writes outside its regions, or does not end.
        """
        if program.config != self.config:
            raise WeftError(f"the program is compiled for configuration {program.config.name}, not for {self.config.name}")
        ddrs = list(ddr) if isinstance(ddr, (list, tuple)) else [ddr or DdrConfig()] * len(inputs)
        regions = Regions.of(program, records)
        job = Job(regions.end, lanes=self.config.lanes, seed=seed)
        regions.fill(job, program)
        marks = []
        for number, (values, behaviour) in enumerate(zip(inputs, ddrs, strict=True)):
            if number == 0 or behaviour != ddrs[number - 1]:
                job.reset(behaviour)
                regions.tell(job, records, timeout)
            marks.append(regions.start(job, program, values, records, log, limit, reset=number == 0 or number in resets))
        answers = job.run(self.executable, trace=trace, windows=windows)
        return [result_of(program, regions, {name: answers[place] for name, place in mark.items()}, limit) for mark in marks]
