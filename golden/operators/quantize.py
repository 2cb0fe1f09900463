"""QUANTIZE and DEQUANTIZE (TFLite ``reference_ops::AffineQuantize``, ``Requantize`` and ``Dequantize``)."""

import numpy as np

from golden.quantization import quantize_multiplier
from golden.requantize import INT32_MAX, INT32_MIN, requantize, wrap_int32


@np.errstate(over="ignore", invalid="ignore")
def quantize(x, *, scale, zero_point, dtype) -> np.ndarray:
    """Real values to integers: float32 quotient, rounded half away from zero, plus the zero point, clamped to the type.

    A quotient that no int32 holds, and what is no number, becomes -2^31 whatever its sign, and the sum with the zero point wraps:
    so the reference converts on x86. A large value may give the type's smallest integer.

    Parameters
    ----------
    x : float32[...]
    scale : float
    zero_point : int
    dtype : numpy integer type
    """
    info = np.iinfo(dtype)
    quotient = (np.asarray(x, np.float32) / np.float32(scale)).astype(np.float64)
    rounded = np.copysign(np.floor(np.abs(quotient) + 0.5), quotient)
    fits = (rounded >= INT32_MIN) & (rounded <= INT32_MAX)
    whole = np.where(fits, rounded, INT32_MIN).astype(np.int64)
    return np.clip(wrap_int32(whole + zero_point), info.min, info.max).astype(dtype)


def change_quantization(x, *, input_scale, input_zero_point, output_scale, output_zero_point, dtype) -> np.ndarray:
    """int8 or uint8 to int8 or uint8 of another scale and zero point (QUANTIZE of integers), double rounding.

    Parameters
    ----------
    x : int8[...] or uint8[...]
    input_scale, output_scale : float
    input_zero_point, output_zero_point : int
    dtype : numpy integer type
    """
    info = np.iinfo(dtype)
    real = np.float64(np.float32(input_scale)) / np.float64(np.float32(output_scale))
    centred = x.astype(np.int64) - input_zero_point
    return requantize(centred, *quantize_multiplier(real), output_zero_point, (info.min, info.max), dtype=dtype)


@np.errstate(over="ignore")
def dequantize(x, *, scale, zero_point) -> np.ndarray:
    """Integers to real values, float32[...]: ``scale * (x - zero_point)``."""
    return np.float32(scale) * (x.astype(np.int32) - zero_point).astype(np.float32)
