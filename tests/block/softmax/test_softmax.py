"""SOFTMAX in hardware against the golden operator, which is TFLite's: reciprocals, rows of all kinds, and cycles, exactly."""

import random

import numpy as np
import pytest
from amaranth.hdl import Module

from golden.operators.softmax import _reciprocal, exponential_table, softmax, softmax_by_table
from hw.npu.softmax.softmax_product import SoftmaxProduct
from hw.npu.softmax.softmax_reader import SoftmaxReader
from hw.npu.softmax.softmax_reciprocal import SoftmaxReciprocal
from hw.npu.softmax.softmax_table import SoftmaxTable
from hw.npu.softmax.softmax_unit import SoftmaxUnit
from hw.npu.walks.pixel_walk import PixelWalk
from tests.streams import plain, random_pattern, simulate
from tests.thin import thin

READ_LATENCY = 3
SIZE = 1 << 13
SHAPES = [(4, 4), (4, 2), (4, 1), (8, 8), (16, 16), (16, 8), (16, 4), (64, 16), (64, 64)]
LENGTHS = (1, 2, 10, 12, 255, 256, 500)
SCALES = (0.1, 0.0625, 1.0, 0.003, 1e-6)
"""Of the input: usual ones, one with a single large exponential, and two with rows whose exponentials are nearly all 1."""


def _divide(parts, product, totals):
    """Reciprocals and amounts of the hardware, and the cycles that each took."""
    dut, results = _wired(parts, product), []

    async def check(ctx):
        for total in totals:
            ctx.set(parts.total, total)
            ctx.set(parts.start, 1)
            await ctx.tick()
            ctx.set(parts.start, 0)
            cycles, done = 0, 0
            while not done:
                *_, done = await ctx.tick().sample(parts.done)
                cycles += 1
            results.append((ctx.get(parts.reciprocal), ctx.get(parts.amount), cycles))

    simulate(dut, check, cycles=200 * len(totals))
    return results


def _wired(reciprocal, product):
    """The reciprocal with the multiplier that it asks."""
    m = Module()
    m.submodules.reciprocal, m.submodules.product = reciprocal, product
    m.d.comb += [
        product.advance.eq(1),
        product.valid.eq(reciprocal.ask),
        product.first.eq(reciprocal.first),
        product.second.eq(reciprocal.second),
        reciprocal.answered.eq(product.result_valid),
        reciprocal.product.eq(product.result),
    ]
    return m


@pytest.mark.parametrize("registers", [0, 1])
def test_reciprocal_is_that_of_gemmlowp(registers, seed):
    """Every size of a sum, its edges, and sums that only a damaged table gives."""
    rng = random.Random(seed)
    totals = [0, 1, 2, 3, (1 << 31) - 1, 4095 << 19] + [(1 << bit) + d for bit in range(2, 31) for d in (-1, 0, 1)]
    totals += [rng.randrange(1 << rng.randint(20, 31)) for _ in range(200)]
    product = SoftmaxProduct(multiplier_registers=registers)
    parts = SoftmaxReciprocal(product_latency=product.latency)
    found = _divide(parts, product, totals)
    reciprocals, bits_over_unit = _reciprocal(np.array(totals))
    for total, want, bits, (got, amount, cycles) in zip(totals, reciprocals.tolist(), bits_over_unit.tolist(), found):
        assert (got, amount) == (want, bits + 31 - 8 - 1), f"total {total}"
        assert cycles == min(32 - total.bit_length(), 31) + 1 + parts.newton_cycles, f"total {total}"


class UnitBench:
    """The unit with a table, rows in a memory, and the port that answers; the results are compared where they are written."""

    def __init__(self, cols, lanes, table, memory, registers=0):
        self.dut = SoftmaxUnit(cols=cols, lanes=lanes, size=SIZE, read_latency=READ_LATENCY, multiplier_registers=registers)
        self.table, self.memory, self.requests, self.cycles = table, memory, 0, 0

    async def _load(self, ctx):
        dut, cols = self.dut, self.dut.cols
        rows = np.array(self.table, "<u4").view(np.uint8).reshape(-1, cols).tolist()
        for number, row in enumerate(rows):
            ctx.set(dut.table_write, 1)
            ctx.set(dut.table_row, number)
            ctx.set(dut.table_entries, row)
            await ctx.tick()
        ctx.set(dut.table_write, 0)

    async def reads(self, ctx, pattern):
        port, answers, turn = self.dut.read, [None] * (READ_LATENCY - 1), 0
        while True:
            ready = pattern[turn % len(pattern)] == "1"
            turn += 1
            ctx.set(port.request.ready, ready)
            *_, valid, address = await ctx.tick().sample(port.request.valid, port.request.payload)
            self.requests += valid and ready
            answers.append(address if valid and ready else None)
            address = answers.pop(0)
            ctx.set(port.valid, address is not None)
            if address is not None:
                data = self.memory[address : address + self.dut.lanes].tolist()
                ctx.set(port.data, data + [0] * (self.dut.lanes - len(data)))

    async def writes(self, ctx, pattern, source, target, length, rows):
        """Runs one command of rows side by side; each write must be the next one, whole but for a row's end."""
        dut, turn = self.dut, 0
        await self._load(ctx)
        values = self.memory[source : source + rows * length].view(np.int8).reshape(rows, length)
        results = softmax_by_table(values, np.array(self.table, np.int64) & 0x7FFFFFFF)
        walk = {"block_rows": 1, "block_cols": rows, "column_tiles": 1, "last_cols": 1, "address": source, "pixel_step": length}
        ctx.set(dut.source, walk | {"row_step": 0})
        ctx.set(dut.length, length)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        ctx.set(dut.target_valid, 1)
        for row in range(rows):
            ctx.set(dut.target, target + row * length)
            ctx.set(dut.target_end, row == rows - 1)
            for first in range(0, length, dut.lanes):
                taken = False
                while not taken:
                    ready = pattern[turn % len(pattern)] == "1"
                    turn += 1
                    ctx.set(dut.write.ready, ready)
                    *_, valid, payload, done, step = await ctx.tick().sample(dut.write.valid, dut.write.payload, dut.done, dut.target_step)
                    self.cycles += 1
                    taken = valid and ready
                payload = plain(payload)
                want = results[row, first : first + dut.lanes].tolist()
                end = first + dut.lanes >= length
                slot = {"address": target + row * length + first, "bytes": len(want), "last": int(end and row == rows - 1)}
                assert (payload["slot"], payload["vector"][: len(want)]) == (slot, want), f"row {row}, element {first}"
                assert (step, done) == (0, slot["last"])

    def run(self, source, target, length, rows, *, patterns=("1", "1"), cycles=60_000):
        simulate(
            self.dut,
            lambda ctx: self.writes(ctx, patterns[1], source, target, length, rows),
            watched=[self.dut.write, self.dut.read.request],
            background=[lambda ctx: self.reads(ctx, patterns[0])],
            cycles=cycles,
        )


def _memory(rng):
    """Random bytes, and now and then bytes near each other, so that many exponentials are large."""
    spread = rng.choice((256, 256, 16, 1))
    return np.array([rng.randrange(spread) for _ in range(SIZE)], np.uint8) + np.uint8(rng.randrange(256))


@pytest.mark.parametrize(("cols", "lanes", "length"), thin([(*shape, length) for shape in SHAPES for length in LENGTHS]))
def test_rows_are_those_of_the_operator(cols, lanes, length, seed):
    """Both ports refuse now and then."""
    rng = random.Random(f"{seed} {cols} {lanes} {length}")
    bench = UnitBench(cols, lanes, exponential_table(rng.choice(SCALES), 1.0), _memory(rng))
    rows = 1 if length > 200 else rng.randint(2, 4)
    place = rng.randrange(1000)
    target = rng.choice((place, SIZE // 2 + rng.randrange(1000)))  # in place, too
    bench.run(place, target, length, rows, patterns=(random_pattern(rng), random_pattern(rng)))
    assert bench.requests == 3 * rows * -(-length // lanes), "each pass asks for each byte once"


@pytest.mark.parametrize("beta", [1.0, 0.5])
@pytest.mark.parametrize(("ones", "value"), [(511, -127), (512, -128), (513, -128), (1024, -128)])
def test_exponentials_that_sum_to_512_or_more_give_the_lowest_value(ones, value, beta):
    """The reference would abort: the golden operator says that such results round to 0, and so do these."""
    memory = np.full(SIZE, 100, np.uint8)
    results = softmax(memory[:ones].view(np.int8), scale=0.1, beta=beta)
    assert set(results.tolist()) == {value}
    UnitBench(16, 8, exponential_table(0.1, beta), memory).run(0, SIZE // 2, ones, 1)


@pytest.mark.parametrize("table", ["random", "small", "zero", "first only", "saturating", "sign bits"])
def test_every_table_gives_what_the_golden_machine_gives(table, seed):
    """A damaged stream neither hangs the unit nor makes it differ: sums of 0, results that saturate."""
    rng = random.Random(f"{seed} {table}")
    entries = {
        "random": [rng.randrange(1 << 32) >> rng.randrange(32) for _ in range(256)],
        "small": [rng.randrange(1 << 14) for _ in range(256)],  # what the rounding adds to the sum matters
        "zero": [0] * 256,
        "first only": [1] + [0] * 255,
        "saturating": [5000] + [0] * 255,  # one unit in the sum, which is less than the exponential itself
        "sign bits": [(1 << 31) | (rng.randrange(1 << 31) >> rng.randrange(20)) for _ in range(256)],
    }[table]
    bench = UnitBench(8, 4, entries, np.array([rng.randrange(256) for _ in range(SIZE)], np.uint8))
    bench.run(5, SIZE // 2 + 3, 37, 12)


@pytest.mark.parametrize(("cols", "lanes", "registers"), [(4, 1, 0), (4, 2, 1), (4, 4, 0), (16, 8, 0), (16, 16, 1)])
@pytest.mark.parametrize("length", [1, 12, 100])
def test_an_element_a_cycle_in_each_pass(cols, lanes, registers, length, seed):
    rng = random.Random(seed)
    table = exponential_table(0.05, 1.0)
    bench = UnitBench(cols, lanes, table, _memory(rng), registers)
    bench.run(7, SIZE // 2, length, 3)
    x = bench.memory[7 : 7 + 3 * length].view(np.int8).reshape(3, length).astype(int)
    totals = ((table[x.max(axis=1, keepdims=True) - x] + (1 << 11)) >> 12).sum(axis=1).tolist()
    first = PixelWalk.FIRST - 1
    assert bench.cycles == first + sum(3 * length + 32 - total.bit_length() + bench.dut.row_cycles for total in totals)


@pytest.mark.parametrize(("source", "target"), [(SIZE - 99, 0), (0, SIZE - 99), ((1 << 25) - 1, 0), (SIZE, 0), (0, SIZE)])
def test_a_row_outside_stops_the_unit(source, target):
    """One byte too far on either side, and an address below 0."""
    dut = SoftmaxUnit(cols=4, lanes=4, size=SIZE, read_latency=READ_LATENCY)

    async def check(ctx):
        ctx.set(dut.source, {"block_rows": 1, "block_cols": 1, "column_tiles": 1, "last_cols": 1, "address": source})
        ctx.set(dut.target, target)
        ctx.set(dut.length, 100)
        ctx.set(dut.target_valid, 1)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        await ctx.tick().sample(dut.outside).until(dut.outside)
        for _ in range(20):
            *_, outside, asks, writes = await ctx.tick().sample(dut.outside, dut.read.request.valid, dut.write.valid)
            assert outside and not asks and not writes

    simulate(dut, check, cycles=100)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SoftmaxReader(lanes=0, length_bits=12, read_latency=3), "lanes must be at least 1, not 0"),
        (lambda: SoftmaxReader(lanes=1, length_bits=0, read_latency=3), "length_bits must be at least 1, not 0"),
        (lambda: SoftmaxReader(lanes=1, length_bits=12, read_latency=0), "read_latency must be at least 1, not 0"),
        (lambda: SoftmaxTable(12), "power of two from 4 to 64, not 12"),
    ],
)
def test_wrong_numbers_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
