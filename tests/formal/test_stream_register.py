"""Proof of `StreamRegister`: a queue of two payloads, or one, that loses, doubles and reorders nothing and never stands still."""

import pytest
from amaranth.hdl import Assert, Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.npu.parts.stream_register import StreamRegister
from tests.formal.prove import prove, refute

NUMBER = 2
"""Bits of a payload: its number, which wraps; two at most are inside."""


class StreamRegisterProof(wiring.Component):
    """Offers numbered payloads when it likes, takes them when it likes.

    Proven is all that the outputs do: there is a payload to take exactly when one is inside, it is the oldest, and one is let in exactly
    when there is room. So a full register takes one a cycle, and one of half the registers one every other cycle.
    """

    offer: In(1)
    take: In(1)

    def __init__(self, dut):
        self.dut = dut
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        entered, left, inside = Signal(NUMBER), Signal(NUMBER), Signal(2)
        m.d.comb += [dut.i.valid.eq(self.offer), dut.i.payload.eq(entered), dut.o.ready.eq(self.take)]
        enters, leaves = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready
        m.d.sync += [entered.eq(entered + enters), left.eq(left + leaves), inside.eq(inside + enters - leaves)]
        room = 1 if dut.half else 2
        m.d.comb += [
            Assert(dut.o.valid == (inside != 0), "what is inside is offered"),
            Assert(dut.i.ready == (inside < room), "where there is room, one is let in"),
            Assert(~dut.o.valid | (dut.o.payload == left), "payloads leave in their order"),
            # what ties the observer to the design
            Assert((inside <= room) & (inside == (entered - left)[:NUMBER]), "none is lost or doubled"),
            Assert(~dut.waits | (dut.spare == (left + 1)[:NUMBER]), "the spare register holds the one behind"),
        ]
        return m


@pytest.mark.parametrize("half", [False, True], ids=["", "half"])
def test_it_is_proven(half, tmp_path):
    prove(StreamRegisterProof(StreamRegister(unsigned(NUMBER), half=half)), tmp_path, depth=4)


class Greedy(StreamRegister):
    """Broken: lets a payload in while the spare register is full."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.i.ready.eq(1)
        return m


@pytest.mark.parametrize("half", [False, True], ids=["", "half"])
def test_a_register_that_takes_more_than_it_holds_is_noticed(half, tmp_path):
    refute(StreamRegisterProof(Greedy(unsigned(NUMBER), half=half)), tmp_path, depth=8)
