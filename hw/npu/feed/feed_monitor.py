"""What the feeder spends each cycle on, gathered for each command."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.npu.interface.isa import MAX_SPAN, Opcode
from hw.npu.parts.delay import delayed
from hw.npu.parts.fifo import StreamFifo
from hw.npu.parts.promise import promise

FEED_EVENT = data.StructLayout({
    "active": unsigned(1),
    "reads": range(MAX_SPAN + 1),
    "held": unsigned(1),
    "bank": unsigned(1),
    "apart": unsigned(1),
    "command": unsigned(1),
    "ddr_read": unsigned(1),
    "ddr_write": unsigned(1),
    "activations": unsigned(1),
    "output": unsigned(1),
    "weights": unsigned(1),
    "command_end": unsigned(1),
    "index": unsigned(32),
    "opcode": unsigned(8),
})
"""One cycle of the feeder. ``active``: a step was issued that is no filler, ``reads``: ports that read for the step that was issued;
``held``: a step was pending; ``bank`` and ``apart``: it was refused by the scratchpad, or kept apart from the one before; the others: what
the next wave waited for, with nothing or a filler in its place."""

COUNTERS = {
    "active": ("active",),
    "stall_weights": ("weights",),
    "stall_activations": ("activations",),
    "stall_bank": ("bank",),
    "stall_output": ("output", "apart"),
    "stall_ddr_read": ("ddr_read",),
    "stall_ddr_write": ("ddr_write",),
    "stall_command": ("command",),
}
"""Counter of a window, and the events that it counts."""

FEED_WINDOW = data.StructLayout(
    {"index": unsigned(32), "opcode": unsigned(8), "start": unsigned(32), "end": unsigned(32), "sram_read_bytes": unsigned(32)}
    | dict.fromkeys(COUNTERS, unsigned(32))
)
"""The window of one command: cycles ``start`` to ``end - 1``, every one of them active or one stall."""


class FeedMonitor(wiring.Component):
    """Splits the job's cycles into windows, one for each execute command, and counts the events of each.

    A window ends with the last step of its command; the next begins in the next cycle. Two registers stand in front of the counters, the
    first near what they count, so that a window is there three cycles after its last step.

    Parameters
    ----------
    rows, cols : int
        Bytes that a port reads in MATMUL (with 4-bit weights twice as many), and in the other operations.
    depth : int
        Windows held until they are taken: at least the number of commands between feeder and retirement.
    int4 : bool
        There are commands with 4-bit weights.

    Members
    -------
    running : In(1)
        The job is running; before, nothing is counted.
    cycle : In(unsigned(32))
        Cycle of the job.
    event : In(FEED_EVENT)
        The feeder's present cycle.
    window : Out(stream of FEED_WINDOW)
        Finished windows, in order.
    """

    def __init__(self, *, rows, cols, depth, int4=False):
        self.rows, self.cols, self.depth, self.int4 = rows, cols, depth, int4
        super().__init__({
            "running": In(1),
            "cycle": In(unsigned(32)),
            "event": In(FEED_EVENT),
            "window": Out(stream.Signature(FEED_WINDOW)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = fifo = StreamFifo(FEED_WINDOW, depth=self.depth)
        start = Signal(32)
        event, running, cycle = (delayed(m, getattr(self, name), 2, name=name, reset_less=False) for name in ("event", "running", "cycle"))
        finished = fifo.i.payload
        # products before the choice: without a step the opcode may be unknown in a simulation, and 0 times unknown is unknown there
        bytes_read = Mux(event.opcode == Opcode.MATMUL, event.reads * self.rows, event.reads * self.cols)
        if self.int4:
            bytes_read = Mux(event.opcode == Opcode.MATMUL_INT4, event.reads * (2 * self.rows), bytes_read)
        added = {name: sum(event[each] for each in events) for name, events in COUNTERS.items()}
        for name, amount in (added | {"sram_read_bytes": bytes_read}).items():
            counter = Signal(32, name=name)
            total = Signal(32, name=f"{name}_total")
            m.d.comb += [total.eq(counter + amount), finished[name].eq(total)]
            with m.If(event.command_end):
                m.d.sync += counter.eq(0)
            with m.Elif(running):
                m.d.sync += counter.eq(total)
        with m.If(event.command_end):
            m.d.sync += start.eq(cycle + 1)
        m.d.comb += [
            finished.index.eq(event.index),
            finished.opcode.eq(event.opcode),
            finished.start.eq(start),
            finished.end.eq(cycle + 1),
            fifo.i.valid.eq(event.command_end),
        ]
        connect(m, fifo.o, flipped(self.window))
        promise(m, self, ~fifo.i.valid | fifo.i.ready, "there is room for every window that ends")
        return m
