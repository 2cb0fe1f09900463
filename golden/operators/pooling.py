"""AVERAGE_POOL_2D and MAX_POOL_2D (TFLite ``reference_integer_ops::AveragePool`` and ``MaxPool``)."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def average_pool(x, *, kernel, stride, pad, clamp) -> np.ndarray:
    """Mean over the positions of each window that lie inside the image, ties away from zero.

    Parameters
    ----------
    x : int8[N, H, W, C]
    kernel, stride : (int, int)
        ``(height, width)``.
    pad : (int, int, int, int)
        ``(top, bottom, left, right)``; padding is neither summed nor counted.
    clamp : (int, int)

    Returns
    -------
    int8[N, H', W', C]
    """
    sums = _windows(x.astype(np.int64), kernel, stride, pad, 0).sum(axis=(-2, -1))
    counts = window_counts(x.shape[1:3], kernel, stride, pad)[None, :, :, None]
    magnitude = (np.abs(sums) + counts // 2) // counts
    return np.clip(np.sign(sums) * magnitude, *clamp).astype(x.dtype)


def unsigned_average_pool(x, *, kernel, stride, pad, clamp) -> np.ndarray:
    """`average_pool` of the kernel of uint8, on bytes less 128: half of a count is rounded up, not away from zero."""
    sums = _windows(x.astype(np.int64) + 128, kernel, stride, pad, 0).sum(axis=(-2, -1))
    counts = window_counts(x.shape[1:3], kernel, stride, pad)[None, :, :, None]
    return np.clip((sums + counts // 2) // counts - 128, *clamp).astype(x.dtype)


def max_pool(x, *, kernel, stride, pad, clamp) -> np.ndarray:
    """Maximum of each window; padding is the type's minimum, not the zero point. Parameters as in `average_pool`."""
    lowest = np.iinfo(x.dtype).min
    return np.clip(_windows(x, kernel, stride, pad, lowest).max(axis=(-2, -1)), *clamp).astype(x.dtype)


def window_counts(size, kernel, stride, pad) -> np.ndarray:
    """Positions of each window that lie inside an image, int64[H', W'].

    Parameters
    ----------
    size : (int, int)
        ``(height, width)`` of the image.
    kernel, stride, pad
        As in `average_pool`.
    """
    inside = np.ones((1, *size, 1), np.int64)
    return _windows(inside, kernel, stride, pad, 0).sum(axis=(-2, -1))[0, :, :, 0]


def _windows(x, kernel, stride, pad, pad_value) -> np.ndarray:
    """View of each window, ``[N, H', W', C, KH, KW]``."""
    top, bottom, left, right = pad
    if any(pad):
        x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=pad_value)
    return sliding_window_view(x, kernel, axis=(1, 2))[:, :: stride[0], :: stride[1]]
