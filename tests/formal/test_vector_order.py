"""Proof of `VectorOrder`: whatever it lets be issued, no two vectors meet at the scale, and they leave in their order."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.npu.output.scale_turns import ScaleTurns
from hw.npu.output.vector_order import VectorOrder
from tests.formal.prove import prove, refute

TURN = 5
"""Cycles from a vector's first time in the scale to its second; the design is the same with any number."""
MAPPED = (1, 2)
"""Of these, those from the scale to where a vector without a second operand leaves; a vector with one leaves straight from the scale."""


class VectorOrderProof(wiring.Component):
    """Vectors of either kind are issued in any cycle in which the design lets them; the scale's cycles are counted from the issue on.

    ::

        issue -----------------> ScaleTurns ---> out, mapped cycles later, without a second operand
          +---- turn cycles --------^     +----> out, with one: it has gone the same way once before

    Parameters
    ----------
    dut : VectorOrder
        The design, or a broken one.
    mapped : int
        Cycles from the scale to where a vector without a second operand leaves.
    """

    issue: In(1)
    second: In(1)

    def __init__(self, *, dut, mapped=1):
        self.dut, self.mapped = dut, mapped
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        m.submodules.turns = turns = ScaleTurns(1)
        joined, plain = Signal(TURN), Signal(self.mapped)  # a vector of a kind was issued so many cycles ago, less one
        without = self.issue & ~self.second
        m.d.comb += [
            Assume(~self.issue | (self.second & dut.apart) | (~self.second & dut.behind)),
            dut.joins.eq(self.issue & self.second),
            turns.first_valid.eq(self.issue),
            turns.second_valid.eq(joined[-1]),
        ]
        m.d.sync += [joined.eq(Cat(dut.joins, joined)), plain.eq(Cat(without, plain))]
        m.d.comb += [
            Assert(~(turns.first_valid & turns.second_valid), "two vectors never come to the scale in the same cycle"),
            Assert(~without | ~joined.any(), "a vector without a second operand is issued when none has to come back"),
            Assert(~(plain[-1] & joined[-1]), "two vectors never leave in the same cycle"),
            # what ties the observer to the design
            Assert(~dut.behind | ~joined.any(), "the design knows of all that have to come back"),
            Assert(dut.apart == ~joined[-1], "and which of them comes back now"),
        ]
        return m


class Hasty(VectorOrder):
    """Broken: a vector with a second operand is issued at any time."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.apart.eq(1)
        return m


class Early(VectorOrder):
    """Broken: a vector without one is issued as soon as it does not meet another at the scale."""

    def elaborate(self, platform):
        m = Module()
        joined = Signal(self.turn)
        m.d.sync += joined.eq(Cat(self.joins, joined))
        m.d.comb += [self.apart.eq(~joined[-1]), self.behind.eq(~joined[-1])]
        return m


@pytest.mark.parametrize("mapped", MAPPED)
def test_no_two_vectors_meet(mapped, tmp_path):
    prove(VectorOrderProof(dut=VectorOrder(TURN), mapped=mapped), tmp_path, depth=TURN + 1, kept=True)


def test_a_turn_of_another_length_is_noticed(tmp_path):
    for turn in (TURN - 1, TURN + 1):
        folder = tmp_path / str(turn)
        folder.mkdir()
        refute(VectorOrderProof(dut=VectorOrder(turn)), folder, depth=2 * TURN)


@pytest.mark.parametrize("broken", [Hasty, Early])
def test_a_vector_that_does_not_wait_is_noticed(broken, tmp_path):
    refute(VectorOrderProof(dut=broken(TURN)), tmp_path, depth=2 * TURN)
