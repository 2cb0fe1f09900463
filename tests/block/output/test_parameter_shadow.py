"""The two sets of parameters against a list of sets: each is used in its turn, whole, and known by its exponents before that."""

import random

from hw.npu.interface.isa import BIAS_ROWS, PARAMETER_ROWS
from hw.npu.output.parameter_shadow import ParameterShadow
from tests.streams import put, random_pattern, simulate

COLS = 3


def drawn_set(rng):
    """Bias, multiplier and exponent of each channel."""
    exponents = [rng.randint(-31, 31) if rng.random() < 0.9 else rng.choice((-128, -33, -32, 32, 127)) for _ in range(COLS)]
    return [(rng.randrange(-1 << 31, 1 << 31), rng.randrange(-1 << 31, 1 << 31), exponent) for exponent in exponents]


def rows_of(channels):
    """The set as it lies in the weight stream: byte i of each channel is row i."""
    columns = [b.to_bytes(4, "little", signed=True) + m.to_bytes(4, "little", signed=True) + bytes([e & 255]) for b, m, e in channels]
    assert BIAS_ROWS == 4 and len(columns[0]) == PARAMETER_ROWS
    return [
        {"table": 0, "row": row, "last": row == PARAMETER_ROWS - 1, "data": [column[row] for column in columns]}
        for row in range(PARAMETER_ROWS)
    ]


def test_each_set_is_used_in_its_turn(seed):
    rng, dut = random.Random(seed), ParameterShadow(COLS)
    sets = [drawn_set(rng) for _ in range(25)]

    async def pulse(ctx, signal):
        ctx.set(signal, 1)
        await ctx.tick()
        ctx.set(signal, 0)

    async def find(ctx, number):
        """Waits until the set is there, and says that it is used up."""
        while not ctx.get(dut.available):
            await ctx.tick()
        bad = any(not -31 <= exponent <= 31 for *_, exponent in sets[number])
        assert ctx.get(dut.bad_exponent) == bad, f"seed {seed}, set {number}: {sets[number]}"
        await pulse(ctx, dut.ended)

    async def use(ctx):
        found = 0
        for number, want in enumerate(sets):
            if found == number:
                await find(ctx, number)
                found += 1
            for _ in range(rng.choice((0, 0, 1, 5, 20))):
                await ctx.tick()
            if found < len(sets) and rng.random() < 0.5:  # asks for the next before this one is released
                await find(ctx, found)
                found += 1
            got = [(ctx.get(dut.bias[col]), ctx.get(dut.multiplier[col]), ctx.get(dut.exponent[col])) for col in range(COLS)]
            assert got == want, f"seed {seed}, set {number}: expected {want}, got {got}"
            await pulse(ctx, dut.released)
        for _ in range(20):
            assert not ctx.get(dut.available), f"seed {seed}: a set more than came"
            await ctx.tick()

    rows = [row for channels in sets for row in rows_of(channels)]
    simulate(dut, lambda ctx: put(ctx, dut.rows, rows, random_pattern(rng)), use)
