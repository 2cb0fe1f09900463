"""Requantization, table and second operand against gemmlowp's definitions: identities on millions of values, components on edges.

Requantization and second operand are each run up to their result, with turns and a scale behind them.
"""

import random

import numpy as np
import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.sim import Simulator

from golden.requantize import (
    multiply_double_rounding,
    multiply_single_rounding,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
    wrap_int32,
)
from hw.npu.interface.isa import ADD_LEFT_SHIFT, MAX_PRODUCT_SHIFT, PLAIN_MULTIPLIER, Second, is_plain
from hw.npu.output.requantize import Requantize
from hw.npu.output.scale import Scale
from hw.npu.output.scale_turns import ScaleTurns
from hw.npu.output.second_operand import SecondOperand
from hw.npu.output.table import Table

LOW, HIGH = -(1 << 31), (1 << 31) - 1
JOINS = (Second.ADD, Second.SUB, Second.MUL)
EDGES = (LOW, LOW + 1, -(1 << 30) - 1, -(1 << 30), -3, -2, -1, 0, 1, 2, 3, (1 << 30) - 1, 1 << 30, HIGH - 1, HIGH)


def _int32(rng, size):
    """Full-range, small and edge values, mixed."""
    full = rng.integers(LOW, HIGH, size, endpoint=True)
    small = full >> rng.integers(0, 32, size)
    return np.choose(rng.integers(0, 3, size), [full, small, rng.choice(EDGES, size)]).astype(np.int64)


def _half_up(product, nudge, shift):
    return (product + nudge + (np.int64(1) << (shift - 1))) >> shift


def _gemmlowp_srdhm(a, b):
    """As it stands in ``fixedpoint.h``: a nudge by sign, division towards zero, saturation."""
    if a == b == LOW:
        return HIGH
    product = a * b
    total = product + ((1 << 30) if product >= 0 else 1 - (1 << 30))
    return abs(total) // (1 << 31) * (1 if total >= 0 else -1)


def test_golden_high_mul_is_that_of_gemmlowp(seed):
    rng = np.random.default_rng(seed)
    pairs = [(a, b) for a in EDGES for b in EDGES] + list(zip(_int32(rng, 20_000).tolist(), _int32(rng, 20_000).tolist()))
    got = saturating_rounding_doubling_high_mul([a for a, _ in pairs], [b for _, b in pairs])
    assert got.tolist() == [_gemmlowp_srdhm(a, b) for a, b in pairs]


def test_double_rounding_is_one_nudge_and_one_shift(seed):
    """What `hw.npu.output.scale` claims, for all of int8's sums and 4 million random products; a clamp hides the saturation."""
    rng = np.random.default_rng(seed)
    a, q = _int32(rng, 4_000_000), _int32(rng, 4_000_000)
    right = rng.integers(0, 32, a.size)
    want = rounding_divide_by_pot(saturating_rounding_doubling_high_mul(a, q), right)
    nudge = np.where(right == 0, 0, np.where((a < 0) ^ (q < 0), -(1 << 30), 1 << 30))
    got = np.minimum(_half_up(a * q, nudge, 31 + right), HIGH)
    wrong = got != want
    assert not wrong.any(), f"{wrong.sum()} wrong, first a={a[wrong][0]} q={q[wrong][0]} right={right[wrong][0]}"


@pytest.mark.parametrize("q", [1 << 30, (1 << 30) + 1, 1518500250, HIGH - 1, HIGH, 0, 1, LOW])
def test_operand_of_add_needs_nine_bits(q):
    """Every difference of two int8, every shift: srdhm(d << 20, q) with its rounding shift from a product of 9 x 32 bits."""
    d, shift = np.meshgrid(np.arange(-255, 256), np.arange(32))
    want = rounding_divide_by_pot(saturating_rounding_doubling_high_mul(d << ADD_LEFT_SHIFT, q), shift)
    nudge = np.where(shift == 0, 0, np.where((d < 0) ^ (q < 0), -(1 << 10), 1 << 10))
    assert np.array_equal(_half_up(d * q, nudge, 11 + shift), want)


class Scaled(Elaboratable):
    """A part that stands before the scale, its turn and the scale.

    Parameters
    ----------
    part : Requantize or SecondOperand
    registers : int
        As ``multiplier_registers`` of the part.
    """

    def __init__(self, part, registers):
        self.part, self.turns = part, ScaleTurns(part.lanes)
        self.scale = scale = Scale(lanes=part.lanes, multiplier_registers=registers)
        self.latency = part.latency + ScaleTurns.LATENCY + scale.latency
        self.valid, self.result_valid, self.result_bank, self.result = part.valid, scale.result_valid, scale.result_turn.bank, scale.result

    def elaborate(self, platform):
        m = Module()
        m.submodules.part, m.submodules.turns, m.submodules.scale = part, turns, scale = self.part, self.turns, self.scale
        second = isinstance(part, SecondOperand)
        source = "second" if second else "first"
        m.d.comb += [
            getattr(turns, f"{source}_valid").eq(part.result_valid),
            getattr(turns, f"{source}_bank").eq(part.result_bank),
            scale.valid.eq(turns.valid),
            scale.turn.eq(turns.turn),
            *(scale.config[second][bank].eq(part.config[bank].clamp) for bank in range(2)),
        ]
        for lane in range(part.lanes):
            m.d.comb += [getattr(turns, source)[lane].eq(part.result[lane]), scale.scaled[lane].eq(turns.scaled[lane])]
        return m


def _run(dut, drive, vectors, gaps, read):
    """Feeds the vectors, a pattern of gaps between them; checks that each leaves exactly its latency after it entered."""
    entered, left, cycles = [], [], dut.latency

    async def feed(ctx):
        for number, vector in enumerate(vectors):
            for _ in range(gaps[number]):
                ctx.set(dut.valid, 0)
                await ctx.tick()
            ctx.set(dut.valid, 1)
            drive(ctx, vector)
            entered.append(len(entered) + sum(gaps[: number + 1]))
            await ctx.tick()
        ctx.set(dut.valid, 0)
        await ctx.tick().repeat(cycles + 1)

    async def watch(ctx):
        cycle = 0
        while True:
            await ctx.tick()
            if ctx.get(dut.result_valid):
                left.append((cycle + 1, ctx.get(dut.result_bank), [ctx.get(result) for result in dut.result]))
            cycle += 1

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(feed)
    sim.add_testbench(watch, background=True)
    sim.run()
    assert len(left) == len(vectors)
    for number, (vector, (cycle, bank, result)) in enumerate(zip(vectors, left)):
        assert cycle == entered[number] + cycles, f"vector {number} left in cycle {cycle}, entered in {entered[number]}"
        assert (bank, result) == read(vector), f"vector {number}: {vector}"


def _gaps(rng, count):
    return [rng.choice((0, 0, 0, 1, 3)) for _ in range(count)]


def _clamp(rng):
    low, high = sorted((rng.randint(-128, 127), rng.randint(-128, 127)))
    low, high = rng.choice(((low, high), (-128, 127)))
    return {"zero_point": rng.randint(-128, 127), "clamp_min": low, "clamp_max": high}


@pytest.mark.parametrize(("lanes", "bits", "registers"), [(1, 32, 0), (4, 32, 1), (3, 20, 0), (2, 27, 1)])
def test_requantize(lanes, bits, registers, seed):
    rng = random.Random(f"{seed} {lanes} {bits}")
    part = Requantize(lanes=lanes, accumulator_bits=bits, multiplier_registers=registers)
    config = [{"single_rounding": single, "clamp": _clamp(rng)} for single in rng.sample((0, 1), 2)]

    def signed(bits):
        return rng.choice((rng.randrange(-1 << bits - 1, 1 << bits - 1) >> rng.randrange(bits), -1 << bits - 1, (1 << bits - 1) - 1, 0, -1))

    def channel():
        multiplier = rng.choice((rng.randrange(1 << 30, 1 << 31), rng.choice(EDGES)))
        exponent = rng.choice((rng.randint(-31, 30), rng.randint(-12, 0)))
        shifts = {"left": max(exponent, 0), "right": max(-exponent, 0)}
        return {"accumulator": signed(bits), "bias": signed(32), "multiplier": multiplier} | shifts

    vectors = [(rng.randrange(2), [channel() for _ in range(lanes)]) for _ in range(600)]

    def drive(ctx, vector):
        ctx.set(part.bank, vector[0])
        for i in range(2):
            ctx.set(part.config[i], config[i])
        for lane, values in enumerate(vector[1]):
            for name, value in values.items():
                ctx.set(getattr(part, name)[lane], value)

    def read(vector):
        bank, channels = vector
        clamp = config[bank]["clamp"]
        multiply = multiply_single_rounding if config[bank]["single_rounding"] else multiply_double_rounding
        results = [multiply(wrap_int32(c["accumulator"] + c["bias"]), c["multiplier"], c["left"], c["right"]) for c in channels]
        return bank, [int(np.clip(y + clamp["zero_point"], clamp["clamp_min"], clamp["clamp_max"])) for y in results]

    _run(Scaled(part, registers), drive, vectors, _gaps(rng, len(vectors)), read)


def _second_config(rng, operation):
    def scale():
        return rng.choice((rng.randrange(1 << 30, 1 << 31), HIGH)), rng.choice((rng.randint(0, 31), rng.randint(0, 20)))

    operands = {name: dict(zip(("multiplier", "shift"), scale())) for name in ("first", "second")}
    for operand in operands.values():
        operand["zero_point"] = rng.randint(-128, 127)
    operands["second"]["shift"] = rng.randint(0, 3)
    for plain in rng.choice((("first",), ("second",), ("first", "second"))):
        operands[plain] |= {"multiplier": PLAIN_MULTIPLIER, "shift": 0}
    multiplier, shift = scale()
    shift = min(shift, 21)
    if operation == Second.MUL:
        operands["first"]["shift"] = rng.randint(0, MAX_PRODUCT_SHIFT)
        shift = operands["first"]["shift"] + rng.randint(0, 10)
    return operands | {"operation": operation, "out_multiplier": multiplier, "out_shift": shift, "clamp": _clamp(rng)}


def _layout(numbers):
    """The configuration that the hardware makes of a command's numbers (`second_config`)."""
    first, second = numbers["first"], numbers["second"]
    swaps = numbers["operation"] != Second.MUL and is_plain(first["multiplier"], first["shift"])
    if swaps:
        first, second = second, first
    rest = {name: numbers[name] for name in ("operation", "out_multiplier", "out_shift", "clamp")}
    return rest | {"swaps": swaps, "scaled": first, "plain_zero_point": second["zero_point"]}


def _joined(numbers, first, second):
    """The three operations by their definitions: two scaled operands, or a product shifted left; int64."""
    operands = [np.array(values) - numbers[name]["zero_point"] for name, values in (("first", first), ("second", second))]
    if numbers["operation"] == Second.MUL:
        product, left = operands[0] * operands[1], numbers["first"]["shift"]
        return multiply_double_rounding(product, numbers["out_multiplier"], left, numbers["out_shift"])
    scaled = [
        multiply_double_rounding(operand, numbers[name]["multiplier"], ADD_LEFT_SHIFT, numbers[name]["shift"])
        for name, operand in zip(("first", "second"), operands)
    ]
    total = scaled[0] - scaled[1] if numbers["operation"] == Second.SUB else scaled[0] + scaled[1]
    return multiply_double_rounding(total, numbers["out_multiplier"], 0, numbers["out_shift"])


@pytest.mark.parametrize(("lanes", "registers"), [(1, 1), (4, 0)])
@pytest.mark.parametrize("operations", [(a, b) for a in JOINS for b in JOINS], ids=lambda pair: "-".join(each.name for each in pair))
def test_second_operand(lanes, registers, operations, seed):
    """Two banks of every pair of operations: vectors of both follow each other, each after the same latency."""
    rng = random.Random(f"{seed} {lanes} {operations}")
    part = SecondOperand(lanes, multiplier_registers=registers)
    config = [_second_config(rng, operation) for operation in operations]
    vectors = [(rng.randrange(2), [[rng.randint(-128, 127) for _ in range(lanes)] for _ in range(2)]) for _ in range(300)]
    configured = [_layout(numbers) for numbers in config]
    extreme = [(bank, [[a] * lanes, [b] * lanes]) for bank in range(2) for a in (-128, 127) for b in (-128, 127)]

    def drive(ctx, vector):
        ctx.set(part.bank, vector[0])
        for i in range(2):
            ctx.set(part.config[i], configured[i])
        for name, values in zip(("first", "second"), vector[1]):
            for lane in range(lanes):
                ctx.set(getattr(part, name)[lane], values[lane])

    def read(vector):
        numbers = config[vector[0]]
        clamp = numbers["clamp"]
        return vector[0], np.clip(_joined(numbers, *vector[1]) + clamp["zero_point"], clamp["clamp_min"], clamp["clamp_max"]).tolist()

    _run(Scaled(part, registers), drive, vectors + extreme, _gaps(rng, len(vectors + extreme)), read)


@pytest.mark.parametrize(("lanes", "cols", "registers"), [(1, 4, 0), (4, 16, 0), (2, 64, 1)])
def test_table(lanes, cols, registers, seed):
    rng = random.Random(f"{seed} {lanes} {cols}")
    dut = Table(lanes=lanes, cols=cols, multiplier_registers=registers)
    table = [rng.randrange(256) for _ in range(256)]
    rows = [table[i : i + cols] for i in range(0, 256, cols)]
    vectors = [("row", number, row) for number, row in enumerate(rows)]
    vectors += [("value", rng.randrange(2), [rng.randint(-128, 127) for _ in range(lanes)]) for _ in range(400)]

    def drive(ctx, vector):
        kind, number, values = vector
        ctx.set(dut.use[1], 1)
        ctx.set(dut.write, kind == "row")
        if kind == "row":
            ctx.set(dut.row, number)
            ctx.set(dut.entries, values)
            ctx.set(dut.bank, 0)
            values = [0] * lanes
        else:
            ctx.set(dut.bank, number)
        for lane in range(lanes):
            ctx.set(dut.value[lane], values[lane])

    def read(vector):
        kind, bank, values = vector
        if kind == "row":
            return 0, [0] * lanes
        return bank, [int(np.int8(np.uint8(table[value & 255]).view(np.int8))) if bank else value for value in values]

    _run(dut, drive, vectors, _gaps(rng, len(vectors)), read)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Requantize(lanes=0, accumulator_bits=32), "lanes must be at least 1, not 0"),
        (lambda: Requantize(lanes=1, accumulator_bits=19), "accumulator_bits must be 20 to 32, not 19"),
        (lambda: Requantize(lanes=1, accumulator_bits=33), "accumulator_bits must be 20 to 32, not 33"),
        (lambda: SecondOperand(0), "SecondOperand lanes must be at least 1, not 0"),
        (lambda: ScaleTurns(0), "ScaleTurns lanes must be at least 1, not 0"),
        (lambda: Scale(lanes=0), "Scale lanes must be at least 1, not 0"),
        (lambda: Table(lanes=1, cols=12), "power of two from 4 to 64, not 12"),
    ],
)
def test_wrong_numbers_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
