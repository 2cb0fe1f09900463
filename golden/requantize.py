"""Fixed-point products: how an int32 sum becomes a small integer again.

Sources: gemmlowp ``fixedpoint/fixedpoint.h``; TFLite ``lite/kernels/internal/common.h``. All functions take and give
integer arrays, are vectorized, and hold every intermediate in int64.
"""

import numpy as np

from golden.quantization import quantize_multiplier

AVERAGE_LEFT_SHIFT = 12
"""Left shift of a sum before `average_multiplier`'s product, where it fits."""
AVERAGE_MIN_LEFT_SHIFT = 3
"""The smallest left shift that is still exact, see `average_multiplier`."""
AVERAGE_MAX_COUNT = 1 << 31 - 7 - AVERAGE_MIN_LEFT_SHIFT
"""Largest number of int8 values that `average_multiplier` can average: 2^21."""

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1


def wrap_int32(x) -> np.ndarray:
    """The low 32 bits of each element as a signed number, int64: what an int32 register keeps."""
    return (np.asarray(x, np.int64) & 0xFFFFFFFF ^ 0x80000000) - 0x80000000


def saturating_rounding_doubling_high_mul(a, b) -> np.ndarray:
    """``round(a * b / 2^31)`` of int32 values, int64.

    gemmlowp adds a nudge that depends on the sign and divides towards zero; that is the same as adding 2^30 and shifting
    right, for both signs: a tie goes up. The one overflow, both operands -2^31, saturates.
    """
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    return np.minimum((product + (1 << 30)) >> 31, INT32_MAX)


def rounding_divide_by_pot(x, exponent) -> np.ndarray:
    """``x / 2^exponent`` rounded to nearest, a tie away from zero; exponent 0 to 31."""
    x, exponent = np.asarray(x, np.int64), np.asarray(exponent, np.int64)
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def multiply_double_rounding(x, multiplier, left_shift, right_shift) -> np.ndarray:
    """The command's double rounding: ``rounding_shift_right(srdhm(x << left, q), right)``.

    Source: ``MultiplyByQuantizedMultiplier`` without ``TFLITE_SINGLE_ROUNDING``; the left shift wraps in 32 bits.
    """
    shifted = wrap_int32(np.asarray(x, np.int64) << np.asarray(left_shift, np.int64))
    return rounding_divide_by_pot(saturating_rounding_doubling_high_mul(shifted, multiplier), right_shift)


def multiply_single_rounding(x, multiplier, left_shift, right_shift) -> np.ndarray:
    """The command's single rounding: ``(x * q + (1 << (t - 1))) >> t`` with ``t = 31 - left + right``.

    Source: ``MultiplyByQuantizedMultiplier`` with ``TFLITE_SINGLE_ROUNDING``.
    """
    total = 31 - np.asarray(left_shift, np.int64) + np.asarray(right_shift, np.int64)
    rounding = np.int64(1) << (total - 1)
    return (np.asarray(x, np.int64) * np.asarray(multiplier, np.int64) + rounding) >> total


def split_exponent(exponent) -> tuple[np.ndarray, np.ndarray]:
    """An exponent as left shift and right shift, both 0 or more."""
    exponent = np.asarray(exponent, np.int64)
    return np.maximum(exponent, 0), np.maximum(-exponent, 0)


def multiply_by_quantized_multiplier(x, multiplier, exponent, *, single_rounding=False) -> np.ndarray:
    """``x * multiplier / 2^31 * 2^exponent``, int64, as TFLite rounds it.

    Parameters
    ----------
    x : integers
        int32 values.
    multiplier, exponent : integers
        Of `quantize_multiplier`; broadcast against `x`, so that the last axis can be channels.
    single_rounding : bool
        True for FULLY_CONNECTED.
    """
    multiply = multiply_single_rounding if single_rounding else multiply_double_rounding
    return multiply(x, multiplier, *split_exponent(exponent))


def requantize(x, multipliers, exponents, zero_point, clamp, *, single_rounding=False, dtype=np.int8) -> np.ndarray:
    """Accumulators to output values: multiply, add the zero point, clamp.

    Parameters
    ----------
    x : integers [..., C]
        int32 values.
    multipliers, exponents : integers [C] or scalars
    zero_point : int
    clamp : (int, int)
        Smallest and largest output value.

    Returns
    -------
    dtype[..., C]
    """
    y = multiply_by_quantized_multiplier(x, multipliers, exponents, single_rounding=single_rounding)
    return np.clip(y + zero_point, *clamp).astype(dtype)


def average_multiplier(count: int, *, unsigned: bool = False) -> tuple[int, int, int]:
    """Multiplier, left shift and right shift that divide a sum of `count` int8 values as TFLite's AVERAGE_POOL_2D does.

    TFLite divides and rounds to nearest, ties away from zero; the command multiplies with double rounding. Both are
    equal for every sum of `count` int8 values, because with a left shift of l the product is ``v = sum / count * 2^r`` with

    - an error of at most ``|sum << l| / 2^32 < 1/2`` from the multiplier's own rounding, so that a tie, where v is a whole number,
      comes out of the first rounding exactly and goes away from zero in the second;
    - any other sum at least ``2^r / (2 * count) >= 2^(l-2)`` away from the tie, which is more than both errors from l = 3 on.

    ``128 * count << l`` must fit int32: l is 12 up to count 4096 and falls to 3 at 2^21, the largest count.
    Without the left shift 521 of the counts 1 to 1024 are wrong for some sum: a tie is rounded twice. Left shifts of 1 and 2
    are right up to 1024, though the argument above does not cover them (both measured by ``tests/unit/golden/test_requantize.py``).

    A sum of unsigned bytes is twice as large, so that l is one less: the kernel of uint8 rounds half up, which is away from zero too where
    nothing is below it.

    Parameters
    ----------
    count : int
        1 to `AVERAGE_MAX_COUNT`, half of it for unsigned bytes.
    unsigned : bool
        Of 0 to 255 instead of -128 to 127.

    Returns
    -------
    multiplier, left_shift, right_shift : int

    Raises
    ------
    ValueError
        If the count is out of range.
    """
    if not 1 <= count <= AVERAGE_MAX_COUNT >> unsigned:
        raise ValueError(f"an average of {count} values must be of 1 to {AVERAGE_MAX_COUNT >> unsigned}")
    left_shift = min(AVERAGE_LEFT_SHIFT, 24 - (count - 1).bit_length()) - unsigned
    multiplier, exponent = quantize_multiplier(1 / count)
    return multiplier, left_shift, left_shift - exponent
