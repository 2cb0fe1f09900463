"""Blocks of output pixels: how a step's image is cut so that the next step need not wait for the whole of it."""

import math
from dataclasses import dataclass
from itertools import groupby, pairwise

from hw.npu.config import NpuConfig
from hw.npu.isa import Params
from weft.compiler.estimate import COMMAND_CYCLES, DEPENDENT_CYCLES, job_cycles
from weft.compiler.reduction import Reduction
from weft.compiler.steps import Step

MOST_BLOCKS = 16
"""Blocks that are tried for an image beyond those that the accumulators ask for."""


@dataclass(frozen=True)
class Block:
    """A rectangle of output pixels.

    Attributes
    ----------
    y, rows, x, cols : int
    count : int
        Positions of the window that an average divides by; 0 where it does not matter.
    """

    y: int
    rows: int
    x: int
    cols: int
    count: int = 0


def even(first: int, size: int, count: int) -> list[tuple[int, int]]:
    """Cut ``first .. first + size - 1`` into `count` ranges whose sizes differ by one at most: (first, size) each, larger ones first."""
    edges = [first + -(-index * size // count) for index in range(count + 1)]
    return [(low, high - low) for low, high in pairwise(edges)]


def _runs(step: Step, axis: int) -> list[tuple[int, int, int]]:
    """Ranges of output positions along an axis that see equally many image positions: (first, size, positions)."""
    size = (step.result.height, step.result.width)[axis]
    if not step.average:
        return [(0, size, 0)]
    kernel, pad, image = step.kernel[axis], step.pad[axis], (step.image.height, step.image.width)[axis]
    if step.average_counts_padding:
        return [(0, size, kernel)]
    seen = []
    for position in range(size):
        low = position * step.stride[axis] - pad
        seen.append(min(low + kernel, image) - max(low, 0))
    runs, first = [], 0
    for positions, group in groupby(seen):
        length = len(list(group))
        runs.append((first, length, positions))
        first += length
    return runs


def _count(step, reduction, config, fewest, rows, cols, params, vectors, from_ddr) -> int:
    """Number of blocks to cut `rows` rows of `cols` waves into, `fewest` or more: the cheapest.

    A layer's cost is its jobs', what the next layer waits (its first block needs the first two of this one; the others
    hide the pipeline), the first block's input where that comes from DDR, and a little for each command.
    """
    loops = next(iter(reduction.whole())).loops(config.rows)
    tiles = 1 if vectors > 1 else math.ceil(step.result.channels / config.cols)
    options = []
    for count in range(fewest, min(rows, fewest + MOST_BLOCKS) + 1):
        jobs = [tiles * job_cycles(config, step.opcode, params, size * cols, *loops) for _, size in even(0, rows, count)]
        waits = max(0, DEPENDENT_CYCLES - sum(jobs[2:]))
        low, high = step.rows_read(0, even(0, rows, count)[0][1])
        fill = (high - low) * step.image.row_bytes // config.axi_bytes if from_ddr else 0
        options.append((sum(jobs) + waits + fill + COMMAND_CYCLES * count, count))
    return min(options)[1]


def choose_blocks(
    step: Step, reduction: Reduction, config: NpuConfig, vectors: int, params: Params, *, from_ddr: bool = False, fewest: bool = False
) -> list[Block]:
    """Blocks of a step, row by row.

    Parameters
    ----------
    vectors : int
        Vectors of a pixel that count as pixels, 0 for none.
    from_ddr : bool
        The step reads an input of the network.
    fewest : bool
        As few blocks as the accumulators allow: weights are so large that each block would read them again.
    """
    vectors = max(1, vectors)
    columns = []
    for x, width, count_x in _runs(step, 1):
        pieces = even(x, width, math.ceil(width / (config.ACCUMULATOR_DEPTH // vectors)))
        columns += [(left, cols, count_x) for left, cols in pieces]
    widest = max(cols for _, cols, _ in columns) * vectors
    blocks = []
    for y, height, count_y in _runs(step, 0):
        least = math.ceil(height / (config.ACCUMULATOR_DEPTH // widest))
        count = least if fewest else _count(step, reduction, config, least, height, widest, params, vectors, from_ddr)
        # the same rows in all columns, so that rows become whole one after the other
        bands = even(y, height, count)
        blocks += [Block(top, rows, left, cols, count_y * count_x) for top, rows in bands for left, cols, count_x in columns]
    return blocks
