"""What the bus can do to a job: errors of every transaction, silence, soft reset; and the next job on the same NPU runs right."""

import itertools

import numpy as np
import pytest

from hw.npu.command_fetch import BLOCK_BYTES
from hw.npu.isa import UNIT_BYTES, Error, Opcode, Target
from hw.npu.records import RECORD_BYTES
from sim.ddr import DdrConfig
from tests.rtl.jobs import ARENA, COMMANDS, MODEL, RECORDS, TINY, Session, assert_right, assert_stopped, status_fields
from tests.rtl.networks import small_network

NETWORK = small_network()
LOADS = [index for index, command in enumerate(NETWORK.commands) if command.opcode == Opcode.LOAD]
STORES = [index for index, command in enumerate(NETWORK.commands) if command.opcode == Opcode.STORE]
SILENT = 500
"""Cycles of silence that these jobs allow."""


@pytest.fixture(scope="module")
def tiny(simulator):
    return simulator(TINY)


def job_with_errors_at(tiny, start, length, **kinds):
    """A network whose transactions in a range of DDR are answered with errors, and behind it the network elsewhere in DDR."""
    session = Session(tiny, DdrConfig(error_start=start, error_end=start + length, **kinds))
    session.add(NETWORK)
    session.add(NETWORK, area=1)
    failed, behind = session.run()
    assert_right(NETWORK, behind, f"the network behind {failed}")
    return failed


def ddr_bytes(index):
    """First DDR byte and length of the first row of a transfer."""
    dma = NETWORK.commands[index]["dma"]
    return (ARENA if dma["region"] else MODEL) + dma["ddr_offset"], dma["row_bytes"]


@pytest.mark.parametrize("index", [0, 1, len(NETWORK.commands) // 2, len(NETWORK.commands) - 1])
def test_an_error_while_commands_are_read_stops_at_the_first_of_its_burst(tiny, index):
    ends = list(itertools.accumulate(command.units * UNIT_BYTES for command in NETWORK.commands))
    for byte in (ends[index] - 1, ends[index] - NETWORK.commands[index].units * UNIT_BYTES):
        first = next(number for number, end in enumerate(ends) if end > byte // BLOCK_BYTES * BLOCK_BYTES)
        failed = job_with_errors_at(tiny, COMMANDS + byte, 1, error_reads=True)
        assert_stopped(failed, Error.AXI_READ, first, f"byte {byte} of the stream")


@pytest.mark.parametrize("index", LOADS)
def test_an_error_while_data_are_loaded_stops_at_that_load(tiny, index):
    start, length = ddr_bytes(index)
    beat = (start + length - 1) // TINY.axi_bytes
    first = min(load for load in LOADS if ddr_bytes(load)[0] // TINY.axi_bytes <= beat <= (sum(ddr_bytes(load)) - 1) // TINY.axi_bytes)
    assert_stopped(job_with_errors_at(tiny, start + length - 1, 1, error_reads=True), Error.AXI_READ, first)  # loads may share a beat


@pytest.mark.parametrize("index", STORES)
def test_an_error_while_data_are_stored_stops_at_that_store(tiny, index):
    start, _ = ddr_bytes(index)
    assert_stopped(job_with_errors_at(tiny, start, 1, error_writes=True), Error.AXI_WRITE, index)


@pytest.mark.parametrize("index", range(len(NETWORK.commands)))
def test_an_error_while_a_record_is_written_stops_at_its_command(tiny, index):
    assert_stopped(job_with_errors_at(tiny, RECORDS + RECORD_BYTES * index, 1, error_writes=True), Error.AXI_WRITE, index)


def test_an_address_behind_memory_is_an_error_of_the_bus(tiny):
    load = next(index for index in LOADS if NETWORK.commands[index]["dma"]["target"] == Target.WEIGHTS)
    for index, code in ((load, Error.AXI_READ), (STORES[-1], Error.AXI_WRITE)):
        command = NETWORK.commands[index]
        far = type(command)(command.opcode, {**command.fields, "dma": {**command["dma"], "ddr_offset": 1 << 28}})
        session = Session(tiny)
        session.add(NETWORK.replaced(index, far))
        session.add(NETWORK)
        failed, behind = session.run()
        assert_stopped(failed, code, index)
        assert_right(NETWORK, behind, f"the network behind {failed}")


def silence(tiny, after, ending):
    """A job on a bus that falls silent behind some transactions; then ``ending``, and the network. Outcomes, STATUS before and after."""
    session = Session(tiny, DdrConfig(silent_after=after), timeout=SILENT)
    session.add(NETWORK)
    before = session.job.peek("STATUS")
    ending(session)
    after_ending = session.job.peek("STATUS")
    session.add(NETWORK)
    failed, behind = session.run()
    answers = session.last_answers
    return failed, behind, status_fields(answers[before]), status_fields(answers[after_ending])


def wake(session):
    """The bus answers what it owes, and everything that comes."""
    session.job.tune(DdrConfig())
    session.job.step(3000)


def full_reset(session):
    session.job.reset(DdrConfig())


@pytest.mark.parametrize("ending", [wake, full_reset])
def test_a_bus_that_falls_silent_is_a_timeout(tiny, ending):
    seen = set()
    for after in range(60):
        failed, behind, before, ended = silence(tiny, after, ending)
        assert_right(NETWORK, behind, f"silent after {after} transactions: the network behind {failed}")
        if failed.error == Error.NONE:  # the job had fewer transactions
            break
        assert failed.interrupt and failed.error == Error.TIMEOUT and failed.status["error"], f"silent after {after}: {failed}"
        assert before["busy"] and before["draining"], f"silent after {after}: draining goes on as long as the bus is silent"
        assert not ended["busy"], f"silent after {after}"
        seen.add(failed.index)
    assert after > 20 and len(seen) > 3, f"jobs of {after} transactions, errors at commands {sorted(seen)}"


def test_without_a_limit_a_silent_bus_is_waited_for(tiny):
    session = Session(tiny, DdrConfig(silent_after=9), timeout=0)
    session.start(NETWORK)
    session.job.step(5000)
    status = session.job.peek("STATUS")
    session.job.tune(DdrConfig())
    session.finish(NETWORK)
    (outcome,) = session.run()
    assert status_fields(session.last_answers[status]) == {"busy": 1, "done": 0, "error": 0, "draining": 0}
    assert_right(NETWORK, outcome, "the job that waited")


@pytest.mark.parametrize("ddr", [DdrConfig(), DdrConfig.stalling(0.5, seed=3)], ids=["reference", "stalling"])
def test_a_soft_reset_anywhere_ends_the_job_and_the_next_one_runs(tiny, ddr):
    session = Session(tiny, ddr)
    session.add(NETWORK)
    (whole,) = session.run()
    session, states = Session(tiny, ddr), []
    for after in [*range(0, 60, 7), *range(60, whole.cycles, 149), *range(whole.cycles - 60, whole.cycles, 7)]:
        session.start(NETWORK)
        session.job.step(after)
        session.job.poke("CONTROL", 2)
        session.job.step(2000)
        reached = session.job.dump(ARENA, len(NETWORK.arena))
        states.append((after, reached, session.job.peek("STATUS"), session.job.peek("IRQ_STATUS"), session.job.peek("ERROR_CODE")))
        session.job.poke("IRQ_STATUS", 3)
        session.add(NETWORK)
    outcomes = session.run()
    for (after, *places), behind in zip(states, outcomes, strict=True):
        arena, status, irq, code = (session.last_answers[place] for place in places)
        # stalls differ from job to job: one may be done before its reset comes
        ended = after > whole.cycles // 2 and np.array_equal(arena, NETWORK.golden)
        what = f"soft reset after {after} of {whole.cycles} cycles"
        assert (status, irq, code) in [(0, 0, 0), (0, int(ended), 0)], f"{what}: STATUS {status}, IRQ_STATUS {irq}, ERROR_CODE {code}"
        assert_right(NETWORK, behind, f"the network behind a {what}")


def test_a_soft_reset_ends_a_job_that_a_silent_bus_holds(tiny):
    session = Session(tiny, DdrConfig(silent_after=12), timeout=SILENT)
    session.add(NETWORK)
    session.job.poke("CONTROL", 2)
    held = session.job.peek("STATUS")
    wake(session)
    free = session.job.peek("STATUS")
    session.add(NETWORK)
    failed, behind = session.run()
    assert_stopped(failed, Error.TIMEOUT, failed.index)
    assert session.last_answers[held] & 1 and session.last_answers[free] == 0
    assert_right(NETWORK, behind, "the network behind a soft reset while draining")
