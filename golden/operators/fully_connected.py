"""FULLY_CONNECTED (TFLite ``reference_integer_ops::FullyConnected``), which rounds once."""

import numpy as np

from golden.requantize import requantize, wrap_int32


def fully_connected(x, weights, bias, *, input_zero_point, output_zero_point, multipliers, exponents, clamp) -> np.ndarray:
    """Multiply rows by a matrix and requantize with a single rounding.

    Parameters
    ----------
    x : int8[N, inputs]
    weights : int8[outputs, inputs]
    bias : int32[outputs]
    input_zero_point, output_zero_point : int
    multipliers, exponents : int32[outputs]
        Of `golden.rounded_product.fully_connected_multipliers`.
    clamp : (int, int)

    Returns
    -------
    int8[N, outputs]
    """
    products = (x.astype(np.float64) - input_zero_point) @ weights.astype(np.float64).T  # exact, see convolution_sums
    sums = wrap_int32(products.astype(np.int64) + np.asarray(bias, np.int64))
    return requantize(sums, multipliers, exponents, output_zero_point, clamp, single_rounding=True)
