"""The elements of a row of SOFTMAX: the largest of them, and the exponentials of their differences from it."""

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import EXPONENTIAL_BYTES, EXPONENTIALS
from hw.npu.softmax.softmax_table import FRACTION_BITS, SoftmaxTable

LOWEST = -128


class SoftmaxExponentials(wiring.Component):
    r"""Compares the elements of the first pass, and looks up those of the others. An element a cycle, where ``advance`` is high.

    ::

        value --> element --> maximum
                         \-> maximum - element --> SoftmaxTable --> exponential
        0         1                                2                3

    Parameters
    ----------
    cols : int
        Bytes of a row of the table, C.

    Members
    -------
    table_write, table_row, table_entries : In(1), In(range(1024 / C)), In(array of C bytes)
        Writes the table of exponentials.
    start : In(1)
        Begins a row; no element is inside.
    advance : In(1)
        Low: all stages hold, and no element is taken.
    take, maps, value, last : In(1), In(1), In(signed(8)), In(1)
        An element is taken: to be compared, or to be looked up where it ``maps``; it is the last of its row.
    valid, exponential, last_exponential : Out(1), Out(unsigned(31)), Out(1)
        The exponential of an element, `LATENCY` cycles later; it is the last of its row.
    """

    LATENCY = 1 + SoftmaxTable.LATENCY + 1

    def __init__(self, cols):
        self.cols = cols
        super().__init__({
            "table_write": In(1),
            "table_row": In(range(EXPONENTIALS * EXPONENTIAL_BYTES // cols)),
            "table_entries": In(data.ArrayLayout(unsigned(8), cols)),
            "start": In(1),
            "advance": In(1),
            "take": In(1),
            "maps": In(1),
            "value": In(signed(8)),
            "last": In(1),
            "valid": Out(1),
            "exponential": Out(unsigned(FRACTION_BITS)),
            "last_exponential": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = SoftmaxTable(self.cols)
        maximum = Signal(signed(8), reset_less=True)
        element = Signal(signed(8))
        compared = Signal()
        mapped = Signal()
        last = Signal(reset_less=True)
        was_read = Signal()
        last_read = Signal(reset_less=True)
        valid = Signal()
        exponential = Signal(FRACTION_BITS, reset_less=True)
        last_exponential = Signal(reset_less=True)
        with m.If(self.start):
            m.d.sync += maximum.eq(LOWEST)
        with m.Elif(compared & (element > maximum)):
            m.d.sync += maximum.eq(element)
        m.d.comb += [
            table.write.eq(self.table_write),
            table.row.eq(self.table_row),
            table.entries.eq(self.table_entries),
            table.index.eq((maximum - element)[:8]),
            table.read.eq(mapped & self.advance),
            self.valid.eq(valid),
            self.exponential.eq(exponential),
            self.last_exponential.eq(last_exponential),
        ]
        with m.If(self.advance):
            m.d.sync += [
                # 1: the element
                element.eq(self.value),
                compared.eq(self.take & ~self.maps),
                mapped.eq(self.take & self.maps),
                last.eq(self.last),
                # 2: its exponential is read
                was_read.eq(mapped),
                last_read.eq(last),
                # 3: and held
                valid.eq(was_read),
                last_exponential.eq(last_read),
                exponential.eq(table.exponential),
            ]
        return m
