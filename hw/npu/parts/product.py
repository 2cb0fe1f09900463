"""Products that are wider than the multipliers of an FPGA."""

from amaranth.hdl import Cat, Signal, signed, unsigned

from hw.npu.parts.delay import delayed

HALF_BITS = 16
"""Bits of a lower half: as an unsigned number it is a factor of a multiplier of 18 x 18 bits."""
MULTIPLIED = 3
"""Stages of the partial products: the multipliers, with a register before and one behind, which can stand beside them; they are few and
far away."""
NARROW_LATENCY = MULTIPLIED + 1
"""Stages of a product of at most 18 bits by 32: the halves of one factor apart, and their sum."""
WIDE_LATENCY = MULTIPLIED + 2
"""Stages of a product of 32 bits by 32: the halves of both apart, and two sums."""

Q31_BITS = 31
"""Fraction bits of a multiplier."""


def registered_product(m, first, second, moves, *, name):
    """``first * second`` of two signed numbers, in a register, after `NARROW_LATENCY` or `WIDE_LATENCY` cycles.

    Parameters
    ----------
    m : Module
        Receives the registers.
    first, second : Value
        The factors; in `NARROW_LATENCY` stages ``second`` is taken apart, in `WIDE_LATENCY` stages ``first``, too.
    moves : list of Value
        For each stage, whether its registers move.
    name : str
        Ending of the registers' names.
    """
    result = Signal(signed(len(first) + len(second)), name=f"product_{name}", reset_less=True)

    def register(shape, what):
        return Signal(shape, name=f"{what}_{name}", reset_less=True)

    def products(factors):
        """The products of named pairs of factors, with a register before and two behind the multipliers: the first three stages."""
        for name, (one, other) in factors.items():
            shape = signed(len(one) + len(other)) if one.shape().signed or other.shape().signed else unsigned(len(one) + len(other))
            product = register(shape, name)
            with m.If(moves[1]):
                m.d.sync += product.eq(one * other)
            yield delayed(m, product, 1, name=f"late_{name}_{suffix}", enable=moves[2])

    suffix = name
    first, second = (
        delayed(m, factor, 1, name=f"{which}_{name}", enable=moves[0]) for which, factor in (("one", first), ("other", second))
    )
    low, high = second[:HALF_BITS], second[HALF_BITS:].as_signed()
    if len(moves) == NARROW_LATENCY:
        outer_low, outer_high = products({"low": (first, low), "high": (first, high)})
        with m.If(moves[3]):
            m.d.sync += result.eq(Cat(outer_low[:HALF_BITS], outer_high + outer_low[HALF_BITS:].as_signed()))
        return result
    first_low, first_high = first[:HALF_BITS], first[HALF_BITS:].as_signed()
    pairs = {"low": (first_low, low), "high": (first_high, high), "cross": (first_low, high), "cross_other": (first_high, low)}
    lowest, highest, *cross = products(pairs)
    # 4: the two in the middle together
    middle, outer = register(signed(len(cross[0]) + 1), "middle"), register(signed(len(result)), "outer")
    with m.If(moves[3]):
        m.d.sync += [middle.eq(cross[0] + cross[1]), outer.eq(Cat(lowest, highest))]
    # 5: all
    with m.If(moves[4]):
        m.d.sync += result.eq(Cat(outer[:HALF_BITS], outer[HALF_BITS:].as_signed() + middle))
    return result
