"""Record writer: puts the records of the commands into DDR."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi import BURST_INCR, RESP_OKAY, WriteChannels, lane_bits
from hw.npu.interface.isa import Error
from hw.npu.interface.queued import INDEX_BITS
from hw.npu.interface.records import RECORD_BYTES, RECORD_LAYOUT
from hw.npu.interface.status import ERROR_LAYOUT, latch
from hw.npu.parts.fifo import StreamFifo
from hw.npu.parts.promise import promise, promise_stream


class RecordWriter(wiring.Component):
    """Writes each record to ``record_base + 64 * index``, or swallows it; the sources take turns.

    A record leaves its source for a register, out of which its beats are shifted. It takes ``64 / axi_bytes + 2`` cycles; responses are
    not waited for, up to `OUTSTANDING` bursts.

    Parameters
    ----------
    sources : int
        Streams of records, at least 1.
    axi_bytes, address_bits, max_burst : int
        Bytes of a beat, width of an address, beats of the longest burst.

    Members
    -------
    records : In(stream of RECORD_LAYOUT), one for each source
        What the units have to tell.
    enable : In(1)
        Write the records; steady during a job.
    record_base : In(address_bits)
        Where record 0 goes, a multiple of 64.
    axi : Out(WriteChannels)
        AW, W and B.
    halt : In(1)
        Start no further burst, finish the present one without strobes, swallow the rest. Stays up until reset.
    outstanding : Out(range(OUTSTANDING + 1))
        Bursts whose address is offered or accepted, and whose response has not come.
    idle : Out(1)
        No record is waiting or on its way.
    progress : Out(1)
        Something moved in this cycle.
    error : Out(ERROR_LAYOUT)
        AXI_WRITE, with the index of the record's command.
    """

    OUTSTANDING = 4

    def __init__(self, *, sources, axi_bytes, address_bits, max_burst):
        if sources < 1:
            raise ValueError(f"RecordWriter sources must be at least 1, not {sources}")
        if not 1 <= axi_bytes <= RECORD_BYTES:
            raise ValueError(f"RecordWriter axi_bytes must be from 1 to {RECORD_BYTES}, not {axi_bytes}")
        self.sources, self.axi_bytes = sources, axi_bytes
        self.burst_beats = min(max_burst, RECORD_BYTES // axi_bytes)
        super().__init__({
            "records": In(stream.Signature(RECORD_LAYOUT)).array(sources),
            "enable": In(1),
            "record_base": In(address_bits),
            "axi": Out(WriteChannels(address_bits=address_bits, data_bits=8 * axi_bytes)),
            "halt": In(1),
            "outstanding": Out(range(self.OUTSTANDING + 1)),
            "idle": Out(1),
            "progress": Out(1),
            "error": Out(ERROR_LAYOUT),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.in_flight = in_flight = StreamFifo(data.StructLayout({"index": unsigned(INDEX_BITS)}), depth=self.OUTSTANDING)
        aw, w, b = self.axi.aw, self.axi.w, self.axi.b
        waiting = Cat(source.valid for source in self.records).any()
        swallow = ~self.enable | self.halt
        m.d.comb += [
            aw.payload.size.eq(lane_bits(self.axi_bytes)),
            aw.payload.burst.eq(BURST_INCR),
            aw.payload.len.eq(self.burst_beats - 1),
        ]
        with m.If(aw.ready):
            m.d.sync += aw.valid.eq(0)
        inside = self._shift(m, in_flight.i, swallow, waiting)
        unstrobed = Signal()  # strobes of an offered beat may not change: the halt counts from the next beat
        m.d.sync += unstrobed.eq(self.halt & ~(w.valid & ~w.ready) | (unstrobed & self.halt))
        m.d.comb += [
            w.payload.strb.eq(Mux(unstrobed, 0, (1 << self.axi_bytes) - 1)),
            b.ready.eq(in_flight.o.valid),
            in_flight.o.ready.eq(b.valid),
            self.outstanding.eq(in_flight.level),
            self.idle.eq(~in_flight.o.valid & ~inside & ~waiting),
            self.progress.eq((aw.valid & aw.ready) | (w.valid & w.ready) | (b.valid & b.ready) | (swallow & waiting)),
        ]
        promise_stream(m, self, aw, name="aw")
        promise_stream(m, self, w, name="w")
        promise(m, self, ~b.valid | in_flight.o.valid, "a response answers a burst that is under way")
        latch(m, self.error, b.valid & b.ready & (b.payload.resp != RESP_OKAY), Error.AXI_WRITE, in_flight.o.payload.index)
        return m

    def _shift(self, m, burst, swallow, waiting):
        """Takes a record into a register and shifts its beats out; gives whether there is one."""
        aw, w = self.axi.aw, self.axi.w
        beats = RECORD_BYTES // self.axi_bytes
        turn = Signal(range(self.sources))
        beat = Signal(range(beats))
        following = Mux(turn == self.sources - 1, 0, turn + 1)
        index = Signal(INDEX_BITS, reset_less=True)
        valid = Array(source.valid for source in self.records)
        present = Array(source.payload.as_value() for source in self.records)[turn]
        record = Signal(8 * RECORD_BYTES, reset_less=True)
        m.d.comb += [
            burst.payload.index.eq(index),
            w.payload.data.eq(record[: 8 * self.axi_bytes]),
            w.payload.last.eq((beat & (self.burst_beats - 1)) == self.burst_beats - 1),
        ]
        with m.FSM() as fsm:
            # Ends when a source has a record: it is taken. Swallowing takes all.
            with m.State("WAIT_RECORD"):
                m.d.sync += [record.eq(present), index.eq(RECORD_LAYOUT(present).index)]
                with m.If(swallow):
                    m.d.comb += [source.ready.eq(1) for source in self.records]
                with m.Elif(valid[turn]):
                    m.d.comb += [source.ready.eq(turn == number) for number, source in enumerate(self.records)]
                    m.d.sync += turn.eq(following)
                    m.next = "WAIT_BURST"
                with m.Elif(waiting):  # stands still between records, so that a job's cycles do not depend on when it starts
                    m.d.sync += turn.eq(following)
            # Ends when there is room for the burst: its address goes out. With a halt, nothing more of the record does.
            with m.State("WAIT_BURST"):
                with m.If(self.halt):
                    m.next = "WAIT_RECORD"
                with m.Else():
                    m.d.comb += burst.valid.eq(~aw.valid)
                    with m.If(burst.valid & burst.ready):
                        address = (self.record_base + (index << lane_bits(RECORD_BYTES))) | (beat << lane_bits(self.axi_bytes))
                        m.d.sync += [aw.valid.eq(1), aw.payload.addr.eq(address)]
                        m.next = "WRITE"
            # Ends with the last beat of the burst.
            with m.State("WRITE"):
                m.d.comb += w.valid.eq(1)
                with m.If(w.ready):
                    m.d.sync += [beat.eq(beat + 1), record.eq(record >> 8 * self.axi_bytes)]
                with m.If(w.valid & w.ready & w.payload.last):
                    m.next = "WAIT_BURST"
                    with m.If(beat == beats - 1):
                        m.d.sync += beat.eq(0)
                        m.next = "WAIT_RECORD"
        return ~fsm.ongoing("WAIT_RECORD")
