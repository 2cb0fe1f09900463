"""Read gate: a master asks for no more than it has room for, so that the bus never waits for it."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi import ReadChannels, read_layout
from hw.soc.beat_buffer import BeatBuffer


class ReadGate(wiring.Component):
    """Between a master and the interconnect: an address goes on when there is room for the whole burst.

    A master that is slow to take its data would hold up the data of all others, which come through the same port. Here they are
    put by: ``port.r.ready`` is high whenever a beat comes that was asked for. A beat a cycle; an address is not delayed once there is
    room, data come `BeatBuffer.LATENCY` cycles later. Addresses and data keep their order; IDs are the master's business.

    ::

        master.AR ----[ room for len + 1 beats? ]----> port.AR
        master.R  <--------- buffer (depth) <--------- port.R

    Parameters
    ----------
    address_bits, data_bits : int
        Widths of the channels.
    depth : int
        Beats asked for and not taken by the master, 1 to 4096. At least the master's longest burst, or that burst waits for ever.
        A master gets its full rate where it covers the memory's latency (in beats) and a burst more.

    Members
    -------
    master : In(ReadChannels)
        Whom the gate is for.
    port : Out(ReadChannels)
        Towards the interconnect.
    """

    def __init__(self, *, address_bits, data_bits, depth):
        if not 1 <= depth <= 4096:
            raise ValueError(f"ReadGate depth must be 1 to 4096, not {depth}")
        self.depth, self.data_bits = depth, data_bits
        channels = ReadChannels(address_bits=address_bits, data_bits=data_bits)
        super().__init__({"master": In(channels), "port": Out(channels)})
        self.room = Signal(range(depth + 1), init=depth)
        """Beats that may still be asked for: ``depth`` less those under way and those in the buffer."""
        self.buffered = Signal(range(depth + 2))
        """Beats in the buffer."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = BeatBuffer(read_layout(self.data_bits), depth=self.depth)
        wiring.connect(m, wiring.flipped(self.port.r), buffer.i)
        wiring.connect(m, buffer.o, wiring.flipped(self.master.r))
        m.d.comb += self.buffered.eq(buffer.level)

        ar = self.master.ar
        fits = Signal()
        m.d.comb += [
            fits.eq(self.room > ar.payload.len),  # for good: room shrinks by an address only
            self.port.ar.payload.eq(ar.payload),
            self.port.ar.valid.eq(ar.valid & fits),
            ar.ready.eq(self.port.ar.ready & fits),
        ]
        asked = Mux(self.port.ar.valid & self.port.ar.ready, ar.payload.len + 1, 0)
        m.d.sync += self.room.eq(self.room - asked + (self.master.r.valid & self.master.r.ready))
        return m
