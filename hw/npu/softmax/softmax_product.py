"""The one multiplier of SOFTMAX."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.parts.product import Q31_BITS, product_latency, registered_product


class SoftmaxProduct(wiring.Component):
    """gemmlowp's saturating rounding doubling high multiply of two int32: ``(first * second + 2^30) >> 31``.

    The one product that saturates, -2^31 times itself, does not occur in SOFTMAX: one factor is not negative.
    One product a cycle, `latency` cycles behind its operands, where ``advance`` holds everything.

    Parameters
    ----------
    multiplier_registers : int
        0 or 1: registers more around the multipliers.

    Members
    -------
    advance : In(1)
        Low: all stages hold.
    valid, first, second : In(1), In(signed(32)), In(signed(32))
        The operands, taken with ``advance``.
    result_valid, result : Out(1), Out(signed(32))
        The product.
    """

    def __init__(self, *, multiplier_registers=0):
        self.more = multiplier_registers
        self.latency = 2 + product_latency(32, multiplier_registers)  # the operands, the product in its stages, its high half
        super().__init__({
            "advance": In(1),
            "valid": In(1),
            "first": In(signed(32)),
            "second": In(signed(32)),
            "result_valid": Out(1),
            "result": Out(signed(32)),
        })

    def elaborate(self, platform):
        m = Module()
        valid = [self.valid] + [Signal(name=f"valid_{stage}") for stage in range(1, self.latency + 1)]
        with m.If(self.advance):
            m.d.sync += [new.eq(old) for new, old in zip(valid[1:], valid)]
        # 1: the operands
        first, second = (Signal(signed(32), name=f"{name}_factor", reset_less=True) for name in ("first", "second"))
        with m.If(self.advance & valid[0]):
            m.d.sync += [first.eq(self.first), second.eq(self.second)]
        # 2: the product
        moves = [self.advance & moves for moves in valid[1:-2]]
        product = registered_product(m, first, second, moves, name="first_second", multiplier_registers=self.more)
        # last: its high half, rounded half up
        with m.If(self.advance & valid[-2]):
            m.d.sync += self.result.eq(product[Q31_BITS:].as_signed() + product[Q31_BITS - 1])
        m.d.comb += self.result_valid.eq(valid[-1])
        return m
