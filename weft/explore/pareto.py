"""The Pareto front: what nothing else beats."""

from collections.abc import Sequence

import numpy as np


def on_front(rows: Sequence[Sequence[float]]) -> list[bool]:
    """Which rows are on the front, less being better in every column.

    A row is on it unless another is at most as large in every column and smaller in one; equal rows are on it together.

    Parameters
    ----------
    rows : sequence of sequences of float
        As many columns in each.
    """
    values = np.asarray(rows, dtype=np.float64)
    return [not ((values <= row).all(axis=1) & (values < row).any(axis=1)).any() for row in values]
