"""The exponentials of SOFTMAX: 256 numbers of 31 bits."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import EXPONENTIAL_BYTES, EXPONENTIALS

FRACTION_BITS = 31
"""An exponential is Q0.31: its sign bit is not read."""


class SoftmaxTable(wiring.Component):
    """256 exponentials, written a row of C bytes at a time, read one a cycle.

    Parameters
    ----------
    cols : int
        Bytes of a row, C: 4 to 64, a power of two.

    Members
    -------
    write, row, entries : In(1), In(range(1024 / C)), In(array of C bytes)
        Writes bytes ``row * C`` and up; an exponential is little-endian.
    read, index : In(1), In(8)
        Reads an exponential.
    exponential : Out(unsigned(31))
        The one that was read last, from the next cycle on.

    Raises
    ------
    ValueError
        If ``cols`` is out of range.
    """

    LATENCY = 1

    def __init__(self, cols):
        if cols not in (4, 8, 16, 32, 64):
            raise ValueError(f"SoftmaxTable cols must be a power of two from 4 to 64, not {cols}")
        self.cols = cols
        self.depth = EXPONENTIALS * EXPONENTIAL_BYTES // cols
        super().__init__({
            "write": In(1),
            "row": In(range(self.depth)),
            "entries": In(data.ArrayLayout(unsigned(8), cols)),
            "read": In(1),
            "index": In(8),
            "exponential": Out(unsigned(FRACTION_BITS)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=unsigned(8 * self.cols), depth=self.depth, init=[])
        write = memory.write_port()
        read = memory.read_port(domain="sync")
        low = (self.cols // EXPONENTIAL_BYTES).bit_length() - 1  # bits of the index that choose within a row
        place = Signal(range(self.cols // EXPONENTIAL_BYTES), reset_less=True)
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(self.row),
            write.data.eq(self.entries),
            read.en.eq(self.read),
            read.addr.eq(self.index[low:]),
            self.exponential.eq(read.data.word_select(place, 8 * EXPONENTIAL_BYTES)[:FRACTION_BITS]),
        ]
        with m.If(self.read):
            m.d.sync += place.eq(self.index[:low])
        return m
