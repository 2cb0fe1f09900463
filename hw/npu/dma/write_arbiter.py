"""Write arbiter: store DMA and record writer share AW, W and B."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi import WriteChannels
from hw.npu.parts.promise import promise_stream

STORE_ID, RECORD_ID = 0, 1
"""ID of the transactions of each master."""


class WriteArbiter(wiring.Component):
    """Two masters on one write port; bursts alternate where both ask, and beats follow in the order of the addresses.

    An address is registered once (one a cycle). ``order`` holds whose beats come next, oldest first; the oldest master's W is passed
    straight through until its last beat. A beat may come before its address is accepted, never before it is offered.

    ::

        store.AW -+-> AW register ------> AW          store.W -+-> W
        record.AW +-> order (owner of each burst) ------------>+ (selects)

    Parameters
    ----------
    address_bits, data_bits : int
        Widths of the port.
    depth : int
        Bursts whose last beat has not passed, at least 1.

    Members
    -------
    store, record : In(WriteChannels)
        The masters; the IDs that they give are replaced.
    port : Out(WriteChannels)
        The bus.
    """

    def __init__(self, *, address_bits, data_bits, depth=8):
        if depth < 1:
            raise ValueError(f"WriteArbiter depth must be at least 1, not {depth}")
        self.depth = depth
        channels = WriteChannels(address_bits=address_bits, data_bits=data_bits)
        super().__init__({"store": In(channels), "record": In(channels), "port": Out(channels)})
        self.order = Signal(depth)
        """Owner of each burst whose beats are not all through, bit 0 the oldest: `STORE_ID` or `RECORD_ID`; zero behind the level."""
        self.level = Signal(range(depth + 1))
        """Bits of ``order`` that count."""

    def elaborate(self, platform):
        m = Module()
        aw, w, b = self.port.aw, self.port.w, self.port.b

        # Addresses: the one that did not have the last burst goes first.
        last_owner = Signal()
        free = Signal()
        record_turn = Signal()
        m.d.comb += [
            free.eq((~aw.valid | aw.ready) & (self.level != self.depth)),
            record_turn.eq(self.record.aw.valid & (~self.store.aw.valid | (last_owner == STORE_ID))),
            self.record.aw.ready.eq(free & record_turn),
            self.store.aw.ready.eq(free & ~record_turn),
        ]
        granted = free & (self.store.aw.valid | self.record.aw.valid)
        owner = Mux(record_turn, RECORD_ID, STORE_ID)
        with m.If(granted):
            m.d.sync += [
                aw.valid.eq(1),
                last_owner.eq(owner),
                aw.payload.eq(Mux(record_turn, self.record.aw.payload, self.store.aw.payload)),
                aw.payload.id.eq(owner),
            ]
        with m.Elif(aw.ready):
            m.d.sync += aw.valid.eq(0)

        # Beats: from the owner of the oldest burst, until its last.
        oldest, busy = self.order[0], self.level != 0
        m.d.comb += [
            w.payload.eq(Mux(oldest == RECORD_ID, self.record.w.payload, self.store.w.payload)),
            w.valid.eq(busy & Mux(oldest == RECORD_ID, self.record.w.valid, self.store.w.valid)),
            self.store.w.ready.eq(busy & (oldest == STORE_ID) & w.ready),
            self.record.w.ready.eq(busy & (oldest == RECORD_ID) & w.ready),
        ]
        passed = w.valid & w.ready & w.payload.last
        place = (self.level - passed)[: len(self.level)]
        m.d.sync += [
            self.level.eq(place + granted),
            self.order.eq((self.order >> passed) | ((granted & owner) << place)),
        ]

        # Responses: by ID.
        for number, master in enumerate((self.store, self.record)):
            m.d.comb += [master.b.payload.eq(b.payload), master.b.valid.eq(b.valid & (b.payload.id == number))]
        # of a response that is there: an ID without one means nothing, and may be unknown in a simulation
        m.d.comb += b.ready.eq((self.store.b.valid & self.store.b.ready) | (self.record.b.valid & self.record.b.ready))
        promise_stream(m, self, aw, name="aw")
        promise_stream(m, self, w, name="w")
        return m
