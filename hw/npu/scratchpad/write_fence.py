"""Holds the news that writes are complete until they are."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class WriteFence(wiring.Component):
    """Lets a pulse pass once every write that was accepted before it has been made; pulses stay in order, and none is lost.

    Counts writes, and knows none of them: a pulse that comes while another waits makes that one wait for its own writes too.

    Parameters
    ----------
    writes, pulses : int
        Writes that are accepted and not made, at most; pulses that wait, at most.

    Members
    -------
    accepted, made : In(1), In(1)
        A write is accepted, to be made in a later cycle; the oldest that is accepted is made.
    complete : In(1)
        A pulse, not before the cycle behind the last write that it tells of.
    settled : Out(1)
        A pulse for each of them.
    """

    def __init__(self, *, writes, pulses):
        if min(writes, pulses) < 1:
            raise ValueError(f"WriteFence writes and pulses must be at least 1, not {writes} and {pulses}")
        self.writes, self.pulses = writes, pulses
        super().__init__({"accepted": In(1), "made": In(1), "complete": In(1), "settled": Out(1)})

    def elaborate(self, platform):
        m = Module()
        pending, waits_for = Signal(range(self.writes + 1)), Signal(range(self.writes + 1))
        waiting = Signal(range(self.pulses + 1))
        m.d.comb += self.settled.eq((waiting != 0) & (waits_for == 0))
        m.d.sync += [pending.eq(pending + self.accepted - self.made), waiting.eq(waiting + self.complete - self.settled)]
        with m.If(self.complete):
            m.d.sync += waits_for.eq(pending - self.made)
        with m.Elif(waits_for != 0):
            m.d.sync += waits_for.eq(waits_for - self.made)
        return m
