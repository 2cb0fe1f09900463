"""Rectifiers of one 8-bit tensor in fixed point: RELU and its kin, LEAKY_RELU, ABS, NEG and HARD_SWISH.

Sources: ``activations.cc`` (``QuantizedReluX``, ``HardSwishPrepare``), ``reference/leaky_relu.h``, ``reference/hard_swish.h``,
``elementwise.cc`` (``AbsEvalQuantized``) and ``neg.h``. Every function has the arguments

x : int8[...] or uint8[...]
input_scale, output_scale : float
input_zero_point, output_zero_point : int
dtype : numpy integer type, of input and output
"""

import numpy as np

from golden.quantization import activation_range, quantize_multiplier
from golden.requantize import multiply_by_quantized_multiplier, requantize

INT16_MIN, INT16_MAX = -(1 << 15), (1 << 15) - 1
HARD_SWISH_SCALE = np.float32(3) / np.float32(32768)
"""Of the intermediate in which 3 is 1, so that the sum with 1, halved, is (x + 3) / 6 between 0 and 1."""


def relu(x, activation, *, input_scale, input_zero_point, output_scale, output_zero_point, dtype) -> np.ndarray:
    """RELU, RELU6, RELU_N1_TO_1 or RELU_0_TO_1, which `activation` names: requantized, then clamped."""
    centred = x.astype(np.int64) - input_zero_point
    clamp = activation_range(activation, output_scale, output_zero_point, dtype)
    return requantize(centred, *quantize_multiplier(_ratio(input_scale, output_scale)), output_zero_point, clamp, dtype=dtype)


def leaky_relu(x, alpha, *, input_scale, input_zero_point, output_scale, output_zero_point, dtype) -> np.ndarray:
    """LEAKY_RELU: a multiplier for values of 0 and above, another with `alpha`, 0 or more, for those below."""
    centred = x.astype(np.int64) - input_zero_point
    identity = quantize_multiplier(_ratio(input_scale, output_scale))
    leak = quantize_multiplier(leak_ratio(input_scale, alpha, output_scale))
    multiplier, exponent = (np.where(centred >= 0, a, b) for a, b in zip(identity, leak, strict=True))
    return requantize(centred, multiplier, exponent, output_zero_point, _limits(dtype), dtype=dtype)


def absolute(x, *, input_scale, input_zero_point, output_scale, output_zero_point, dtype) -> np.ndarray:
    """ABS; not multiplied at all where the scales are equal."""
    distance = np.abs(x.astype(np.int64) - input_zero_point)
    if np.float32(input_scale) != np.float32(output_scale):
        distance = multiply_by_quantized_multiplier(distance, *quantize_multiplier(_ratio(input_scale, output_scale)))
    return np.clip(distance + output_zero_point, *_limits(dtype)).astype(dtype)


def negate(x) -> np.ndarray:
    """NEG of the bytes as they are, whatever the zero points say; -128 stays -128."""
    return (-x.astype(np.int16)).astype(x.dtype)


def hard_swish(x, *, input_scale, input_zero_point, output_scale, output_zero_point, dtype) -> np.ndarray:
    """HARD_SWISH, x * min(max(x + 3, 0), 6) / 6, in int16 arithmetic with multipliers of 16 bits."""
    output_multiplier, output_exponent, inner_multiplier, inner_exponent = hard_swish_multipliers(input_scale, output_scale)
    fine = (x.astype(np.int64) - input_zero_point) << 7
    scaled = _high_mul(fine, output_multiplier)
    inner = fine
    if inner_exponent > 0:  # the last bit of the left shift comes after the product, lest the product saturate
        inner = _saturate(inner << min(inner_exponent - 1, 16))
    inner = _high_mul(inner, inner_multiplier)
    if inner_exponent > 0:
        inner = _saturate(inner << 1)
    elif inner_exponent < 0:
        inner = _rounding_divide_int16(inner, -inner_exponent)
    gate = (inner + (1 << 15)) >> 1
    product = gate * scaled
    product = np.sign(product) * (np.abs(product) >> 15)  # SaturatingDoublingHighMul divides towards zero; a gate is never -2^15
    y = _wrap_int16(_rounding_divide_int16(product, -output_exponent) + output_zero_point)
    return np.clip(y, *_limits(dtype)).astype(dtype)


def hard_swish_multipliers(input_scale: float, output_scale: float) -> tuple[int, int, int, int]:
    """Multiplier (16 bits) and exponent of the output, and of the intermediate; the output's exponent must not be positive."""
    fine_scale = np.float32(1 / 128) * np.float32(input_scale)
    reals = fine_scale / np.float32(output_scale), fine_scale / HARD_SWISH_SCALE
    (a, a_exponent), (b, b_exponent) = (quantize_multiplier(float(real)) for real in reals)
    return _down_scale(a), a_exponent, _down_scale(b), b_exponent


def leak_ratio(input_scale: float, alpha: float, output_scale: float) -> float:
    """The factor of a LEAKY_RELU's negative values: float32 arithmetic, from left to right."""
    return float(np.float32(input_scale) * np.float32(alpha) / np.float32(output_scale))


def _ratio(input_scale, output_scale) -> float:
    return float(np.float32(input_scale) / np.float32(output_scale))


def _limits(dtype):
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def _down_scale(multiplier):
    """``DownScaleInt32ToInt16Multiplier``."""
    return INT16_MAX if multiplier >= (1 << 31) - 1 - (1 << 15) else (multiplier + (1 << 15)) >> 16


def _high_mul(a, multiplier):
    """Of gemmlowp: ``SaturatingRoundingDoublingHighMul`` of int16; the multiplier is never -2^15, so nothing saturates."""
    return (a * multiplier + (1 << 14)) >> 15


def _saturate(a):
    return np.clip(a, INT16_MIN, INT16_MAX)


def _wrap_int16(a):
    return (a & 0xFFFF ^ 0x8000) - 0x8000


def _rounding_divide_int16(a, exponent):
    """Of gemmlowp: ``RoundingDivideByPOT`` of int16, whose mask is an int16 too: from an exponent of 16 on it is -1."""
    mask = int(_wrap_int16(np.int64((1 << exponent) - 1)))
    return (a >> exponent) + ((a & mask) > (mask >> 1) + (a < 0))
