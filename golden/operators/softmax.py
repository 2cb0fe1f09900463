"""SOFTMAX of int8 (TFLite ``reference_ops::Softmax`` with gemmlowp's fixed point).

Notation Qm.n: an int32 with m integer and n fractional bits. Since the argument of the exponential is
``input - max``, which has 256 values, `exponential_table` holds all of them, and the rest is a sum, a reciprocal
and one product for each element.
"""

import math

import numpy as np

from golden.requantize import (
    INT32_MAX,
    INT32_MIN,
    multiply_double_rounding,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)

DIFFERENCE_INTEGER_BITS = 5
"""The scaled difference is Q5.26 (``kScaledDiffIntegerBits``)."""
SUM_INTEGER_BITS = 12
"""The sum of exponentials is Q12.19 (``kAccumulationIntegerBits``)."""
MAX_DEPTH = (1 << SUM_INTEGER_BITS) - 1
"""Longest row whose sum of exponentials cannot overflow."""

EXP_EIGHTH = 1895147668  # exp(-1/8), Q0.31
ONE_THIRD = 715827883  # 1/3, Q0.31
EXP_POWERS = ((-2, 1672461947), (-1, 1302514674), (0, 790015084), (1, 290630308), (2, 39332535), (3, 720401), (4, 242))
"""exp(-2^k) in Q0.31, the steps of gemmlowp's barrel shifter."""
FORTY_EIGHT_SEVENTEENTHS, MINUS_32_SEVENTEENTHS = 1515870810, -1010580540  # Q2.29


def softmax(x, *, scale, beta) -> np.ndarray:
    """Softmax over the last axis; the output has scale 1/256 and zero point -128.

    Where a row's exponentials sum to 512 or more the reference aborts (its last shift would be above 31, ``TFLITE_CHECK``);
    here every output of such a row, none above 1/512, rounds to 0.

    Parameters
    ----------
    x : int8[..., C]
        C at most `MAX_DEPTH`.
    scale : float
        Of the input; its zero point cancels.
    beta : float

    Returns
    -------
    int8[..., C]
    """
    return softmax_by_table(x, exponential_table(scale, beta))


def softmax_by_table(x, table) -> np.ndarray:
    """`softmax` with the exponentials of all differences from the maximum, int64[256] in Q0.31.

    Defined for every table of 31-bit numbers, as the hardware is: a sum of 0 counts as 1/2 with 31 leading zeros, and large results
    saturate. Neither happens where the first entry is that of the difference 0.
    """
    x = x.astype(np.int64)
    exponentials = table[x.max(axis=-1, keepdims=True) - x]
    total = rounding_divide_by_pot(exponentials, SUM_INTEGER_BITS).sum(axis=-1, keepdims=True)
    reciprocal, bits_over_unit = _reciprocal(total)
    product = saturating_rounding_doubling_high_mul(reciprocal, exponentials)
    y = rounding_divide_by_pot(product, bits_over_unit + 31 - 8) - 128
    return np.clip(y, -128, 127).astype(np.int8)


def exponential_table(scale, beta) -> np.ndarray:
    """exp(-d * scale * beta) for d from 0 to 255, int64[256] in Q0.31; 0 from the difference on that TFLite skips.

    Sources: ``PreprocessSoftmaxScaling`` and ``CalculateInputRadius`` in ``quantization_util.cc``.
    """
    # beta is a float32 in the file; the product is of doubles.
    real = np.float64(np.float32(beta)) * np.float64(np.float32(scale)) * (1 << 31 - DIFFERENCE_INTEGER_BITS)
    multiplier, left_shift = _multiplier_greater_than_one(min(float(real), (1 << 31) - 1.0))
    radius = ((1 << DIFFERENCE_INTEGER_BITS) - 1) * (1 << 31 - DIFFERENCE_INTEGER_BITS) / (1 << left_shift)
    difference = -np.arange(256, dtype=np.int64)
    scaled = multiply_double_rounding(difference, multiplier, left_shift, 0)
    return np.where(difference >= -math.floor(radius), _exp_on_negative_values(scaled), 0)


def _multiplier_greater_than_one(real) -> tuple[int, int]:
    """``QuantizeMultiplierGreaterThanOne``: as `quantize_multiplier`, of a number above 1."""
    mantissa, exponent = math.frexp(real)
    multiplier = math.floor(mantissa * 2.0**31 + 0.5)
    return (multiplier >> 1, exponent + 1) if multiplier == 1 << 31 else (multiplier, exponent)


def _exp_on_negative_values(a) -> np.ndarray:
    """``exp_on_negative_values``: Q5.26 at most 0 to Q0.31. A polynomial on [-1/4, 0), then a product for each bit above."""
    fractional_bits = 31 - DIFFERENCE_INTEGER_BITS
    quarter = 1 << fractional_bits - 2
    low = (a & quarter - 1) - quarter
    result = _exp_on_last_quarter(low << DIFFERENCE_INTEGER_BITS)
    remainder = low - a
    for power, factor in EXP_POWERS:
        bit = 1 << fractional_bits + power
        result = np.where(remainder & bit, saturating_rounding_doubling_high_mul(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def _exp_on_last_quarter(a) -> np.ndarray:
    """``exp_on_interval_between_negative_one_quarter_and_0_excl``: Taylor's expansion around -1/8, Q0.31."""
    mul = saturating_rounding_doubling_high_mul
    x = a + (1 << 28)
    x2 = mul(x, x)
    x3, x4 = mul(x2, x), mul(x2, x2)
    inner = mul(rounding_divide_by_pot(x4, 2) + x3, ONE_THIRD) + x2
    return EXP_EIGHTH + mul(EXP_EIGHTH, x + rounding_divide_by_pot(inner, 1))


def _reciprocal(total) -> tuple[np.ndarray, np.ndarray]:
    """``GetReciprocal``: of a Q12.19 sum, as Q0.31 mantissa and the number of bits that the sum has over 1."""
    headroom = np.minimum(32 - np.frexp(total.astype(np.float64))[1].astype(np.int64), 31)  # leading zeros of a uint32
    mantissa = (total << headroom) & INT32_MAX
    return _one_over_one_plus_x(mantissa), SUM_INTEGER_BITS - headroom


def _one_over_one_plus_x(a) -> np.ndarray:
    """``one_over_one_plus_x_for_x_in_0_1``: three steps of Newton and Raphson, Q0.31 in and out, Q2.29 between."""
    mul = saturating_rounding_doubling_high_mul
    half_denominator = (a + INT32_MAX + 1) >> 1
    x = FORTY_EIGHT_SEVENTEENTHS + mul(half_denominator, MINUS_32_SEVENTEENTHS)
    for _ in range(3):
        rest = (1 << 29) - mul(half_denominator, x)
        x = x + _saturating_left_shift(mul(x, rest), 2)
    return _saturating_left_shift(x, 1)


def _saturating_left_shift(x, bits) -> np.ndarray:
    return np.clip(x << bits, INT32_MIN, INT32_MAX)
