"""Multiplies vectors on their way around the array."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.parts.delay import delayed
from hw.npu.walks.interpolation_walk import WEIGHT_BITS

PRODUCT_BITS = 8 + WEIGHT_BITS - 1
"""Width of a product: a weight is at most 2^20, so that the least product, -2^27, has 28 bits."""
LOW_BITS = WEIGHT_BITS // 2 + 1


class Interpolator(wiring.Component):
    """Each byte of a vector times the vector's weight. One vector a cycle.

    The products come `LATENCY` cycles later: the operands, then the products with the halves of the weight, a register each.

    Parameters
    ----------
    cols : int
        Bytes of a vector, C.

    Members
    -------
    weight : In(WEIGHT_BITS)
        At most 2^20.
    vector : In(signed(8)).array(cols)
        The vector.
    products : Out(signed(PRODUCT_BITS)).array(cols)
        The products.
    """

    LATENCY = 2

    def __init__(self, *, cols):
        self.cols = cols
        super().__init__({
            "weight": In(WEIGHT_BITS),
            "vector": In(signed(8)).array(cols),
            "products": Out(signed(PRODUCT_BITS)).array(cols),
        })

    def elaborate(self, platform):
        m = Module()
        weight = delayed(m, self.weight, 1, name="weight")
        for col, (product, byte) in enumerate(zip(self.products, self.vector, strict=True)):
            operand = delayed(m, byte, 1, name=f"operand_{col}")
            low = Signal(signed(9 + LOW_BITS), name=f"low_{col}", reset_less=True)
            high = Signal(signed(9 + WEIGHT_BITS - LOW_BITS), name=f"high_{col}", reset_less=True)
            m.d.sync += [low.eq(operand * weight[:LOW_BITS]), high.eq(operand * weight[LOW_BITS:])]
            m.d.comb += product.eq(low + (high << LOW_BITS))
        return m
