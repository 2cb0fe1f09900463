"""The end of the output stage: a place for every vector on its way, and the writes in their order."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.npu.ports import ADDRESS_BITS, write_port


def slot_layout(lanes) -> data.StructLayout:
    """What is known when a vector is issued: address, bytes that count, whether it is the last of its command."""
    return data.StructLayout({"address": unsigned(ADDRESS_BITS), "bytes": range(lanes + 1), "last": unsigned(1)})


class WriteSlots(wiring.Component):
    """A queue of writes whose places are reserved when the vector is issued and filled when its data arrive, in the same order.

    So the pipeline in between needs no stall. A vector filled in one cycle can be written in the next; one vector a cycle.

    Parameters
    ----------
    lanes : int
        Bytes of a vector.
    slots : int
        Vectors on their way or waiting, at least 2.

    Members
    -------
    free : Out(1)
        There is a place.
    reserve, slot : In(1), In(slot_layout(lanes))
        Takes it; only while ``free``.
    fill, vector : In(1), In(signed(8)).array(lanes)
        The data of the oldest reserved place that has none.
    write : Out(write_port(lanes))
        To the scratchpad; the mask has a bit for each byte that counts.
    accepted, accepted_slot : Out(1), Out(slot_layout(lanes))
        A write is accepted in this cycle, and its place.
    empty : Out(1)
        No place is taken.

    Raises
    ------
    ValueError
        If ``slots`` is below 2.
    """

    def __init__(self, *, lanes, slots):
        if slots < 2:
            raise ValueError(f"WriteSlots slots must be at least 2, not {slots}")
        self.lanes, self.slots = lanes, slots
        super().__init__({
            "free": Out(1),
            "reserve": In(1),
            "slot": In(slot_layout(lanes)),
            "fill": In(1),
            "vector": In(signed(8)).array(lanes),
            "write": Out(write_port(lanes)),
            "accepted": Out(1),
            "accepted_slot": Out(slot_layout(lanes)),
            "empty": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.known = known = Memory(shape=slot_layout(self.lanes), depth=self.slots, init=[])
        m.submodules.filled = filled = Memory(shape=unsigned(8 * self.lanes), depth=self.slots, init=[])
        reserve, fill = known.write_port(), filled.write_port()
        known_oldest, filled_oldest = known.read_port(domain="comb"), filled.read_port(domain="comb")
        taken, waiting = Signal(range(self.slots + 1)), Signal(range(self.slots + 1))  # places reserved; of these, filled
        newest, next_fill, oldest = (Signal(range(self.slots), name=name) for name in ("newest", "next_fill", "oldest"))
        m.d.comb += [
            self.free.eq(taken != self.slots),
            self.empty.eq(taken == 0),
            reserve.en.eq(self.reserve),
            reserve.addr.eq(newest),
            reserve.data.eq(self.slot),
            fill.en.eq(self.fill),
            fill.addr.eq(next_fill),
            *(fill.data.word_select(lane, 8).eq(self.vector[lane]) for lane in range(self.lanes)),
            known_oldest.addr.eq(oldest),
            filled_oldest.addr.eq(oldest),
            self.write.valid.eq(waiting != 0),
            self.write.payload.address.eq(self.accepted_slot.address),
            self.write.payload.data.eq(filled_oldest.data),
            self.write.payload.mask.eq(Cat(lane < self.accepted_slot.bytes for lane in range(self.lanes))),
            self.accepted.eq(self.write.valid & self.write.ready),
            self.accepted_slot.eq(known_oldest.data),
        ]
        m.d.sync += [taken.eq(taken + self.reserve - self.accepted), waiting.eq(waiting + self.fill - self.accepted)]
        for place, moves in ((newest, self.reserve), (next_fill, self.fill), (oldest, self.accepted)):
            with m.If(moves):
                m.d.sync += place.eq(Mux(place == self.slots - 1, 0, place + 1))
        return m
