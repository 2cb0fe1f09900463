"""Dispatcher: commands from beats, in stream order, each to its queue; and which of them are not complete."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.command_fetch import word_layout
from hw.npu.fifo import StreamFifo
from hw.npu.isa import COMMAND_BYTES, EXECUTE, Error, Opcode
from hw.npu.queues import INDEX_BITS, QUEUED_EXECUTE, QUEUED_TRANSFER
from hw.npu.status import ERROR_LAYOUT, latch
from hw.npu.tokens import TOKEN_BITS, reached

WAITS = {"load": "wait_load", "execute": "wait_exec", "store": "wait_store"}
"""Field of the header that waits for each queue."""
QUEUES = {"load": (Opcode.LOAD,), "execute": tuple(sorted(EXECUTE)), "store": (Opcode.STORE,)}
"""Queues, and the opcodes of each."""


class Dispatcher(wiring.Component):
    """Assembles commands, checks their opcode and hands each to its queue; remembers those that are not complete.

    A command takes its beats (``128 / axi_bytes`` cycles); it is handed on while the first beat of the next comes in.

    Parameters
    ----------
    axi_bytes : int
        Bytes of a beat.
    tracked : int
        Incomplete commands remembered in each queue; one more waits, so it should be what the queue and its unit hold together.

    Members
    -------
    words : In(stream of word_layout)
        The commands, in beats.
    start : In(1)
        A job begins; the count is taken in this cycle.
    command_count : In(32)
        Commands of the job.
    load, execute, store : Out(stream of QUEUED_TRANSFER, QUEUED_EXECUTE, QUEUED_TRANSFER)
        Commands for each queue.
    load_done, execute_done, store_done : In(1)
        A command of the queue is complete.
    halt : In(1)
        Hand on nothing. Stays up until reset.
    complete : Out(1)
        Every command of the job is complete; from reset to the start of a job, too.
    oldest : Out(32)
        Index of the oldest command that is not complete, a cycle late.
    progress : Out(1)
        A command was handed on.
    error : Out(ERROR_LAYOUT)
        BAD_OPCODE, AXI_READ; DEADLOCK where a command waits for what stands later in the stream.
    """

    def __init__(self, *, axi_bytes, tracked):
        if tracked < 1:
            raise ValueError(f"Dispatcher tracked must be at least 1, not {tracked}")
        self.axi_bytes, self.tracked = axi_bytes, tracked
        layouts = {"load": QUEUED_TRANSFER, "execute": QUEUED_EXECUTE, "store": QUEUED_TRANSFER}
        super().__init__({
            "words": In(stream.Signature(word_layout(axi_bytes))),
            "start": In(1),
            "command_count": In(INDEX_BITS),
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
        beats = COMMAND_BYTES // self.axi_bytes
        words = [Signal(8 * self.axi_bytes, name=f"word_{number}", reset_less=True) for number in range(beats)]
        number, full, bad, handed = Signal(range(beats)), Signal(), Signal(), Signal()
        index, count = Signal(INDEX_BITS), Signal(INDEX_BITS)

        # Beats fill the command.
        m.d.comb += self.words.ready.eq(~full | handed)
        taken = self.words.valid & self.words.ready
        with m.Switch(number):
            for place, word in enumerate(words):
                with m.Case(place), m.If(taken):
                    m.d.sync += word.eq(self.words.payload.data)
        with m.If(taken):
            m.d.sync += [number.eq(number + 1), full.eq(number == beats - 1), bad.eq(self.words.payload.bad | (bad & (number != 0)))]
        with m.Elif(handed):
            m.d.sync += full.eq(0)

        # A whole command goes to the queue of its opcode.
        opcode = words[0][:8]
        known = Signal()
        allowed = full & ~bad & ~self.halt
        oldest_of = {}
        for queue, opcodes in QUEUES.items():
            out = getattr(self, queue)
            m.submodules[f"{queue}_indices"] = indices = StreamFifo(unsigned(INDEX_BITS), depth=self.tracked)
            mine = Cat(opcode == value for value in opcodes).any()
            m.d.comb += [
                out.payload.index.eq(index),
                out.payload.command.eq(Cat(words)),
                out.valid.eq(allowed & mine & indices.i.ready),
                indices.i.payload.eq(index),
                indices.i.valid.eq(out.valid & out.ready),
                indices.o.ready.eq(getattr(self, f"{queue}_done")),
            ]
            oldest_of[queue] = indices.o
        opcodes = [value for values in QUEUES.values() for value in values]
        m.d.comb += [
            known.eq(Cat(opcode == value for value in opcodes).any()),
            handed.eq(Cat(getattr(self, queue).valid & getattr(self, queue).ready for queue in QUEUES).any()),
            self.progress.eq(handed),
        ]
        with m.If(self.start):
            m.d.sync += [count.eq(self.command_count), index.eq(0)]
        with m.Elif(handed):
            m.d.sync += index.eq(index + 1)
        latch(m, self.error, full & bad, Error.AXI_READ, index)
        latch(m, self.error, full & ~bad & ~known, Error.BAD_OPCODE, index)
        latch(m, self.error, handed & self._waits_for_later(m), Error.DEADLOCK, index)

        # The oldest incomplete command: the first of a queue, or the next to be handed on.
        oldest = index
        for head in oldest_of.values():
            oldest = Mux(head.valid & (head.payload < oldest), head.payload, oldest)
        m.d.sync += self.oldest.eq(oldest)  # three comparisons in a row, wanted by nobody in a hurry
        m.d.comb += self.complete.eq((index == count) & ~Cat(head.valid for head in oldest_of.values()).any())
        return m

    def _waits_for_later(self, m):
        """Expression: the command waits for more commands of some queue than stand before it."""
        header, weights = self.load.payload.command.header, self.execute.payload.command.weights
        later = 0
        for queue, wait in WAITS.items():
            out = getattr(self, queue)
            handed_on = Signal(TOKEN_BITS, name=f"{queue}_handed_on")
            with m.If(self.start):
                m.d.sync += handed_on.eq(0)
            with m.Elif(out.valid & out.ready):
                m.d.sync += handed_on.eq(handed_on + 1)
            later |= ~reached(handed_on, header[wait])
            if queue == "load":
                later |= self.execute.valid & ~reached(handed_on, weights.wait_load)
        return later
