"""Blocks of output pixels: how a band of a step's image is cut into what one command computes."""

import math
from dataclasses import dataclass
from itertools import groupby, pairwise

from hw.npu.config import NpuConfig
from weft.compiler.steps import Step

MOST_BLOCKS = 16
"""Blocks that are tried for an image beyond those that the accumulators ask for."""


@dataclass(frozen=True)
class Block:
    """A rectangle of output pixels.

    Attributes
    ----------
    y, rows, x, cols : int
        First and number of output rows and columns.
    count : int
        Positions of the window that an average divides by; 0 where it does not matter.
    every : int
        Pixels from output to output along the axis of a DEPTHWISE filter; `rows` or `cols` counts the block's own.
    """

    y: int
    rows: int
    x: int
    cols: int
    count: int = 0
    every: int = 1


def even(first: int, size: int, count: int) -> list[tuple[int, int]]:
    """Cut ``first .. first + size - 1`` into `count` ranges whose sizes differ by one at most: (first, size) each, larger ones first."""
    edges = [first + -(-index * size // count) for index in range(count + 1)]
    return [(low, high - low) for low, high in pairwise(edges)]


def runs(step: Step, axis: int, first: int, size: int) -> list[tuple[int, int, int]]:
    """Ranges of output positions along an axis that see equally many image positions: (first, size, positions)."""
    if not step.average:
        return [(first, size, 0)]
    kernel, pad, image = step.kernel[axis], step.pad[axis], (step.image.height, step.image.width)[axis]
    if step.average_counts_padding:
        return [(first, size, kernel)]
    seen = []
    for position in range(first, first + size):
        low = position * step.stride[axis] - pad
        seen.append(min(low + kernel, image) - max(low, 0))
    found = []
    for positions, group in groupby(seen):
        length = len(list(group))
        found.append((first, length, positions))
        first += length
    return found


def columns_of(step: Step, config: NpuConfig, vectors: int) -> list[tuple[int, int, int]]:
    """Ranges of columns of all blocks: (first, columns, positions of an average)."""
    columns = []
    for x, width, count in runs(step, 1, 0, step.result.width):
        pieces = even(x, width, math.ceil(width / (config.ACCUMULATOR_DEPTH // vectors)))
        columns += [(left, cols, count) for left, cols in pieces]
    return columns
