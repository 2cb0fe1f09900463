"""The walk over reduction tiles against its twin in Python, and that against a count of bytes."""

import random

import pytest
from amaranth.sim import Simulator

from hw.npu.interface.isa import MAX_SPAN
from hw.npu.walks.reduction_walk import ReductionWalk, reduction_tiles


def _shape(rng, rows):
    span = rng.randint(1, MAX_SPAN)
    lanes = rng.choice([1, 2, 3, rng.randint(1, rows), rows - 1, rows, rows + 1, rng.randint(1, 4 * rows)])
    return {"taps_y": rng.randint(1, 7), "taps_x": rng.randint(1, 4) if span == 1 else 1, "lanes": lanes, "span": span}


@pytest.mark.parametrize("rows", [4, 8, 16, 32, 64])
def test_every_byte_of_the_kernel_stands_in_one_tile(rows, seed):
    """Bytes come in their order, a tile has at most R of them and of at most ``span`` kernel rows, and is full where it may be."""
    rng = random.Random(seed)
    for _ in range(200):
        shape = _shape(rng, rows)
        place = 0
        tiles = reduction_tiles(**shape, rows=rows)
        for tile in tiles:
            tap, lanes = tile.ky * shape["taps_x"] + tile.kx, shape["lanes"]
            assert tap * lanes + tile.first == place, shape
            assert 1 <= tile.rows <= rows and len([each for each in tile.bytes if each]) <= shape["span"], shape
            place += tile.rows
            end_of_span = min(tap + shape["span"], shape["taps_y"] * shape["taps_x"]) * lanes
            assert tile.rows == rows or place == end_of_span, shape
        assert place == shape["taps_y"] * shape["taps_x"] * shape["lanes"]


async def _settle(ctx, dut):
    """The outputs are those of the tile."""
    for _ in range(ReductionWalk.SETTLES):
        await ctx.tick()


@pytest.mark.parametrize("int4", [False, True])
@pytest.mark.parametrize("array_rows", [4, 8, 16, 64])
def test_walk_visits_the_tiles_of_its_twin(array_rows, int4, seed):
    """Twice round, so that what follows the last tile is seen too; commands of one and two weights a row at random."""
    rng = random.Random(seed)
    dut = ReductionWalk(rows=array_rows, int4=int4)

    async def run(ctx):
        for _ in range(60):
            rows = array_rows
            if int4 and rng.randrange(2):
                rows = 2 * array_rows
            if int4:
                ctx.set(dut.paired, rows != array_rows)
            shape = _shape(rng, rows)
            tiles = reduction_tiles(**shape, rows=rows)
            ctx.set(dut.loops, shape)
            await _settle(ctx, dut)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            for number, tile in enumerate([*tiles, *tiles]):
                await _settle(ctx, dut)
                here = f"seed {seed}, {shape}, tile {number}: {tile}"
                assert [ctx.get(dut.end[side]) for side in range(3)] == [sum(tile.bytes[: side + 1]) for side in range(3)], here
                assert ctx.get(dut.first) == (number % len(tiles) == 0), here
                assert ctx.get(dut.last) == (number % len(tiles) == len(tiles) - 1), here
                following = (tiles * 3)[number + 1]
                if not ctx.get(dut.last):
                    moved = (following.ky - tile.ky, following.kx - tile.kx, following.first)
                    same, tap = ctx.get(dut.same_tap), ctx.get(dut.next_tap)
                    taken = tile.first + rows if same else ctx.get(dut.taken)
                    column = tile.kx if same else tile.kx + 1 if tap else 0
                    assert moved == (ctx.get(dut.advance), column - tile.kx, taken), here
                ctx.set(dut.step, 1)
                await ctx.tick()
                ctx.set(dut.step, 0)

    _simulate(dut, run)


@pytest.mark.parametrize(("taps_y", "taps_x", "span"), [(3, 3, 3), (5, 5, 2), (7, 7, 1), (7, 5, 3), (1, 16, 1), (2, 3, 3)])
def test_a_pass_of_depthwise_takes_span_kernel_rows(taps_y, taps_x, span):
    dut = ReductionWalk(rows=16)

    async def run(ctx):
        ctx.set(dut.loops, {"taps_y": taps_y, "taps_x": taps_x, "span": span})
        ctx.set(dut.depthwise, 1)
        await _settle(ctx, dut)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for first_row in [*range(0, taps_y, span)] * 2:
            await _settle(ctx, dut)
            assert [ctx.get(dut.end[side]) for side in range(3)] == [min(side, span) * taps_x for side in (1, 2, 3)]
            assert [ctx.get(dut.side[side]) for side in range(3)] == [side < span and first_row + side < taps_y for side in range(3)]
            assert (ctx.get(dut.first), ctx.get(dut.last)) == (first_row == 0, first_row + span >= taps_y)
            assert (ctx.get(dut.advance), ctx.get(dut.taken)) == (span, 0)
            ctx.set(dut.step, 1)
            await ctx.tick()
            ctx.set(dut.step, 0)

    _simulate(dut, run)


def _simulate(dut, testbench):
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
