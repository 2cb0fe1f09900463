"""Proof of `RowSplitter`: `PlaneHandoff` is offered the rows of a tile as from the queue itself, one after the other, and none changes."""

from amaranth.hdl import Assert, Assume, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.npu.weights.row_splitter import RowSplitter, row_tag
from tests.formal.prove import prove, refute

COLS = 1
MOST_ROWS = 6
"""Rows of the array that a tile has at most."""


class RowSplitterProof(wiring.Component):
    """A queue of the rows of tiles, each of 1 to `MOST_ROWS` rows of the array, in pairs or not; an array takes them when it likes.

    What the proof of the two weight planes takes for granted of the rows that it is offered is asserted here.

    Parameters
    ----------
    dut : RowSplitter
        The design, or a broken one.
    """

    row: In(row_tag(COLS, int4=True))
    offer: In(1)
    take: In(1)

    def __init__(self, *, dut):
        self.dut = dut
        super().__init__()
        # Of the tile: rows that left the queue; of the row in front: it was offered and not taken.
        self.left, self.waits = Signal(range(MOST_ROWS + 1)), Signal()
        self.row_before, self.out_before = Signal(row_tag(COLS, int4=True)), Signal(row_tag(COLS))
        self.out_waits, self.pair = Signal(), Signal()
        self.written = Signal(range(MOST_ROWS + 1))  # rows of the tile that the array took

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        row, out = self.row, self.dut.o.payload
        m.d.comb += [dut.i.payload.eq(row), dut.i.valid.eq(self.offer), dut.o.ready.eq(self.take)]
        self._assume_a_queue(m)
        taken = dut.o.valid & dut.o.ready
        m.d.sync += [self.out_before.eq(out), self.out_waits.eq(dut.o.valid & ~dut.o.ready)]
        with m.If(taken):
            m.d.sync += self.written.eq(Mux(out.last, 0, self.written + 1))
        whole = self.written + 1 == Mux(row.pair, 2 * row.row + 1 + row.upper, row.row + 1)
        m.d.comb += [
            Assert(~dut.o.valid | (out.row == self.written), "rows of a tile come in their order, each once"),
            Assert(~dut.o.valid | (out.last == (row.last & whole)), "the last row of a tile, and no other, is called so"),
            Assert(~self.out_waits | (dut.o.valid & (out == self.out_before)), "a row that is offered stays until it is taken"),
        ]
        # the induction's ties: what was written of the tile is what has left the queue, and perhaps the half of the row in front
        half = self.written == 2 * self.left + 1
        m.d.comb += [
            Assert(self.written == Mux(self.pair, 2 * self.left, self.left) + dut.second, "a tile grows by what leaves the queue"),
            Assert(~dut.second | (self.waits & self.row_before.pair & self.row_before.upper & half), "half a pair is taken of what waits"),
        ]
        return m

    def _assume_a_queue(self, m):
        """Rows come in their order and stay until they are taken; a tile is of pairs or not, and only its last may lack an upper half."""
        row, dut = self.row, self.dut
        rows = Mux(row.pair, 2 * row.row + 1 + row.upper, row.row + 1)
        m.d.sync += [self.waits.eq(self.offer & ~dut.i.ready), self.row_before.eq(row)]
        with m.If(self.offer & dut.i.ready):
            m.d.sync += [self.left.eq(Mux(row.last, 0, self.left + 1)), self.pair.eq(row.pair & ~row.last)]
        m.d.comb += [
            Assume(~self.waits | (self.offer & (row == self.row_before))),
            Assume(~self.offer | (row.row == self.left)),
            Assume(~self.offer | (self.left == 0) | (row.pair == self.pair)),
            Assume(~self.offer | row.last | ~row.pair | row.upper),
            Assume(~self.offer | (rows + ~row.last <= MOST_ROWS)),
        ]


def test_rows_are_offered_in_order_each_once_and_stay(tmp_path):
    prove(RowSplitterProof(dut=RowSplitter(cols=COLS)), tmp_path, depth=4)


class Hasty(RowSplitter):
    """Broken: the queue goes on after the lower halves."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.i.ready.eq(self.o.ready)
        return m


def test_a_row_that_leaves_with_its_lower_half_is_noticed(tmp_path):
    refute(RowSplitterProof(dut=Hasty(cols=COLS)), tmp_path, depth=6)
