"""Every documented error of a command: its code, its index, the interrupt; and the next job on the same NPU runs right."""

from dataclasses import replace

import pytest

from hw.npu.interface.isa import INT4_TWIN, PLAIN_MULTIPLIER, UNIT_BYTES, Command, Error, Opcode, Second, opcodes, units_of
from tests.rtl.jobs import TINY, TINY_INT4, Session, assert_machine_stops, assert_right, assert_stopped
from tests.rtl.limits import addresses, limits
from tests.rtl.networks import small_network
from tests.rtl.simple import changed, execute, in_order, stream_with, transfer
from tests.rtl.switches import EVERY_SWITCH, SWITCHED, near_ddr

LOAD, STORE, MATMUL, SUM, MAX = Opcode.LOAD, Opcode.STORE, Opcode.MATMUL, Opcode.SUM, Opcode.MAX
AT = 3
"""Where the changed command stands."""


@pytest.fixture(scope="module")
def tiny(simulator):
    return simulator(TINY)


def run_with_a_network_behind(npu, streams):
    """Each stream as a job, and behind each the network; asserts the networks, gives the streams' outcomes."""
    session, network = Session(npu, near_ddr(npu.config)), small_network(npu.config)
    places = [(session.add(stream), session.add(network)) for stream in streams]
    outcomes = session.run()
    for number, (_, behind) in enumerate(places):
        assert_right(network, outcomes[behind], f"the network behind stream {number} ({outcomes[places[number][0]]})")
    return [outcomes[place] for place, _ in places]


def assert_both_sides(npu, table, code):
    """The legal command leaves what the machine leaves; the illegal one stops RTL and machine with the code at its index."""
    names = [(name, side) for name in table for side in (0, 1)]
    streams = [stream_with(table[name][side], config=npu.config) for name, side in names]
    for (name, side), stream, outcome in zip(names, streams, run_with_a_network_behind(npu, streams), strict=True):
        if side == 0:
            assert_right(stream, outcome, f"{npu.config.name}: {name}, legal")
            continue
        assert_stopped(outcome, code, AT, f"{npu.config.name}: {name}")
        assert_machine_stops(stream, code, AT, f"{npu.config.name}: {name}")


LIMITED = pytest.mark.parametrize(("table", "code"), [(limits, Error.BAD_FIELD), (addresses, Error.ADDRESS)], ids=["fields", "addresses"])


@LIMITED
@EVERY_SWITCH
def test_limits_of_fields_and_addresses_are_kept_on_both_sides(simulator, config, table, code):
    assert_both_sides(simulator(config), table(config), code)


@LIMITED
@pytest.mark.parametrize(
    "config",
    [pytest.param(c, id=c.name, marks=() if c == TINY_INT4 else pytest.mark.slow) for c in SWITCHED.values() if c.int4],
)
def test_limits_are_those_of_8_bits_where_weights_have_4(simulator, config, table, code):
    twins = {
        name: [Command(INT4_TWIN[command.opcode], command.fields) for command in sides]
        for name, sides in table(config).items()
        if {command.opcode for command in sides} <= INT4_TWIN.keys()
    }
    assert len(twins) > 7
    assert_both_sides(simulator(config), twins, code)


@pytest.mark.parametrize("opcode", INT4_TWIN.values())
def test_a_command_with_4_bit_weights_is_unknown_where_there_is_no_int4(tiny, simulator, opcode):
    wide = execute(opcode.operation, loops={"taps_x": 2, "stride": 1, "positions": 4})
    stream = stream_with(Command(opcode, wide.fields))
    (outcome,) = run_with_a_network_behind(tiny, [stream])
    assert_stopped(outcome, Error.BAD_OPCODE, AT, opcode.name)
    assert_unpacks_up_to(stream, Error.BAD_OPCODE, AT, opcode.name)
    known = replace(stream, config=TINY_INT4)
    (outcome,) = run_with_a_network_behind(simulator(TINY_INT4), [known])
    assert_right(known, outcome, f"{opcode.name} on a NPU with int4")


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_an_unknown_opcode_stops_the_job(tiny, place):
    network, unknown = small_network(), (0, *sorted(set(Opcode) - opcodes(TINY.int4, TINY.interpolation)), max(Opcode) + 1, 255)
    last = len(network.commands) - 1
    index = {"first": 0, "middle": last // 2, "last": last}[place]
    bad = [network.replaced(index, bytes([opcode]) + bytes(UNIT_BYTES - 1)) for opcode in unknown]
    for opcode, outcome in zip(unknown, run_with_a_network_behind(tiny, bad), strict=True):
        assert_stopped(outcome, Error.BAD_OPCODE, index, f"opcode {opcode}")


def assert_unpacks_up_to(stream, code, index, what):
    """The stream ends with the error at the index where it is taken apart in Python, too."""
    commands, found = stream.unpacked()
    assert (found, len(commands)) == (code, index), what


@pytest.mark.parametrize("opcode", sorted(opcodes(TINY.int4, TINY.interpolation)))
def test_a_length_that_is_wrong_for_the_opcode_stops_the_job(tiny, opcode):
    packed = (transfer(opcode) if opcode in (LOAD, STORE) else execute(opcode)).pack()
    lengths = sorted({0, 1, 2, 3, 4, 5, 255} - set(units_of(opcode)))
    bad = [stream_with(bytes([opcode, units]) + packed[2:]) for units in lengths]
    for units, stream, outcome in zip(lengths, bad, run_with_a_network_behind(tiny, bad), strict=True):
        assert_stopped(outcome, Error.BAD_FIELD, AT, f"units {units}")
        assert_unpacks_up_to(stream, Error.BAD_FIELD, AT, f"units {units}")


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_stream_that_ends_within_a_command_stops_the_job(tiny, missing):
    packed = execute(second={"operation": Second.ADD, "multiplier": PLAIN_MULTIPLIER}).pack()
    stream = stream_with(packed[: -missing * UNIT_BYTES], after=0)
    (outcome,) = run_with_a_network_behind(tiny, [stream])
    assert_stopped(outcome, Error.BAD_FIELD, AT)
    assert_unpacks_up_to(stream, Error.BAD_FIELD, AT, f"{missing} units are missing")


def test_a_second_operand_without_operation_is_not_looked_at(tiny):
    stream = stream_with(execute(second={"address": TINY.act_bytes + 1, "clamp_max": -1}))
    assert stream.commands[AT].units == max(units_of(MATMUL))
    (outcome,) = run_with_a_network_behind(tiny, [stream])
    assert_right(stream, outcome, "operation 0")


@pytest.mark.parametrize("exponent", [-128, -32, 32, 127])
def test_an_exponent_among_the_parameters_is_a_field_too(tiny, exponent):
    legal = -31 if exponent < 0 else 31
    streams = []
    for value in (legal, exponent):
        stream = stream_with(execute(weights={"params": 2}))
        model = bytearray(stream.model)
        rows = 2 * 5 + 8  # behind the weights of two taps of five lanes: bias and multiplier
        model[rows * TINY.cols + TINY.cols - 1] = value & 0xFF  # of the last column, which is not even used
        streams.append(type(stream)(stream.commands, bytes(model), stream.arena))
    good, bad = run_with_a_network_behind(tiny, streams)
    assert_right(streams[0], good, f"exponent {legal}")
    assert_stopped(bad, Error.BAD_FIELD, AT)
    assert_machine_stops(streams[1], Error.BAD_FIELD, AT)


WAITS = [(opcode, "header", f"wait_{queue}") for opcode in (LOAD, STORE, MATMUL, SUM, MAX) for queue in ("load", "exec", "store")]
WAITS += [(opcode, "weights", "wait_load") for opcode in (MATMUL, SUM, MAX)]


def test_a_wait_for_what_stands_later_or_never_comes_is_a_deadlock(tiny):
    cases = []
    for opcode, group, field in WAITS:
        command = transfer(opcode) if opcode in (LOAD, STORE) else execute(opcode)
        present = {"wait_load": AT}.get(field, 0)
        for count in (present, present + 1, present + 2, 30_000):
            stream = stream_with(changed(command, group, **{field: count}))
            cases.append((f"{opcode.name} {group}.{field} = {count}", count > present, stream))
    outcomes = run_with_a_network_behind(tiny, [stream for _, _, stream in cases])
    for (name, illegal, stream), outcome in zip(cases, outcomes, strict=True):
        if illegal:
            assert_stopped(outcome, Error.DEADLOCK, AT, name)
            assert_machine_stops(stream, Error.DEADLOCK, AT, name)
        else:
            assert_right(stream, outcome, name)


def test_a_job_without_commands_ends_well(tiny):
    stream = stream_with(transfer(LOAD))
    (outcome,) = run_with_a_network_behind(tiny, [type(stream)((), stream.model, stream.arena)])
    assert outcome.error == Error.NONE and outcome.status["done"] and (outcome.arena == stream.arena).all()


def test_partial_sums_may_be_dropped_and_resumed(tiny):
    """Halves of the accumulators are neither lost nor doubled where partial sums are not continued, or continued where there are none."""
    block = {"block_rows": 4, "block_cols": 5}

    def sums(row, **fields):
        return execute(loops=block | fields, output={"address": 4096 + 512 * row, "row_step": 20})

    def with_all(commands):
        stream = stream_with(transfer(LOAD), after=0)
        stores = [transfer(STORE, sram_address=4096 + 512 * row, row_bytes=256, ddr_offset=1024 + 256 * row) for row in range(4)]
        return type(stream)(in_order([*stream.commands, *commands, *stores]), stream.model, stream.arena)

    streams = [
        with_all([sums(0), sums(1), *[sums(0, partial_out=1)] * 5, sums(2), sums(3)]),
        with_all([sums(0), sums(1), *[sums(2, partial_in=1)] * 5, sums(3)]),
        with_all([sums(0), sums(1), sums(0, partial_out=1), sums(0, partial_out=1, partial_in=1), sums(2, partial_in=1), sums(3)]),
    ]
    for stream, outcome in zip(streams, run_with_a_network_behind(tiny, streams), strict=True):
        assert_right(stream, outcome, "partial sums")


@pytest.mark.parametrize("pixels", [1, 2, 3])
@pytest.mark.parametrize("opcode", [SUM, MAX])
def test_vectors_go_on_with_partial_sums_of_the_array_at_once(tiny, opcode, pixels):
    """The accumulators need some cycles between two waves of an entry, also where one came through the array and one did not."""
    full = stream_with(transfer(LOAD), after=0)
    at_once, block = {"wait_exec": 0}, {"block_rows": 1, "block_cols": pixels}
    first = execute(loops=block | {"partial_out": 1}, header=at_once)
    then = execute(opcode, loops=block | {"partial_in": 1, "taps_x": 1}, output={"right_shift": 5}, header=at_once)
    stream = type(full)(in_order([*full.commands, first, then, transfer(STORE, sram_address=4096)]), full.model, full.arena)
    (outcome,) = run_with_a_network_behind(tiny, [stream])
    assert_right(stream, outcome, f"{opcode.name} of {pixels} pixels")
