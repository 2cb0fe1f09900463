"""Beat reader: the store DMA's way from a burst to its beats on W."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.dma.bursts import BeatWalker, run_layout
from hw.npu.interface import axi
from hw.npu.interface.axi import lane_bits
from hw.npu.interface.ports import ReadPort
from hw.npu.parts.fifo import StreamFifo
from hw.npu.parts.stream_register import StreamRegister, registered


class BeatReader(wiring.Component):
    """Reads the bytes of each burst from the scratchpad and offers them as beats. One beat a cycle, bursts without a gap.

    ::

        runs -> register -> BeatWalker -+-> register -> read request ~~ read_latency ~~> answers -+
                                        +-> lanes ------------------------------------------------+-> beat register -> w

    An answer cannot be refused: a read is requested only while there is room for its answer.

    Parameters
    ----------
    axi_bytes : int
        Bytes of a beat.
    read_latency : int
        Cycles from a request to its answer, at least 1; ``2 * read_latency + 6`` answers have room.

    Members
    -------
    runs : In(stream of run_layout)
        Bursts, in order.
    port : Out(ReadPort)
        The scratchpad: any byte address.
    w : Out(stream of axi.write_layout)
        Their beats.
    blank : In(1)
        Strobes of the beats that are not yet offered become zero.
    read : Out(1)
        A beat was requested in this cycle.
    """

    def __init__(self, *, axi_bytes, read_latency):
        if read_latency < 1:
            raise ValueError(f"BeatReader read_latency must be at least 1, not {read_latency}")
        self.axi_bytes, self.buffer = axi_bytes, 2 * read_latency + 6
        super().__init__({
            "runs": In(stream.Signature(run_layout(axi_bytes))),
            "port": Out(ReadPort(axi_bytes)),
            "w": Out(stream.Signature(axi.write_layout(8 * axi_bytes))),
            "blank": In(1),
            "read": Out(1),
        })
        self.room = Signal(range(self.buffer + 1), init=self.buffer)
        """Answers that have room: the buffer, less what is in it or on its way."""
        self.levels = tuple(Signal(range(self.buffer + 1), name=f"{held}_held") for held in ("lanes", "answers"))
        """Lanes and answers held: for proofs."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.walker = walker = BeatWalker(axi_bytes=self.axi_bytes)
        m.submodules.lanes = lanes = StreamFifo(
            data.StructLayout({"skip": unsigned(lane_bits(self.axi_bytes)), "strb": unsigned(self.axi_bytes), "last": unsigned(1)}),
            depth=self.buffer,
        )
        m.submodules.answers = answers = StreamFifo(unsigned(8 * self.axi_bytes), depth=self.buffer)
        wiring.connect(m, registered(m, self.runs, name="run"), walker.runs)
        m.submodules.request = register = StreamRegister(self.port.request.payload.shape())
        wiring.connect(m, register.o, wiring.flipped(self.port.request))
        request, beat, room = register.i, walker.beats.payload, self.room != 0
        m.d.comb += [
            self.levels[0].eq(lanes.level),
            self.levels[1].eq(answers.level),
            request.payload.eq(beat.address),
            request.valid.eq(walker.beats.valid & room),
            walker.beats.ready.eq(request.ready & room),
            self.read.eq(request.valid & request.ready),
            lanes.i.valid.eq(self.read),
            lanes.i.payload.skip.eq(beat.skip),
            lanes.i.payload.strb.eq(beat.lanes),
            lanes.i.payload.last.eq(beat.last),
            answers.i.valid.eq(self.port.valid),
            answers.i.payload.eq(self.port.data),
        ]
        sent = Signal()
        place = lanes.o.payload
        w = self.w
        m.d.comb += [
            sent.eq(answers.o.valid & (~w.valid | w.ready)),
            answers.o.ready.eq(sent),
            lanes.o.ready.eq(sent),
        ]
        m.d.sync += self.room.eq(self.room - self.read + sent)
        with m.If(sent):
            m.d.sync += [
                w.valid.eq(1),
                w.payload.data.eq(answers.o.payload << (place.skip << 3)),
                w.payload.strb.eq(Mux(self.blank, 0, place.strb)),
                w.payload.last.eq(place.last),
            ]
        with m.Elif(w.ready):
            m.d.sync += w.valid.eq(0)
        return m
