"""Products that are wider than the multipliers of an FPGA."""

from amaranth.hdl import Cat, Signal, signed, unsigned

HALF_BITS = 16
"""Bits of a lower half: as an unsigned number it is a factor of a multiplier of 18 x 18 bits."""
NARROW_CUTS = 1
"""Stages more of a product of at most 18 bits by 32: the halves of one factor apart."""
WIDE_CUTS = 2
"""Stages more of a product of 32 bits by 32: the halves of both."""


def registered_product(m, first, second, moves, *, name):
    """``first * second`` of two signed numbers, in a register.

    Parameters
    ----------
    m : Module
        Receives the registers.
    first, second : Value
        The factors; with `NARROW_CUTS` more stages ``second`` is taken apart, with `WIDE_CUTS` more ``first``, too.
    moves : list of Value
        For each stage, whether its registers move: one stage, or the cuts more.
    name : str
        Ending of the registers' names.
    """
    result = Signal(signed(len(first) + len(second)), name=f"product_{name}", reset_less=True)
    if len(moves) == 1:
        with m.If(moves[0]):
            m.d.sync += result.eq(first * second)
        return result

    def register(shape, what):
        return Signal(shape, name=f"{what}_{name}", reset_less=True)

    low, high = second[:HALF_BITS], second[HALF_BITS:].as_signed()
    if len(moves) == 1 + NARROW_CUTS:
        outer_low, outer_high = register(signed(len(first) + HALF_BITS + 1), "low"), register(signed(len(first) + len(high)), "high")
        with m.If(moves[0]):
            m.d.sync += [outer_low.eq(first * low), outer_high.eq(first * high)]
        with m.If(moves[1]):
            m.d.sync += result.eq(Cat(outer_low[:HALF_BITS], outer_high + outer_low[HALF_BITS:].as_signed()))
        return result
    # 1: products of the halves
    first_low, first_high = first[:HALF_BITS], first[HALF_BITS:].as_signed()
    lowest, highest = register(unsigned(2 * HALF_BITS), "low"), register(signed(len(first_high) + len(high)), "high")
    cross = register(signed(HALF_BITS + 1 + len(high)), "cross"), register(signed(HALF_BITS + 1 + len(first_high)), "cross_other")
    with m.If(moves[0]):
        m.d.sync += [
            lowest.eq(first_low * low),
            highest.eq(first_high * high),
            cross[0].eq(first_low * high),
            cross[1].eq(first_high * low),
        ]
    # 2: the two in the middle together
    middle, outer = register(signed(len(cross[0]) + 1), "middle"), register(signed(len(result)), "outer")
    with m.If(moves[1]):
        m.d.sync += [middle.eq(cross[0] + cross[1]), outer.eq(Cat(lowest, highest))]
    # 3: all
    with m.If(moves[2]):
        m.d.sync += result.eq(Cat(outer[:HALF_BITS], outer[HALF_BITS:].as_signed() + middle))
    return result
