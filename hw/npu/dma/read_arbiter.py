"""Read arbiter: command fetch and load DMA share AR and R."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi import ReadChannels
from hw.npu.parts.promise import promise_stream

FETCH_ID, LOAD_ID = 0, 1
"""ID of the transactions of each master."""


class ReadArbiter(wiring.Component):
    """Two masters on one read port, told apart by ID; the first goes first.

    An address is registered once (one a cycle), data passes straight through. The first master must not ask without end: the command
    fetch has room for a few commands only.

    Parameters
    ----------
    address_bits, data_bits : int
        Widths of the port.

    Members
    -------
    fetch, load : In(ReadChannels)
        The masters; the IDs that they give are replaced.
    port : Out(ReadChannels)
        The bus.
    """

    def __init__(self, *, address_bits, data_bits):
        channels = ReadChannels(address_bits=address_bits, data_bits=data_bits)
        super().__init__({"fetch": In(channels), "load": In(channels), "port": Out(channels)})

    def elaborate(self, platform):
        m = Module()
        ar, r = self.port.ar, self.port.r
        free = Signal()
        fetch_first = self.fetch.ar.valid
        m.d.comb += [
            free.eq(~ar.valid | ar.ready),
            self.fetch.ar.ready.eq(free),
            self.load.ar.ready.eq(free & ~fetch_first),
        ]
        with m.If(free):
            chosen = Mux(fetch_first, self.fetch.ar.payload, self.load.ar.payload)
            m.d.sync += [
                ar.valid.eq(self.fetch.ar.valid | self.load.ar.valid),
                ar.payload.eq(chosen),
                ar.payload.id.eq(Mux(fetch_first, FETCH_ID, LOAD_ID)),
            ]
        masters = (self.fetch, FETCH_ID), (self.load, LOAD_ID)
        for master, number in masters:
            m.d.comb += [master.r.payload.eq(r.payload), master.r.valid.eq(r.valid & (r.payload.id == number))]
        # of a beat that is there: an ID without a beat means nothing, and may be unknown in a simulation
        m.d.comb += r.ready.eq(Cat(master.r.valid & master.r.ready for master, _ in masters).any())
        promise_stream(m, self, ar, name="ar")
        return m
