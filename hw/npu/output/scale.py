"""Scaling of integers by a Q31 multiplier, with TFLite's two ways to round: the tail of requantization, and of ADD, SUB and MUL."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.parts.delay import delayed
from hw.npu.parts.product import Q31_BITS, product_latency, registered_product

ROUNDING = data.StructLayout({"amount": unsigned(6), "nudge": unsigned(1), "whole": unsigned(1)})
"""How a product is rounded: shift right by ``amount`` and then once more, rounding half up; ``nudge``: move it by half a unit
of Q31 away from zero first; ``whole``: it is an integer already, neither shift nor round (``amount`` is 0)."""

SCALED = data.StructLayout({"value": signed(32), "multiplier": signed(32), "rule": ROUNDING})
"""What is scaled in a lane, its Q31 multiplier, and how the product is rounded."""

CLAMP = data.StructLayout({"zero_point": signed(8), "clamp_min": signed(8), "clamp_max": signed(8)})
"""What ends a requantization, or a second operand's operation."""

TURN = data.StructLayout({"bank": unsigned(1), "second": unsigned(1)})
"""Whose configuration a vector in the scale has: its command's bank, and whether it is there for the second time."""


class Scale(wiring.Component):
    """``clamp(round(value * multiplier / 2^t) + zero_point)``, exact for both of TFLite's roundings.

    With t the whole right shift, 31 included, and P the 64-bit product:

    - single rounding is ``(P + 2^(t-1)) >> t``;
    - double rounding (gemmlowp's saturating rounding doubling high multiply, then its rounding right shift by e = t - 31) is
      ``(P + nudge + 2^(t-1)) >> t`` with nudge = 2^30 times the sign of P, or 0 where e = 0. The first rounding is
      ``(P + 2^30) >> 31`` for either sign, truncating division notwithstanding; the second rounds half away from zero, which is
      half up less one for negative numbers, and that one is 2^31 of P: 2^30 - 2^31 = -2^30. The sign may be that of
      ``value`` xor that of ``multiplier``: where the product is zero both nudges give zero. The saturation of
      -2^31 * -2^31 to 2^31 - 1 shows nowhere behind a clamp to 8 bits.

    So one adder of constants, one shifter and a bit to round stand for both.
    ``tests/block/output/test_requantize.py`` compares it with gemmlowp.

    ::

        value -> product -> nudged -> shifted by a multiple of 4, by the rest -> 10 bits -> + zero point -> clamp

    One vector a cycle, never stalls, `latency` cycles from value to result. Registers of a stage move only with a valid vector.

    Parameters
    ----------
    lanes : int
        Values of a vector, at least 1.
    multiplier_registers : int
        0 or 1: registers more around the multipliers, and between the steps behind them.

    Members
    -------
    valid, turn : In(1), In(TURN)
        A vector enters; which configuration it belongs to.
    scaled : In(SCALED).array(lanes)
        The vector.
    config : In(CLAMP).array(2, 2)
        Configurations of the first turn by bank, and of the second; steady while a vector of the bank is inside.
    result_valid, result_turn : Out(1), Out(TURN)
        A vector leaves, and its turn.
    result : Out(signed(8)).array(lanes)
        The vector that leaves.

    Raises
    ------
    ValueError
        If ``lanes`` is below 1.
    """

    def __init__(self, *, lanes, multiplier_registers=0):
        if lanes < 1:
            raise ValueError(f"Scale lanes must be at least 1, not {lanes}")
        self.lanes, self.more = lanes, multiplier_registers
        self.product_latency = product_latency(32, multiplier_registers)
        # the product in its stages; nudged, shifted, clamped; shifted by a multiple of 4 first, saturated, + zero point
        self.latency = self.product_latency + 3 + 3 * multiplier_registers
        super().__init__({
            "valid": In(1),
            "turn": In(TURN),
            "scaled": In(SCALED).array(lanes),
            "config": In(CLAMP).array(2, 2),
            "result_valid": Out(1),
            "result_turn": Out(TURN),
            "result": Out(signed(8)).array(lanes),
        })

    def elaborate(self, platform):
        m = Module()
        stages = self.latency
        valid, turn = travel(m, self.valid, self.turn, stages)
        m.d.comb += [self.result_valid.eq(valid[-1]), self.result_turn.eq(turn[-1])]
        rule = [[scaled.rule for scaled in self.scaled]]
        for stage in range(1, stages):  # a rule stays beside its vector until the shift
            rule.append([Signal(ROUNDING, name=f"rule_{stage}_{i}", reset_less=True) for i in range(self.lanes)])
            with m.If(valid[stage - 1]):
                m.d.sync += [new.eq(old) for new, old in zip(rule[stage], rule[stage - 1])]
        config = Signal(CLAMP, reset_less=True)  # chosen a cycle before it is needed
        with m.If(valid[-3]):
            m.d.sync += config.eq(self._of_turn(turn[-3], lambda config: config))
        for lane in range(self.lanes):
            self._lane(m, lane, valid, turn, rule, config)
        return m

    def _of_turn(self, turn, number):
        """A number of the configuration of a turn."""
        first, second = (Mux(turn.bank, number(banks[1]), number(banks[0])) for banks in self.config)
        return Mux(turn.second, second, first)

    def _lane(self, m, lane, valid, turn, rule, config):
        def register(shape, name):
            return Signal(shape, name=f"{name}_{lane}", reset_less=True)

        # the product, and the sign of the nudge
        value, multiplier = self.scaled[lane].value, self.scaled[lane].multiplier
        down = value[-1] ^ multiplier[-1]
        for stage in range(self.product_latency):
            old, down = down, register(1, f"down_{stage + 1}")
            with m.If(valid[stage]):
                m.d.sync += down.eq(old)
        at, more = self.product_latency, self.more
        product = registered_product(m, value, multiplier, valid[:at], name=f"{lane}", multiplier_registers=more)
        # behind the product: nudged by a half of Q31: the bits below stay (and no sum has 65 bits, which simulates slowly)
        nudged, halves = register(signed(len(product)), "nudged"), product[Q31_BITS - 1 :].as_signed()
        nudge = Mux(rule[at][lane].nudge, Mux(down, Const(-1, signed(2)), Const(1, signed(2))), 0)
        with m.If(valid[at]):
            m.d.sync += nudged.eq(Cat(product[: Q31_BITS - 1], (halves + nudge)[: len(halves)]))
        at += 1
        # shifted by a multiple of 4
        coarse = delayed(m, nudged >> (Cat(Const(0, 2), rule[at][lane].amount[2:])), more, name=f"coarse_{lane}", enable=valid[at])
        at += more
        # by the rest, its lowest bits, and whether the bits above are all 0 or all 1
        fine, zeros, ones, negative = register(13, "fine"), register(1, "zeros"), register(1, "ones"), register(1, "negative")
        with m.If(valid[at]):
            m.d.sync += [
                fine.eq(coarse >> rule[at][lane].amount[:2]),
                zeros.eq(coarse[12:] == 0),
                ones.eq(coarse[12:].all()),
                negative.eq(coarse[-1]),
            ]
        at += 1
        # saturated to 10 bits
        fits = (zeros & (fine[9:] == 0)) | (ones & fine[9:].all())
        saturated = Mux(fits, fine[:10].as_signed(), Mux(negative, Const(-512, signed(10)), Const(511, signed(10))))
        shifted = delayed(m, saturated, more, name=f"shifted_{lane}", enable=valid[at])
        at += more
        # + zero point, rounded in the same sum, which is of twice as much
        zero_point = Signal(signed(8), name=f"zero_point_{lane}")
        m.d.comb += zero_point.eq(self._of_turn(turn[at], lambda config: config.zero_point) if more else config.zero_point)
        twice = Mux(rule[at][lane].whole, shifted << 1, shifted) + Cat(Const(1, 1), zero_point).as_signed()
        total = delayed(m, (twice >> 1)[:11].as_signed(), more, name=f"total_{lane}", enable=valid[at])
        at += more
        # clamped
        clamped = register(signed(8), "clamped")
        with m.If(valid[at]):
            m.d.sync += clamped.eq(Mux(total < config.clamp_min, config.clamp_min, Mux(total > config.clamp_max, config.clamp_max, total)))
        m.d.comb += self.result[lane].eq(clamped)


def travel(m, valid, bank, stages):
    """Valid bit and bank, or turn, of a vector at the entry of each stage and behind the last: two lists of ``stages + 1`` signals.

    The bank moves with valid vectors only.
    """
    valids, banks = [valid], [bank]
    for stage in range(1, stages + 1):
        valids.append(Signal(name=f"valid_{stage}"))
        banks.append(Signal.like(bank, name=f"bank_{stage}", reset_less=True))
        m.d.sync += valids[-1].eq(valids[-2])
        with m.If(valids[-2]):
            m.d.sync += banks[-1].eq(banks[-2])
    return valids, banks
