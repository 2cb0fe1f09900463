"""Regulator against exact fractions: when it is open, and how many beats a window has."""

import random
from fractions import Fraction
from math import floor

import pytest

from hw.soc.regulator import Regulator
from tests.streams import simulate

ONE = 1 << 16


class Twin:
    """Tokens, exactly; the last one that became whole does not count yet. What is filled into a full bucket is lost."""

    def __init__(self):
        self.tokens, self.late = Fraction(0), 0

    @property
    def level(self):
        """Whole tokens that count."""
        return floor(self.tokens) - self.late

    def step(self, rate, depth, beats):
        """A cycle passes, with a burst of ``beats`` beats, 0: none."""
        if rate == 0:
            self.tokens, self.late = Fraction(0), 0
        elif self.level >= depth:
            self.tokens, self.late = Fraction(depth) - beats, 0
        else:
            filled = self.tokens + Fraction(rate, ONE)
            self.tokens, self.late = filled - beats, floor(filled) - floor(self.tokens)


def bursts(rng, most):
    """Lengths as masters ask for them: short ones, longest ones, and all between."""
    return rng.choice((1, most, rng.randint(1, most)))


@pytest.mark.parametrize("beats_bits", [1, 5, 9])
def test_it_is_open_when_its_twin_is(beats_bits, seed):
    rng = random.Random(f"{seed} {beats_bits}")
    dut, most = Regulator(beats_bits), 1 << (beats_bits - 1)
    seen = set()

    async def drive(ctx):
        twin = Twin()
        for cycle in range(6000):
            if cycle % 400 == 0:
                rate = rng.choice((0, 1, ONE - 1, rng.randrange(ONE), rng.randrange(ONE)))
                depth = rng.choice((0, 1, 4095, rng.randrange(4096)))
                eager = rng.choice((0.01, 0.2, 1))
                ctx.set(dut.rate, rate)
                ctx.set(dut.depth, depth)
            is_open = twin.level >= 0
            assert ctx.get(dut.open) == is_open, f"seed {seed}, cycle {cycle}, rate {rate}, depth {depth}, level {twin.level}"
            beats = bursts(rng, most) if is_open and rng.random() < eager else 0
            ctx.set(dut.granted, beats != 0)
            ctx.set(dut.beats, beats or bursts(rng, most))
            seen.add((rate == 0, bool(is_open)))
            twin.step(rate, depth, beats)
            await ctx.tick()

    simulate(dut, drive)
    assert seen >= {(True, True), (False, True), (False, False)}


@pytest.mark.parametrize(
    ("rate", "depth", "length"), [(ONE // 4, 1, 16), (ONE // 4, 64, 16), (ONE - 1, 256, 256), (ONE // 3, 100, 7), (6000, 16, 1)]
)
def test_a_master_that_always_asks_gets_its_rate(rate, depth, length):
    """All tokens of n cycles but the last two, and never more than the bound allows from the start on."""
    dut, cycles = Regulator(), 4000

    async def drive(ctx):
        ctx.set(dut.rate, rate)
        ctx.set(dut.depth, depth)
        ctx.set(dut.beats, length)
        total = 0
        for cycle in range(cycles):
            granted = ctx.get(dut.open)
            ctx.set(dut.granted, granted)
            total += granted * length
            assert total <= Fraction((cycle + 1) * rate, ONE) + depth + 257
            await ctx.tick()
        assert total >= Fraction(cycles * rate, ONE) - 2, f"{total} beats"

    simulate(dut, drive)


def test_it_is_closed_until_the_debt_is_paid():
    """256 beats at a quarter of a beat a cycle, less the quarter of the cycle of the grant: 1023 cycles; the last token is late by one."""
    dut = Regulator()

    async def drive(ctx):
        ctx.set(dut.rate, ONE // 4)
        ctx.set(dut.beats, 256)
        ctx.set(dut.depth, 16)
        ctx.set(dut.granted, 1)
        await ctx.tick()
        ctx.set(dut.granted, 0)
        closed = 0
        while not ctx.get(dut.open):
            closed += 1
            await ctx.tick()
        assert closed == 1024

    simulate(dut, drive)


def test_beats_without_width_are_refused():
    with pytest.raises(ValueError, match="beats_bits must be at least 1, not 0"):
        Regulator(0)
