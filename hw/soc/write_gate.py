"""Write gate: a master asks for the bus when it has all beats of its burst, so that a granted burst never waits for it."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi import WriteChannels, address_layout, response_layout, write_layout
from hw.npu.parts.fifo import StreamFifo
from hw.soc.beat_buffer import BeatBuffer


class WriteGate(wiring.Component):
    """Between a master and the interconnect: an address goes on when its beats are all here, and there is room for the response.

    The beats of a burst stay together on the port, so a master that makes them slowly would hold up everybody. Behind the gate
    ``port.w.valid`` is high from the cycle after an address was accepted until the last beat of its burst has passed, and
    ``port.b.ready`` whenever a response comes. A beat and an address a cycle; a burst is offered in the cycle after its last beat came.

    ::

        master.AW --> addresses (bursts) --[ whole burst here? room for B? ]--> port.AW
        master.W  --> beats (depth) ------------------------------------------> port.W
        master.B  <-- responses (outstanding) <-------------------------------- port.B

    It does not keep beats back: who takes them, the interconnect, takes them for accepted addresses only.

    Parameters
    ----------
    address_bits, data_bits : int
        Widths of the channels.
    depth : int
        Beats held, at least 1. At least the master's longest burst, or that burst waits for ever; twice that, and one burst comes in while
        the one before goes out.
    bursts : int
        Addresses that wait for their beats, at least 1.
    outstanding : int
        Bursts that were accepted and whose response the master has not taken, at least 1.

    Members
    -------
    master : In(WriteChannels)
        Whom the gate is for.
    port : Out(WriteChannels)
        Towards the interconnect.
    """

    def __init__(self, *, address_bits, data_bits, depth, bursts=4, outstanding=16):
        for name, value in {"depth": depth, "bursts": bursts, "outstanding": outstanding}.items():
            if value < 1:
                raise ValueError(f"WriteGate {name} must be at least 1, not {value}")
        self.address_bits, self.data_bits = address_bits, data_bits
        self.depth, self.bursts, self.outstanding = depth, bursts, outstanding
        channels = WriteChannels(address_bits=address_bits, data_bits=data_bits)
        super().__init__({"master": In(channels), "port": Out(channels)})
        self.whole = Signal(range(depth + 2))
        """Bursts of which all beats are here, and whose address has not gone on."""
        self.room = Signal(range(outstanding + 1), init=outstanding)
        """Responses for which there is room."""
        held = {"addresses": bursts, "beats": depth + 1, "responses": outstanding}
        self.levels = tuple(Signal(range(most + 1), name=f"{what}_held") for what, most in held.items())
        """Addresses, beats and responses held."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.addresses = addresses = StreamFifo(address_layout(self.address_bits), depth=self.bursts)
        m.submodules.beats = beats = BeatBuffer(write_layout(self.data_bits), depth=self.depth)
        m.submodules.responses = responses = StreamFifo(response_layout(), depth=self.outstanding)
        wiring.connect(m, wiring.flipped(self.master.aw), addresses.i)
        wiring.connect(m, wiring.flipped(self.master.w), beats.i)
        wiring.connect(m, beats.o, wiring.flipped(self.port.w))
        wiring.connect(m, wiring.flipped(self.port.b), responses.i)
        wiring.connect(m, responses.o, wiring.flipped(self.master.b))
        m.d.comb += [level.eq(held) for level, held in zip(self.levels, (addresses.level, beats.level, responses.level))]

        aw = self.port.aw
        goes = Signal()
        m.d.comb += [
            goes.eq((self.whole != 0) & (self.room != 0)),  # for good: both shrink by an address only
            aw.payload.eq(addresses.o.payload),
            aw.valid.eq(addresses.o.valid & goes),
            addresses.o.ready.eq(aw.ready & goes),
        ]
        accepted = aw.valid & aw.ready
        ended = beats.i.valid & beats.i.ready & beats.i.payload.last
        m.d.sync += [
            self.whole.eq(self.whole + ended - accepted),
            self.room.eq(self.room - accepted + (self.master.b.valid & self.master.b.ready)),
        ]
        return m
