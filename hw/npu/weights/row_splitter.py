"""Rows of the weight stream, and how a row of 4-bit weights becomes two rows of the array."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.parts.switched import only

PAIR_TAG = {"pair": 1, "upper": 1, "zero_upper": 1}
"""Of a row of the stream with 4-bit weights of a DEPTHWISE: it is one; its upper halves are a row of weights too, and count as 0."""


def row_tag(cols, int4=False):
    """What a row of the stream is: for the table, the parameters or the array; whether its weights count as 0; its number; whether it is
    the last of its set.
    """
    tag = {"table": 1, "params": 1, "zero": 1, "row": range(256), "last": 1} | only(int4, **PAIR_TAG)
    return data.StructLayout(tag | {"cols": unsigned(8 * cols)})


class RowSplitter(wiring.Component):
    """Takes a row of 4-bit weights of a DEPTHWISE apart: first its lower halves, then its upper ones, a row of the array each.

    Where the array is a FIR filter a weight has an element to itself. Other rows pass as they are, those of a MATMUL with 4-bit
    weights too: there an element takes both halves. Combinational but for the count of the two.

    Parameters
    ----------
    cols : int
        Weights of a row.

    Members
    -------
    i : In(stream of row_tag(cols, int4=True))
        Rows of the stream.
    o : Out(stream of row_tag(cols))
        Rows of the table, the parameters or the array; 4-bit weights with their sign.
    """

    def __init__(self, *, cols):
        self.cols = cols
        super().__init__({"i": In(stream.Signature(row_tag(cols, int4=True))), "o": Out(stream.Signature(row_tag(cols)))})
        self.second = Signal()
        """The lower halves of the row in front are taken."""

    def elaborate(self, platform):
        m = Module()
        row = self.i.payload
        out = self.o.payload
        second = self.second
        ends = Signal()
        m.d.comb += [
            ends.eq(~row.pair | second | ~row.upper),
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready & ends),
            out.table.eq(row.table),
            out.params.eq(row.params),
            out.zero.eq(Mux(second, row.zero_upper, row.zero)),
            out.row.eq(Mux(row.pair, Cat(second, row.row), row.row)),
            out.last.eq(row.last & ends),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += second.eq(~ends)
        for col in range(self.cols):
            byte = row.cols.word_select(col, 8)
            half = Signal(signed(4), name=f"half_{col}")
            wide = Signal(signed(8), name=f"wide_{col}")
            m.d.comb += [
                half.eq(Mux(second, byte[4:], byte[:4])),
                wide.eq(half),
                out.cols.word_select(col, 8).eq(Mux(row.pair, wide.as_unsigned(), byte)),
            ]
        return m
