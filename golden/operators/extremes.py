"""REDUCE_MAX and REDUCE_MIN (TFLite ``EvalLogic`` in ``reduce.cc``): of the integers as they are."""

import numpy as np


def reduce_max(x, *, axes, keep_dims) -> np.ndarray:
    """The largest element over axes.

    Parameters
    ----------
    x : int8[...] or uint8[...]
        Of the result's scale and zero point: the reference refuses others.
    axes : tuple of int
        Without repetition, 0 or more; none reduces nothing.
    keep_dims : bool
        The axes stay, with length 1.

    Returns
    -------
    the type of x
    """
    return np.asarray(x.max(axis=axes, keepdims=keep_dims))


def reduce_min(x, *, axes, keep_dims) -> np.ndarray:
    """The smallest element over axes; parameters as in `reduce_max`."""
    return np.asarray(x.min(axis=axes, keepdims=keep_dims))
