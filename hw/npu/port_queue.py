"""Where the accesses of a port wait for their banks, ready to be made."""

from amaranth.hdl import Cat, Const, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.npu.bank_place import one_hot, rotated, split
from hw.npu.fifo import StreamFifo
from hw.npu.ports import ADDRESS_BITS, write_layout


def access_layout(geometry, *, writes) -> data.StructLayout:
    """An access: its place; a write's bytes, each in its lane of a word, and which of them count in its first word and in the one behind."""
    layout = {"place": geometry.layout}
    if writes:
        layout |= {"data": unsigned(8 * geometry.word), "low_mask": unsigned(geometry.word), "high_mask": unsigned(geometry.word)}
    return data.StructLayout(layout)


class PortQueue(wiring.Component):
    """Takes requests and places them among the banks: one a cycle, the first after `LATENCY` cycles. Both ends are cut by registers.

    Parameters
    ----------
    width : int
        Bytes of an access, at most a word.
    geometry : BankGeometry
        Of the scratchpad.
    writes : bool
        The requests are writes.

    Members
    -------
    i : In(stream of unsigned(24), or of write_layout(width))
        Requests: an address, or a write.
    o : Out(stream of access_layout)
        What they access, in their order.
    """

    LATENCY = 2
    ROOM = 2

    def __init__(self, *, width, geometry, writes):
        if width > geometry.word:
            raise ValueError(f"PortQueue width {width} must be at most a word of {geometry.word} bytes")
        self.width, self.geometry, self.writes = width, geometry, writes
        super().__init__({
            "i": In(stream.Signature(write_layout(width) if writes else unsigned(ADDRESS_BITS))),
            "o": Out(stream.Signature(access_layout(geometry, writes=writes))),
        })

    def elaborate(self, platform):
        m = Module()
        geometry, word, request = self.geometry, self.geometry.word, self.i.payload
        m.submodules.fifo = fifo = StreamFifo(request.shape(), depth=self.ROOM)
        connect(m, flipped(self.i), fifo.i)
        request, access = fifo.o.payload, Signal(self.o.payload.shape())
        place = access.place
        m.d.comb += split(request.address if self.writes else request, place, geometry)
        crosses = place.offset > word - self.width
        if self.writes:
            mask, bytes_ = Signal(2 * word), Cat(request.data.as_value(), Const(0, 8 * (word - self.width)))
            m.d.comb += [
                mask.eq(request.mask << place.offset),
                access.low_mask.eq(mask[:word]),
                access.high_mask.eq(mask[word:]),
                access.data.eq(rotated(m, bytes_, place.offset, left=True, name="data")),
            ]
            crosses = access.high_mask != 0
        one_hot(m, place.bank, geometry, begins=1, crosses=crosses, place=place, name="first")
        moves = ~self.o.valid | self.o.ready
        m.d.comb += fifo.o.ready.eq(moves)
        held = Signal(access.shape(), reset_less=True)
        m.d.comb += self.o.payload.eq(held)
        with m.If(moves):
            m.d.sync += [self.o.valid.eq(fifo.o.valid), held.eq(access)]
        return m
