"""Joins what the stages know of an execute command into its record."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.feed.feed_monitor import FEED_WINDOW
from hw.npu.interface.records import RECORD_LAYOUT
from hw.npu.parts.delay import delayed
from hw.npu.parts.fifo import StreamFifo
from hw.npu.parts.promise import promise
from hw.npu.parts.stream_register import steady


class ExecuteRecords(wiring.Component):
    """One record for each retired command, in order. Its bytes are summed in two steps, so that it comes a cycle after its last part.

    Parameters
    ----------
    cols : int
        Bytes of a row of weights.
    depth : int
        Commands between dispatch and record, at most.

    Members
    -------
    window : In(stream of FEED_WINDOW)
        From the feed monitor, in order. That of a DEPTHWISE may come after its command retires: the positions behind its last output are
        steps, too.
    loader_end, loader_rows : In(1), In(unsigned(32))
        The weight loader asked for the last row of a command; rows read since the reset, one cycle later.
    retire : In(1)
        The oldest command is complete.
    read_bytes, written_bytes : In(unsigned(32)), In(unsigned(32))
        Bytes of second operands and results, valid with ``retire``.
    record : Out(stream of RECORD_LAYOUT)
        Records.
    """

    def __init__(self, *, cols, depth):
        self.cols, self.depth = cols, depth
        super().__init__({
            "window": In(stream.Signature(FEED_WINDOW)),
            "loader_end": In(1),
            "loader_rows": In(unsigned(32)),
            "retire": In(1),
            "read_bytes": In(unsigned(32)),
            "written_bytes": In(unsigned(32)),
            "record": Out(stream.Signature(RECORD_LAYOUT)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.weights = weights = StreamFifo(unsigned(32), depth=self.depth)
        moved = data.StructLayout({"read": unsigned(32), "written": unsigned(32)})
        m.submodules.retired = retired = StreamFifo(moved, depth=self.depth)
        ended = Signal()
        counted = Signal(32)
        m.d.sync += ended.eq(self.loader_end)
        with m.If(ended):
            m.d.sync += counted.eq(self.loader_rows)
        m.d.comb += [
            weights.i.valid.eq(ended),
            weights.i.payload.eq(self.loader_rows - counted),
            retired.i.valid.eq(self.retire),
            retired.i.payload.read.eq(self.read_bytes),
            retired.i.payload.written.eq(self.written_bytes),
        ]
        window, record = self.window.payload, self.record.payload
        present = self.window.valid & weights.o.valid & retired.o.valid
        present = steady(m, present, self.record.valid & self.record.ready, 1, name="present")
        beside = delayed(m, (weights.o.payload * self.cols + retired.o.payload.read)[:32], 1, name="beside")
        read_bytes = window.sram_read_bytes + beside
        taken = present & self.record.ready
        m.d.comb += [
            self.record.valid.eq(present),
            self.window.ready.eq(taken),
            weights.o.ready.eq(taken),
            retired.o.ready.eq(taken),
            record.sram_read_bytes.eq(read_bytes),
            record.sram_write_bytes.eq(retired.o.payload.written),
        ]
        promise(m, self, ~weights.i.valid | weights.i.ready, "there is room for the rows of every command")
        promise(m, self, ~self.retire | retired.i.ready, "there is room for every command that retires")
        shared = [name for name, _ in RECORD_LAYOUT if name in dict(FEED_WINDOW) and name != "sram_read_bytes"]
        m.d.comb += [record[name].eq(window[name]) for name in shared]
        return m
