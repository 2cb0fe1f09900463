"""Weight loader: what it does before the first command, and when it says so of a tile; with commands it runs in `test_execute_unit`."""

import pytest

from hw.npu.interface.isa import Opcode
from hw.npu.weights.weight_loader import WeightLoader
from tests.formal.test_weight_loader import SETTLED
from tests.streams import simulate


@pytest.mark.parametrize(("rows", "int4"), [(4, False), (8, True)])
def test_zeros_go_into_every_row_of_both_planes_after_the_reset(rows, int4):
    """A short reduction tile multiplies the rows behind it by 0: they must hold something, and nobody knows what they hold at power-on."""
    dut = WeightLoader(rows=rows, cols=4, groups=2, size=256, read_latency=2, registers=0, int4=int4)
    written = []

    async def check(ctx):
        ctx.set(dut.enable, 1)
        ports = (dut.write, dut.write_row, dut.write_plane, *dut.weights, dut.tile_loaded)
        for _ in range(2 * rows + 20):
            *_, write, row, plane, one, two, three, four, loaded = await ctx.tick().sample(*ports)
            assert not loaded, "no tile is there"
            if write:
                written.append((plane, row, one, two, three, four))

    simulate(dut, check)
    assert written == [(plane, row, 0, 0, 0, 0) for plane in range(2) for row in range(rows)]


@pytest.mark.parametrize(("rows", "registers"), [(1, 0), (2, 0), (4, 0), (1, 1), (4, 1)])
def test_a_tile_is_announced_with_its_second_row_and_its_rows_come_without_a_gap(rows, registers):
    """A tile of one row is announced with that."""
    dut = WeightLoader(rows=4, cols=4, groups=1, size=64, read_latency=3, registers=registers)
    command = {"opcode": Opcode.MATMUL, "loops": {"taps_y": 1, "taps_x": 1, "span": 1, "lanes": rows, "column_tiles": 1}}
    written, announced, asked = [], [], []

    async def check(ctx):
        ctx.set(dut.enable, 1)
        ctx.set(dut.read.request.ready, 1)
        ctx.set(dut.command.payload, command | {"weights": {"wait_load": 1}})
        await ctx.tick().repeat(2 * dut.rows + 1)  # zeros go into the array
        ctx.set(dut.command.valid, 1)
        await ctx.tick()
        ctx.set(dut.command.valid, 0)
        await ctx.tick().repeat(20)
        ctx.set(dut.tokens.load, 1)
        answers = [0] * dut.read_latency
        for cycle in range(40):
            ctx.set(dut.read.valid, answers[-1])
            *_, asks, write, row, loaded = await ctx.tick().sample(dut.read.request.valid, dut.write, dut.write_row, dut.tile_loaded)
            answers = [asks, *answers[:-1]]
            asked.extend([cycle] * asks)
            written.extend([(cycle, row)] * write)
            announced.extend([cycle] * loaded)

    simulate(dut, check)
    first = written[0][0]
    assert written == [(first + row, row) for row in range(rows)]
    assert announced == [first - 1 + min(rows, 2) - 1 + registers]  # the row is registered on its way
    assert len(asked) == rows
    assert asked[0] == SETTLED - 1, "so long a LOAD is complete as its rows are asked for"
