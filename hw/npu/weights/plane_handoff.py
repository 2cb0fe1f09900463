"""Keeps the weight loader from writing a plane that still computes."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.parts.promise import promise


class PlaneHandoff(wiring.Component):
    """Says when a row of weights may be written, and into which plane.

    Reduction tile t uses plane t mod 2. Its rows are written in order, at most one a cycle; the first of them only after the
    last wave of tile t-2 has entered row 0 of the array. That wave goes down a row a cycle, so that it has passed each row
    before the row is written. In column group g it is g cycles later: the pulse is held back by the number of groups less one.
    Where the array stands still, so do the pulse and the rows that are handed on: cycles are those in which it moves.

    Parameters
    ----------
    groups : int
        Column groups of the array.

    Members
    -------
    enable : In(1)
        The array moves in this cycle.
    tile_passed : In(1)
        A pulse as the last wave of a reduction tile enters row 0; the array moves then.
    offer, last : In(1), In(1)
        A row is there; it is the last of its tile.
    write : Out(1)
        The row is written in this cycle.
    plane : Out(1)
        The plane that it belongs to.
    """

    def __init__(self, *, groups):
        if groups < 1:
            raise ValueError(f"PlaneHandoff needs at least one column group, not {groups}")
        self.groups = groups
        super().__init__({"enable": In(1), "tile_passed": In(1), "offer": In(1), "last": In(1), "write": Out(1), "plane": Out(1)})
        self.ahead = Signal(range(3))
        """Tiles written of which the last wave has not passed."""
        self.passing = [Signal(name=f"passing_{group}") for group in range(1, groups)]
        """Whether the last wave of a tile has come to row 0 of each column group behind the first."""

    def elaborate(self, platform):
        m = Module()
        passed = self.tile_passed
        for passing in self.passing:
            with m.If(self.enable):
                m.d.sync += passing.eq(passed)
            passed = passing
        passed = passed & self.enable
        plane = Signal()
        m.d.comb += [self.write.eq(self.offer & (self.ahead != 2) & self.enable), self.plane.eq(plane)]
        written = self.write & self.last
        m.d.sync += [self.ahead.eq(self.ahead + written - passed), plane.eq(plane ^ written)]
        promise(m, self, ~self.tile_passed | self.enable, "a last wave enters row 0 only while the array moves")
        promise(m, self, ~passed | (self.ahead != 0), "only the last wave of a tile that was written passes")
        return m
