"""Bounds the bandwidth that a master takes from the DDR port."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

RATE_BITS = 16
"""Fraction bits of a rate: 1 << 16 would be a beat a cycle."""
DEPTH_BITS = 12


class Regulator(wiring.Component):
    """Token bucket with debt: the master may go while the level is not negative, and a burst takes all its beats at once.

    The level fills by ``rate`` a cycle, up to ``depth``. A burst of any length goes from level 0 on, so that no depth is too small for one;
    the debt that it leaves is waited out. In any window of n cycles in which ``depth`` stands still, the granted beats are at most

        n * rate / 65536 + depth + max_beats + 1

    and the regulator is closed for at most ``max_beats * 65536 / rate + 1`` cycles, rounded up, at a time: a token reaches the level a
    cycle late. The bucket is that of J. Turner,
    "New directions in communications", IEEE Communications Magazine 24 (1986); the debt stands in place of a look at the burst's length.

    ``open`` is the sign bit of a register. All sums stand side by side; ``granted`` selects between two that are ready before it.

    Parameters
    ----------
    beats_bits : int
        Width of ``beats``, at least 1; ``max_beats``, the longest burst, is ``1 << (beats_bits - 1)``.

    Members
    -------
    rate : In(unsigned(16))
        Beats a cycle, in 1/65536; 0 switches the regulator off: it is open from the next cycle on. Switched on, it begins
        with an empty bucket.
    depth : In(unsigned(12))
        Most tokens in the bucket, beats. With 0, a master that always asks loses a cycle's tokens with each burst.
    granted : In(1)
        A burst goes in this cycle; only while ``open``.
    beats : In(range(max_beats + 1))
        Its beats.
    open : Out(1)
        The master may go.
    """

    def __init__(self, beats_bits=9):
        if beats_bits < 1:
            raise ValueError(f"Regulator beats_bits must be at least 1, not {beats_bits}")
        self.max_beats = 1 << (beats_bits - 1)
        super().__init__({
            "rate": In(unsigned(RATE_BITS)),
            "depth": In(unsigned(DEPTH_BITS)),
            "granted": In(1),
            "beats": In(range(self.max_beats + 1)),
            "open": Out(1),
        })
        self.level = Signal(range(-self.max_beats, 1 << DEPTH_BITS))
        """Whole tokens; negative: debt."""
        self.fraction = Signal(RATE_BITS)
        """The part of the next token that is there, in 1/65536; does not count where the bucket is full."""
        self.late_token = Signal()
        """A token that is whole and not in the level yet; does not count where the bucket is full."""

    def elaborate(self, platform):
        m = Module()
        full = Signal()
        token = Signal()
        fraction = Signal.like(self.fraction)
        m.d.comb += [
            self.open.eq(self.level >= 0),
            full.eq(self.level >= self.depth),
            Cat(fraction, token).eq(self.fraction + self.rate),
        ]
        filled = self.level + self.late_token
        kept = Mux(full, self.depth, filled)
        spent = Mux(full, self.depth - self.beats, filled - self.beats)
        m.d.sync += [
            self.fraction.eq(Mux(full, 0, fraction)),
            self.late_token.eq(token & ~full),
            self.level.eq(Mux(self.granted, spent, kept)),
        ]
        with m.If(self.rate == 0):
            m.d.sync += [self.fraction.eq(0), self.level.eq(0), self.late_token.eq(0)]
        return m
