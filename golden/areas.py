"""Sets of bytes of a memory as disjoint intervals: what a command reads or writes."""

from dataclasses import dataclass

import numpy as np

FEW = 12
"""Intervals up to which slices one by one are faster than an index of every byte."""


@dataclass(frozen=True)
class Area:
    """Disjoint intervals in ascending order, byte ``starts[i]`` to ``ends[i] - 1``.

    Attributes
    ----------
    starts, ends : int64[n]
    """

    starts: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, starts, ends) -> "Area":
        """The union of intervals, which may overlap, touch or be empty; int64[n] each, or numbers."""
        starts, ends = np.atleast_1d(starts).reshape(-1), np.atleast_1d(ends).reshape(-1)
        held = ends > starts
        if not held.all():
            starts, ends = starts[held], ends[held]
        if len(starts) < 2:
            return cls(starts, ends)
        order = np.argsort(starts, kind="stable")
        starts, reached = starts[order], np.maximum.accumulate(ends[order])
        first = np.concatenate([[True], starts[1:] > reached[:-1]])
        return cls(starts[first], reached[np.concatenate([first[1:], [True]])])

    @classmethod
    def wrapped(cls, starts, ends, size) -> "Area":
        """The union of intervals that begin inside a memory of `size` bytes and go on at byte 0 behind its end."""
        starts, ends = np.atleast_1d(starts).reshape(-1), np.atleast_1d(ends).reshape(-1)
        across = ends > size
        if not across.any():
            return cls.of(starts, ends)
        behind = np.minimum(ends[across] - size, size)
        return cls.of(np.concatenate([starts, np.zeros_like(behind)]), np.concatenate([np.minimum(ends, size), behind]))

    @property
    def size(self) -> int:
        """Number of bytes."""
        return int((self.ends - self.starts).sum())

    def overlaps(self, other: "Area") -> bool:
        """Whether a byte is in both."""
        if not len(self.starts) or not len(other.starts):
            return False
        before = np.searchsorted(other.starts, self.ends, side="left") - 1  # the last interval that begins before each end
        return bool(((before >= 0) & (other.ends[before] > self.starts)).any())

    def places(self) -> list:
        """Indices of an array with an element for each byte, which together are the area."""
        if len(self.starts) <= FEW:
            return [slice(start, end) for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True)]
        lengths = self.ends - self.starts
        return [np.repeat(self.ends - np.cumsum(lengths), lengths) + np.arange(lengths.sum())]
