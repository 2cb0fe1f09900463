"""Keeps the vectors of the output stage in their order, with and without a second operand."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class VectorOrder(wiring.Component):
    """Says when a vector without a second operand may be issued: as many cycles behind the last one with it as `SecondOperand` takes.

    Parameters
    ----------
    cycles : int
        Those cycles.

    Members
    -------
    joins : In(1)
        A vector with a second operand is issued.
    behind : Out(1)
        A vector without may be issued.
    """

    def __init__(self, cycles):
        self.cycles = cycles
        super().__init__({"joins": In(1), "behind": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        left = Signal(range(self.cycles + 1))  # cycles until it may
        m.d.sync += [left.eq(Mux(self.joins, self.cycles, left - (left != 0))), self.behind.eq(~self.joins & (left <= 1))]
        return m
