"""MAXIMUM and MINIMUM (TFLite ``reference_ops::MaximumMinimumBroadcastSlow``): of the integers as they are."""

import numpy as np


def maximum(first, second) -> np.ndarray:
    """The larger of each two elements of one scale and zero point, int8; shapes broadcast."""
    return np.maximum(first, second)


def minimum(first, second) -> np.ndarray:
    """The smaller of each two elements of one scale and zero point, int8; shapes broadcast."""
    return np.minimum(first, second)
