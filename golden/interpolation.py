"""Where the pixels of an INTERPOLATE lie between those of its image, and what weight each of its taps has."""

from dataclasses import dataclass

import numpy as np

from hw.npu.interface.isa import FRACTION_BITS, Command

ONE = 1 << FRACTION_BITS


@dataclass(frozen=True)
class Between:
    """Positions of block rows, or of the pixels of a block row, between kernel rows or columns.

    Attributes
    ----------
    whole : int64[n]
        Kernel rows, or columns, by which each lies further than the command's steps say.
    fraction : int64[n]
        And how far behind that, Q10.
    """

    whole: np.ndarray
    fraction: np.ndarray

    @classmethod
    def along(cls, command: Command, axis: str) -> "Between":
        """Along ``y`` or ``x``."""
        fields, count = command["interpolation"], command["loops"]["block_rows" if axis == "y" else "block_cols"]
        position = fields[axis] + np.arange(count, dtype=np.int64) * fields[f"step_{axis}"]
        return cls(position >> FRACTION_BITS, position & (ONE - 1))

    def factors(self, taps: int, first, size: int, step: int) -> np.ndarray:
        """The weight of each tap, Q10, int64[..., taps]: of the pixels' shape or the shape of `first`, whichever is larger.

        Parameters
        ----------
        taps : int
            1 or 2.
        first : int64[...]
            Row of the image, or byte of its row, at which tap 0 lies; an array whose first axis is that of the pixels.
        size, step : int
            Rows, or bytes of a row; how far on tap 1 lies.
        """
        fraction = self.fraction.reshape(-1, *(1,) * (first.ndim - 1))
        if taps == 1:
            return np.full((*first.shape, 1), ONE)
        alone = (first < 0) | (first + step >= size)
        return np.stack([np.where(alone, ONE, ONE - fraction), np.where(alone, ONE, fraction)], axis=-1)
