"""Round robin: takes turns among those who wait."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class RoundRobin(wiring.Component):
    """Chooses the first who waits behind the one that was chosen last; while one waits, no other is taken twice.

    Combinational from ``waiting`` to ``one_hot``, and short: both searches, of those behind the last and of all, run side by side, and each
    of their bits is one AND. The place of the last is kept as a mask, so that no decoder stands in front.

    Parameters
    ----------
    members : int
        At least 1.

    Members
    -------
    waiting : In(members)
        Who waits.
    take : In(1)
        The choice is taken in this cycle; the next search begins behind it. Without effect where nobody waits.
    one_hot : Out(members)
        The choice; 0 where nobody waits.
    some : Out(1)
        Somebody waits.
    """

    def __init__(self, members):
        if members < 1:
            raise ValueError(f"RoundRobin needs at least one member, not {members}")
        super().__init__({"waiting": In(members), "take": In(1), "one_hot": Out(members), "some": Out(1)})
        self.behind = Signal(members)
        """Mask of the members with a higher number than the one that was taken last."""

    def elaborate(self, platform):
        m = Module()
        preferred = self.waiting & self.behind
        m.d.comb += [
            self.some.eq(self.waiting.any()),
            self.one_hot.eq(Mux(preferred.any(), lowest(preferred), lowest(self.waiting))),
        ]
        with m.If(self.take & self.some):
            m.d.sync += self.behind.eq(Cat(self.one_hot[:member].any() for member in range(len(self.behind))))
        return m


def lowest(bits):
    """Expression: the lowest bit that is set, alone."""
    return Cat(bits[place] & ~bits[:place].any() for place in range(len(bits)))
