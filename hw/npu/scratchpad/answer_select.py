"""Makes the answer of a read port from the words of all banks."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.parts.delay import delayed
from hw.npu.scratchpad.bank_place import rotated


class AnswerSelect(wiring.Component):
    """Takes each byte of a vector from its bank, then moves its byte 0 to the front. One vector a cycle, after `latency` cycles.

    ::

        bank, offset -> bank of each byte lane -> lanes' bytes (-> register) -> rotated (-> register)
        cycle 0         1          words here

    A vector touches two words at most, neighbours, and no lane of both: a lane behind the offset is of the first, one before of the second.

    Parameters
    ----------
    width : int
        Bytes of a vector.
    geometry : BankGeometry
        Of the scratchpad.
    picked, held : int
        Registers of the lanes' bytes, and of the rotated answer: 0 or 1. Without ``held`` the answer passes as it comes, and a register
        beside it keeps it.

    Members
    -------
    valid, bank, offset : In(1), In(range(banks)), In(range(word))
        A vector, and where its byte 0 stands. The words are there in the next cycle.
    words : In(unsigned(8 * word)).array(banks)
        The banks' words.
    answered, answer : Out(1), Out(array of bytes)
        The vector; it holds until the next.
    """

    WORDS = 1
    """Cycles from a vector to its words."""

    def __init__(self, *, width, geometry, picked, held):
        self.width, self.geometry, self.picked, self.held = width, geometry, picked, held
        self.latency = self.WORDS + picked + held
        """Cycles from a vector to its answer."""
        super().__init__({
            "valid": In(1),
            "bank": In(range(geometry.banks)),
            "offset": In(range(geometry.word)),
            "words": In(unsigned(8 * geometry.word)).array(geometry.banks),
            "answered": Out(1),
            "answer": Out(data.ArrayLayout(unsigned(8), width)),
        })

    def elaborate(self, platform):
        m = Module()
        word = self.geometry.word
        here = delayed(m, self.valid, self.WORDS, name="valid", reset_less=False)
        there = delayed(m, here, self.picked, name="picked_valid", reset_less=False)
        offset = delayed(m, self.offset, self.WORDS + self.picked, name="offset")
        picked = []
        for lane in range(word):
            bank = Signal.like(self.bank, name=f"bank_{lane}", reset_less=True)
            m.d.sync += bank.eq(self.bank + (lane < self.offset if lane < word - 1 else 0))  # no offset is behind the last lane
            lanes = Array(words.word_select(lane, 8) for words in self.words)
            picked.append(delayed(m, lanes[bank], self.picked, name=f"picked_{lane}", enable=here))
        front = rotated(m, Cat(picked), offset, left=False, name="front")[: 8 * self.width]
        kept = delayed(m, front, 1, name="answer", enable=there)
        m.d.comb += [
            self.answered.eq(delayed(m, there, self.held, name="answered", reset_less=False)),
            self.answer.eq(kept if self.held else Mux(there, front, kept)),
        ]
        return m
