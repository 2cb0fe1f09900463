"""Dispatcher: commands from beats, in stream order, each to its queue; and which of them are not complete."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.control.command_fetch import word_layout
from hw.npu.control.queues import STREAM_BITS
from hw.npu.interface.isa import EXECUTE, EXECUTE_UNITS, MOST_UNITS, UNIT_BYTES, Error, Opcode, opcodes, units_of
from hw.npu.interface.queued import INDEX_BITS, QUEUED_EXECUTE, QUEUED_TRANSFER
from hw.npu.interface.status import ERROR_LAYOUT, latch
from hw.npu.interface.tokens import TOKEN_BITS, reached
from hw.npu.parts.delay import delayed
from hw.npu.parts.fifo import StreamFifo

WAITS = {"load": "wait_load", "execute": "wait_exec", "store": "wait_store"}
"""Field of the header that waits for each queue."""


def queues(int4: bool, interpolation: bool) -> dict:
    """Queues, and the opcodes of each."""
    return {"load": (Opcode.LOAD,), "execute": tuple(sorted(EXECUTE & opcodes(int4, interpolation))), "store": (Opcode.STORE,)}


class Dispatcher(wiring.Component):
    """Assembles commands, checks opcode and length and hands each to its queue; remembers those that are not complete.

    One beat a cycle, a unit of a command has ``32 / axi_bytes``. What the first beat means is known three cycles behind it, and then the
    whole command is offered to its queue; the first beat of the next one comes in when it was taken. Nothing is taken behind a command
    that is wrong, for its length says where the next begins.

    Parameters
    ----------
    axi_bytes : int
        Bytes of a beat.
    tracked : int
        Incomplete commands remembered in each queue; one more waits, so it should be what the queue and its unit hold together.
    int4 : bool
        The commands with 4-bit weights are known too.
    interpolation : bool
        INTERPOLATE is known too.

    Members
    -------
    words : In(stream of word_layout)
        The commands, in beats.
    start : In(1)
        A job begins; its length is taken in this cycle.
    units : In(27)
        Length of the job's commands, in units of 32 bytes.
    load, execute, store : Out(stream of QUEUED_TRANSFER, QUEUED_EXECUTE, QUEUED_TRANSFER)
        Commands for each queue.
    load_done, execute_done, store_done : In(1)
        A command of the queue is complete; not in the cycle behind the one in which it was taken.
    halt : In(1)
        Hand on nothing. Stays up until reset.
    complete : Out(1)
        Every command of the job is complete; from reset to the start of a job, too.
    oldest : Out(32)
        Index of the oldest command that is not complete, a cycle late.
    progress : Out(1)
        A command was handed on.
    error : Out(ERROR_LAYOUT)
        BAD_OPCODE, AXI_READ; BAD_FIELD where its ``units`` are wrong for the opcode, or more than are left; DEADLOCK where a command
        waits for what stands later in the stream.
    """

    def __init__(self, *, axi_bytes, tracked, int4=False, interpolation=False):
        if tracked < 1:
            raise ValueError(f"Dispatcher tracked must be at least 1, not {tracked}")
        self.axi_bytes, self.tracked = axi_bytes, tracked
        self.queues = queues(int4, interpolation)
        layouts = {"load": QUEUED_TRANSFER, "execute": QUEUED_EXECUTE, "store": QUEUED_TRANSFER}
        super().__init__({
            "words": In(stream.Signature(word_layout(axi_bytes))),
            "start": In(1),
            "units": In(STREAM_BITS),
            **{queue: Out(stream.Signature(layout)) for queue, layout in layouts.items()},
            **{f"{queue}_done": In(1) for queue in layouts},
            "halt": In(1),
            "complete": Out(1),
            "oldest": Out(INDEX_BITS),
            "progress": Out(1),
            "error": Out(ERROR_LAYOUT),
        })

    def elaborate(self, platform):
        m = Module()
        per_unit = UNIT_BYTES // self.axi_bytes
        words = [Signal(8 * self.axi_bytes, name=f"word_{number}", reset_less=True) for number in range(MOST_UNITS * per_unit)]
        full = Signal()
        wrong = Signal()
        handed = Signal()
        # of the command that is assembled; units from it to the stream's end
        index = Signal(INDEX_BITS)
        left = Signal(STREAM_BITS)
        begun, judged, bad = self._assemble(m, words, per_unit, full, wrong, handed)

        # What is wrong shows behind the first beat; in a beat that the bus marks, nothing means anything.
        opcode, units = words[0][:8], words[0][8:16]
        mine, known, illegal = self._judge(m, opcode, units, left)
        with m.If(bad | (judged & illegal)):
            m.d.sync += wrong.eq(1)
        for code, found in (
            (Error.AXI_READ, bad),
            (Error.BAD_OPCODE, begun & ~bad & ~known),
            (Error.BAD_FIELD, begun & ~bad & known & wrong),
        ):
            latch(m, self.error, delayed(m, found, 1, name=code.name.lower(), reset_less=False), code, index)

        # A whole command goes to the queue of its opcode.
        oldest_of, handed_of = {}, {}
        for queue in self.queues:
            out = getattr(self, queue)
            m.submodules[f"{queue}_indices"] = indices = StreamFifo(unsigned(INDEX_BITS), depth=self.tracked)
            taken = out.valid & out.ready
            offered = Signal(name=f"{queue}_offered")
            offers = full & ~wrong & ~self.halt & mine[queue] & begun & ~bad & indices.i.ready
            m.d.sync += offered.eq(offers & ~handed & ~taken)
            handed_of[queue] = delayed(m, taken, 1, name=f"{queue}_handed", reset_less=False)
            m.d.comb += [
                out.payload.index.eq(index),
                out.payload.command.eq(Cat(words)),
                out.valid.eq(offered),
                indices.i.payload.eq(index),
                indices.i.valid.eq(handed_of[queue]),
                indices.o.ready.eq(getattr(self, f"{queue}_done")),
            ]
            oldest_of[queue] = indices.o
        m.d.comb += [
            handed.eq(Cat(handed_of.values()).any()),
            self.progress.eq(handed),
        ]
        with m.If(self.start):
            m.d.sync += [left.eq(self.units), index.eq(0)]
        with m.Elif(handed):
            m.d.sync += [left.eq(left - units), index.eq(index + 1)]
        later = delayed(m, handed & self._waits_for_later(m, handed_of), 1, name="later", reset_less=False)
        latch(m, self.error, later, Error.DEADLOCK, delayed(m, index, 1, name="handed_index"))

        # Those that are not complete.
        self._find_oldest(m, index, oldest_of)
        m.d.comb += self.complete.eq((left == 0) & ~Cat(head.valid for head in oldest_of.values()).any())
        return m

    def _assemble(self, m, words, per_unit, full, wrong, handed):
        """Beats fill the command, until it is whole or wrong. Expressions: what its first beat means is known; it becomes known in this
        cycle; a beat of it is one of a bus error.
        """
        number = Signal(range(len(words)))
        length = Signal(8)
        bad = Signal()
        beat = self.words.payload
        first, taken = number == 0, self.words.valid & self.words.ready
        # a beat may come; what the first one means is not known yet
        opened = Signal(init=1)
        judging = Signal(3)
        m.d.comb += [
            self.words.ready.eq(opened),
            length.eq(Mux(first, beat.data[8:16], words[0][8:16])),  # the first beat may be the last
        ]
        with m.Switch(number):
            for place, word in enumerate(words):
                with m.Case(place), m.If(taken):
                    m.d.sync += word.eq(beat.data)
        last = number == length * per_unit - 1
        with m.If(taken):
            m.d.sync += [number.eq(Mux(last, 0, number + 1)), full.eq(last), bad.eq(beat.bad)]
            with m.If(first):  # where the second operand's unit is absent, its fields are zero
                m.d.sync += [word.eq(0) for word in words[EXECUTE_UNITS * per_unit :]]
        with m.Elif(handed):
            m.d.sync += full.eq(0)
        m.d.sync += judging.eq(Cat(taken & first, judging[:2]))
        with m.If(taken & (first | last)):
            m.d.sync += opened.eq(0)
        with m.Elif(handed | (judging[2] & ~full & ~wrong)):
            m.d.sync += opened.eq(1)
        return (full | ~first) & ~judging[:2].any(), judging[1], bad

    def _judge(self, m, opcode, units, left):
        """Expressions, a cycle late: for each queue whether the command is its own; it is one of some queue; its length is wrong for
        its opcode, or more than is left of the stream.
        """
        mine = {queue: Cat(opcode == value for value in values).any() for queue, values in self.queues.items()}
        legal = Cat(
            mine[queue] & Cat(units == length for length in units_of(values[0])).any() for queue, values in self.queues.items()
        ).any()
        known = Cat(mine.values()).any()
        mine = {queue: delayed(m, is_mine, 1, name=f"{queue}_mine") for queue, is_mine in mine.items()}
        legal, known = delayed(m, legal, 1, name="legal"), delayed(m, known, 1, name="known")
        return mine, known, ~legal | delayed(m, units > left, 1, name="too_long")

    def _find_oldest(self, m, index, oldest_of):
        """The oldest incomplete command: the first of a queue, or the next to be handed on."""
        oldest = index
        for queue, head in oldest_of.items():
            oldest = Mux(head.valid & (head.payload < oldest), head.payload, oldest)
            oldest = delayed(m, oldest, 1, name=f"{queue}_oldest", reset_less=False)
        m.d.sync += self.oldest.eq(oldest)  # three comparisons in a row, wanted by nobody in a hurry

    def _waits_for_later(self, m, handed_of):
        """Expression: the command waits for more commands of some queue than stand before it."""
        header, weights = self.load.payload.command.header, self.execute.payload.command.weights
        later = 0
        for queue, wait in WAITS.items():
            handed_on = Signal(TOKEN_BITS, name=f"{queue}_handed_on")
            with m.If(self.start):
                m.d.sync += handed_on.eq(0)
            with m.Elif(handed_of[queue]):
                m.d.sync += handed_on.eq(handed_on + 1)
            later |= ~reached(handed_on, header[wait])
            if queue == "load":
                later |= handed_of["execute"] & ~reached(handed_on, weights.wait_load)
        return later
