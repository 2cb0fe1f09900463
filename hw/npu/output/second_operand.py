"""The second operand: TFLite's int8 ADD, SUB or MUL of what left the clamp or the table, and of the scratchpad, up to the scale."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import ADD_LEFT_SHIFT, MAX_PRODUCT_SHIFT, Second
from hw.npu.output.scale import CLAMP, SCALED, travel
from hw.npu.parts.delay import delayed
from hw.npu.parts.product import Q31_BITS, product_latency, registered_product

OPERAND = data.StructLayout({"zero_point": signed(8), "multiplier": signed(32), "shift": unsigned(5)})
"""One operand of an ADD or SUB; of a MUL its zero point counts, and the first's shift, which is the left shift of the product."""
SECOND = data.StructLayout({
    "operation": unsigned(2),
    "first": OPERAND,
    "second": OPERAND,
    "out_multiplier": signed(32),
    "out_shift": unsigned(5),
    "clamp": CLAMP,
})
"""Configuration: the operation, one of `Second`, and its numbers."""

OPERAND_FRACTION = Q31_BITS - ADD_LEFT_SHIFT
"""Fraction bits of the product of an operand that is *not* shifted left by `ADD_LEFT_SHIFT`."""
DIFFERENCE_BITS = 9
"""Bits of an int8 value less a zero point."""
PRODUCT_BITS = 17
"""Bits of the product of two int8 values, each less a zero point."""


class SecondOperand(wiring.Component):
    """TFLite's ADD and SUB: each operand shifted left by 20 and scaled, their sum or difference scaled again, clamped. MUL: the product
    of the operands, shifted left and scaled, clamped.

    An operand less its zero point has 9 bits. srdhm(d << 20, q) = (d * q * 2^20 + 2^30) >> 31 = (d * q + 2^10) >> 11, so a
    multiplier of 9x32 bits does, with the rounding of `Scale` and 11 fraction bits. MUL takes the first operand's multiplier and
    shifter: the other factor is the second operand, and a left shift by s of 17 bits is one by `MAX_PRODUCT_SHIFT` and then a right
    shift by the rest. All three take `latency` cycles, so that vectors stay in order.

    ::

        first  -> - zero point -> product -> nudged, shifted --+
                                     ^ MUL                     +--> sum -> ScaleTurns -> Scale
        second -> - zero point ------+-> product -> shifted ---+

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
        Configuration of each bank, steady while a vector of the bank is inside; ``first.shift`` at most `MAX_PRODUCT_SHIFT` in MUL.
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
        # less zero points, products in their stages, nudged; factors, shifted in two steps, rounded; their sum: the next register
        self.latency = 1 + product_latency(DIFFERENCE_BITS, multiplier_registers) + 1 + 4 * multiplier_registers
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
        operands = [_Operand(m, name, of_bank, valid, operation, self.more) for name in ("first", "second")]
        for lane in range(self.lanes):
            # 1: the operands less their zero points
            first, second = (operand.centred(lane, value[lane]) for operand, value in zip(operands, (self.first, self.second)))
            # the products with their multipliers, in MUL the product of both; shifted and rounded
            first, second = operands[0].scaled(lane, first, other=second), operands[1].scaled(lane, second)
            # last: the sum of what remains: the second operand, its complement, or nothing
            subtract = operation[-1] == Second.SUB
            addend = Mux(operation[-1] == Second.MUL, 0, Mux(subtract, ~second, second))
            total = Signal(signed(30), name=f"sum_{lane}")
            m.d.comb += [total.eq(first + addend + subtract), self.result[lane].value.eq(total)]
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


class _Operand:
    """The stages of one operand in every lane, before the sum; what all lanes share is made once.

    Parameters
    ----------
    name : str
        ``"first"`` or ``"second"``.
    of_bank : function
        Picks a number of a stage's bank.
    valid, operation : lists of Signal
        Of the vector that enters each stage.
    more : int
        Registers more.
    """

    def __init__(self, m, name, of_bank, valid, operation, more):
        self._m, self._name, self._valid, self._more = m, name, valid, more
        self._at = 1 + more + product_latency(DIFFERENCE_BITS, more)  # stage, from 0, that takes the product
        self._zero_point = of_bank(0, lambda config: config[name].zero_point, f"{name}_zero_point")
        # the factors stand beside the operands less their zero points, or a stage behind them
        multiplier = of_bank(more, lambda config: config[name].multiplier, f"{name}_multiplier")
        self._multiplier = delayed(m, multiplier, 1 - more, name=f"{name}_chosen_multiplier", enable=valid[0])
        self._multiplies = delayed(m, operation[more] == Second.MUL, 1 - more, name=f"{name}_multiplies", enable=valid[0])
        # the shift is taken beside the factors, that the shifter does not wait for a subtraction
        shift = of_bank(more, lambda config: config[name].shift, f"{name}_shift")
        raises = operation[more] == Second.MUL
        self._amount = Signal(6, name=f"{name}_amount", reset_less=True)
        self._nudges = Signal(name=f"{name}_nudges", reset_less=True)
        amount = Mux(raises, MAX_PRODUCT_SHIFT - shift, shift + (OPERAND_FRACTION - 1))
        with m.If(valid[more]):
            m.d.sync += [self._amount.eq(amount), self._nudges.eq(~raises & (shift != 0))]
        # what goes on beside a vector
        *_, self._nudges = self._later(self._nudges, 1 + more, self._at)
        amounts = self._later(self._amount, 1 + more, self._at + 1 + more)
        self._coarse, self._rest = amounts[-1 - more], amounts[-1]
        self._raises = operation[self._at] == Second.MUL
        # the second operand stands still in MUL
        self._moves = [valid[stage] & (operation[stage] != Second.MUL if name == "second" else 1) for stage in range(len(valid))]

    def _register(self, lane, shape, name):
        return Signal(shape, name=f"{name}_{self._name}_{lane}", reset_less=True)

    def centred(self, lane, operand):
        """Stage 1: the operand less its zero point."""
        centred = self._register(lane, signed(9), "centred")
        with self._m.If(self._valid[0]):
            self._m.d.sync += centred.eq(operand - self._zero_point)
        return centred

    def _later(self, signal, first, end):
        """A number of the vector that enters stage ``first`` (from 0): the same of the vectors that enter ``first`` + 1 to ``end``."""
        later = []
        for stage in range(first, end):
            signal = delayed(self._m, signal, 1, name=f"{signal.name}_{stage}", enable=self._valid[stage])
            later.append(signal)
        return later

    def scaled(self, lane, centred, other=None):
        """Times the multiplier, or the other operand in MUL, shifted and rounded; the second operand stands still in MUL."""
        m, moves, second = self._m, self._moves, other is None
        more, at, suffix = self._more, self._at, f"{self._name}_{lane}"
        # the factors
        factor = self._multiplier if second else Mux(self._multiplies, other, self._multiplier)
        factor = delayed(m, factor, more, name=f"factor_{suffix}", enable=moves[1])
        difference = delayed(m, centred, more, name=f"difference_{suffix}", enable=moves[1])
        # the product, and its sign
        product = registered_product(m, difference, factor, moves[1 + more : at], name=suffix, multiplier_registers=more)
        down = difference[-1] ^ factor[-1]
        for stage in range(1 + more, at):
            sign, down = down, self._register(lane, 1, f"down_{stage}")
            with m.If(moves[stage]):
                m.d.sync += down.eq(sign)
        # behind the product: nudged, in MUL raised, by one bit more than its left shift, for the rounding drops it
        half = 1 << (OPERAND_FRACTION - 1)
        nudge = Mux(self._nudges, Mux(down, Const(-half, signed(12)), Const(half, signed(12))), 0)
        raised = Cat(Const(0, MAX_PRODUCT_SHIFT + 1), product[:PRODUCT_BITS]).as_signed()
        nudged = self._register(lane, signed(41), "nudged")
        with m.If(moves[at]):
            m.d.sync += nudged.eq((product if second else Mux(self._raises, raised, product)) + nudge)
        # shifted by a multiple of 4, by the rest but for the bit that rounds, and rounded
        coarse = delayed(m, nudged >> Cat(Const(0, 2), self._coarse[2:]), more, name=f"coarse_{suffix}", enable=moves[at + 1])
        shifted = (coarse >> self._rest[:2])[:31].as_signed()
        shifted = delayed(m, shifted, more, name=f"shifted_{suffix}", enable=moves[at + 1 + more])
        return delayed(m, ((shifted + 1) >> 1)[:30].as_signed(), more, name=f"result_{suffix}", enable=moves[at + 1 + 2 * more])
