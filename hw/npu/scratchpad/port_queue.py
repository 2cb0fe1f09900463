"""Where the accesses of a port wait for their banks, ready to be made."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.npu.interface.ports import ADDRESS_BITS, write_layout
from hw.npu.parts.fifo import StreamFifo
from hw.npu.parts.promise import promise_stream
from hw.npu.scratchpad.bank_place import one_hot, rotated, split


def access_layout(geometry, *, writes) -> data.StructLayout:
    """An access: its place; a write's bytes, each in its lane of a word, and which of them count in its first word and in the next."""
    layout = {"place": geometry.layout}
    if writes:
        layout |= {"data": unsigned(8 * geometry.word), "low_mask": unsigned(geometry.word), "high_mask": unsigned(geometry.word)}
    return data.StructLayout(layout)


class PortQueue(wiring.Component):
    """Takes requests and places them among the banks: one a cycle, the first after `LATENCY` cycles. ::

        i --> two, and one as they came --> placed --> spare --> o

    Both handshakes are cut by registers: of what is placed, one waits at the end, and one in ``spare`` when that does not leave.

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
    banks : Out(banks)
        Banks that the access at the end needs, 0 if there is none.
    """

    LATENCY = 3
    CAME = 2
    ROOM = CAME + 3
    """Requests inside, at most."""

    def __init__(self, *, width, geometry, writes):
        if width > geometry.word:
            raise ValueError(f"PortQueue width {width} must be at most a word of {geometry.word} bytes")
        self.width, self.geometry, self.writes = width, geometry, writes
        super().__init__({
            "i": In(stream.Signature(write_layout(width) if writes else unsigned(ADDRESS_BITS))),
            "o": Out(stream.Signature(access_layout(geometry, writes=writes))),
            "banks": Out(geometry.banks),
        })

    def elaborate(self, platform):
        m = Module()
        geometry, word, request = self.geometry, self.geometry.word, self.i.payload
        m.submodules.fifo = fifo = StreamFifo(request.shape(), depth=self.CAME)
        connect(m, flipped(self.i), fifo.i)
        spared = Signal()
        came = Signal()
        request = Signal(request.shape(), name="request", reset_less=True)
        access = Signal(self.o.payload.shape())
        with m.If(~spared):
            m.d.sync += [request.eq(fifo.o.payload), came.eq(fifo.o.valid)]
        place = access.place
        m.d.comb += split(request.address if self.writes else request, place, geometry)
        crosses = place.offset > word - self.width
        if self.writes:
            mask = Signal(2 * word)
            bytes_ = Cat(request.data.as_value(), Const(0, 8 * (word - self.width)))
            m.d.comb += [
                mask.eq(request.mask << place.offset),
                access.low_mask.eq(mask[:word]),
                access.high_mask.eq(mask[word:]),
                access.data.eq(rotated(m, bytes_, place.offset, left=True, name="data")),
            ]
            crosses = access.high_mask != 0
        one_hot(m, place.bank, geometry, begins=1, crosses=crosses, place=place, name="first")
        held, spare = (Signal(access.shape(), name=name, reset_less=True) for name in ("held", "spare"))
        moves = ~self.o.valid | self.o.ready
        following = Signal(access.shape())
        m.d.comb += [
            fifo.o.ready.eq(~spared),
            self.o.payload.eq(held),
            following.eq(Mux(spared, spare, access)),
        ]
        there = spared | came
        with m.If(~spared):
            m.d.sync += spare.eq(access)
        with m.If(moves):
            m.d.sync += [
                held.eq(following),
                self.banks.eq(Mux(there, following.place.low | following.place.high, 0)),
                self.o.valid.eq(there),
                spared.eq(0),
            ]
        with m.Elif(~spared):
            m.d.sync += spared.eq(came)
        promise_stream(m, self, self.o, name="o")
        return m
