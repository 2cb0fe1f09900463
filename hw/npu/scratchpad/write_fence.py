"""Holds the news that writes are complete until they are."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.parts.promise import promise


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

    LATENCY = 1
    """Cycles from a pulse, or the last write that it waits for, to the pulse that passes."""

    def __init__(self, *, writes, pulses):
        if min(writes, pulses) < 1:
            raise ValueError(f"WriteFence writes and pulses must be at least 1, not {writes} and {pulses}")
        self.writes, self.pulses = writes, pulses
        super().__init__({"accepted": In(1), "made": In(1), "complete": In(1), "settled": Out(1)})
        pending = Signal(range(writes + 1))
        waits_for = Signal(range(writes + 1))
        waiting = Signal(range(pulses + 1))
        self.pending, self.waits_for, self.waiting = pending, waits_for, waiting
        """Writes that are accepted and not made; of these, those that the pulses wait for; pulses that wait: for proofs."""

    def elaborate(self, platform):
        m = Module()
        pending, waits_for, waiting = self.pending, self.waits_for, self.waiting
        m.d.comb += self.settled.eq((waiting != 0) & (waits_for == 0))
        m.d.sync += [pending.eq(pending + self.accepted - self.made), waiting.eq(waiting + self.complete - self.settled)]
        with m.If(self.complete):
            m.d.sync += waits_for.eq(pending - self.made)
        with m.Elif(waits_for != 0):
            m.d.sync += waits_for.eq(waits_for - self.made)
        promise(m, self, ~self.made | (pending != 0), "a write is made only after it was accepted")
        promise(m, self, ~self.accepted | self.made | (pending != self.writes), "no more writes are pending than there is room for")
        promise(m, self, ~self.complete | self.settled | (waiting != self.pulses), "no more pulses wait than there is room for")
        promise(m, self, waits_for <= pending, "a pulse waits only for writes that are pending")
        return m
