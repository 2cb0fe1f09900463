"""The reciprocal of a sum of exponentials."""

from amaranth.hdl import Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.parts.product import Q31_BITS

SUM_BITS = 31
"""Bits of a sum: Q12.19, and 4095 exponentials of 2^19 fit."""
FORTY_EIGHT_SEVENTEENTHS, MINUS_32_SEVENTEENTHS = 1515870810, -1010580540
"""The first estimate's constants, Q2.29 (gemmlowp ``one_over_one_plus_x_for_x_in_0_1``)."""
ONE = 1 << 29
"""1 in Q2.29."""
LEAST_AMOUNT = 35 - 31 - 1
"""`SoftmaxReciprocal.amount` for a sum of 0 or 1."""
STEPS = 3
"""Steps of Newton and Raphson."""


class SoftmaxReciprocal(wiring.Component):
    """gemmlowp's ``GetReciprocal``: normalizes a sum and divides 1 by it; `SoftmaxProduct` multiplies, one product after the other.

    With the sum's first one moved up by ``headroom`` bits to bit 31, ``half`` is its upper 31 bits, 1/2 to 1 in Q0.31::

        x = 48/17 - 32/17 * half;  three times: x = x + x * (1 - half * x)        Q2.29
        reciprocal = 2 * x - at most 2^31 - 1                                     Q0.31

    The results of the left shifts in between stay in 32 bits for every ``half``, for |1 - half * x| is at most 1/17; only the last
    one saturates. A sum of 0 has a headroom of 31 and counts as 1/2; it comes from a table without a 1 only.

    Takes ``headroom + 1`` cycles, and `newton_cycles` for the products and the reciprocal, which is made a cycle behind the last estimate.

    Parameters
    ----------
    product_latency : int
        Cycles of the multiplier.

    Members
    -------
    start, total : In(1), In(unsigned(31))
        Begins.
    ask, first, second : Out(1), Out(signed(32)), Out(signed(32))
        The operands of a product.
    answered, product : In(1), In(signed(32))
        The product.
    done : Out(1)
        A pulse: ``reciprocal`` and ``amount`` stand from the next cycle on.
    reciprocal : Out(unsigned(31))
        Q0.31.
    amount : Out(unsigned(6))
        Right shift of an exponential's product with it that gives the result in Q0.8, 35 - headroom, less 1.
    """

    def __init__(self, *, product_latency):
        self.newton_cycles = (1 + 2 * STEPS) * (1 + product_latency) + 1  # the products, and the reciprocal that is made of the last one
        super().__init__({
            "start": In(1),
            "total": In(unsigned(SUM_BITS)),
            "ask": Out(1),
            "first": Out(signed(32)),
            "second": Out(signed(32)),
            "answered": In(1),
            "product": In(signed(32)),
            "done": Out(1),
            "reciprocal": Out(unsigned(Q31_BITS)),
            "amount": Out(unsigned(6)),
        })

    def elaborate(self, platform):
        m = Module()
        value = Signal(32, reset_less=True)
        x = Signal(signed(32), reset_less=True)
        rest = Signal(signed(32), reset_less=True)
        steps = Signal(range(STEPS + 1), reset_less=True)
        asked = Signal()
        half = Signal(signed(32))
        m.d.comb += half.eq(value[1:31] | (1 << 30))
        corrected = (x + (self.product << 2))[:32].as_signed()

        def multiply(second, first=half):
            """Asks once for a product."""
            m.d.comb += [self.ask.eq(~asked), self.first.eq(first), self.second.eq(second)]
            m.d.sync += asked.eq(~self.answered)

        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.d.sync += [value.eq(self.total), self.amount.eq(LEAST_AMOUNT + 31), steps.eq(STEPS)]
                m.next = "NORMALIZE"
            with m.State("NORMALIZE"):  # until the first one is at the top, or 31 bits are passed
                with m.If(value[31] | (self.amount == LEAST_AMOUNT)):
                    m.next = "ESTIMATE"
                with m.Else():
                    m.d.sync += [value.eq(value << 1), self.amount.eq(self.amount - 1)]
            with m.State("ESTIMATE"):  # 48/17 - 32/17 * half
                multiply(Const(MINUS_32_SEVENTEENTHS, signed(32)))
                with m.If(self.answered):
                    m.d.sync += x.eq(FORTY_EIGHT_SEVENTEENTHS + self.product)
                    m.next = "REST"
            with m.State("REST"):  # 1 - half * x
                multiply(x)
                with m.If(self.answered):
                    m.d.sync += rest.eq(ONE - self.product)
                    m.next = "CORRECT"
            with m.State("CORRECT"):  # x + x * rest; Q2.29 times Q2.29 is Q4.27
                multiply(rest, first=x)
                with m.If(self.answered):
                    m.d.sync += [x.eq(corrected), steps.eq(steps - 1)]
                    m.next = "REST"
                    with m.If(steps == 1):
                        m.next = "SATURATE"
            with m.State("SATURATE"):  # one cycle: twice the last estimate is the reciprocal
                m.d.comb += self.done.eq(1)
                m.d.sync += self.reciprocal.eq(Mux(x[30:] == 0, x << 1, (1 << Q31_BITS) - 1))
                m.next = "IDLE"
        return m
