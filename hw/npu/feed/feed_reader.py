"""The end of the feeder: asks the scratchpad for the bytes of a step, and makes lanes of the answers."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.array.accumulators import Accumulators
from hw.npu.feed.feed_gate import CAUSES
from hw.npu.feed.port_turns import turn_layout
from hw.npu.interface.isa import MAX_SPAN, Opcode
from hw.npu.interface.ports import ReadPort
from hw.npu.interface.wave import FEED_STEP, SENT_STEP
from hw.npu.parts.delay import delayed
from hw.npu.parts.switched import only


def placed_step(width, geometry) -> data.StructLayout:
    """A step, what a filler stands for, and what each port reads, where and when."""
    windows = data.ArrayLayout(turn_layout(width, geometry), MAX_SPAN)
    return data.StructLayout({"step": FEED_STEP, "cause": CAUSES, "windows": windows})


class FeedReader(wiring.Component):
    """Holds a step until every port that reads for it was granted; behind that nothing stalls. ::

        step --> waits --> scratchpad (read_latency) --> mask, pad, join --> array or vector path

    The ports are granted one by one. They ask in turns, and the next turn begins when all of the present one were granted. Where each port
    stands, and its turn, is known before (`PortTurns`), so that nothing but the scratchpad's ``ready`` decides here. The step is
    *accepted* with the last port; no port asks for the next step before, so that all their answers stand `read_latency` cycles later.
    A step of padding reads nothing. One step a cycle.

    A lane is the byte of the port that owns it, the pad value where that is outside the image, 0 where no port does. In MATMUL the lanes
    of all ports make one vector; in DEPTHWISE each port has its own.

    Steps that are to stay apart wait until `Accumulators.MIN_PERIOD` cycles after the step before.

    Parameters
    ----------
    width, cols : int
        Bytes of a port; of these, lanes of the vectors beside the first.
    read_latency : int
        Cycles from request to answer.
    int4 : bool
        There are commands with 4-bit weights.
    places : BankGeometry
        Of the scratchpad, which takes places, of ports that do not share a bank.

    Members
    -------
    step : In(stream of placed_step(width, places))
        In order.
    read : Out(ReadPort(width, places=places)).array(MAX_SPAN)
        The scratchpad.
    held, early, accept : Out(1), Out(1), Out(1)
        A step waits here; it is kept apart; it is accepted.
    present : Out(FEED_STEP)
        The step that waits here.
    cause : Out(CAUSES)
        What it stands for, if it is a filler.
    tile_loaded, dry : In(1), Out(1)
        A pulse for each reduction tile that is announced; a step waits here for that.
    reads : Out(range(MAX_SPAN + 1))
        Ports that read for it.
    outside : Out(1)
        One of them reads outside the scratchpad.
    sent : Out(1)
        A step reaches the array or the vector path.
    arrived : Out(SENT_STEP)
        That step; steady until the next.
    paired : Out(1)
        With ``int4``: the array takes two activations a row of it.
    lanes : Out(signed(8)).array(width)
        Its vector.
    sides : Out(signed(8)).array(MAX_SPAN - 1, cols)
        The vectors beside it, where it has them.
    """

    def __init__(self, *, width, cols, read_latency, places, int4=False):
        self.width, self.cols, self.read_latency, self.int4, self.places = width, cols, read_latency, int4, places
        self.layout = placed_step(width, places)
        super().__init__({
            "step": In(stream.Signature(self.layout)),
            "read": Out(ReadPort(width, places=places)).array(MAX_SPAN),
            "held": Out(1),
            "early": Out(1),
            "accept": Out(1),
            "present": Out(FEED_STEP),
            "cause": Out(CAUSES),
            "tile_loaded": In(1),
            "dry": Out(1),
            "reads": Out(range(MAX_SPAN + 1)),
            "outside": Out(1),
            "sent": Out(1),
            "arrived": Out(SENT_STEP),
            **only(int4, paired=Out(1)),
            "lanes": Out(signed(8)).array(width),
            "sides": Out(signed(8)).array(MAX_SPAN - 1, cols),
        })

    def elaborate(self, platform):
        m = Module()
        held = Signal()
        pending = Signal(self.layout, reset_less=True)
        m.d.comb += self.step.ready.eq(self.accept | ~held)
        with m.If(self.step.ready):
            m.d.sync += held.eq(self.step.valid)
        with m.If(self.step.ready):
            m.d.sync += pending.eq(self.step.payload)
        m.d.comb += [self.held.eq(held), self.present.eq(pending.step)]
        m.d.comb += self.cause.eq(pending.cause)
        self._request(m, pending)
        self._send(m, pending)
        return m

    def _request(self, m, pending):
        """Offers what each port still has to read, once the accumulators can take the step."""
        since = Signal(range(Accumulators.MIN_PERIOD))
        with m.If(self.accept):
            m.d.sync += since.eq(Accumulators.MIN_PERIOD - 1)
        with m.Elif(since != 0):
            m.d.sync += since.eq(since - 1)
        may = self._may_ahead(m, pending, since)
        missing = Signal(MAX_SPAN)
        windows = [pending.windows[side] for side in range(MAX_SPAN)]
        last_turn = self._turns(m, may, missing, windows)
        m.d.comb += [
            self.accept.eq(may & ~missing.any() & last_turn),
            self.reads.eq(sum(window.reads for window in windows)),
            self.outside.eq(Cat(window.reads & window.outside for window in windows).any()),
        ]

    def _may_ahead(self, m, pending, since):
        """The step that waits here is held, not kept apart, has its weights: a register, from the step that comes and the one before."""
        may = Signal()
        dry = Signal()
        mine, coming, soon = pending.step, self.step.payload.step, since > 1
        tiles = Signal(range(4))  # announced and not begun: 2 planes at most
        m.d.sync += tiles.eq(tiles + self.tile_loaded - (self.accept & mine.opens))

        def judge(held, lacks, apart):
            m.d.sync += [may.eq(held & ~lacks & ~apart), dry.eq(held & lacks)]

        with m.If(self.accept):
            judge(self.step.valid, coming.opens & (mine.opens | (tiles == 0)), coming.apart)
        with m.Elif(self.held):
            judge(1, mine.opens & (tiles == 0), mine.apart & soon)
        with m.Else():
            judge(self.step.valid, coming.opens & (tiles == 0), coming.apart & soon)
        m.d.comb += [self.early.eq(self.held & ~may & ~dry), self.dry.eq(dry)]
        return may

    def _turns(self, m, may, missing, windows):
        """Offers what each port has to read in the present turn. Which ports that are, and whether the turn is the last, is registered."""
        turns = [Signal(MAX_SPAN, name=f"asks_{turn}", reset_less=True) for turn in range(MAX_SPAN)]  # the present one, and those behind it
        last = Signal(reset_less=True)
        asks = turns[0]
        coming = [Cat(window.turn[turn] for window in self.step.payload.windows) for turn in range(MAX_SPAN)]
        for side, (port, window) in enumerate(zip(self.read, windows, strict=True)):
            m.d.comb += [
                port.request.payload.eq(window.part),
                port.request.valid.eq(may & asks[side]),
                missing[side].eq(asks[side] & ~port.request.ready),
            ]
        with m.If(self.step.ready):
            m.d.sync += [*(turn.eq(mine) for turn, mine in zip(turns, coming, strict=True)), last.eq(coming[1] == 0)]
        with m.Elif(may & ~missing.any()):
            m.d.sync += [turns[0].eq(turns[1]), turns[1].eq(turns[2]), turns[2].eq(0), last.eq(turns[2] == 0)]
        with m.Elif(may):
            m.d.sync += asks.eq(missing)
        return last

    def _send(self, m, pending):
        """Meets the answers of the scratchpad, and masks them."""
        latency = self.read_latency
        valid = delayed(m, self.accept, latency, name="accepted", reset_less=False)
        step = delayed(m, pending.step.sent, latency, name="step")
        masks = [
            [delayed(m, pending.windows[side][name], latency, name=f"{name}_{side}") for name in ("real", "used")]
            for side in range(MAX_SPAN)
        ]
        arrived = Signal(SENT_STEP, reset_less=True)
        m.d.sync += self.sent.eq(valid)
        with m.If(valid):
            m.d.sync += arrived.eq(step)
        m.d.comb += self.arrived.eq(arrived)
        if self.int4:
            paired = delayed(m, pending.step.opcode == Opcode.MATMUL_INT4, latency, name="paired")
            with m.If(valid):
                m.d.sync += self.paired.eq(paired)

        def lane(side, number):
            real, used = masks[side]
            value = Mux(real[number], self.read[side].data[number], Mux(used[number], step.pad.as_unsigned(), 0))
            masked = Signal(unsigned(8), name=f"masked_{side}_{number}")
            m.d.comb += masked.eq(value)
            return masked

        def register(target, name, enable, value):
            """A lane that leaves, registered."""
            held = Signal(signed(8), name=name, reset_less=True)
            with m.If(enable):
                m.d.sync += held.eq(value)
            m.d.comb += target.eq(held)

        for number in range(self.width):
            others = [lane(side, number) for side in range(1, MAX_SPAN)]
            register(self.lanes[number], f"lane_{number}", valid, lane(0, number) | Mux(step.column, 0, others[0] | others[1]))
            if number < self.cols:
                for side, value in enumerate(others):
                    register(self.sides[side][number], f"side_{side + 1}_{number}", valid & step.sides[side], value)
