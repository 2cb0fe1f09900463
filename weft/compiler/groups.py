"""Column tiles of one work each: how they are cut so that the last weights, and the last channels of the source, may come late."""

from itertools import accumulate, pairwise

from hw.npu.config import NpuConfig
from weft.compiler.blocks import Block
from weft.compiler.estimate import DEPENDENT_CYCLES, MIN_TILE_CYCLES
from weft.compiler.reduction import Depth, Part
from weft.compiler.steps import Step

Group = tuple[int, int]
"""The first column tile, and how many."""


def groups_of(sizes: list[int]) -> list[Group]:
    """Groups of so many column tiles, one behind the other."""
    return [(low, high - low) for low, high in pairwise(accumulate(sizes, initial=0))]


def taper(sizes: list[int]) -> list[int]:
    """The last size halved again and again: little is left to compute when the last weights arrive."""
    *sizes, last = sizes
    while last > 1:
        sizes.append(last - last // 2)
        last //= 2
    return [*sizes, last]


def cut(groups: list[Group], edge: int) -> list[Group]:
    """The groups with one more that begins at an edge."""
    edges = sorted({edge, *(end for first, count in groups for end in (first, first + count))})
    return [(low, high - low) for low, high in pairwise(edges)]


def filter_groups(groups: list[Group], edges: tuple[int, ...], tiles: int, job: int) -> list[Group]:
    """Groups of a DEPTHWISE of which the last is awaited late: the others take their cycles while its channels drain.

    Parameters
    ----------
    edges : tuple of int
        Column tiles at which it may be cut.
    tiles, job : int
        Column tiles, and cycles of each.
    """
    fits = [edge for edge in edges if min(edge, tiles - edge) * job >= DEPENDENT_CYCLES]
    return cut(groups, fits[-1]) if fits else groups


def early_parts(step: Step, block: Block, edges: tuple[int, ...], depth: Depth, config: NpuConfig) -> list[Part]:
    """Parts of the reduction of the first column tile of a MATMUL over single pixels: the channels that are ready, and the others.

    Empty where the first part would be over before the last channels are there.
    """
    if step.kernel != (1, 1) or block.rows * block.cols < MIN_TILE_CYCLES:
        return []
    tile, lanes = max(block.rows * block.cols, config.rows), [edge * config.cols for edge in edges]
    fits = [count for count in lanes if count % depth.terms == 0 and count // depth.terms * tile >= DEPENDENT_CYCLES]
    return [Part(0, 1, 0, 1, 0, fits[-1]), Part(0, 1, 0, 1, fits[-1], step.image.channels - fits[-1])] if fits else []
