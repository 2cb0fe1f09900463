"""Requantization up to the scale: from an int32 accumulator to what is multiplied, as TFLite's reference kernels do it."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.output.scale import CLAMP, SCALED, travel
from hw.npu.parts.delay import delayed
from hw.npu.parts.product import Q31_BITS

REQUANTIZE = data.StructLayout({"single_rounding": unsigned(1), "clamp": CLAMP})
"""What is common to all channels of a command."""


class Requantize(wiring.Component):
    """What is scaled of a vector of accumulators in ``clamp(scale(accumulator + bias) + zero_point)``, and by what.

    ::

        accumulator -> + bias -> << left -> ScaleTurns -> Scale

    ``x = accumulator + bias`` wraps in 32 bits. Double rounding shifts it left, which wraps too, and rounds after the multiplication
    and after the right shift; single rounding rounds the 64-bit product once, by 31 - left + right bits. One vector a cycle, never stalls;
    `latency` cycles from accumulators to results, which are no registers: `ScaleTurns` has them.

    Parameters
    ----------
    lanes : int
        Values of a vector, at least 1.
    accumulator_bits : int
        20 to 32.
    multiplier_registers : int
        0 or 1: a register more between the steps.

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
    result : Out(SCALED).array(lanes)
        The vector that leaves.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    def __init__(self, *, lanes, accumulator_bits, multiplier_registers=0):
        if lanes < 1:
            raise ValueError(f"Requantize lanes must be at least 1, not {lanes}")
        if not 20 <= accumulator_bits <= 32:
            raise ValueError(f"Requantize accumulator_bits must be 20 to 32, not {accumulator_bits}")
        self.lanes, self.more = lanes, multiplier_registers
        # the biased sum, shifted left by a multiple of 4; by the rest: the next register
        self.latency = 1 + multiplier_registers
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
            "result": Out(SCALED).array(lanes),
        })

    def elaborate(self, platform):
        m = Module()
        valid, bank = travel(m, self.valid, self.bank, self.latency)
        single = Signal()
        m.d.comb += [
            single.eq(Mux(bank[1], self.config[1].single_rounding, self.config[0].single_rounding)),
            self.result_valid.eq(valid[-1]),
            self.result_bank.eq(bank[-1]),
        ]
        for lane in range(self.lanes):
            self._lane(m, lane, valid, single)
        return m

    def _lane(self, m, lane, valid, single):
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
        # 2: shifted left by a multiple of 4

        def step(value, name):
            return delayed(m, value, self.more, name=f"{name}_{lane}", enable=valid[1])

        coarse = step(Mux(single, biased, (biased << Cat(Const(0, 2), left[2:]))[:32].as_signed()), "coarse")
        rest, less = step(Mux(single, 0, left[:2]), "rest"), step(Mux(single, left, 0), "less")
        late, late_right = step(multiplier, "late_multiplier"), step((Q31_BITS - 1) + right, "late_right")
        nudge, whole = step(~single & (right != 0), "late_nudge"), step(single & (left == 31) & (right == 0), "late_whole")
        # last: shifted by the rest, with its multiplier and its rounding: t - 1 = 30 + right (double), 30 - left + right (single)
        result = self.result[lane]
        m.d.comb += [
            result.value.eq((coarse << rest)[:32].as_signed()),
            result.multiplier.eq(late),
            result.rule.amount.eq(Mux(whole, 0, late_right - less)),
            result.rule.nudge.eq(nudge),
            result.rule.whole.eq(whole),
        ]
