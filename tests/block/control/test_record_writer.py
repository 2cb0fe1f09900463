"""Record writer: records in DDR, word by word."""

import random

import pytest

from hw.npu.control.record_writer import RecordWriter
from hw.npu.interface.isa import Error
from hw.npu.interface.records import RECORD, RECORD_BYTES
from tests.axi_memory import AxiMemory
from tests.streams import plain, put, random_pattern, simulate

BASE = 0x2000


class Bench:
    """Three sources with random records, and a DDR."""

    def __init__(self, seed, *, axi_bytes=8, max_burst=16, enable=1, count=30):
        self.rng = random.Random(seed)
        self.dut = RecordWriter(sources=3, axi_bytes=axi_bytes, address_bits=32, max_burst=max_burst)
        self.ddr = AxiMemory(self.rng)
        self.enable = enable
        self.records = [{field.name: self.rng.getrandbits(32) for field in RECORD} | {"index": index} for index in range(count)]
        self.sources = [[], [], []]
        for record in self.records:
            self.rng.choice(self.sources).append(record)

    async def set_up(self, ctx):
        ctx.set(self.dut.record_base, BASE)
        ctx.set(self.dut.enable, self.enable)

    def feed(self, number):
        return lambda ctx: put(ctx, self.dut.records[number], self.sources[number], random_pattern(self.rng))

    def run(self, *checks):
        simulate(
            self.dut,
            self.set_up,
            *(self.feed(number) for number in range(3)),
            *checks,
            background=[self.ddr.writes(self.dut.axi)],
            watched=[self.dut.axi.aw, self.dut.axi.w],
        )

    async def until_idle(self, ctx):
        await ctx.tick()
        while not ctx.get(self.dut.idle):
            await ctx.tick()


@pytest.mark.parametrize(("axi_bytes", "max_burst"), [(8, 16), (8, 1), (4, 2), (32, 256), (16, 4)])
def test_every_record_lands_at_its_index(axi_bytes, max_burst, seed):
    bench = Bench(seed, axi_bytes=axi_bytes, max_burst=max_burst)
    want = bytearray(bench.ddr.bytes)
    for record in bench.records:
        where = BASE + RECORD_BYTES * record["index"]
        want[where : where + RECORD_BYTES] = b"".join(record[field.name].to_bytes(4, "little") for field in RECORD)

    async def check(ctx):
        while len(bench.ddr.write_beats) < len(bench.records) * RECORD_BYTES // axi_bytes:
            await ctx.tick()
        await bench.until_idle(ctx)
        assert not ctx.get(bench.dut.outstanding) and not ctx.get(bench.dut.error.valid)

    bench.run(check)
    assert bench.ddr.bytes == want, f"seed {seed}"


def test_records_that_nobody_wants_are_swallowed():
    bench = Bench(2, enable=0)
    before = bytes(bench.ddr.bytes)
    bench.run(bench.until_idle)
    assert bench.ddr.bytes == before and not bench.ddr.write_bursts


def test_a_bus_error_names_the_command():
    bench = Bench(3)
    bench.ddr.bad = range(BASE + 64 * 7, BASE + 64 * 8)

    async def check(ctx):
        while not ctx.get(bench.dut.error.valid):
            await ctx.tick()
        assert plain(ctx.get(bench.dut.error)) == {"valid": 1, "code": Error.AXI_WRITE, "index": 7}

    bench.run(check)


@pytest.mark.parametrize("when", range(4, 60, 9))
def test_halt_finishes_the_burst_and_swallows_the_rest(when):
    bench = Bench(when)

    async def check(ctx):
        await ctx.tick().repeat(when)
        ctx.set(bench.dut.halt, 1)
        await bench.until_idle(ctx)
        assert not ctx.get(bench.dut.outstanding)
        await ctx.tick().repeat(20)
        assert not ctx.get(bench.dut.axi.w.valid) and not ctx.get(bench.dut.axi.aw.valid)

    bench.run(check)
    assert sum(burst["len"] + 1 for burst in bench.ddr.write_bursts) == len(bench.ddr.write_beats)
