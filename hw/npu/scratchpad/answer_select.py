"""Makes the answer of a read port from the words of all banks."""

from amaranth.hdl import Array, Cat, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.parts.delay import delayed
from hw.npu.scratchpad.bank_place import rotated


class AnswerSelect(wiring.Component):
    """Takes each byte of a vector from its bank, then moves its byte 0 to the front. One vector a cycle, after `LATENCY` cycles.

    ::

        bank, offset -> bank of each byte lane -> lanes' bytes -> rotated
        cycle 0         1          words here     2               3

    A vector touches two words at most, neighbours, and no lane of both: a lane behind the offset is of the first, one before of the second.

    Parameters
    ----------
    width : int
        Bytes of a vector.
    geometry : BankGeometry
        Of the scratchpad.

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
    LATENCY = WORDS + 2

    def __init__(self, *, width, geometry):
        self.width, self.geometry = width, geometry
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
        valid = [delayed(m, self.valid, stage, name=f"valid_{stage}", reset_less=False) for stage in range(self.LATENCY + 1)]
        offset = delayed(m, self.offset, self.WORDS + 1, name="offset")
        picked = [Signal(8, name=f"picked_{lane}", reset_less=True) for lane in range(word)]
        for lane in range(word):
            bank = Signal.like(self.bank, name=f"bank_{lane}", reset_less=True)
            m.d.sync += bank.eq(self.bank + (lane < self.offset))
            lanes = Array(words.word_select(lane, 8) for words in self.words)
            with m.If(valid[1]):
                m.d.sync += picked[lane].eq(lanes[bank])
        front = rotated(m, Cat(picked), offset, left=False, name="front")
        answer = Signal(8 * self.width, reset_less=True)
        with m.If(valid[2]):
            m.d.sync += answer.eq(front[: 8 * self.width])
        m.d.comb += [self.answered.eq(valid[3]), self.answer.eq(answer)]
        return m
