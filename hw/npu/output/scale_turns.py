"""The way into the scale: vectors that are requantized, and those that come back with their second operand, take turns."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.output.scale import SCALED, TURN
from hw.npu.parts.promise import promise


class ScaleTurns(wiring.Component):
    """The register in front of `Scale`, loaded from one of two sources: so each lane has one wide multiplier for both.

    One vector a cycle, never stalls: two vectors must not come in the same cycle, for which `VectorOrder` cares when they are issued.

    Parameters
    ----------
    lanes : int
        Values of a vector, at least 1.

    Members
    -------
    first_valid, first_bank, first : In(1), In(1), In(SCALED).array(lanes)
        A vector comes for the first time, from `Requantize`; its bank.
    second_valid, second_bank, second : In(1), In(1), In(SCALED).array(lanes)
        A vector comes for the second time, from `SecondOperand`.
    valid, turn, scaled : Out(1), Out(TURN), Out(SCALED).array(lanes)
        The vector in the next cycle.

    Raises
    ------
    ValueError
        If ``lanes`` is below 1.
    """

    LATENCY = 1
    """Cycles from a source to the scale."""

    def __init__(self, lanes):
        if lanes < 1:
            raise ValueError(f"ScaleTurns lanes must be at least 1, not {lanes}")
        self.lanes = lanes
        super().__init__({
            **{f"{source}_valid": In(1) for source in ("first", "second")},
            **{f"{source}_bank": In(1) for source in ("first", "second")},
            **{source: In(SCALED).array(lanes) for source in ("first", "second")},
            "valid": Out(1),
            "turn": Out(TURN),
            "scaled": Out(SCALED).array(lanes),
        })

    def elaborate(self, platform):
        m = Module()
        comes = Signal()
        m.d.comb += comes.eq(self.first_valid | self.second_valid)
        m.d.sync += self.valid.eq(comes)
        turn = Signal(TURN, reset_less=True)
        m.d.comb += self.turn.eq(turn)
        with m.If(comes):
            m.d.sync += [turn.second.eq(self.second_valid), turn.bank.eq(Mux(self.second_valid, self.second_bank, self.first_bank))]
        for lane in range(self.lanes):
            scaled = Signal(SCALED, name=f"scaled_{lane}", reset_less=True)
            m.d.comb += self.scaled[lane].eq(scaled)
            with m.If(comes):
                m.d.sync += scaled.eq(Mux(self.second_valid, self.second[lane], self.first[lane]))
        promise(m, self, ~(self.first_valid & self.second_valid), "two vectors never come in the same cycle")
        return m
