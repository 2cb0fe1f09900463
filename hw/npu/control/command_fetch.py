"""Command fetch: reads the commands of a job from DDR, ahead of the dispatcher."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.control.queues import STREAM_BITS
from hw.npu.interface.axi import RESP_OKAY, ReadChannels, offer_burst
from hw.npu.interface.isa import MOST_UNITS, UNIT_BYTES
from hw.npu.parts.delay import delayed
from hw.npu.parts.fifo import StreamFifo
from hw.npu.parts.stream_register import registered, steady

BLOCK_BYTES = UNIT_BYTES * MOST_UNITS
"""Longest burst: the stream starts at a multiple of it, so that none crosses 4 KiB."""


def word_layout(axi_bytes) -> data.StructLayout:
    """A beat of a command: its bytes, and whether the bus answered with an error."""
    return data.StructLayout({"data": unsigned(8 * axi_bytes), "bad": unsigned(1)})


class CommandFetch(wiring.Component):
    """Reads ``units`` units of 32 bytes from ``commands_base`` on, as beats in order; one beat a cycle.

    It does not look into commands: they are cut at multiples of 128 bytes, or of ``max_burst`` beats if that is less, and the last burst
    ends with the stream, so that not a byte behind it is read. A burst is asked for only while the buffer has room for a whole one,
    so R never waits here: loads on the same channel pass. The length of a burst is found in the cycle before it is asked for.

    Parameters
    ----------
    axi_bytes, address_bits, max_burst : int
        Bytes of a beat, at most 32, width of an address, beats of the longest burst.
    ahead : int
        Blocks of 128 bytes that the buffer holds, a power of two; with a latency of 64 cycles and 64 bits, 8 hide it.

    Members
    -------
    start : In(1)
        Begin; base and length are taken in this cycle.
    commands_base : In(address_bits)
        Address of the first command, a multiple of 128.
    units : In(27)
        Length of the stream, in units of 32 bytes.
    axi : Out(ReadChannels)
        AR and R.
    words : Out(stream of word_layout)
        The commands, ``32 / axi_bytes`` beats a unit.
    halt : In(1)
        No new burst; beats that still come are dropped. Stays up until reset.
    outstanding : Out(range)
        Bursts whose address is offered or accepted, and whose last beat has not come.
    progress : Out(1)
        Something moved in this cycle.
    """

    def __init__(self, *, axi_bytes, address_bits, max_burst, ahead=8):
        if ahead < 1 or ahead & ahead - 1:
            raise ValueError(f"CommandFetch ahead must be a power of two, not {ahead}")
        if not 1 <= axi_bytes <= UNIT_BYTES:
            raise ValueError(f"CommandFetch axi_bytes must be from 1 to {UNIT_BYTES}, not {axi_bytes}")
        self.axi_bytes, self.ahead = axi_bytes, ahead
        self.burst_bytes = min(BLOCK_BYTES, max_burst * axi_bytes)
        self.bursts = ahead * BLOCK_BYTES // self.burst_bytes  # that the buffer holds
        super().__init__({
            "start": In(1),
            "commands_base": In(address_bits),
            "units": In(STREAM_BITS),
            "axi": Out(ReadChannels(address_bits=address_bits, data_bits=8 * axi_bytes)),
            "words": Out(stream.Signature(word_layout(axi_bytes))),
            "halt": In(1),
            "outstanding": Out(range(self.bursts + 1)),
            "progress": Out(1),
        })
        self.room = Signal(range(ahead * BLOCK_BYTES // axi_bytes + 1), init=ahead * BLOCK_BYTES // axi_bytes)
        """Beats that the buffer has room for, those on their way taken off."""
        self.level = Signal.like(self.room, init=0)
        """Beats in the buffer: for proofs."""
        self.missing = Signal(STREAM_BITS + (UNIT_BYTES // axi_bytes - 1).bit_length())
        """Beats not asked for."""
        self.address = Signal(address_bits, reset_less=True)
        """Where they begin, as long as there are any."""

    def elaborate(self, platform):
        m = Module()
        longest = self.burst_bytes // self.axi_bytes
        m.submodules.buffer = buffer = StreamFifo(word_layout(self.axi_bytes), depth=self.bursts * longest)
        ar, r = self.axi.ar, self.axi.r
        per_unit = UNIT_BYTES // self.axi_bytes
        beats = Signal(range(longest + 1))  # of the next burst
        missing, address = self.missing, self.address
        left = buffer.o.valid & buffer.o.ready

        issue = Signal()
        arrived = Signal()
        finished = Signal()
        some = steady(m, missing != 0, issue, 1, name="some")
        m.d.comb += [
            beats.eq(delayed(m, Mux(missing < longest, missing, longest), 1, name="longest")),
            # Room for a whole burst also where the last one is shorter: more than `bursts` would fit beside one that has nearly come.
            issue.eq(some & (self.room >= longest) & (~ar.valid | ar.ready) & ~self.halt),
            r.ready.eq(1),
            arrived.eq(r.valid & r.ready),
            finished.eq(arrived & r.payload.last),
            buffer.i.valid.eq(arrived & ~self.halt),
            buffer.i.payload.data.eq(r.payload.data),
            buffer.i.payload.bad.eq(r.payload.resp != RESP_OKAY),
            self.progress.eq((ar.valid & ar.ready) | arrived | left),
        ]
        m.d.comb += self.level.eq(buffer.level)
        wiring.connect(m, registered(m, buffer.o, name="word"), wiring.flipped(self.words))
        with m.If(self.start):
            m.d.sync += [missing.eq(self.units * per_unit), address.eq(self.commands_base)]
        with m.Elif(issue):
            m.d.sync += [missing.eq(missing - beats), address.eq(address + self.burst_bytes)]
        offer_burst(m, ar, issue, address=address, beats_behind=beats - 1, axi_bytes=self.axi_bytes)
        m.d.sync += [
            self.room.eq(self.room - Mux(issue, beats, 0) + left),
            self.outstanding.eq(self.outstanding + issue - finished),
        ]
        return m
