"""One single-port bank of a scratchpad."""

from amaranth.hdl import Cat, Module, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.npu.parts.promise import promise

LANE_BYTES = 8
"""Widest memory that a bank is built of: 64-bit lanes map to common SRAM macros, and simulate fastest."""


class Bank(wiring.Component):
    """Single-port memory with byte mask: one read or one write a cycle, data one cycle after the read.

    Parameters
    ----------
    width : int
        Bytes of a word, a power of two.
    depth : int
        Words.
    lane : int
        Bytes of the memories that it is built of, at most.

    Members
    -------
    enable, write : In(1), In(1)
        An access in this cycle, and whether it writes.
    row : In(range(depth))
        Word.
    write_data, mask : In(unsigned(8 * width)), In(unsigned(width))
        What is written; one mask bit a byte.
    read_data : Out(unsigned(8 * width))
        The word read in the cycle before; holds until the next read.
    """

    READ_LATENCY = 1

    def __init__(self, *, width, depth, lane=LANE_BYTES):
        if width & (width - 1) or depth < 1:
            raise ValueError(f"Bank needs a power of two as width and a depth of at least 1, not {width} and {depth}")
        self.width, self.depth, self.lane = width, depth, lane
        super().__init__({
            "enable": In(1),
            "write": In(1),
            "row": In(range(depth)),
            "write_data": In(unsigned(8 * width)),
            "mask": In(unsigned(width)),
            "read_data": Out(unsigned(8 * width)),
        })

    def elaborate(self, platform):
        m = Module()
        lane, data = min(self.width, self.lane), []
        for index in range(self.width // lane):
            m.submodules[f"lane_{index}"] = memory = Memory(shape=unsigned(8 * lane), depth=self.depth, init=[])
            write = memory.write_port(granularity=8)
            read = memory.read_port()
            mask = self.mask[index * lane : (index + 1) * lane]
            m.d.comb += [
                write.addr.eq(self.row),
                write.data.eq(self.write_data[index * lane * 8 : (index + 1) * lane * 8]),
                read.addr.eq(self.row),
                read.en.eq(self.enable & ~self.write),
            ]
            with m.If(self.enable & self.write):
                m.d.comb += write.en.eq(mask)
            data.append(read.data)
        m.d.comb += self.read_data.eq(Cat(*data))
        promise(m, self, ~(self.enable & self.write) | (self.row < self.depth), "a word that is written is inside the memory")
        return m
