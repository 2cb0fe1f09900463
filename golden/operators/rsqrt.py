"""RSQRT of int8 (TFLite ``RsqrtEvalQuantizedInt8`` in ``elementwise.cc``): a root in fixed point, then a requantization."""

import numpy as np

from golden.quantization import quantize_multiplier
from golden.requantize import multiply_by_quantized_multiplier, rounding_divide_by_pot, saturating_rounding_doubling_high_mul, wrap_int32

SHIFT = 20
"""Left shift that keeps 1 / sqrt(value) an integer (``kShift``)."""
THREE_HALVES, HALF_SQRT_2 = 3 << 27, 1518500250  # Q3.28 and Q0.31
NEWTON_STEPS = 5


def rsqrt(x, *, input_scale, input_zero_point, output_scale, output_zero_point, dtype) -> np.ndarray:
    """One over the square root; the largest output for 0. The reference stops at a value below the zero point.

    Parameters
    ----------
    x : int8[...]
        Not below the zero point.
    input_scale, output_scale : float
    input_zero_point, output_zero_point : int
    dtype : numpy integer type
    """
    info = np.iinfo(dtype)
    roots = np.array([0, *(_inverse_root(value) for value in range(1, 256))], np.int64)
    multiplier, exponent = rsqrt_multiplier(input_scale, output_scale)
    value = x.astype(np.int64) - input_zero_point
    y = multiply_by_quantized_multiplier(roots[value], multiplier, exponent - SHIFT) + output_zero_point
    return np.where(value == 0, info.max, np.clip(y, info.min, info.max)).astype(dtype)


def rsqrt_multiplier(input_scale: float, output_scale: float) -> tuple[int, int]:
    """Multiplier and exponent of ``1 / (sqrt(input scale) * output scale)``: root and product in float32, the quotient in double."""
    return quantize_multiplier(1.0 / float(np.sqrt(np.float32(input_scale)) * np.float32(output_scale)))


def _inverse_root(value: int) -> int:
    """``2^20 / sqrt(value)`` of 1 to 255 (``GetInvSqrtQuantizedMultiplierExp``, then ``MultiplyByQuantizedMultiplier`` of 1)."""
    if value == 1:
        return int(multiply_by_quantized_multiplier(1, (1 << 31) - 1, SHIFT))
    pairs = (31 - value.bit_length()) // 2 - 1
    shift = 11 - pairs
    number = value << 2 * pairs  # between 2^27 and 2^29
    half = rounding_divide_by_pot(number >> 1, 1)
    x = 1 << 28
    for _ in range(NEWTON_STEPS):  # x = 3/2 x - number/2 x^3; a product of Q3.28 is Q6.25, and of three Q9.22
        cube = _shift_left(_mul(_mul(x, x), x), 6)
        x = _shift_left(wrap_int32(_mul(THREE_HALVES, x) - _mul(half, cube)), 3)
    root = int(_mul(x, HALF_SQRT_2))
    if shift < 0:
        root, shift = root << -shift, 0
    return int(multiply_by_quantized_multiplier(1, root, SHIFT - shift))


def _mul(a, b):
    return saturating_rounding_doubling_high_mul(a, b)


def _shift_left(a, bits):
    """``SaturatingRoundingMultiplyByPOT`` with a positive exponent."""
    return np.clip(np.int64(a) << bits, -(1 << 31), (1 << 31) - 1)
