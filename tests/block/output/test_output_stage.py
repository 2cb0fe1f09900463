"""The output stage against the golden machine: every write, in order, for random commands; and its cycles, exactly."""

import random

import pytest

from hw.npu.interface.isa import Error, Params, Second
from hw.npu.output.operand_fetch import OperandFetch
from hw.npu.output.output_stage import OutputStage
from hw.npu.output.write_slots import WriteSlots
from tests.block.output.output_bench import READ_LATENCY, SIZE, Bench, random_command, random_softmax, stage
from tests.streams import plain, put, simulate
from tests.thin import thin

ALWAYS = ["1"] * 5
TIMED = [(16, 16), (16, 8), (16, 4), (4, 1)]
SHAPES = [(4, 4), (4, 2), (4, 1), (8, 8), (8, 4), (16, 16), (16, 4), (32, 8), (64, 16)]


def random_commands(rng, cols, count):
    commands = []
    while len(commands) < count:
        if rng.random() < 0.2:
            commands.append(random_softmax(rng))
        elif rng.random() < 0.15:  # a chain of partial sums: the same pixels, one column tile
            pixels = {"loops__block_rows": rng.randint(1, 3), "loops__block_cols": rng.randint(1, 5), "loops__column_tiles": 1}
            commands += [
                random_command(rng, cols, **pixels, loops__partial_out=1, second__operation=rng.choice(list(Second)))
                for _ in range(rng.randint(1, 3))
            ]
            commands.append(random_command(rng, cols, **pixels, loops__partial_in=1))
        else:
            commands.append(random_command(rng, cols, pixels=rng.choice((1, 6, 24))))
    return commands


@pytest.mark.parametrize(("cols", "lanes"), SHAPES)
@pytest.mark.parametrize("run", thin([1, 0, 2], first=0))
def test_random_commands(cols, lanes, run, seed):
    rng = random.Random(f"{seed} {cols} {lanes} {run}")
    dut = stage(cols, lanes, bits=rng.choice((32, 32, 20, 27)), read_latency=3 + 3 * run)
    commands = random_commands(rng, cols, 14 if cols <= 16 else 6)
    dependent = {index for index in range(len(commands)) if rng.random() < 0.3}
    Bench(dut, commands, rng.random(), dependent).run(60_000, patterns=ALWAYS if run == 0 else None)


def timed(dut, commands, *, seed=1, patterns=None):
    """The cycles of all writes and retirements, everything there in time."""
    bench = Bench(dut, commands, seed)
    bench.run(patterns=patterns or ALWAYS)
    return bench


def block(rng, cols, rows, columns, tiles, last_cols, **fields):
    sizes = {"loops__block_rows": rows, "loops__block_cols": columns, "loops__column_tiles": tiles, "loops__last_cols": last_cols}
    return random_command(rng, cols, **sizes, **fields)


def plain_command(rng, cols, *sizes, **fields):
    return block(rng, cols, *sizes, **{"second__operation": Second.NONE, "weights__load_table": 0} | fields)


def last_of(dut, vectors, second):
    """Cycles from the first to the last of so many vectors: one a cycle; with a second operand as many as a turn, and as many without."""
    turn = dut.pipeline.turn
    return vectors - 1 + (turn * ((vectors - 1) // turn) if second else 0)


@pytest.mark.parametrize(("cols", "lanes", "second"), thin([(*shape, second) for shape in TIMED for second in Second], 3))
def test_a_vector_a_cycle_and_no_gap_between_column_tiles(cols, lanes, second, seed):
    """Three tiles of 64 pixels: finals come faster than they are used, parameters of the next tile while one drains.

    With a second operand a vector in two cycles.
    """
    command = plain_command(random.Random(seed), cols, 4, 16, 3, cols, second__operation=second, weights__params=Params.FULL)
    dut = stage(cols, lanes, read_latency=5)
    bench = timed(dut, [command])
    vectors = 3 * 64 * (cols // lanes)
    assert len(bench.writes) == vectors
    assert bench.writes[-1] - bench.writes[0] == last_of(dut, vectors, second)
    assert bench.retires == [bench.writes[-1] + OutputStage.RETIRE]


@pytest.mark.parametrize(("last_cols", "vectors"), [(1, 1), (4, 1), (5, 2), (12, 3), (13, 4), (16, 4)])
def test_groups_of_lanes_without_a_channel_take_no_cycle(last_cols, vectors, seed):
    bench = timed(stage(16, 4), [plain_command(random.Random(seed), 16, 2, 10, 1, last_cols)])
    assert bench.writes[-1] - bench.writes[0] == 20 * vectors - 1


def test_gap_between_commands(seed):
    rng = random.Random(seed)
    bench = timed(stage(8, 8), [plain_command(rng, 8, 2, 20, 1, 8, weights__params=Params.BIAS) for _ in range(4)])
    gaps = [bench.writes[40 * i] - bench.writes[40 * i - 1] - 1 for i in range(1, 4)]
    assert gaps == [OutputStage.COMMAND_GAP] * 3


@pytest.mark.parametrize(
    "order",
    [
        (Second.ADD, Second.ADD),
        (Second.MUL, Second.ADD),
        (Second.ADD, Second.SUB),
        (Second.NONE, Second.ADD),
        (Second.ADD, Second.NONE),
        (Second.MUL, Second.NONE),
    ],
)
def test_gap_between_commands_with_and_without_second_operand(order, seed):
    """The writes of a command with a second operand come later by its second turn in the scale, those behind it close up to the table."""
    rng = random.Random(seed)
    commands = [plain_command(rng, 8, 2, 20, 1, 8, second__operation=second) for second in order]
    dut = stage(8, 8)
    bench = timed(dut, commands)
    gap = dut.pipeline.table.latency
    if order[1]:
        gap = OutputStage.SECOND_COMMAND_GAP + READ_LATENCY
        gap += 0 if order[0] else dut.second_latency - dut.latency
    assert bench.writes[40] - bench.writes[39] - 1 == gap


@pytest.mark.parametrize(("second", "registers"), [(second, number % 2) for number, second in enumerate((*Second, *Second, Second.NONE))])
def test_latency_from_issue_to_write(second, registers, seed):
    command = plain_command(random.Random(seed), 8, 1, 1, 1, 8, second__operation=second)
    dut = stage(8, 8, registers=registers)
    bench = timed(dut, [command])
    assert bench.writes[0] - bench.issues[0] == (dut.second_latency if second else dut.latency)


def test_a_busy_scratchpad_costs_no_cycle_of_its_own(seed):
    """Writes refused every fourth cycle: three vectors in four cycles, none lost."""
    command = plain_command(random.Random(seed), 8, 4, 30, 1, 8)
    bench = timed(stage(8, 8), [command], patterns=["1", "1", "1", "1", "1110"])
    assert bench.writes[-1] - bench.writes[0] in range(158, 161)


def test_writes_refused_now_and_then_wait_beside_the_second_turns(seed):
    """A vector in two cycles leaves time for writes that are refused every fourth."""
    command = plain_command(random.Random(seed), 8, 4, 30, 1, 8, second__operation=Second.ADD)
    dut = stage(8, 8)
    bench = timed(dut, [command], patterns=["1", "1", "1", "1", "1110"])
    assert bench.writes[-1] - bench.writes[0] - last_of(dut, 120, True) in range(-2, 4)


@pytest.mark.parametrize(("pattern", "cycles"), [("11110", None), ("100", 3 * 119)])
def test_second_operand_refused_now_and_then_costs_those_cycles_only(pattern, cycles, seed):
    """Nothing while every other is there, else the cycles of the reads."""
    command = plain_command(random.Random(seed), 8, 4, 30, 1, 8, second__operation=Second.ADD)
    dut = stage(8, 8)
    bench = timed(dut, [command], patterns=["1", "1", "1", pattern, "1"])
    assert bench.writes[-1] - bench.writes[0] - (cycles or last_of(dut, 120, True)) in range(-4, 5)


def test_residual_add_in_place(seed):
    """The result takes the place of the second operand, byte for byte."""
    rng = random.Random(seed)
    place = {
        f"{group}__{field}": value
        for group in ("output", "second")
        for field, value in (("address", 40), ("pixel_step", 11), ("row_step", 100))
    }
    command = plain_command(rng, 8, 3, 8, 1, 8, second__operation=Second.ADD, **place)
    timed(stage(8, 2), [command], patterns=["1", "1", "101", "10", "100110"])


@pytest.mark.parametrize(("cols", "lanes"), thin([(16, 4), (16, 16), (4, 1)]))
def test_softmax_between_commands_of_every_kind(cols, lanes, seed):
    """Behind and before each kind of second operand, partial sums and other tables, and behind another SOFTMAX; long rows too."""
    rng = random.Random(f"{seed} {cols} {lanes}")
    commands = []
    for number, second in enumerate(Second):
        commands.append(plain_command(rng, cols, 2, 5, 2, cols - 1, second__operation=second, weights__load_table=number % 2))
        commands.append(random_softmax(rng, longest=(300, 10, 40, 7)[number]))
    commands.append(random_softmax(rng))
    commands.append(plain_command(rng, cols, 1, 3, 1, cols, loops__partial_out=1))
    commands.append(random_softmax(rng))
    commands.append(plain_command(rng, cols, 1, 3, 1, cols))
    Bench(stage(cols, lanes), commands, seed).run(60_000)


@pytest.mark.parametrize("group", ["input", "output"])
@pytest.mark.parametrize("beyond", [0, 1])
def test_last_row_of_a_softmax_ends_with_the_scratchpad_or_is_an_address_error(group, beyond, seed):
    rng = random.Random(seed)
    dut = stage(8, 4)
    place = {f"{group}__pixel_step": 30, f"{group}__row_step": 60, f"{group}__address": SIZE - 110 + beyond}
    sizes = {"loops__block_rows": 2, "loops__block_cols": 2, "loops__lanes": 20}
    other = {"output": "input", "input": "output"}[group]
    place |= {f"{other}__pixel_step": 25, f"{other}__row_step": 60, f"{other}__address": 100}
    good, edge = plain_command(rng, 8, 2, 3, 1, 7, second__operation=Second.ADD), random_softmax(rng, **sizes, **place)
    if not beyond:
        timed(dut, [good, edge])
        return
    inside = place | {f"{group}__address": SIZE - 110}
    bench = Bench(dut, [good, random_softmax(rng, **sizes, **inside)], seed)  # of as many reads
    bench.commands[1] = edge

    async def error(ctx):
        ctx.set(dut.write.ready, 1)
        *_, found = await ctx.tick().sample(dut.error).until(dut.error.valid)
        assert plain(found) == {"valid": 1, "code": Error.ADDRESS, "index": 1}

    simulate(
        dut,
        error,
        background=[
            lambda ctx: put(ctx, dut.command, bench.payloads()),
            lambda ctx: put(ctx, dut.parameters, bench.rows),
            bench.feeder,
            bench.accumulator_memory,
            bench.second_memory,
        ],
    )


@pytest.mark.parametrize("pixels", [1, 255, 256])
def test_blocks_of_one_and_of_a_whole_half(pixels, seed):
    rng = random.Random(f"{seed} {pixels}")
    timed(stage(4, 4), [plain_command(rng, 4, 1, pixels, 2, 3, output__pixel_step=8) for _ in range(2)])


@pytest.mark.parametrize("group", ["output", "second"])
@pytest.mark.parametrize("beyond", [0, 1])
def test_last_byte_of_the_scratchpad_is_written_and_the_next_is_an_address_error(group, beyond, seed):
    rng = random.Random(seed)
    dut = stage(8, 4)
    place = {f"{group}__pixel_step": 10, f"{group}__row_step": 40, f"{group}__address": SIZE - 40 - 20 - 7 + beyond}
    good, edge = (plain_command(rng, 8, 2, 3, 1, 7, second__operation=Second.ADD, **fields) for fields in ({}, place))
    if not beyond:
        timed(dut, [good, edge])
        return
    bench = Bench(dut, [good, good], seed)
    bench.commands[1] = edge

    async def error(ctx):
        *_, found = await ctx.tick().sample(dut.error).until(dut.error.valid)
        assert plain(found) == {"valid": 1, "code": Error.ADDRESS, "index": 1}
        await ctx.tick().repeat(40)
        assert ctx.get(dut.error.valid)

    async def writes(ctx):
        ctx.set(dut.write.ready, 1)
        while True:
            read = dut.second_read.request
            *_, valid, payload, asked, address = await ctx.tick().sample(dut.write.valid, dut.write.payload, read.valid, read.payload)
            assert not valid or payload.address + int(payload.mask).bit_length() <= SIZE
            assert not asked or address <= SIZE - 3, "the last vector of a pixel has three bytes"

    simulate(
        dut,
        error,
        background=[
            lambda ctx: put(ctx, dut.command, bench.payloads()),
            lambda ctx: put(ctx, dut.parameters, bench.rows),
            bench.feeder,
            writes,
            bench.accumulator_memory,
            bench.second_memory,
        ],
    )


@pytest.mark.parametrize(("exponent", "bad"), [(31, False), (-31, False), (32, True), (-32, True), (127, True), (-128, True)])
def test_exponent_of_a_channel_outside_its_range_is_a_bad_field(exponent, bad, seed):
    rng = random.Random(seed)
    dut = stage(4, 4)
    bench = Bench(dut, [plain_command(rng, 4, 1, 2, 1, 4, weights__params=Params.FULL, output__single_rounding=0)], seed)
    bench.rows[8]["data"][2] = exponent & 255

    async def check(ctx):
        ctx.set(dut.write.ready, 1)
        *_, retired, error = await ctx.tick().sample(dut.retire, dut.error).until(dut.retire | dut.error.valid)
        assert retired != bad
        assert plain(error) == ({"valid": 1, "code": Error.BAD_FIELD, "index": 0} if bad else {"valid": 0, "code": 0, "index": 0})

    simulate(
        dut,
        check,
        background=[
            lambda ctx: put(ctx, dut.command, bench.payloads()),
            lambda ctx: put(ctx, dut.parameters, bench.rows),
            bench.feeder,
            bench.accumulator_memory,
        ],
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: stage(8, 1), "lanes must be cols = 8, half or a quarter of it, not 1"),
        (lambda: stage(8, 8, depth=257), "depth must be 1 to 256, not 257"),
        (lambda: WriteSlots(lanes=4, slots=1), "slots must be at least 2, not 1"),
        (lambda: OperandFetch(cols=4, lanes=4, size=64, read_latency=0, use_delay=4), "read_latency must be at least 1, not 0"),
    ],
)
def test_wrong_numbers_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
