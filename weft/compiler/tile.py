"""Pass: steps to works. A work is one execute command: a block of output pixels, some column tiles, a part of the reduction."""

import math
from dataclasses import dataclass
from itertools import accumulate, pairwise

from golden.machine_execute import PARAMETER_ROWS_OF
from hw.npu.config import NpuConfig
from hw.npu.isa import PARAMETER_ROWS, Opcode, Params
from weft.compiler.blocks import Block, choose_blocks, even
from weft.compiler.estimate import job_cycles
from weft.compiler.reduction import Part, Reduction, reduction_of, split
from weft.compiler.steps import Network, Step

STREAMED_BYTES = 8704
"""Weights of one work where they are used once: the next are read while these compute. Each work is two commands, 256 bytes of DDR
traffic, which counts where weights decide; a little over 8 KiB takes four tiles of 128 weights and a bias on 16 columns."""


@dataclass(frozen=True)
class Stream:
    """Consecutive bytes of the weight stream that one work, or several in turn, read.

    Attributes
    ----------
    step : int
    first_tile, tiles : int
        Column tiles.
    part : Part
        Of the reduction.
    params : Params
        What stands in front of each column tile's weights.
    """

    step: int
    first_tile: int
    tiles: int
    part: Part
    params: Params


@dataclass(frozen=True)
class Work:
    """One execute command.

    Attributes
    ----------
    step : int
        Index into `Network.steps`.
    block : Block
    first_tile, tiles : int
        Column tiles.
    part : Part
        Of the reduction.
    partial_in, partial_out : bool
    stream : int or None
        Index into `Tiling.streams`.
    cycles : int
        Estimate.
    """

    step: int
    block: Block
    first_tile: int
    tiles: int
    part: Part
    partial_in: bool
    partial_out: bool
    stream: int | None
    cycles: int


@dataclass(frozen=True)
class Tiling:
    """The network as execute commands in order.

    Attributes
    ----------
    network : Network
    config : NpuConfig
    reductions : tuple of Reduction
        Of each step.
    vectors : tuple of int
        For each step the vectors of C channels that are visited like pixels; 0 where column tiles are used.
    streams : tuple of Stream
    works : tuple of Work
    """

    network: Network
    config: NpuConfig
    reductions: tuple[Reduction, ...]
    vectors: tuple[int, ...]
    streams: tuple[Stream, ...]
    works: tuple[Work, ...]


def params_of(step: Step) -> Params:
    """What the weight stream holds for each column tile of a step."""
    if step.bias is None:
        return Params.NONE
    return Params.BIAS if len(step.multiplier) == 1 else Params.FULL


def vectors_of(step: Step, config: NpuConfig) -> int:
    """Vectors of C channels in a pixel, if they can be visited like pixels: then one job does what column tiles do one by one."""
    vectors, rest = divmod(step.image.channels, config.cols)
    contiguous = step.stride[1] == 1 or step.result.width == 1
    if step.opcode == Opcode.MATMUL or rest or not contiguous or not 1 < vectors <= config.ACCUMULATOR_DEPTH:
        return 0
    return vectors


def _tile_bytes(step, reduction, config):
    """Bytes of one column tile in the weight stream."""
    return (reduction.rows + PARAMETER_ROWS_OF[params_of(step)]) * config.cols


def _taper(sizes: list[int]) -> list[int]:
    """The last size halved again and again: little is left to compute when the last weights arrive."""
    *sizes, last = sizes
    while last > 1:
        sizes.append(last - last // 2)
        last //= 2
    return [*sizes, last]


def _groups(step, reduction, blocks, config, *, last):
    """Column tiles of each work, and the parts of the reduction.

    The weight scratchpad holds a few works' weights at a time: four where the image has one block or the tiles are
    small, else at least two. What is larger is cut along the reduction; several blocks then read it several times.
    """
    tiles = math.ceil(step.result.channels / config.cols)
    limit = config.weight_bytes // 4
    if len(blocks) == 1:
        limit = min(limit, STREAMED_BYTES)
    tile_bytes = _tile_bytes(step, reduction, config)
    parts = reduction.whole()
    if tile_bytes > config.weight_bytes // (4 if len(blocks) == 1 else 2):
        parts = split(reduction, config.rows, config.weight_bytes // 4 // config.cols - PARAMETER_ROWS)
        return [(tile, 1) for tile in range(tiles)], parts
    count = math.ceil(tiles / max(1, limit // tile_bytes))
    sizes = [size for _, size in even(0, tiles, count)]
    edges = list(accumulate(_taper(sizes) if last and count > 1 else sizes, initial=0))
    return [(low, high - low) for low, high in pairwise(edges)], parts


def _tile_step(index, network, config, streams):
    """Works of one step, in order; appends to `streams`."""
    step = network.steps[index]
    vectors = vectors_of(step, config)
    reduction = reduction_of(step, config.rows)
    from_ddr = network.root[step.source] in network.inputs
    large = step.opcode == Opcode.MATMUL and _tile_bytes(step, reduction, config) > config.weight_bytes // 4
    blocks = choose_blocks(step, reduction, config, vectors, params_of(step), from_ddr=from_ddr, fewest=large)
    if step.opcode != Opcode.MATMUL:
        groups, parts = [(0, 1 if vectors else math.ceil(step.result.channels / config.cols))], reduction.whole()
    else:
        groups, parts = _groups(step, reduction, blocks, config, last=index == len(network.steps) - 1)
    works = []
    for first, tiles in groups:
        first_stream = len(streams)
        for number, part in enumerate(parts):
            params = params_of(step) if number == len(parts) - 1 else Params.NONE
            streams.append(Stream(index, first, tiles, part, params))
        for block in blocks:
            for number, part in enumerate(parts):
                stream = first_stream + number
                pixels = block.rows * block.cols * max(1, vectors)
                cycles = tiles * job_cycles(config, step.opcode, streams[stream].params, pixels, *part.loops(config.rows))
                has_stream = step.opcode == Opcode.MATMUL or step.table
                partial = number > 0, number < len(parts) - 1
                works.append(Work(index, block, first, tiles, part, *partial, stream if has_stream else None, cycles))
    return works, reduction, vectors


def tile(network: Network, config: NpuConfig) -> Tiling:
    """Cut every step into works."""
    streams, works, reductions, vectors = [], [], [], []
    for index in range(len(network.steps)):
        made, reduction, folded = _tile_step(index, network, config, streams)
        works += made
        reductions.append(reduction)
        vectors.append(folded)
    return Tiling(network, config, tuple(reductions), tuple(vectors), tuple(streams), tuple(works))
