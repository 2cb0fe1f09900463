"""Products that are wider than the multipliers of an FPGA."""

from amaranth.hdl import Cat, Signal, signed, unsigned

from hw.npu.parts.delay import delayed

HALF_BITS = 16
"""Bits of a lower half: as an unsigned number it is a factor of a multiplier of 18 x 18 bits."""
NARROW_FACTOR = 18
"""Bits of a factor that is not taken apart, at most."""

Q31_BITS = 31
"""Fraction bits of a multiplier."""


def product_latency(factor_bits, multiplier_registers):
    """Cycles of `registered_product`.

    Parameters
    ----------
    factor_bits : int
        Bits of its first factor.
    multiplier_registers : int
        1: a register before the multipliers and two behind them, which can stand beside those of an FPGA, few and far away; then the sums
        of the halves, one for a narrow factor and two for a wide one, a cycle each. 0: a register behind the multipliers alone.
    """
    if not multiplier_registers:
        return 1
    return 3 + (1 if factor_bits <= NARROW_FACTOR else 2)


def registered_product(m, first, second, moves, *, name, multiplier_registers):
    """``first * second`` of two signed numbers after `product_latency` cycles: from a register with ``multiplier_registers``, else the sum
    of products that are in registers.

    Parameters
    ----------
    m : Module
        Receives the registers.
    first, second : Value
        The factors; ``second`` is taken apart, and ``first`` where it is wider than `NARROW_FACTOR`.
    moves : list of Value
        For each stage, whether its registers move.
    name : str
        Ending of the registers' names.
    multiplier_registers : int
        As in `product_latency`.
    """
    more, suffix, size = multiplier_registers, name, len(first) + len(second)
    moves = iter(moves)
    entered = next(moves) if more else None
    multiplied, late = next(moves), next(moves) if more else None

    def products(factors):
        """The products of named pairs of factors, in registers."""
        for name, (one, other) in factors.items():
            shape = signed(len(one) + len(other)) if one.shape().signed or other.shape().signed else unsigned(len(one) + len(other))
            product = Signal(shape, name=f"{name}_{suffix}", reset_less=True)
            with m.If(multiplied):
                m.d.sync += product.eq(one * other)
            yield delayed(m, product, more, name=f"late_{name}_{suffix}", enable=late)

    def summed(value, what):
        """A sum, of one stage with ``multiplier_registers``."""
        total = Signal(value.shape(), name=f"{what}_sum_{suffix}")
        m.d.comb += total.eq(value)
        return delayed(m, total, more, name=f"{what}_{suffix}", enable=next(moves) if more else None)

    first, second = (
        delayed(m, factor, more, name=f"{which}_{name}", enable=entered) for which, factor in (("one", first), ("other", second))
    )
    low, high = second[:HALF_BITS], second[HALF_BITS:].as_signed()
    if len(first) <= NARROW_FACTOR:
        outer_low, outer_high = products({"low": (first, low), "high": (first, high)})
        return summed(Cat(outer_low[:HALF_BITS], outer_high + outer_low[HALF_BITS:].as_signed())[:size].as_signed(), "product")
    first_low, first_high = first[:HALF_BITS], first[HALF_BITS:].as_signed()
    pairs = {"low": (first_low, low), "high": (first_high, high), "cross": (first_low, high), "cross_other": (first_high, low)}
    lowest, highest, *cross = products(pairs)
    # the two in the middle together; then all
    moved = next(moves) if more else None
    middle, outer = (
        delayed(m, value, more, name=f"{what}_{name}", enable=moved)
        for what, value in (("middle", cross[0] + cross[1]), ("outer", Cat(lowest, highest)))
    )
    return summed(Cat(outer[:HALF_BITS], outer[HALF_BITS:].as_signed() + middle)[:size].as_signed(), "product")
