"""What the bus can do to a job: errors of every transaction, and silence; and the next job on the same NPU runs right."""

import itertools

import pytest

from hw.npu.control.command_fetch import BLOCK_BYTES
from hw.npu.interface.isa import UNIT_BYTES, Error, Opcode, Target
from hw.npu.interface.records import RECORD_BYTES
from sim.ddr import DdrConfig
from tests.rtl.jobs import ARENA, COMMANDS, MODEL, RECORDS, SOFT_RESET, TINY, Session, assert_right, assert_stopped, status_fields
from tests.rtl.networks import small_network
from tests.rtl.switches import EVERY_SWITCH, near_ddr

SILENT = 500
"""Cycles of silence that these jobs allow."""


def assert_each_stops(simulator, config, cases, **kinds):
    """Jobs whose transactions are answered with errors in a byte of DDR end as they should; behind each runs the network elsewhere in DDR.

    A case is the byte, the command at which the job stops, and the error.
    """
    session, network = Session(simulator(config)), small_network(config)
    for byte, _, _ in cases:
        session.job.tune(near_ddr(config).replace(error_start=byte, error_end=byte + 1, **kinds))
        session.add(network)
        session.add(network, area=1)
    outcomes = session.run()
    for (byte, index, code), failed, behind in zip(cases, outcomes[::2], outcomes[1::2], strict=True):
        assert_right(network, behind, f"{config.name}: the network behind {failed}")
        assert_stopped(failed, code, index, f"{config.name}: error at address {byte:#x}")


def transfers(config, opcode):
    """LOADs or STOREs of the network: for each its index, and its rows in DDR, a byte behind the last, in the order of the stream."""
    for index, command in enumerate(small_network(config).commands):
        if command.opcode == opcode:
            dma = command["dma"]
            base = (ARENA if dma["region"] else MODEL) + dma["ddr_offset"]
            yield index, [(base + row * dma["ddr_stride"], base + row * dma["ddr_stride"] + dma["row_bytes"]) for row in range(dma["rows"])]


def errors_of_transfers(config, opcode, code):
    """A case for the first and the last byte of the first, the middle and the last row of each; the first that touches the beat fails."""
    touched, cases = {}, []
    for index, rows in transfers(config, opcode):
        for first, end in rows:
            for beat in range(first // config.axi_bytes, (end - 1) // config.axi_bytes + 1):
                touched.setdefault(beat, index)
        for first, end in {rows[0], rows[len(rows) // 2], rows[-1]}:
            cases += [(byte, touched[byte // config.axi_bytes], code) for byte in (first, end - 1)]
    return cases


@EVERY_SWITCH
def test_an_error_while_commands_are_read_stops_at_the_first_of_its_burst(simulator, config):
    ends = list(itertools.accumulate(command.units * UNIT_BYTES for command in small_network(config).commands))
    burst, cases = min(BLOCK_BYTES, config.max_burst * config.axi_bytes), []
    for byte in (*range(0, ends[-1], burst), *(end - 1 for end in ends)):
        first = next(number for number, end in enumerate(ends) if end > byte // burst * burst)
        cases.append((COMMANDS + byte, first, Error.AXI_READ))
    if len(cases) > 60:
        cases = [*cases[:10], *cases[10:-10:7], *cases[-10:]]
    assert_each_stops(simulator, config, cases, error_reads=True)


@EVERY_SWITCH
def test_an_error_while_data_are_loaded_stops_at_that_load(simulator, config):
    assert_each_stops(simulator, config, errors_of_transfers(config, Opcode.LOAD, Error.AXI_READ), error_reads=True)


@EVERY_SWITCH
def test_an_error_while_data_are_stored_stops_at_that_store(simulator, config):
    assert_each_stops(simulator, config, errors_of_transfers(config, Opcode.STORE, Error.AXI_WRITE), error_writes=True)


@EVERY_SWITCH
def test_an_error_while_a_record_is_written_stops_at_its_command(simulator, config):
    indices = range(len(small_network(config).commands))
    cases = [(RECORDS + RECORD_BYTES * index + 17 * index % RECORD_BYTES, index, Error.AXI_WRITE) for index in indices]
    assert_each_stops(simulator, config, cases, error_writes=True)


@EVERY_SWITCH
def test_an_address_behind_memory_is_an_error_of_the_bus(simulator, config):
    network, session = small_network(config), Session(simulator(config), near_ddr(config))
    store = max(index for index, _ in transfers(config, Opcode.STORE))
    load = next(index for index, _ in transfers(config, Opcode.LOAD) if network.commands[index]["dma"]["target"] == Target.WEIGHTS)
    cases = ((load, Error.AXI_READ), (store, Error.AXI_WRITE))
    for index, _ in cases:
        command = network.commands[index]
        far = type(command)(command.opcode, {**command.fields, "dma": {**command["dma"], "ddr_offset": 1 << 28}})
        session.add(network.replaced(index, far))
        session.add(network)
    outcomes = session.run()
    for (index, code), failed, behind in zip(cases, outcomes[::2], outcomes[1::2], strict=True):
        assert_stopped(failed, code, index)
        assert_right(network, behind, f"the network behind {failed}")


def wake(session, ddr):
    """The bus answers what it owes, and everything that comes."""
    session.job.tune(ddr)
    session.job.step(3000)


def full_reset(session, ddr):
    session.job.reset(ddr)


def counts_of_transactions():
    """All small ones, then ever fewer."""
    after = 0
    while True:
        yield after
        after += max(1, after // 6)


@pytest.mark.parametrize("ending", [wake, full_reset])
@EVERY_SWITCH
def test_a_bus_that_falls_silent_is_a_timeout(simulator, config, ending):
    seen, network, ddr, npu = set(), small_network(config), near_ddr(config), simulator(config)
    for after in counts_of_transactions():
        session = Session(npu, ddr.replace(silent_after=after), timeout=SILENT)
        session.add(network)
        before = session.job.peek("STATUS")
        ending(session, ddr)
        ended = session.job.peek("STATUS")
        session.add(network)
        failed, behind = session.run()
        before, ended = (status_fields(session.last_answers[place]) for place in (before, ended))
        assert_right(network, behind, f"{config.name}, silent after {after} transactions: the network behind {failed}")
        if failed.error == Error.NONE:  # the job had fewer transactions
            break
        assert failed.interrupt and failed.error == Error.TIMEOUT and failed.status["error"], f"silent after {after}: {failed}"
        assert before["busy"] and before["draining"], f"silent after {after}: draining goes on as long as the bus is silent"
        assert not ended["busy"], f"silent after {after}"
        seen.add(failed.index)
    assert after > 15 and len(seen) > 3, f"jobs of {after} transactions, errors at commands {sorted(seen)}"


@EVERY_SWITCH
def test_without_a_limit_a_silent_bus_is_waited_for(simulator, config):
    network, ddr = small_network(config), near_ddr(config)
    session = Session(simulator(config), ddr.replace(silent_after=9), timeout=0)
    session.start(network)
    session.job.step(5000)
    status = session.job.peek("STATUS")
    session.job.tune(ddr)
    session.finish(network)
    (outcome,) = session.run()
    assert status_fields(session.last_answers[status]) == {"busy": 1, "done": 0, "error": 0, "draining": 0}
    assert_right(network, outcome, "the job that waited")


def test_a_soft_reset_ends_a_job_that_a_silent_bus_holds(simulator):
    network = small_network()
    session = Session(simulator(TINY), DdrConfig(silent_after=12), timeout=SILENT)
    session.add(network)
    session.job.poke("CONTROL", SOFT_RESET)
    held = session.job.peek("STATUS")
    wake(session, DdrConfig())
    free = session.job.peek("STATUS")
    session.add(network)
    failed, behind = session.run()
    assert_stopped(failed, Error.TIMEOUT, failed.index)
    assert session.last_answers[held] & 1 and session.last_answers[free] == 0
    assert_right(network, behind, "the network behind a soft reset while draining")
