"""The end of the output stage: a place for every vector on its way, and the writes in their order."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.npu.interface.ports import slot_layout, write_layout, write_port
from hw.npu.parts.fifo import StreamFifo
from hw.npu.parts.promise import promise, promise_stream


class WriteSlots(wiring.Component):
    """A queue of writes whose places are reserved when the vector is issued and filled when its data arrive, in the same order.

    So the pipeline in between needs no stall. One vector a cycle. A vector filled in one cycle goes in the next into a queue of writes, and
    can be written in the one after; that a write was accepted is known a cycle later.

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
    claim : In(1)
        Takes it; only while ``free``.
    reserve, slot : In(1), In(slot_layout(lanes))
        The place that was claimed is for this; in the order of the claims.
    fill, vector : In(1), In(signed(8)).array(lanes)
        The data of the oldest reserved place that has none; it may be reserved in the same cycle.
    write : Out(write_port(lanes))
        To the scratchpad; the mask has a bit for each byte that counts.
    accepted, accepted_slot : Out(1), Out(slot_layout(lanes))
        A write was accepted in the cycle before, and its place.
    empty : Out(1)
        No place is taken, as is known two cycles after a claim.

    Raises
    ------
    ValueError
        If ``slots`` is below 2.
    """

    LATENCY = 2
    """Cycles from ``fill`` to a write."""
    SPARE = 6
    """Places for what is not yet known: claims, two cycles; writes that were accepted, and those in the queue."""
    QUEUE = 2
    """Writes in the queue."""

    def __init__(self, *, lanes, slots):
        if slots < 2:
            raise ValueError(f"WriteSlots slots must be at least 2, not {slots}")
        self.lanes, self.slots = lanes, slots
        super().__init__({
            "free": Out(1),
            "claim": In(1),
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
        reserve = known.write_port()
        fill = filled.write_port()
        known_oldest = known.read_port(domain="comb")
        filled_oldest = filled.read_port(domain="comb")
        # places claimed; of these, filled
        taken = Signal(range(self.slots + 1))
        waiting = Signal(range(self.slots + 1))
        newest, next_fill, oldest = (Signal(range(self.slots), name=name) for name in ("newest", "next_fill", "oldest"))
        m.d.comb += [
            reserve.en.eq(self.reserve),
            reserve.addr.eq(newest),
            reserve.data.eq(self.slot),
            fill.en.eq(self.fill),
            fill.addr.eq(next_fill),
            *(fill.data.word_select(lane, 8).eq(self.vector[lane]) for lane in range(self.lanes)),
            known_oldest.addr.eq(oldest),
            filled_oldest.addr.eq(oldest),
        ]
        leaves = self._write(m, known_oldest.data, filled_oldest.data, taken, waiting)
        for place, moves in ((newest, self.reserve), (next_fill, self.fill), (oldest, leaves)):
            with m.If(moves):
                m.d.sync += place.eq(Mux(place == self.slots - 1, 0, place + 1))
        self._promise(m, taken, waiting)
        return m

    def _promise(self, m, taken, waiting):
        promise(m, self, ~self.claim | self.free, "a place is taken only while one is free")
        promise(m, self, ~self.fill | self.reserve | (waiting != taken), "data come only for a place that is taken and has none")
        promise(m, self, taken <= self.slots, "no more places are taken than there are")
        promise_stream(m, self, self.write, name="write")

    def _write(self, m, slot, vector, taken, waiting):
        """The oldest place goes into a queue, whose handshake is known a cycle later. Gives whether the oldest place goes there."""
        layout = data.StructLayout({"slot": slot_layout(self.lanes), "write": write_layout(self.lanes)})
        m.submodules.queue = queue = StreamFifo(layout, depth=self.QUEUE)
        write = queue.i.payload.write
        accepted = Signal()
        leaves = Signal()
        m.d.comb += [
            queue.i.valid.eq(waiting != 0),
            leaves.eq(queue.i.valid & queue.i.ready),
            queue.i.payload.slot.eq(slot),
            write.address.eq(slot.address),
            write.data.eq(vector),
            write.mask.eq(Cat(lane < slot.bytes for lane in range(self.lanes))),
            self.write.valid.eq(queue.o.valid),
            self.write.payload.eq(queue.o.payload.write),
            queue.o.ready.eq(self.write.ready),
            accepted.eq(queue.o.valid & queue.o.ready),
        ]
        m.d.sync += [
            self.accepted.eq(accepted),
            self.accepted_slot.eq(queue.o.payload.slot),
            taken.eq(taken + self.claim - self.accepted),
            waiting.eq(waiting + self.fill - leaves),
            self.free.eq(taken < self.slots - 1),  # one may be claimed meanwhile
            self.empty.eq(taken == 0),
        ]
        return leaves
