"""Requantization: from an int32 accumulator to int8, as TFLite's reference kernels do it."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.output.scale import CLAMP, ROUNDING, Scale, travel
from hw.npu.parts.product import Q31_BITS

REQUANTIZE = data.StructLayout({"single_rounding": unsigned(1), "clamp": CLAMP})
"""What is common to all channels of a command."""


class Requantize(wiring.Component):
    """``clamp(scale(accumulator + bias) + zero_point)`` of a vector of accumulators.

    ::

        accumulator -> + bias -> << left -> Scale

    ``x = accumulator + bias`` wraps in 32 bits. Double rounding shifts it left, which wraps too, and rounds after the multiplication
    and after the right shift; single rounding rounds the 64-bit product once, by 31 - left + right bits. One vector a cycle, never stalls.

    Parameters
    ----------
    lanes : int
        Values of a vector, at least 1.
    accumulator_bits : int
        20 to 32.

    Members
    -------
    valid, bank : In(1), In(1)
        A vector enters; which configuration it belongs to.
    accumulator : In(signed(accumulator_bits)).array(lanes)
        The sums.
    bias, multiplier : In(signed(32)).array(lanes)
        Added to the sum; Q31.
    left, right : In(unsigned(5)).array(lanes)
        Left shift before, rounding right shift after the multiplication.
    config : In(REQUANTIZE).array(2)
        Configuration of each bank, steady while a vector of the bank is inside.
    result_valid, result_bank : Out(1), Out(1)
        A vector leaves, and its bank.
    result : Out(signed(8)).array(lanes)
        The vector that leaves.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    LATENCY = 3 + Scale.LATENCY
    """Cycles: the biased sum, shifted left in two steps, scaled."""

    def __init__(self, *, lanes, accumulator_bits):
        if lanes < 1:
            raise ValueError(f"Requantize lanes must be at least 1, not {lanes}")
        if not 20 <= accumulator_bits <= 32:
            raise ValueError(f"Requantize accumulator_bits must be 20 to 32, not {accumulator_bits}")
        self.lanes = lanes
        super().__init__({
            "valid": In(1),
            "bank": In(1),
            "accumulator": In(signed(accumulator_bits)).array(lanes),
            "bias": In(signed(32)).array(lanes),
            "multiplier": In(signed(32)).array(lanes),
            "left": In(unsigned(5)).array(lanes),
            "right": In(unsigned(5)).array(lanes),
            "config": In(REQUANTIZE).array(2),
            "result_valid": Out(1),
            "result_bank": Out(1),
            "result": Out(signed(8)).array(lanes),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.scale = scale = Scale(lanes=self.lanes, width=32, rules=self.lanes)
        valid, bank = travel(m, self.valid, self.bank, Requantize.LATENCY - Scale.LATENCY)
        single = Signal()
        m.d.comb += [
            single.eq(Mux(bank[1], self.config[1].single_rounding, self.config[0].single_rounding)),
            scale.valid.eq(valid[-1]),
            scale.bank.eq(bank[-1]),
            *(scale.config[i].eq(self.config[i].clamp) for i in range(2)),
            self.result_valid.eq(scale.result_valid),
            self.result_bank.eq(scale.result_bank),
            *(self.result[lane].eq(scale.result[lane]) for lane in range(self.lanes)),
        ]
        for lane in range(self.lanes):
            self._lane(m, lane, valid, single, scale)
        return m

    def _lane(self, m, lane, valid, single, scale):
        def register(shape, name):
            return Signal(shape, name=f"{name}_{lane}", reset_less=True)

        # 1: the biased sum, with its channel's numbers
        biased, multiplier = register(signed(32), "biased"), register(signed(32), "multiplier")
        left, right = register(unsigned(5), "left"), register(unsigned(5), "right")
        with m.If(valid[0]):
            m.d.sync += [
                biased.eq(self.accumulator[lane] + self.bias[lane]),
                multiplier.eq(self.multiplier[lane]),
                left.eq(self.left[lane]),
                right.eq(self.right[lane]),
            ]
        # 2: shifted left by a multiple of 4, with its multiplier
        factor, scaled, rule = register(signed(32), "factor"), register(signed(32), "scaled"), register(ROUNDING, "rule")
        whole = single & (left == 31) & (right == 0)
        coarse, late = register(signed(32), "coarse"), register(signed(32), "late_multiplier")
        rest, late_right, less = register(2, "rest"), register(6, "late_right"), register(5, "less")
        late_nudge, late_whole = register(1, "late_nudge"), register(1, "late_whole")
        with m.If(valid[1]):
            m.d.sync += [
                coarse.eq(Mux(single, biased, (biased << Cat(Const(0, 2), left[2:]))[:32].as_signed())),
                rest.eq(Mux(single, 0, left[:2])),
                less.eq(Mux(single, left, 0)),
                late.eq(multiplier),
                late_right.eq((Q31_BITS - 1) + right),
                late_nudge.eq(~single & (right != 0)),
                late_whole.eq(whole),
            ]
        # 3: shifted by the rest, with its rounding: t - 1 = 30 + right (double), 30 - left + right (single)
        with m.If(valid[2]):
            m.d.sync += [
                scaled.eq((coarse << rest)[:32].as_signed()),
                factor.eq(late),
                rule.amount.eq(Mux(late_whole, 0, late_right - less)),
                rule.nudge.eq(late_nudge),
                rule.whole.eq(late_whole),
            ]
        m.d.comb += [scale.value[lane].eq(scaled), scale.multiplier[lane].eq(factor), scale.rule[lane].eq(rule)]
