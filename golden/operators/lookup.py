"""Functions of one 8-bit tensor that TFLite tabulates in floating point: LOGISTIC, TANH, EXP, LOG, GELU and SQRT.

Sources: ``LUTPopulateInt8`` in ``lite/kernels/internal/common.h``, ``gelu.h`` and ``elementwise.cc``. TFLite calls the C library's
float32 functions, and so do these: a double's result that is rounded to float32 differs from them by a unit in the last place here and
there, and with scales in the ratio of 2 to 3 an output lies so near to a tie that it shows (``tests/unit/compiler/test_functions.py``).
Every function takes and gives float32[...].
"""

import ctypes
import math

import numpy as np

SQRT_HALF = np.float32(math.sqrt(0.5))
SQRT_2_OVER_PI = np.float32(math.sqrt(2 / math.pi))
CUBIC = np.float32(0.044715)
"""Of GELU's approximation by the hyperbolic tangent."""


def apply_table(x, table) -> np.ndarray:
    """Map each element through a table.

    Parameters
    ----------
    x : int8[...] or uint8[...]
    table : int8[256] or uint8[256]
        The result for each byte, in the order of its bits as an unsigned number: for int8 0 to 127, then -128 to -1.
    """
    return table[x.view(np.uint8)]


def all_bytes(dtype) -> np.ndarray:
    """Every value of int8 or uint8 in the order of `apply_table`'s tables."""
    return np.arange(256).astype(np.uint8).view(dtype)


@np.errstate(over="ignore")
def tabulate(x, function, *, input_scale, input_zero_point, output_scale, output_zero_point, dtype) -> np.ndarray:
    """A real function of quantized values: the product with the float32 reciprocal of the output's scale, ties away from zero.

    Parameters
    ----------
    x : int8[...] or uint8[...]
    function : callable
        float32[...] to float32[...].
    input_scale, output_scale : float
    input_zero_point, output_zero_point : int
    dtype : numpy integer type
    """
    real = function(dequantized(x, input_scale, input_zero_point))
    scaled = (real * (np.float32(1) / np.float32(output_scale))).astype(np.float64)
    rounded = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled)
    return _clamped(rounded + output_zero_point, dtype)


@np.errstate(over="ignore")
def sqrt(x, *, input_scale, input_zero_point, output_scale, output_zero_point, dtype) -> np.ndarray:
    """SQRT, whose quotient is cut off instead of rounded (``SqrtEvalQuantized``); the reference stops at a value below the zero point."""
    quotient = np.sqrt(dequantized(x, input_scale, input_zero_point)) / np.float32(output_scale)
    return _clamped(np.trunc(quotient.astype(np.float64)) + output_zero_point, dtype)


def dequantized(x, scale, zero_point) -> np.ndarray:
    """``scale * (x - zero_point)`` as TFLite's tables see it, float32[...]."""
    return np.float32(scale) * (x.astype(np.int32) - zero_point).astype(np.float32)


def _clamped(values, dtype):
    info = np.iinfo(dtype)
    return np.clip(values, info.min, info.max).astype(dtype)


def _c_function(name):
    """A function of the C library that this process and the interpreter use, for each element of a float32[...]."""
    function = getattr(ctypes.CDLL(None), name)
    function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
    return np.vectorize(function, otypes=[np.float32])


_EXP, _LOG, _TANH, _ERFC = map(_c_function, ("expf", "logf", "tanhf", "erfcf"))


def logistic(x) -> np.ndarray:
    """1 / (1 + exp(-x)), every step in float32."""
    return np.float32(1) / (np.float32(1) + exp(-x))


def tanh(x) -> np.ndarray:
    """Hyperbolic tangent."""
    return _TANH(x)


def exp(x) -> np.ndarray:
    """Exponential; infinite where float32 ends."""
    return _EXP(x)


def log(x, lowest) -> np.ndarray:
    """Natural logarithm; `lowest`, the real value of the smallest output, for x of 0 and below."""
    return np.where(x > 0, _LOG(np.where(x > 0, x, np.float32(1))), np.float32(lowest))


def gelu(x) -> np.ndarray:
    """Gaussian error linear unit: x / 2 * erfc(-x / sqrt(2))."""
    return np.float32(0.5) * x * _ERFC(x * -SQRT_HALF)


def gelu_approximate(x) -> np.ndarray:
    """GELU by the hyperbolic tangent: x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))."""
    return np.float32(0.5) * x * (np.float32(1) + tanh(SQRT_2_OVER_PI * (x + CUBIC * x * x * x)))
