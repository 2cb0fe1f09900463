"""Burst planner and beat walker against the list of bytes that a transfer touches."""

import random

import pytest

from hw.npu.dma.bursts import BeatWalker, BurstPlanner
from tests.streams import expect, get, put, random_pattern, simulate

LIMIT = 1 << 20


def random_transfer(rng, limit=LIMIT):
    rows, row_bytes = rng.choice([(1, rng.randint(1, 9000)), (rng.randint(1, 6), rng.randint(1, 200)), (3, rng.randint(1, 9))])
    local_stride = rng.randint(row_bytes, row_bytes + 50)
    return {
        "address": rng.randrange(1 << 20),
        "stride": rng.randint(row_bytes, row_bytes + 5000),
        "rows": rows,
        "row_bytes": row_bytes,
        "local": rng.randrange(limit - (rows - 1) * local_stride - row_bytes),
        "local_stride": local_stride,
    }


def rows_of(transfer):
    """(DDR address, scratchpad address) of each byte."""
    return [
        (transfer["address"] + row * transfer["stride"] + i, transfer["local"] + row * transfer["local_stride"] + i)
        for row in range(transfer["rows"])
        for i in range(transfer["row_bytes"])
    ]


@pytest.mark.parametrize(("axi_bytes", "max_burst"), [(4, 1), (8, 1), (8, 64), (16, 256), (32, 16), (8, 256)])
def test_bursts_cover_every_byte_once_and_obey_axi(axi_bytes, max_burst, seed):
    rng = random.Random(seed)
    dut = BurstPlanner(axi_bytes=axi_bytes, max_burst=max_burst, address_bits=32)
    transfers = [random_transfer(rng) for _ in range(8)]

    async def check(ctx):
        ctx.set(dut.limit, LIMIT)
        for transfer in transfers:
            got, last = [], 0
            while not last:
                (burst,) = await get(ctx, dut.bursts, 1, "1" if rng.random() < 0.7 else "001")
                run = burst["run"]
                size = (run["len"] + 1) * axi_bytes
                assert burst["address"] % axi_bytes == 0 and run["len"] < max_burst
                assert burst["address"] // 4096 == (burst["address"] + size - 1) // 4096, "a burst crosses 4 KiB"
                count = size - run["skip"] - (axi_bytes - 1 - run["last_lane"])
                got += [(burst["address"] + run["skip"] + i, run["local"] + i) for i in range(count)]
                last = run["last"]
            assert got == rows_of(transfer), f"seed {seed}: {transfer}"

    simulate(dut, lambda ctx: put(ctx, dut.transfers, transfers), check, watched=[dut.bursts], cycles=60_000)


LENGTHS = [(1 << bits) + more for bits in range(12, 19) for more in (-1, 0, 1)] + [3 << 12, 5 << 12, (5 << 12) + 1, (11 << 12) + 1]


@pytest.mark.parametrize(("axi_bytes", "max_burst"), [(16, 256), (32, 128), (32, 16)])
def test_rows_of_many_blocks_are_cut_where_the_blocks_end(axi_bytes, max_burst, seed):
    """Each bit of a row's length is the highest one in some row; rows begin at any byte of a block."""
    rng = random.Random(seed)
    dut, block = BurstPlanner(axi_bytes=axi_bytes, max_burst=max_burst, address_bits=32), axi_bytes * max_burst
    lengths = LENGTHS if block == 4096 else [length for length in LENGTHS if length <= 1 << 14]
    transfers = [
        {"address": rng.randrange(1 << 20), "stride": 0, "rows": 1, "row_bytes": length, "local": rng.randrange(LIMIT - length)}
        for length in lengths
    ]
    transfers = [{**transfer, "local_stride": 0} for transfer in transfers]

    def bursts_of(transfer):
        at, end = transfer["address"], transfer["address"] + transfer["row_bytes"]
        while at < end:
            stop = min(end, at // block * block + block)
            first, last = at // axi_bytes, (stop - 1) // axi_bytes
            run = {"local": transfer["local"] + at - transfer["address"], "len": last - first, "last": int(stop == end)}
            yield {"address": first * axi_bytes, "run": {**run, "skip": at % axi_bytes, "last_lane": (stop - 1) % axi_bytes}}
            at = stop

    expected = [burst for transfer in transfers for burst in bursts_of(transfer)]

    async def check(ctx):
        ctx.set(dut.limit, LIMIT)
        await expect(ctx, dut.bursts, expected)

    simulate(dut, lambda ctx: put(ctx, dut.transfers, transfers), check, cycles=60_000)


@pytest.mark.parametrize(("beyond", "bursts"), [(0, 3), (1, 2)])
def test_a_row_beyond_the_limit_is_not_offered(beyond, bursts):
    dut = BurstPlanner(axi_bytes=8, max_burst=16, address_bits=32)
    transfer = {"address": 0, "stride": 64, "local": 100, "local_stride": 64, "row_bytes": 10, "rows": 3}

    async def check(ctx):
        ctx.set(dut.limit, 100 + 2 * 64 + 10 - beyond)
        await get(ctx, dut.bursts, bursts)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.outside) == beyond and not ctx.get(dut.bursts.valid)

    simulate(dut, lambda ctx: put(ctx, dut.transfers, [transfer]), check)


@pytest.mark.parametrize("axi_bytes", [4, 8, 32])
def test_beats_cover_the_run(axi_bytes, seed):
    rng = random.Random(seed)
    dut = BeatWalker(axi_bytes=axi_bytes)
    runs, beats = [], []
    for _ in range(60):
        count = rng.choice([1, 1, 2, rng.randint(1, 40)])
        skip, last_lane = rng.randrange(axi_bytes), rng.randrange(axi_bytes)
        if count == 1:
            skip, last_lane = sorted((skip, last_lane))
        local = rng.choice([0, rng.randrange(1 << 20)])
        runs.append({"local": local, "len": count - 1, "skip": skip, "last_lane": last_lane, "last": 0})
        for k in range(count):
            lanes = [i for i in range(axi_bytes) if (k or i >= skip) and (k < count - 1 or i <= last_lane)]
            beats.append({
                "address": local + k * axi_bytes + lanes[0] - skip,
                "skip": lanes[0],
                "lanes": sum(1 << i for i in lanes),
                "last": int(k == count - 1),
            })
    give, take = random_pattern(rng), random_pattern(rng)
    simulate(dut, lambda ctx: put(ctx, dut.runs, runs, give), lambda ctx: expect(ctx, dut.beats, beats, take), watched=[dut.beats])


@pytest.mark.parametrize("wrong", [{"axi_bytes": 12}, {"max_burst": 3}])
def test_planner_refuses_what_is_no_power_of_two(wrong):
    with pytest.raises(ValueError, match="power of two"):
        BurstPlanner(**{"axi_bytes": 8, "max_burst": 16, "address_bits": 32, **wrong})
