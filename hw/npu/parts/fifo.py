"""A queue between two streams."""

from amaranth.hdl import Module, Shape
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from hw.npu.parts.promise import promise_stream


class StreamFifo(wiring.Component):
    """First-in first-out queue in a memory with asynchronous read. One payload a cycle; what enters can leave in the next cycle.

    ``i.ready`` does not depend on ``o.ready``, nor ``o.valid`` on ``i.valid``: it cuts the paths of both handshakes.

    Parameters
    ----------
    shape : shape-like
        Payload.
    depth : int
        Payloads held, at least 1.

    Members
    -------
    i : In(stream of shape)
        What enters.
    o : Out(stream of shape)
        What leaves, in the order in which it entered.
    level : Out(range(depth + 1))
        Payloads held.
    """

    QUEUE = SyncFIFO
    """The queue inside, of Amaranth."""
    BEYOND = 0
    """Payloads that it holds at most beyond those for which there is room at any time."""

    def __init__(self, shape, *, depth):
        if depth < 1:
            raise ValueError(f"{type(self).__name__} depth must be at least 1, not {depth}")
        self.depth = depth
        self._width = Shape.cast(shape).width
        super().__init__({
            "i": In(stream.Signature(shape)),
            "o": Out(stream.Signature(shape)),
            "level": Out(range(depth + self.BEYOND + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = fifo = self.QUEUE(width=self._width, depth=self.depth + self.BEYOND)
        m.d.comb += [
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            self.o.payload.eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
            self.level.eq(fifo.level),
        ]
        promise_stream(m, self, self.o, name="o")
        return m
