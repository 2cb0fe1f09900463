"""Reads the vectors of the second operand ahead of their use."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.npu.interface.ports import ADDRESS_BITS, ReadPort
from hw.npu.parts.credit_counter import CreditCounter
from hw.npu.parts.fifo import StreamFifo
from hw.npu.walks.pixel_walk import WALK, PixelWalk

LEAST_DEPTH = 32
"""Answers that there is room for: with fewer words the memory would become flip-flops."""


class OperandFetch(wiring.Component):
    """Prefetch of the second operand: sustains one vector a cycle, and holds room for every answer that can come.

    A vector is *promised* when it is issued (``take``) and used ``use_delay`` cycles later (``pop``). Requests wait in a queue. Answers
    come ``read_latency`` cycles after their request is accepted, or later, in order; a vector can be promised two cycles after its answer.
    At most `ahead` requests are made and not promised, and the promised ones of the last ``use_delay`` cycles are not used yet: room for
    both together is enough, without a check.

    Parameters
    ----------
    cols, lanes : int
        Output channels of a tile, and of a vector.
    size : int
        Size of the scratchpad.
    read_latency, use_delay : int
        Cycles from an accepted request to its answer, at least, and at least 1; from ``take`` to ``pop``.

    Members
    -------
    start, walk : In(1), In(WALK)
        Begins a command's walk.
    enable : In(1)
        Requests may be made: what is read has been written.
    read : Out(ReadPort(lanes))
        Of the scratchpad.
    available, take : Out(1), In(1)
        A vector can be promised; promises it.
    pop, vector : In(1), Out(signed(8)).array(lanes)
        The oldest vector, and its end.
    outside : Out(1)
        The next vector lies outside the scratchpad; it is not requested.

    Raises
    ------
    ValueError
        If a latency is out of range.
    """

    AHEAD = 4 + 8
    """Requests made and not promised, beside those on their way: four, and more by the cycles from a promise to a request."""

    def __init__(self, *, cols, lanes, size, read_latency, use_delay):
        if read_latency < 1:
            raise ValueError(f"OperandFetch read_latency must be at least 1, not {read_latency}")
        self.cols, self.lanes, self.size = cols, lanes, size
        self.ahead = self.AHEAD + read_latency
        self.depth = max(LEAST_DEPTH, self.ahead + use_delay)
        super().__init__({
            "start": In(1),
            "walk": In(WALK),
            "enable": In(1),
            "read": Out(ReadPort(lanes)),
            "available": Out(1),
            "take": In(1),
            "pop": In(1),
            "vector": Out(signed(8)).array(lanes),
            "outside": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = PixelWalk(cols=self.cols, lanes=self.lanes, size=self.size)
        m.submodules.answers = answers = Memory(shape=unsigned(8 * self.lanes), depth=self.depth, init=[])
        write = answers.write_port()
        read = answers.read_port(domain="comb")
        m.d.comb += [walk.start.eq(self.start), walk.walk.eq(self.walk)]
        self._requests(m, walk)
        m.d.comb += [
            write.en.eq(self.read.valid),
            write.data.eq(self.read.data),
            *(self.vector[lane].eq(read.data.word_select(lane, 8)) for lane in range(self.lanes)),
        ]

        for port, moves in ((write, self.read.valid), (read, self.pop)):
            place = Signal(range(self.depth), name="newest" if port is write else "oldest")
            m.d.comb += port.addr.eq(place)
            with m.If(moves):
                m.d.sync += place.eq(Mux(place == self.depth - 1, 0, place + 1))
        return m

    def _requests(self, m, walk):
        """Requests wait in a queue, that has room for all that are ahead; their answers are known a cycle later."""
        m.submodules.requests = requests = StreamFifo(unsigned(ADDRESS_BITS), depth=self.ahead)
        m.submodules.ahead = ahead = CreditCounter(self.ahead)
        made = Signal(range(self.ahead + 1))
        room = Signal()
        wiring.connect(m, requests.o, wiring.flipped(self.read.request))
        m.d.comb += [
            walk.step.eq(walk.valid & self.enable & ~walk.ends.outside & room),
            self.outside.eq(walk.valid & walk.ends.outside),
            requests.i.payload.eq(walk.vector.address[:ADDRESS_BITS]),
            ahead.down.eq(self.take),
            self.available.eq(ahead.some),
        ]
        m.d.sync += [
            requests.i.valid.eq(walk.step),
            ahead.up.eq(self.read.valid),
            made.eq(made + walk.step - self.take),
            room.eq(made < self.ahead - 1),
        ]
