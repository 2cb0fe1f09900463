"""The second operand: TFLite's int8 ADD, SUB or MUL of what left the clamp or the table, and of the scratchpad, up to the scale."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import ADD_LEFT_SHIFT, MAX_PRODUCT_SHIFT, Second, is_plain
from hw.npu.output.scale import CLAMP, SCALED, travel
from hw.npu.parts.delay import delayed
from hw.npu.parts.product import Q31_BITS, product_latency, registered_product

OPERAND = data.StructLayout({"zero_point": signed(8), "multiplier": signed(32), "shift": unsigned(5)})
"""The operand of an ADD or SUB that is scaled; the first of a MUL, whose shift is the left shift of the product."""
SECOND = data.StructLayout({
    "operation": unsigned(2),
    "swaps": unsigned(1),
    "scaled": OPERAND,
    "plain_zero_point": signed(8),
    "out_multiplier": signed(32),
    "out_shift": unsigned(5),
    "clamp": CLAMP,
})
"""Configuration: the operation, one of `Second`; whether the operand that is scaled is the second one; its numbers, and those of the other,
plain operand, and of the result."""

OPERAND_FRACTION = Q31_BITS - ADD_LEFT_SHIFT
"""Fraction bits of the product of an operand that is *not* shifted left by `ADD_LEFT_SHIFT`."""
DIFFERENCE_BITS = 9
"""Bits of an int8 value less a zero point."""
PRODUCT_BITS = 17
"""Bits of the product of two int8 values, each less a zero point."""


def second_config(second):
    """`SECOND` of a command's group ``second``, as one value: the operand that is not plain is scaled, in MUL always the first."""
    swaps = is_plain(second.first_multiplier, second.first_shift) & (second.operation != Second.MUL)
    first, other = (
        (second.first_zero_point, second.first_multiplier, second.first_shift),
        (second.zero_point, second.multiplier, second.shift),
    )
    value = Cat(
        second.operation,
        swaps,
        *(Mux(swaps, theirs, ours) for ours, theirs in zip(first, other)),
        Mux(swaps, second.first_zero_point, second.zero_point),
        second.out_multiplier,
        second.out_shift,
        second.out_zero_point,
        second.clamp_min,
        second.clamp_max,
    )
    assert len(value) == SECOND.size
    return value


class SecondOperand(wiring.Component):
    """TFLite's ADD and SUB: each operand shifted left by 20 and scaled, their sum or difference scaled again, clamped. MUL: the product
    of the operands, shifted left and scaled, clamped.

    An operand less its zero point has 9 bits. srdhm(d << 20, q) = (d * q * 2^20 + 2^30) >> 31 = (d * q + 2^10) >> 11, so a
    multiplier of 9x32 bits does, with the rounding of `Scale` and 11 fraction bits. One of the two operands is *plain*: with a multiplier
    of 2^30 and no shift nothing is rounded, so that it is d << 19, and one multiplier is enough for both. MUL takes it too: the other
    factor is the second operand, and a left shift by s of 17 bits is one by `MAX_PRODUCT_SHIFT` and then a right shift by the rest. All
    three take `latency` cycles, so that vectors stay in order.

    ::

        scaled -> - zero point -> product -> nudged, shifted, rounded --+
                                     ^ MUL                              +--> sum -> ScaleTurns -> Scale
        plain  -> - zero point ------+-> << 19 -------------------------+

    In SUB the one that is subtracted changes its sign: the plain one with its zero point; the scaled one before it is rounded, where the
    complement does, since the complement of a floor is the floor of the complement, and what rounds adds the one that is missing.

    One vector a cycle, never stalls. The sum is no register: `ScaleTurns` has it.

    Parameters
    ----------
    lanes : int
        Values of a vector, at least 1.
    multiplier_registers : int
        0 or 1: registers more around the multipliers, and between the steps behind them.

    Members
    -------
    valid, bank : In(1), In(1)
        Two vectors enter; which configuration they belong to.
    first, second : In(signed(8)).array(lanes)
        The operands.
    config : In(SECOND).array(2)
        Configuration of each bank, steady while a vector of the bank is inside; ``scaled.shift`` at most `MAX_PRODUCT_SHIFT` in MUL.
    result_valid, result_bank : Out(1), Out(1)
        A vector leaves, and its bank.
    result : Out(SCALED).array(lanes)
        The vector that leaves: the sum or the product, and by what it is scaled.

    Raises
    ------
    ValueError
        If ``lanes`` is below 1.
    """

    def __init__(self, lanes, *, multiplier_registers=0):
        if lanes < 1:
            raise ValueError(f"SecondOperand lanes must be at least 1, not {lanes}")
        self.lanes, self.more = lanes, multiplier_registers
        # less zero points, product in its stages, nudged; factors, shifted in two steps; rounded in the sum: the next register
        self.latency = 1 + product_latency(DIFFERENCE_BITS, multiplier_registers) + 1 + 3 * multiplier_registers
        super().__init__({
            "valid": In(1),
            "bank": In(1),
            "first": In(signed(8)).array(lanes),
            "second": In(signed(8)).array(lanes),
            "config": In(SECOND).array(2),
            "result_valid": Out(1),
            "result_bank": Out(1),
            "result": Out(SCALED).array(lanes),
        })

    def elaborate(self, platform):
        m = Module()
        valid, bank = travel(m, self.valid, self.bank, self.latency)
        stages = len(valid)  # with that of the sum

        def of_bank(stage, number, name):
            """A number of the bank of the vector that enters a stage."""
            second, first = number(self.config[1]), number(self.config[0])
            chosen = Signal.like(first, name=name)
            m.d.comb += chosen.eq(Mux(bank[stage], second, first))
            return chosen

        operation = [of_bank(stage, lambda config: config.operation, f"operation_{stage + 1}") for stage in range(stages)]
        numbers = _Numbers(m, of_bank, valid, operation, self.more)
        for lane in range(self.lanes):
            # 1: the operands less their zero points
            scaled, plain = self._centred(m, lane, numbers)
            # last: the sum of what remains, rounded in it: the other half of what it adds has the weight of the plain operand
            shifted = self._shifted(m, lane, numbers, scaled, plain)
            addend = Mux(operation[-1] == Second.MUL, 0, numbers.later(plain, 1, stages - 1, moves=numbers.adds)[-1])
            total = Signal(signed(30), name=f"sum_{lane}")
            m.d.comb += [
                total.eq((shifted + Cat(Const(1, ADD_LEFT_SHIFT), addend).as_signed()) >> 1),
                self.result[lane].value.eq(total),
            ]
        self._scaling(m, of_bank, stages - 1)
        m.d.comb += [self.result_valid.eq(valid[-1]), self.result_bank.eq(bank[-1])]
        return m

    def _scaling(self, m, of_bank, stage):
        """By what the sum is scaled: the same in all lanes."""
        shift = of_bank(stage, lambda config: config.out_shift, "out_shift")
        multiplier = of_bank(stage, lambda config: config.out_multiplier, "out_multiplier")
        for result in self.result:
            m.d.comb += [
                result.multiplier.eq(multiplier),
                result.rule.amount.eq(shift + (Q31_BITS - 1)),
                result.rule.nudge.eq(shift != 0),
            ]

    def _centred(self, m, lane, numbers):
        """The operand that is scaled and the plain one, less their zero points; the plain one with the sign that it has in the sum."""
        scaled, plain = (Signal(signed(DIFFERENCE_BITS), name=f"{name}_{lane}", reset_less=True) for name in ("scaled", "plain"))
        first, second, turns = self.first[lane], self.second[lane], numbers.turns_plain.replicate(8)

        def turned(value):
            return (value ^ turns).as_signed()

        with m.If(numbers.valid[0]):
            m.d.sync += [
                scaled.eq(Mux(numbers.swaps, second, first) - numbers.scaled_zero_point),
                plain.eq(turned(Mux(numbers.swaps, first, second)) - turned(numbers.plain_zero_point)),
            ]
        return scaled, plain

    def _shifted(self, m, lane, numbers, scaled, plain):
        """Times the multiplier, or the other operand in MUL; shifted but for the bit that rounds."""
        more, at, valid = self.more, numbers.at, numbers.valid
        # the factors
        factor = delayed(m, Mux(numbers.multiplies, plain, numbers.multiplier), more, name=f"factor_{lane}", enable=valid[1])
        difference = delayed(m, scaled, more, name=f"difference_{lane}", enable=valid[1])
        # the product, and its sign
        product = registered_product(m, difference, factor, valid[1 + more : at], name=f"{lane}", multiplier_registers=more)
        down = difference[-1] ^ factor[-1]
        for stage in range(1 + more, at):
            down = delayed(m, down, 1, name=f"down_{stage}_{lane}", enable=valid[stage])
        # behind the product: nudged, in MUL raised, by one bit more than its left shift, for the rounding drops it
        half = 1 << (OPERAND_FRACTION - 1)
        nudge = Mux(numbers.nudges, Mux(down, Const(-half, signed(12)), Const(half, signed(12))), 0)
        raised = Cat(Const(0, MAX_PRODUCT_SHIFT + 1), product[:PRODUCT_BITS]).as_signed()
        nudged = Signal(signed(len(product)), name=f"nudged_{lane}", reset_less=True)
        with m.If(valid[at]):
            m.d.sync += nudged.eq((Mux(numbers.raises, raised, product) + nudge) ^ numbers.turns_scaled.replicate(len(product)))
        # shifted by a multiple of 4, by the rest but for the bit that rounds
        coarse = delayed(m, nudged >> Cat(Const(0, 2), numbers.coarse[2:]), more, name=f"coarse_{lane}", enable=valid[at + 1])
        return delayed(m, (coarse >> numbers.rest[:2])[:31].as_signed(), more, name=f"shifted_{lane}", enable=valid[at + 1 + more])


class _Numbers:
    """What all lanes share, beside the vector that it belongs to.

    Parameters
    ----------
    of_bank : function
        Picks a number of a stage's bank.
    valid, operation : lists of Signal
        Of the vector that enters each stage.
    more : int
        Registers more.
    """

    def __init__(self, m, of_bank, valid, operation, more):
        self._m, self.valid = m, valid
        self.at = at = 1 + more + product_latency(DIFFERENCE_BITS, more)  # stage, from 0, that takes the product
        # beside the operands less their zero points
        self.swaps = of_bank(0, lambda config: config.swaps, "swaps")
        self.scaled_zero_point = of_bank(0, lambda config: config.scaled.zero_point, "scaled_zero_point")
        self.plain_zero_point = of_bank(0, lambda config: config.plain_zero_point, "plain_zero_point")
        self.turns_plain = (operation[0] == Second.SUB) & ~self.swaps
        # the plain operand stands still behind the product of a MUL
        self.adds = [valid[stage] & (operation[stage] != Second.MUL) for stage in range(len(valid))]
        # the factors stand beside the operands less their zero points, or a stage behind them
        multiplier = of_bank(more, lambda config: config.scaled.multiplier, "multiplier")
        multiplies = operation[more] == Second.MUL
        self.multiplier = delayed(m, multiplier, 1 - more, name="chosen_multiplier", enable=valid[0])
        self.multiplies = delayed(m, multiplies, 1 - more, name="multiplies", enable=valid[0])
        # the shift is taken beside the factors, that the shifter does not wait for a subtraction
        shift = of_bank(more, lambda config: config.scaled.shift, "shift")
        amount = Mux(multiplies, MAX_PRODUCT_SHIFT - shift, shift + (OPERAND_FRACTION - 1))[:6]
        amount = delayed(m, amount, 1, name="amount", enable=valid[more])
        nudges = delayed(m, ~multiplies & (shift != 0), 1, name="nudges", enable=valid[more])
        # what goes on beside a vector
        *_, self.nudges = self.later(nudges, 1 + more, at)
        amounts = self.later(amount, 1 + more, at + 1 + more)
        self.coarse, self.rest = amounts[-1 - more], amounts[-1]
        self.raises = operation[at] == Second.MUL
        self.turns_scaled = (operation[at] == Second.SUB) & of_bank(at, lambda config: config.swaps, "swaps_product")

    def later(self, signal, first, end, moves=None):
        """A number of the vector that enters stage ``first`` (from 0): the same of the vectors that enter ``first`` + 1 to ``end``."""
        later = []
        for stage in range(first, end):
            signal = delayed(self._m, signal, 1, name=f"{signal.name}_{stage}", enable=(moves or self.valid)[stage])
            later.append(signal)
        return later
