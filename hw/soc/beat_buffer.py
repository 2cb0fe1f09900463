"""A queue of beats in a memory with a clocked read port, as block RAM and SRAM macros have it."""

from amaranth.hdl import Module, Shape
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out


class BeatBuffer(wiring.Component):
    """First-in first-out queue, one payload a cycle. What enters can leave two cycles later (`LATENCY`).

    `hw.npu.parts.fifo.StreamFifo` is faster by a cycle, but its memory is read without a clock: hundreds of beats would become registers or
    lookup tables. ``i.ready`` does not depend on ``o.ready``, nor ``o.valid`` on ``i.valid``.

    Parameters
    ----------
    shape : shape-like
        Payload.
    depth : int
        Payloads for which there is room at any time, at least 1. One more fits into the output's register.

    Members
    -------
    i : In(stream of shape)
        What enters.
    o : Out(stream of shape)
        What leaves, in the order in which it entered.
    level : Out(range(depth + 2))
        Payloads held.
    """

    LATENCY = 2

    def __init__(self, shape, *, depth):
        if depth < 1:
            raise ValueError(f"BeatBuffer depth must be at least 1, not {depth}")
        self.depth = depth
        self._width = Shape.cast(shape).width
        super().__init__({
            "i": In(stream.Signature(shape)),
            "o": Out(stream.Signature(shape)),
            "level": Out(range(depth + 2)),
        })

    def elaborate(self, platform):
        m = Module()
        # The memory holds all of `depth`: an output register that is still empty must not count as room.
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=self._width, depth=self.depth + 1)
        m.d.comb += [
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            self.o.payload.eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
            self.level.eq(fifo.level),
        ]
        return m
