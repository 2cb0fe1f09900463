"""CONV_2D (TFLite ``reference_integer_ops::ConvPerChannel``)."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from golden.requantize import requantize, wrap_int32

CHUNK_BYTES = 64 << 20
"""Memory of one im2col matrix; bounds what a large layer needs."""


def conv2d(x, weights, bias, *, stride, dilation, pad, input_zero_point, output_zero_point, multipliers, exponents, clamp) -> np.ndarray:
    """Convolve and requantize.

    Parameters
    ----------
    x : int8[N, H, W, Cin]
    weights : int8[Cout, KH, KW, Cin / groups]
        Cin and Cout are multiples of the groups: group g reads the g-th of the input's channels and makes the g-th of the output's.
    bias : int32[Cout]
    stride, dilation : (int, int)
        ``(height, width)``.
    pad : (int, int, int, int)
        Pixels of the input's zero point: ``(top, bottom, left, right)``.
    input_zero_point, output_zero_point : int
    multipliers, exponents : int32[Cout]
        Of `golden.quantization.convolution_multipliers`.
    clamp : (int, int)

    Returns
    -------
    int8[N, H', W', Cout]
    """
    sums = convolution_sums(x, weights, bias, stride=stride, dilation=dilation, pad=pad, input_zero_point=input_zero_point)
    return requantize(sums, multipliers, exponents, output_zero_point, clamp)


def convolution_sums(x, weights, bias, *, stride, dilation, pad, input_zero_point) -> np.ndarray:
    """The int32 accumulators of a convolution, ``int32[N, H', W', Cout]``; parameters as in `conv2d`.

    The products are summed by a float64 matrix product, which is exact: a sum of n products of int8 with 9 bits
    stays below n * 2^15, far from 2^53. The sum then wraps to 32 bits as TFLite's accumulator does.
    """
    groups = x.shape[3] // weights.shape[3]
    if groups > 1:
        parts = zip(*(np.split(a, groups, axis) for a, axis in ((x, 3), (weights, 0), (np.asarray(bias), 0))))
        numbers = {"stride": stride, "dilation": dilation, "pad": pad, "input_zero_point": input_zero_point}
        return np.concatenate([convolution_sums(*part, **numbers) for part in parts], axis=3)
    cout, kh, kw, cin = weights.shape
    patches = patches_of(x, (kh, kw), stride, dilation, pad, input_zero_point)
    batch, rows, cols = patches.shape[:3]
    matrix = weights.reshape(cout, -1).astype(np.float64).T
    sums = np.empty((batch, rows, cols, cout), np.int32)
    step = max(1, CHUNK_BYTES // (8 * cols * kh * kw * cin))
    for image in range(batch):
        for row in range(0, rows, step):
            block = patches[image, row : row + step].reshape(-1, kh * kw * cin).astype(np.float64)
            block -= input_zero_point
            total = (block @ matrix).astype(np.int64) + np.asarray(bias, np.int64)
            sums[image, row : row + step] = wrap_int32(total).reshape(-1, cols, cout)
    return sums


def patches_of(x, kernel, stride, dilation, pad, pad_value) -> np.ndarray:
    """View of the window under every output pixel, ``int8[N, H', W', KH, KW, Cin]``."""
    top, bottom, left, right = pad
    if any(pad):
        x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=pad_value)
    span = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    windows = sliding_window_view(x, span, axis=(1, 2))[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
    return windows.transpose(0, 1, 2, 4, 5, 3)
