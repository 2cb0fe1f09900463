"""A counter that knows in time whether it counts any."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.parts.promise import promise


class CreditCounter(wiring.Component):
    """Counts what is there; whether there is any stands in a register of its own, exact in every cycle, that no wide comparison delays.

    Parameters
    ----------
    most : int
        Largest count.

    Members
    -------
    up, down : In(1), In(1)
        One more, one less: only while ``some``.
    some : Out(1)
        The count is not 0.
    """

    def __init__(self, most):
        self.most = most
        super().__init__({"up": In(1), "down": In(1), "some": Out(1)})

    def elaborate(self, platform):
        m = Module()
        count = Signal(range(self.most + 1))
        with m.If(self.up & ~self.down):
            m.d.sync += [count.eq(count + 1), self.some.eq(1)]
        with m.Elif(self.down & ~self.up):
            m.d.sync += [count.eq(count - 1), self.some.eq(count[1:].any())]
        promise(m, self, self.some == (count != 0), "some says whether the count is not 0")
        promise(m, self, ~self.down | self.some, "down comes only while some")
        promise(m, self, ~self.up | self.down | (count != self.most), "the count stays at most at its largest")
        return m
