"""From bursts and their beats to the write channels of AXI4."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi import BURST_INCR, WriteChannels
from hw.soc.bursts import burst_layout


class BurstWriter(wiring.Component):
    """Sends each burst's address and beats, in any order of the two, and takes the responses; one burst after the other.

    A beat a cycle; a burst takes as many cycles as it has beats, no gap behind it where the address was taken in time. No latency:
    address and beats are those of the streams. Responses are counted only: their code says nothing that a camera could mend.

    Parameters
    ----------
    address_bits, data_bits : int
        Widths of the channels.
    outstanding : int
        Addresses sent whose response has not come, at most; at least 1.

    Members
    -------
    bursts : In(stream of burst_layout)
        What to write; taken when its address and its last beat are.
    beats : In(stream of data_bits)
        All bytes of it; taken only for the burst that is offered.
    axi : Out(WriteChannels)
        Size and kind of burst are constant; B is always ready.
    unanswered : Out(range(outstanding + 1))
        Addresses whose response has not come.
    """

    def __init__(self, *, address_bits, data_bits, outstanding):
        if outstanding < 1:
            raise ValueError(f"BurstWriter outstanding must be at least 1, not {outstanding}")
        self.data_bits, self.outstanding = data_bits, outstanding
        super().__init__({
            "bursts": In(stream.Signature(burst_layout(address_bits))),
            "beats": In(stream.Signature(unsigned(data_bits))),
            "axi": Out(WriteChannels(address_bits=address_bits, data_bits=data_bits)),
            "unanswered": Out(range(outstanding + 1)),
        })
        self.address_sent = Signal()
        self.beats_sent = Signal()
        self.number = Signal(8)
        """Of the burst that is offered: its address was taken, all its beats were; beats taken before this one."""

    def elaborate(self, platform):
        m = Module()
        aw, w, b = self.axi.aw, self.axi.w, self.axi.b
        burst = self.bursts.payload
        allowed = self.bursts.valid & (self.address_sent | (self.unanswered != self.outstanding))
        m.d.comb += [
            aw.valid.eq(allowed & ~self.address_sent),
            aw.payload.id.eq(burst.id),
            aw.payload.addr.eq(burst.addr),
            aw.payload.len.eq(burst.len),
            aw.payload.size.eq((self.data_bits // 8 - 1).bit_length()),
            aw.payload.burst.eq(BURST_INCR),
            w.valid.eq(allowed & ~self.beats_sent & self.beats.valid),
            w.payload.data.eq(self.beats.payload),
            w.payload.strb.eq((1 << self.data_bits // 8) - 1),
            w.payload.last.eq(self.number == burst.len),
            self.beats.ready.eq(w.ready & allowed & ~self.beats_sent),
            b.ready.eq(1),
        ]
        address_taken, beat_taken = aw.valid & aw.ready, w.valid & w.ready
        last_taken = beat_taken & w.payload.last
        m.d.comb += self.bursts.ready.eq((self.address_sent | address_taken) & (self.beats_sent | last_taken))
        with m.If(self.bursts.ready):
            m.d.sync += [self.address_sent.eq(0), self.beats_sent.eq(0)]
        with m.Else():
            m.d.sync += [self.address_sent.eq(self.address_sent | address_taken), self.beats_sent.eq(self.beats_sent | last_taken)]
        with m.If(last_taken):
            m.d.sync += self.number.eq(0)
        with m.Elif(beat_taken):
            m.d.sync += self.number.eq(self.number + 1)
        m.d.sync += self.unanswered.eq(self.unanswered + address_taken - b.valid)
        return m
