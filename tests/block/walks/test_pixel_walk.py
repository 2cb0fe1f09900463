"""The walk over pixels against nested loops: every vector, its ends and its place, and a vector a cycle."""

import random

import pytest

from hw.npu.parts.credit_counter import CreditCounter
from hw.npu.walks.pixel_walk import PixelWalk
from tests.streams import plain, random_pattern, simulate

SIZE = 1 << 12


def _random_walk(rng, cols):
    return {
        "block_rows": rng.randint(1, 4),
        "block_cols": rng.randint(1, 4),
        "column_tiles": rng.randint(1, 4),
        "last_cols": rng.randint(1, cols),
        "address": rng.randrange(SIZE),
        "pixel_step": rng.randrange(200),
        "row_step": rng.randrange(800),
    }


def _vectors(walk, cols, lanes):
    """The vectors of a walk, each as the dictionary of its layout, and whether it lies outside."""
    for tile in range(walk["column_tiles"]):
        last_tile = tile == walk["column_tiles"] - 1
        channels = walk["last_cols"] if last_tile else cols
        for row in range(walk["block_rows"]):
            for col in range(walk["block_cols"]):
                for first in range(0, channels, lanes):
                    entry_end = first + lanes >= channels
                    job_end = entry_end and row == walk["block_rows"] - 1 and col == walk["block_cols"] - 1
                    address = walk["address"] + row * walk["row_step"] + col * walk["pixel_step"] + tile * cols + first
                    used = min(lanes, channels - first)
                    vector = {
                        "address": address,
                        "bytes": used,
                        "entry": row * walk["block_cols"] + col,
                        "group": first // lanes,
                        "entry_end": int(entry_end),
                        "job_end": int(job_end),
                        "command_end": int(job_end and last_tile),
                    }
                    yield vector, int(address + used > SIZE)


@pytest.mark.parametrize(("cols", "lanes"), [(4, 4), (4, 1), (8, 2), (16, 8), (64, 16)])
@pytest.mark.parametrize("always", [True, False])
def test_vectors_are_those_of_the_loops(cols, lanes, always, seed):
    rng = random.Random(f"{seed} {cols} {lanes} {always}")
    dut = PixelWalk(cols=cols, lanes=lanes, size=SIZE)

    async def check(ctx):
        for _ in range(12):
            walk, pattern, cycle = _random_walk(rng, cols), "1" if always else random_pattern(rng), 0
            ctx.set(dut.walk, walk)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            vectors = list(_vectors(walk, cols, lanes))
            for vector, outside in vectors:
                taken = False
                while not taken:
                    cycle += 1
                    taken = ctx.get(dut.valid) and pattern[cycle % len(pattern)] == "1"
                    ends = plain(ctx.get(dut.ends))
                    ctx.set(dut.step, taken)
                    await ctx.tick()
                ctx.set(dut.step, 0)
                assert ends == {name: vector[name] for name in ("entry_end", "job_end", "command_end")} | {"outside": outside}
                assert plain(ctx.get(dut.vector)) == vector
            assert not always or cycle == PixelWalk.FIRST + len(vectors) - 1
            for _ in range(rng.randrange(3)):
                await ctx.tick()
                assert not ctx.get(dut.valid)

    simulate(dut, check, cycles=200_000)


def test_tally_knows_whether_there_is_any(seed):
    rng = random.Random(seed)
    dut, count = CreditCounter(5), 0

    async def check(ctx):
        nonlocal count
        for _ in range(500):
            up, down = int(count < 5 and rng.random() < 0.5), int(count > 0 and rng.random() < 0.5)
            ctx.set(dut.up, up)
            ctx.set(dut.down, down)
            await ctx.tick()
            count += up - down
            assert ctx.get(dut.some) == (count > 0)

    simulate(dut, check)
