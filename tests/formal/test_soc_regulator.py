"""Proof of `Regulator`: a bound on the beats of any window, and on the time that it is closed."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.soc.regulator import DEPTH_BITS, RATE_BITS, Regulator
from tests.formal.prove import prove, refute

DEBT = 256
"""Beats of the longest burst of AXI4."""
ONE = 1 << RATE_BITS
"""A token, in the unit of a rate."""


class RegulatorProof(wiring.Component):
    """Any bursts while it is open, any rate in any cycle, a depth that stands still.

    ``window`` begins a window wherever it likes; ``left`` is what the bound leaves of it: ``depth + slack + 1`` tokens at its start, and
    the rate more in each cycle. It is cut at its upper end, which only makes it smaller. A rate of 0 ends the
    window: the bound holds while the regulator is on.

    ``earned`` is what has flowed in since the regulator closed, its first cycle not counted. It is always less than the deepest debt: so a
    rate that stands still keeps it closed for at most ``debt * 65536 / rate`` cycles, rounded up, and one more, in which
    the last token is on its way.
    """

    def __init__(self, slack=DEBT, debt=DEBT):
        self.slack, self.debt = slack, debt
        super().__init__({
            "rate": In(unsigned(RATE_BITS)),
            "depth": In(unsigned(DEPTH_BITS)),
            "granted": In(1),
            "beats": In(range(DEBT + 1)),
            "window": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = Regulator()
        beats = Mux(self.granted, self.beats, 0)
        m.d.comb += [
            dut.rate.eq(self.rate),
            dut.depth.eq(self.depth),
            dut.granted.eq(self.granted),
            dut.beats.eq(self.beats),
            Assume(~self.granted | dut.open),
            Assume(self.beats <= DEBT),
        ]
        begun, depth = Signal(), Signal(DEPTH_BITS)
        m.d.sync += [begun.eq(1), depth.eq(self.depth)]
        m.d.comb += Assume(~begun | (depth == self.depth))

        # The window, and what is in the bucket.
        most = (1 << (DEPTH_BITS + 2 + RATE_BITS)) - 1
        watching, left, now = Signal(), Signal(range(-most, most + 1)), Signal(range(-2 * most, 2 * most))
        bucket = Signal(signed(DEPTH_BITS + RATE_BITS + 4))
        start = self.window & (self.rate != 0)
        m.d.comb += [
            now.eq(Mux(start, (self.depth + self.slack + 1) * ONE, left) + self.rate - beats * ONE),
            bucket.eq(dut.level * ONE + Mux(dut.level >= depth, 0, dut.fraction + dut.late_token * ONE)),
        ]
        m.d.sync += [left.eq(Mux(now > most, most, now)), watching.eq((start | watching) & (self.rate != 0))]
        m.d.comb += [
            Assert(~watching | (left >= 0), "no window has more beats than the bound"),
            Assert(~watching | (left >= bucket + self.slack * ONE), "the bucket belongs to the window"),
            Assert(dut.level >= -self.debt, "no debt is deeper than a burst"),
            Assert(~begun | (dut.level <= depth), "the bucket does not overflow"),
        ]

        # How long it is closed.
        earned, late = Signal(range(2 * DEBT * ONE)), Signal(RATE_BITS)
        m.d.sync += late.eq(self.rate)
        m.d.sync += earned.eq(Mux(dut.open, 0, earned + self.rate))
        m.d.comb += [
            Assert(dut.open | (earned < self.debt * ONE + late), "it opens when the debt is earned"),
            Assert(~dut.late_token | (dut.fraction < late), "a token is late by a cycle"),
            Assert(
                dut.open | (earned <= Cat(dut.fraction, dut.level).as_signed() + (dut.late_token + self.debt) * ONE),
                "what flows in is in the bucket",
            ),
        ]
        idle = Signal()
        m.d.sync += idle.eq(self.rate == 0)
        m.d.comb += Assert(~idle | dut.open, "off, it is open")
        return m


def test_windows_are_bounded_and_it_opens_again(tmp_path):
    prove(RegulatorProof(), tmp_path, depth=2)


@pytest.mark.parametrize("claim", [{"slack": DEBT - 1}, {"debt": DEBT - 1}])
def test_a_bound_that_is_one_too_small_is_noticed(tmp_path, claim):
    refute(RegulatorProof(**claim), tmp_path, depth=9)
