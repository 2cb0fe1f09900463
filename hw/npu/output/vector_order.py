"""Keeps the vectors of the output stage in their order, with and without a second operand, and apart in the scale."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class VectorOrder(wiring.Component):
    """Remembers in which of the last cycles a vector with a second operand was issued; it enters the scale again ``turn`` cycles behind its
    first time.

    So no vector may be issued ``turn`` cycles behind one with a second operand. Where all have one they are issued in ``turn`` cycles, and
    then in ``turn`` cycles not. A vector without one also waits until none is left that has to come back: what leaves stays in order.

    Parameters
    ----------
    turn : int
        Those cycles, at least 1.

    Members
    -------
    joins : In(1)
        A vector with a second operand is issued.
    apart : Out(1)
        A vector with a second operand may be issued.
    behind : Out(1)
        A vector without may be issued.
    """

    def __init__(self, turn):
        self.turn = turn
        super().__init__({"joins": In(1), "apart": Out(1), "behind": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        joined = Signal(self.turn)  # one was issued so many cycles ago, less one
        m.d.sync += [joined.eq(Cat(self.joins, joined)), self.behind.eq(~self.joins & ~joined[:-1].any())]
        m.d.comb += self.apart.eq(~joined[-1])
        return m
