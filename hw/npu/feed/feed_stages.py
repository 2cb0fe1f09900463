"""From where the feeder's ports read to requests that are ready to be made: stages that never stall, and a queue behind them."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.npu.feed.feed_gate import CAUSES
from hw.npu.feed.feed_reader import placed_step
from hw.npu.feed.port_positions import port_layout
from hw.npu.feed.port_turns import PortTurns
from hw.npu.feed.port_window import PortWindow
from hw.npu.interface.isa import MAX_SPAN, group_layout
from hw.npu.interface.wave import FEED_STEP
from hw.npu.parts.delay import delayed
from hw.npu.parts.fifo import StreamFifo


class FeedStages(wiring.Component):
    """Windows, banks and turns of a step, then a queue. ::

        ports --> PortWindow --> PortTurns --> queue --> reader
        step --------------------------------> queue

    One step a cycle. The stages do not stall: who sends steps counts those that have not left, `ROOM` at most.

    Parameters
    ----------
    width, size : int
        Bytes of a port, and of the scratchpad.
    geometry : BankGeometry
        Its banks.
    registers : int
        `NpuConfig.stream_registers`.

    Members
    -------
    start, input : In(1), In(group input)
        Begins a command, whose first step comes `PortPositions.LATENCY` cycles later at the earliest, and at least one cycle after the last
        step of the command before; its image, steady for two cycles.
    valid, step, ports : In(1), In(FEED_STEP), In(port_layout(width)).array(MAX_SPAN)
        A step, and where it reads.
    cause : In(CAUSES)
        Why there is none, or what the filler stands for; nothing where no step could be taken.
    o : Out(stream of placed_step(width, geometry))
        Steps.
    missing : Out(CAUSES)
        Why the last cycle without a step had none.
    """

    ROOM = 16

    @staticmethod
    def latency(registers) -> int:
        """Cycles from a step to the queue."""
        return PortWindow.latency(registers) + PortTurns.latency(registers)

    def __init__(self, *, width, size, geometry, registers):
        self.width, self.size, self.geometry, self.registers = width, size, geometry, registers
        super().__init__({
            "start": In(1),
            "input": In(group_layout("input")),
            "valid": In(1),
            "step": In(FEED_STEP),
            "ports": In(port_layout(width)).array(MAX_SPAN),
            "cause": In(CAUSES),
            "o": Out(stream.Signature(placed_step(width, geometry))),
            "missing": Out(CAUSES, init={"command": 1}),
        })

    def elaborate(self, platform):
        m = Module()
        latency, known = self.latency(self.registers), {"registers": self.registers}
        m.submodules.turns = turns = PortTurns(width=self.width, geometry=self.geometry, **known)
        m.submodules.queue = queue = StreamFifo(self.o.payload.shape(), depth=self.ROOM)
        image = Signal.like(self.input, name="image", reset_less=True)
        with m.If(self.start):
            m.d.sync += image.eq(self.input)
        for side in range(MAX_SPAN):
            m.submodules[f"window_{side}"] = window = PortWindow(width=self.width, size=self.size, **known)
            m.d.comb += [window.port.eq(self.ports[side]), window.input.eq(image), turns.windows[side].eq(window.window)]
            m.d.comb += queue.i.payload.windows[side].eq(turns.placed[side])
        valid = delayed(m, self.valid, latency, name="valid", reset_less=False)
        cause = delayed(m, self.cause, latency, name="cause", reset_less=False)
        m.d.comb += [
            queue.i.valid.eq(valid),
            queue.i.payload.step.eq(delayed(m, self.step, latency, name="step")),
            queue.i.payload.cause.eq(cause),
        ]
        with m.If(~valid & (cause.as_value() != 0)):
            m.d.sync += self.missing.eq(cause)
        connect(m, queue.o, flipped(self.o))
        return m
