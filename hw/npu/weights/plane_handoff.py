"""Keeps the weight loader from writing a plane that still computes, and says when the waves of a tile may come."""

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

    A wave need not wait until its whole tile is written: like the rows it goes down a row a cycle. Its tile is *announced* with its second
    row, or with the only one. A wave that is accepted for that reason comes to row 0 when two rows at least are handed on; from there on
    each cycle hands on another one, and a row counts two cycles after that: just before the wave meets it. So once it was announced a
    tile must be offered to its end without a gap that the way from the reader to row 0 does not cover. A tile whose last wave has passed
    row 0 may still be written below: therefore a tile counts from its first row on, not from its last.

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
    announce : Out(1)
        It is the second row of its tile, or the only one.
    plane : Out(1)
        The plane that it belongs to.
    """

    def __init__(self, *, groups):
        if groups < 1:
            raise ValueError(f"PlaneHandoff needs at least one column group, not {groups}")
        self.groups = groups
        inputs, outputs = ("enable", "tile_passed", "offer", "last"), ("write", "announce", "plane")
        super().__init__(dict.fromkeys(inputs, In(1)) | dict.fromkeys(outputs, Out(1)))
        self.ahead = Signal(range(3))
        """Tiles written, whole or in part, of which the last wave has not passed."""
        self.begun = Signal()
        """Rows of the present tile are written."""
        self.second = Signal()
        """Exactly one is."""
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
        begun, second = self.begun, self.second
        plane = Signal()
        m.d.comb += [
            self.write.eq(self.offer & (begun | (self.ahead != 2)) & self.enable),
            self.announce.eq(self.write & (second | (self.last & ~begun))),
            self.plane.eq(plane),
        ]
        m.d.sync += [self.ahead.eq(self.ahead + (self.write & ~begun) - passed), plane.eq(plane ^ (self.write & self.last))]
        with m.If(self.write):
            m.d.sync += [begun.eq(~self.last), second.eq(~begun & ~self.last)]
        promise(m, self, ~self.tile_passed | self.enable, "a last wave enters row 0 only while the array moves")
        promise(m, self, ~passed | (self.ahead != 0), "only a last wave whose tile was begun passes")
        return m
