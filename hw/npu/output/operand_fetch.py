"""Reads the vectors of the second operand ahead of their use."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.npu.interface.ports import ADDRESS_BITS, ReadPort
from hw.npu.parts.fifo import StreamFifo
from hw.npu.parts.credit_counter import CreditCounter
from hw.npu.walks.pixel_walk import WALK, PixelWalk


class OperandFetch(wiring.Component):
    """Prefetch of the second operand: sustains one vector a cycle, and holds room for every answer that can come.

    A vector is *promised* when it is issued (``take``) and used ``use_delay`` cycles later (``pop``). It can be issued in the cycle after
    its request was accepted, since the answer comes ``read_latency`` cycles after that. At most `AHEAD` accepted requests are not
    promised; of the promised ones, those of the last ``use_delay`` cycles are not used yet and those of the last ``read_latency`` have
    not arrived: room for ``AHEAD + use_delay - read_latency`` (and one in which an answer lands) is enough, without a check.

    Parameters
    ----------
    cols, lanes : int
        Output channels of a tile, and of a vector.
    size : int
        Size of the scratchpad.
    read_latency, use_delay : int
        Cycles from an accepted request to its answer, at least 1; from ``take`` to ``pop``, at least ``read_latency``.
    pipeline : bool
        Requests wait in a queue. Answers come after ``read_latency`` cycles or later, in order: a vector can be promised two cycles after
        its answer, and ``use_delay`` may be any.

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

    AHEAD = 4
    """Requests accepted and not promised."""
    AHEAD_IN_STEPS = AHEAD + 8
    """With ``pipeline``: requests made and not promised, beside those on their way; more by the cycles from a promise to a request."""

    def __init__(self, *, cols, lanes, size, read_latency, use_delay, pipeline=False):
        if read_latency < 1:
            raise ValueError(f"OperandFetch read_latency must be at least 1, not {read_latency}")
        if use_delay < read_latency and not pipeline:
            raise ValueError(f"OperandFetch use_delay must be at least read_latency = {read_latency}, not {use_delay}")
        self.cols, self.lanes, self.size, self.pipeline = cols, lanes, size, pipeline
        self.ahead_in_steps = self.AHEAD_IN_STEPS + read_latency
        self.depth = self.ahead_in_steps + use_delay if pipeline else self.AHEAD + use_delay - read_latency + 1
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
        kind = PixelWalk
        m.submodules.walk = walk = kind(cols=self.cols, lanes=self.lanes, size=self.size)
        m.submodules.answers = answers = Memory(shape=unsigned(8 * self.lanes), depth=self.depth, init=[])
        write, read = answers.write_port(), answers.read_port(domain="comb")
        m.d.comb += [walk.start.eq(self.start), walk.walk.eq(self.walk)]
        (self._requests_in_steps if self.pipeline else self._requests)(m, walk)
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
        """Requests in the order of the walk, as long as not too many are ahead."""
        ahead = Signal(range(self.AHEAD + 1))
        accepted = self.read.request.valid & self.read.request.ready
        m.d.comb += [
            walk.step.eq(accepted),
            self.outside.eq(walk.valid & walk.outside),
            self.read.request.valid.eq(walk.valid & self.enable & ~walk.outside & (ahead != self.AHEAD)),
            self.read.request.payload.eq(walk.vector.address[:ADDRESS_BITS]),
            self.available.eq(ahead != 0),
        ]
        m.d.sync += ahead.eq(ahead + accepted - self.take)

    def _requests_in_steps(self, m, walk):
        """With ``pipeline``: requests wait in a queue, that has room for all that are ahead; their answers are known a cycle later."""
        m.submodules.requests = requests = StreamFifo(unsigned(ADDRESS_BITS), depth=self.ahead_in_steps)
        m.submodules.ahead = ahead = CreditCounter(self.ahead_in_steps)
        made, room = Signal(range(self.ahead_in_steps + 1)), Signal()
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
            room.eq(made < self.ahead_in_steps - 1),
        ]
