"""The taps that weights beyond int8 take a second time, where `Step.rest` has something for a column tile.

A network of uint8 has few such weights, one or two a layer, but nearly every layer has one: the farthest from the zero point. Works of
their own add these taps to the sums of the one column tile that has them; all other column tiles take no cycle more.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from hw.npu.config import NpuConfig
from weft.compiler.blocks import Block
from weft.compiler.estimate import COMMAND_CYCLES, tiles_cycles
from weft.compiler.fir import Fir, Taps, span_of
from weft.compiler.reduction import Part, reduction_of
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
        self._parts: dict[int | None, dict[int, list[Part | Taps]]] = {}

    def parts(self, fir: Fir | None) -> dict[int, list[Part | Taps]]:
        """By the column tile; `fir` is the filter of a DEPTHWISE."""
        if self.step.rest is None:
            return {}
        axis = None if fir is None else fir.axis
        if axis not in self._parts:
            found: dict[int, list[Part | Taps]] = {}
            for number in (1, 2):
                for tile, where in _of_tiles(self.step.taps(number), self.config.cols):
                    parts = self._boxes(where, number) if fir is None else self._rectangle(where, fir, number)
                    found.setdefault(tile, []).extend(parts)
            self._parts[axis] = found
        return self._parts[axis]

    def _boxes(self, found, number) -> list[Part]:
        """Of a MATMUL: runs of bytes of a tap, one reduction tile each, that hold all that was found."""
        reduction = reduction_of(self.step)
        found = found.reshape(reduction.taps_y, reduction.taps_x, reduction.lanes)
        boxes: list[Part] = []
        for ky, kx, lane in np.argwhere(found).tolist():
            last = boxes[-1] if boxes else None
            if last is not None and (last.tap_y, last.tap_x) == (ky, kx) and lane < last.lane + self.terms:
                boxes[-1] = replace(last, lanes=lane + 1 - last.lane)
            else:
                boxes.append(Part(ky, 1, kx, 1, lane, 1, number=number))
        return boxes

    def _rectangle(self, found, fir, number) -> list[Taps]:
        """Of a DEPTHWISE: the smallest rectangle of taps, cut as the filter is."""
        found = found if fir.axis == 1 else found.T
        lines, across = np.flatnonzero(found.any(axis=1)).tolist(), np.flatnonzero(found.any(axis=0)).tolist()
        height, rectangle = lines[-1] + 1 - lines[0], []
        for part in fir.parts:
            taps = [tap for tap in across if part.first <= tap < part.first + part.count]
            if taps:
                count = taps[-1] + 1 - taps[0]
                span = span_of(count, height, self.config.rows)
                rectangle.append(Taps(fir.axis, taps[0], count, height, span, line=lines[0], number=number))
        return rectangle

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
        if isinstance(part, Part):
            return tiles_cycles(block.rows * block.cols, [part.lanes])
        assert fir is not None
        first, count, lines = (block.y, block.rows, block.cols) if fir.axis == 0 else (block.x, block.cols, block.rows)
        return tiles_cycles(lines * fir.positions(self.step, first, count, part), [part.pass_rows] * part.passes)


def _of_tiles(weights: np.ndarray, cols: int) -> Iterator[tuple[int, np.ndarray]]:
    """Each column tile that has weights other than 0: its number, and where, bool of the shape of a filter."""
    for tile, first in enumerate(range(0, weights.shape[-1], cols)):
        found = np.any(weights[..., first : first + cols], axis=-1, keepdims=True)[..., 0]
        if found.any():
            yield tile, found
