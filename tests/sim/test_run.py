"""Programs on the RTL through the bench: order of jobs, stalls, faults, power-up values."""

from pathlib import Path

import numpy as np
import pytest

from golden.machine import Machine
from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from hw.npu.interface.isa import Error
from sim.build import BuildOptions
from sim.compare import diagnose
from sim.ddr import DdrConfig
from sim.run import Simulator
from weft.run.inputs import random_sample
from weft.run.network import compile_model

CONFIG = PRESETS["nano"]
MODEL = Path(__file__).parents[2] / "examples" / "digits" / "digits.tflite"


@pytest.fixture(scope="module")
def simulator():
    return Simulator(CONFIG, BuildOptions("quick"))


@pytest.fixture(scope="module")
def digits():
    """Program, three inputs, and the machine's result of each."""
    compiled = compile_model(MODEL, CONFIG).compiled
    inputs = [random_sample(compiled.graph, seed) for seed in range(3)]
    return compiled.program, inputs, [Machine(compiled.program).run(values, writes=True) for values in inputs]


def assert_right(program, run, machine):
    assert diagnose(program, run, machine, machine.tensors) is None
    assert run.error == Error.NONE


def test_jobs_in_a_row_are_right_and_equally_long(simulator, digits):
    program, inputs, machines = digits
    runs = simulator.run_all(program, inputs)
    for run, machine in zip(runs, machines):
        assert_right(program, run, machine)
    assert len({run.cycles for run in runs}) == 1


def test_the_bench_counts_the_cycles_that_the_npu_counts(simulator, digits):
    program, inputs, _ = digits
    run = simulator.run(program, inputs[0])
    assert run.waited.cycles == run.cycles + 1, "the bench counts the cycle in which it sees the interrupt too"


@pytest.mark.parametrize("number", range(3))
def test_stalls_change_the_time_and_no_result(simulator, digits, seed, number):
    program, inputs, machines = digits
    run = simulator.run(program, inputs[0], ddr=DdrConfig.stalling(0.15 * (number + 1), seed=seed + number))
    assert_right(program, run, machines[0])


def test_the_job_after_a_read_error_is_right(simulator, digits):
    program, inputs, machines = digits
    broken = DdrConfig(error_reads=True, error_start=0, error_end=1 << 32)
    runs = simulator.run_all(program, inputs, ddr=[DdrConfig(), broken, DdrConfig()])
    assert [run.error for run in runs] == [Error.NONE, Error.AXI_READ, Error.NONE]
    assert_right(program, runs[2], machines[2])


def test_a_silent_bus_ends_in_timeout(simulator, digits):
    program, inputs, _ = digits
    assert simulator.run(program, inputs[0], ddr=DdrConfig(silent_after=5), timeout=500, limit=20_000).error == Error.TIMEOUT


def test_no_result_depends_on_power_up_values(digits):
    program, inputs, machines = digits
    simulator = Simulator(CONFIG, BuildOptions("quick", random_start=True))
    runs = [simulator.run(program, inputs[0], seed=number) for number in (1, 2)]
    for run in runs:
        assert_right(program, run, machines[0])
    assert runs[0].cycles == runs[1].cycles


def test_records_and_log_can_be_off(simulator, digits):
    program, inputs, machines = digits
    run = simulator.run(program, inputs[0], records=False, log=False)
    assert run.records is None and len(run.waited.writes) == 0
    assert all(np.array_equal(value, machines[0].outputs[name]) for name, value in run.outputs.items())


def test_a_record_stands_for_each_command(simulator, digits):
    program, inputs, _ = digits
    records = simulator.run(program, inputs[0]).records
    assert list(records["index"]) == list(range(len(program.commands)))
    assert list(records["opcode"]) == [planned.command.opcode for planned in program.commands]


def test_another_configuration_is_refused(simulator, digits):
    program, inputs, _ = digits
    with pytest.raises(WeftError, match="configuration nano, not for small"):
        Simulator.run(type("Other", (), {"config": PRESETS["small"], "run_all": Simulator.run_all})(), program, inputs[0])
