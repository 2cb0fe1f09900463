"""The second operand: TFLite's int8 ADD of what left the clamp or the table, and a vector of the scratchpad."""

from amaranth.hdl import Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.isa import ADD_LEFT_SHIFT
from hw.npu.scale import CLAMP, Q31_BITS, Scale, rounded, travel

OPERAND = data.StructLayout({"zero_point": signed(8), "multiplier": signed(32), "shift": unsigned(5)})
"""One operand of an ADD."""
ADD = data.StructLayout({"first": OPERAND, "second": OPERAND, "out_multiplier": signed(32), "out_shift": unsigned(5), "clamp": CLAMP})
"""Configuration of an ADD."""

OPERAND_FRACTION = Q31_BITS - ADD_LEFT_SHIFT
"""Fraction bits of the product of an operand that is *not* shifted left by `ADD_LEFT_SHIFT`."""


class AddOperand(wiring.Component):
    """TFLite's ADD: each operand shifted left by 20 and scaled, their sum scaled again, clamped.

    An operand less its zero point has 9 bits. srdhm(d << 20, q) = (d * q * 2^20 + 2^30) >> 31 = (d * q + 2^10) >> 11, so a
    multiplier of 9x32 bits does, with the rounding of `Scale` and 11 fraction bits.

    ::

        first  -> - zero point -> product -> nudged, shifted --+
                                                               +--> sum -> Scale
        second -> - zero point -> product -> nudged, shifted --+

    One vector a cycle, never stalls.

    Parameters
    ----------
    lanes : int
        Values of a vector, at least 1.

    Members
    -------
    valid, bank : In(1), In(1)
        Two vectors enter; which configuration they belong to.
    first, second : In(signed(8)).array(lanes)
        The operands.
    config : In(ADD).array(2)
        Configuration of each bank, steady while a vector of the bank is inside.
    result_valid, result_bank : Out(1), Out(1)
        A vector leaves, and its bank.
    result : Out(signed(8)).array(lanes)
        The vector that leaves.

    Raises
    ------
    ValueError
        If ``lanes`` is below 1.
    """

    LATENCY = 4 + Scale.LATENCY

    def __init__(self, lanes):
        if lanes < 1:
            raise ValueError(f"AddOperand lanes must be at least 1, not {lanes}")
        self.lanes = lanes
        super().__init__({
            "valid": In(1),
            "bank": In(1),
            "first": In(signed(8)).array(lanes),
            "second": In(signed(8)).array(lanes),
            "config": In(ADD).array(2),
            "result_valid": Out(1),
            "result_bank": Out(1),
            "result": Out(signed(8)).array(lanes),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.scale = scale = Scale(lanes=self.lanes, width=30, rules=1)
        valid, bank = travel(m, self.valid, self.bank, 4)
        first, second = (self._numbers(m, name, bank) for name in ("first", "second"))
        out_shift = Mux(bank[4], self.config[1].out_shift, self.config[0].out_shift)
        for lane in range(self.lanes):
            scaled = [
                self._operand(m, f"first_{lane}", self.first[lane], valid, first),
                self._operand(m, f"second_{lane}", self.second[lane], valid, second),
            ]
            # 4: the sum of the scaled operands
            total = Signal(signed(30), name=f"sum_{lane}", reset_less=True)
            with m.If(valid[3]):
                m.d.sync += total.eq(scaled[0] + scaled[1])
            m.d.comb += scale.value[lane].eq(total)
        m.d.comb += [
            scale.valid.eq(valid[4]),
            scale.bank.eq(bank[4]),
            scale.multiplier[0].eq(Mux(bank[4], self.config[1].out_multiplier, self.config[0].out_multiplier)),
            scale.rule[0].amount.eq(out_shift + (Q31_BITS - 1)),
            scale.rule[0].nudge.eq(out_shift != 0),
            *(scale.config[i].eq(self.config[i].clamp) for i in range(2)),
            self.result_valid.eq(scale.result_valid),
            self.result_bank.eq(scale.result_bank),
            *(self.result[lane].eq(scale.result[lane]) for lane in range(self.lanes)),
        ]
        return m

    def _numbers(self, m, name, bank):
        """An operand's numbers, each of the bank of the vector at the stage that needs it."""
        numbers = []
        for stage, field in enumerate(("zero_point", "multiplier", "shift")):
            second, first = self.config[1][name][field], self.config[0][name][field]
            number = Signal.like(first, name=f"{name}_{field}")
            m.d.comb += number.eq(Mux(bank[stage], second, first))
            numbers.append(number)
        return numbers

    def _operand(self, m, name, operand, valid, numbers):
        """One operand, scaled: three stages."""
        zero_point, multiplier, shift = numbers
        # 1: the operand less its zero point
        centred = Signal(signed(9), name=f"centred_{name}", reset_less=True)
        with m.If(valid[0]):
            m.d.sync += centred.eq(operand - zero_point)
        # 2: the product, and the sign of the nudge
        product, down = Signal(signed(41), name=f"product_{name}", reset_less=True), Signal(name=f"down_{name}", reset_less=True)
        with m.If(valid[1]):
            m.d.sync += [product.eq(centred * multiplier), down.eq(centred[-1] ^ multiplier[-1])]
        # 3: shifted, but for the bit that rounds
        half = 1 << (OPERAND_FRACTION - 1)
        nudge = Mux(shift != 0, Mux(down, Const(-half, signed(12)), Const(half, signed(12))), 0)
        shifted = Signal(signed(31), name=f"shifted_{name}", reset_less=True)
        with m.If(valid[2]):
            m.d.sync += shifted.eq((product + nudge) >> (shift + (OPERAND_FRACTION - 1)))
        return rounded(m, shifted, name=f"rounded_{name}")
