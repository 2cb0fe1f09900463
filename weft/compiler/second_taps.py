"""The taps that weights beyond int8 take a second time: what is left of `Step.rest` for each column tile, in as few reduction tiles as it needs.

A network of uint8 has few such weights, one or two a layer, but nearly every layer has one: the farthest from the zero point. Works of
their own add these taps to the sums of the one column tile that has them; all other column tiles take no cycle more.
"""

from itertools import pairwise

import numpy as np

from hw.npu.config import NpuConfig
from weft.compiler.blocks import Block
from weft.compiler.estimate import COMMAND_CYCLES, tiles_cycles
from weft.compiler.fir import Fir, Taps, span_of
from weft.compiler.reduction import Part, Reduction, reduction_of
from weft.compiler.steps import Step


class SecondTaps:
    """The parts of one step that add its `rest`.

    Parameters
    ----------
    step : Step
    config : NpuConfig
    terms : int
        Products a channel of a reduction tile.
    """

    def __init__(self, step: Step, config: NpuConfig, terms: int):
        self.step, self.config, self.terms = step, config, terms
        self._parts: dict[int | None, dict[int, list[Part] | list[Taps]]] = {}

    def parts(self, fir: Fir | None) -> dict[int, list[Part] | list[Taps]]:
        """By the column tile; `fir` is the filter of a DEPTHWISE."""
        if self.step.rest is None:
            return {}
        axis = None if fir is None else fir.axis
        if axis not in self._parts:
            if fir is None:
                self._parts[axis] = dict(matmul_taps(self.step.rest, reduction_of(self.step), self.terms, self.config.cols))
            else:
                self._parts[axis] = dict(filter_taps(self.step.rest, fir, self.config.rows, self.config.cols))
        return self._parts[axis]

    def groups(self, tiles: list[tuple[int, int]], fir: Fir | None) -> list[tuple[int, int]]:
        """Groups of column tiles, (first, how many), each tile with second taps alone: partial sums are of one tile at a time."""
        alone, cut = self.parts(fir), []
        for first, count in tiles:
            edges = {first, first + count, *(tile + end for tile in alone for end in (0, 1) if first <= tile < first + count)}
            cut += [(low, high - low) for low, high in pairwise(sorted(edges))]
        return cut

    def cycles(self, block: Block, fir: Fir | None) -> int:
        """Cycles that all of them take for a block."""
        return sum(self.part_cycles(part, block, fir) + COMMAND_CYCLES for parts in self.parts(fir).values() for part in parts)

    def part_cycles(self, part: Part | Taps, block: Block, fir: Fir | None) -> int:
        """Cycles that one of them takes for a block."""
        if fir is None or isinstance(part, Part):
            return tiles_cycles(block.rows * block.cols, [part.lanes])
        first, count, lines = (block.y, block.rows, block.cols) if fir.axis == 0 else (block.x, block.cols, block.rows)
        return tiles_cycles(lines * fir.positions(self.step, first, count, part), [part.pass_rows] * part.passes)


def _of_tiles(rest: np.ndarray, cols: int):
    """Each column tile that has a rest: its number, and where, bool of the shape of a filter."""
    for tile, first in enumerate(range(0, rest.shape[-1], cols)):
        found = rest[..., first : first + cols].any(axis=-1)
        if found.any():
            yield tile, found


def matmul_taps(rest: np.ndarray, reduction: Reduction, terms: int, cols: int) -> dict[int, list[Part]]:
    """Of a MATMUL, by column tile: parts of one reduction tile each.

    Parameters
    ----------
    rest : int8[KH, KW, Cin, Cout]
    reduction : Reduction
    terms : int
        Products a channel of a reduction tile.
    cols : int
        Channels of a column tile.
    """
    lanes = rest.reshape(reduction.taps_y, reduction.taps_x, reduction.lanes, -1)
    return {tile: _boxes(found, terms) for tile, found in _of_tiles(lanes, cols)}


def _boxes(found, terms) -> list[Part]:
    """Runs of at most `terms` bytes of a tap that hold all that was found, bool[taps_y, taps_x, lanes]."""
    boxes: list[Part] = []
    for ky, kx, lane in np.argwhere(found).tolist():
        last = boxes[-1] if boxes else None
        if last is not None and (last.tap_y, last.tap_x) == (ky, kx) and lane < last.lane + terms:
            boxes[-1] = Part(ky, 1, kx, 1, last.lane, lane + 1 - last.lane, second=True)
        else:
            boxes.append(Part(ky, 1, kx, 1, lane, 1, second=True))
    return boxes


def filter_taps(rest: np.ndarray, fir: Fir, array_rows: int, cols: int) -> dict[int, list[Taps]]:
    """Of a DEPTHWISE, by column tile: the smallest rectangle of taps, cut as the filter is.

    Parameters
    ----------
    rest : int8[KH, KW, C]
    fir : Fir
    array_rows, cols : int
        Of the array.
    """
    along = rest if fir.axis == 1 else rest.transpose(1, 0, 2)
    parts: dict[int, list[Taps]] = {}
    for tile, found in _of_tiles(along, cols):
        lines = np.flatnonzero(found.any(axis=1)).tolist()
        height = lines[-1] + 1 - lines[0]
        parts[tile] = []
        for part in fir.parts:
            taps = [tap for tap in np.flatnonzero(found.any(axis=0)).tolist() if part.first <= tap < part.first + part.count]
            if taps:
                count = taps[-1] + 1 - taps[0]
                span = span_of(count, height, array_rows)
                parts[tile].append(Taps(fir.axis, taps[0], count, height, span, line=lines[0], second=True))
    return parts
