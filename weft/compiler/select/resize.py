"""Resizes of an image: copies of every n-th row and column, and small filters between them."""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from golden.operators.resize import FRACTION_BITS, bilinear_taps, nearest_indices
from hw.npu.isa import Opcode
from weft.compiler.graph import Operator
from weft.compiler.nests import MOST_PIECES, operand, whole
from weft.compiler.select.convolutions import MOST_STRIDE
from weft.compiler.select.copies import copy
from weft.compiler.select.movement import runs
from weft.compiler.select.selection import Selection
from weft.compiler.steps import Extent, Step, View

MOST_WEIGHT = 127
ONE = 1 << FRACTION_BITS


@dataclass(frozen=True)
class Alike:
    """Outputs along an axis that have the same weights: ``first + every * t`` reads from ``source + stride * t`` on, t below `count`.

    Attributes
    ----------
    weights : tuple of int
        Of neighbouring inputs; their sum is a power of two.
    """

    first: int
    every: int
    count: int
    source: int
    stride: int
    weights: tuple[int, ...]


def _alike(lower, upper, fraction) -> list[Alike]:
    """`golden.operators.resize.bilinear_taps` as few runs."""
    groups: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for output, (low, high, part) in enumerate(zip(lower.tolist(), upper.tolist(), fraction.tolist())):
        common = math.gcd(part, ONE)
        weights = (1,) if low == high or part == 0 else ((ONE - part) // common, part // common)
        groups.setdefault(weights, []).append((output, low))
    found = []
    for weights, places in groups.items():
        while places:
            count, every, stride = 1, 1, 1
            if len(places) > 1:
                every, stride = places[1][0] - places[0][0], places[1][1] - places[0][1]
            while 1 <= stride <= MOST_STRIDE and places[count:] and places[count] == (
                places[0][0] + count * every, places[0][1] + count * stride
            ):  # fmt: skip
                count += 1
            found.append(Alike(places[0][0], every, count, places[0][1], stride if count > 1 else 1, weights))
            places = places[count:]
    return found


def resize_nearest_neighbor(selection: Selection, operator: Operator) -> list[Step]:
    """RESIZE_NEAREST_NEIGHBOR: a copy for each run of rows and of columns."""
    source, result = selection.graph.input(operator, 0), selection.graph.output(operator)
    base, target = whole(source.shape), whole(result.shape)
    rows, cols = (runs(nearest_indices(source.shape[i], result.shape[i], **operator.options)) for i in (1, 2))
    _check_count(selection, operator, len(rows) * len(cols))
    steps = []
    for (to_y, from_y), (to_x, from_x) in itertools.product(rows, cols):
        seen = target[:, to_y, to_x]
        taken = operand(source.name, base, np.broadcast_to(base[:, from_y, from_x], seen.shape))
        steps += copy(selection, operator, taken, operand(result.name, target, seen))
    return steps


def _check_count(selection, operator, count):
    if count > MOST_PIECES:
        selection.refuse(operator, f"{_ratio(selection, operator)} would take {count} steps of the NPU, the limit is {MOST_PIECES}")


def _ratio(selection, operator) -> str:
    source, result = selection.graph.input(operator, 0).shape, selection.graph.output(operator).shape
    return f"a resize from {source[1]}x{source[2]} to {result[1]}x{result[2]}"


def resize_bilinear(selection: Selection, operator: Operator) -> list[Step]:
    """RESIZE_BILINEAR: outputs whose taps and weights are alike are a DEPTHWISE step; the sum of the weights is a power of two.

    Twice the sum, times 2^30, loses nothing in the first rounding; the second, by the whole power of two, rounds half away from zero.
    """
    source, result = selection.graph.input(operator, 0), selection.graph.output(operator)
    sides = [_alike(*bilinear_taps(source.shape[i], result.shape[i], **operator.options)) for i in (1, 2)]
    _check_count(selection, operator, len(sides[0]) * len(sides[1]))
    steps = []
    for rows, cols in itertools.product(*sides):
        weights = np.outer(rows.weights, cols.weights)
        if 2 * weights.max() > MOST_WEIGHT:
            selection.refuse(
                operator, f"{_ratio(selection, operator)} needs weights of 1/{weights.sum()}, which are not bytes",
                "resize by a factor of 2 or 4, or to the nearest neighbour",
            )  # fmt: skip
        channels = result.shape[3]
        view = View(rows.first, rows.every, cols.first * channels, cols.every * channels)
        steps.append(
            selection.step(
                operator, Opcode.DEPTHWISE, source.name, result.name,
                Extent(source.shape[1], source.shape[2], channels), Extent(rows.count, cols.count, channels),
                kernel=weights.shape, stride=(rows.stride, cols.stride), pad=(-rows.source, -cols.source),
                weights=np.repeat(2 * weights[:, :, None], channels, axis=2).astype(np.int8),
                multiplier=np.array([1 << 30], np.int32), exponent=np.array([1 - int(weights.sum()).bit_length()], np.int32),
                output_view=selection.seen(result.name, view),
            )
        )  # fmt: skip
    return steps
