"""RESIZE_BILINEAR: INTERPOLATE for any ratio; small filters where outputs of equal weights are enough alike for them to be faster."""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from golden.operators.resize import bilinear_positions, bilinear_taps
from hw.npu.interface.isa import FRACTION_BITS, Opcode
from weft.compiler.graph import Operator
from weft.compiler.nests import MOST_PIECES
from weft.compiler.select.convolutions import MOST_STRIDE
from weft.compiler.select.selection import Selection
from weft.compiler.steps import Extent, Positions, Step, View

MOST_WEIGHT = 127
ONE = 1 << FRACTION_BITS
SUM_BITS = 8 + 2 * FRACTION_BITS
"""Width of the sums of an INTERPOLATE."""
MOST_FILTERS = 32
"""Filters that can make an image band by band together (`weft.compiler.partition`). An image that is whole on the chip takes any number."""
MOST_ROWS = 255
"""Image rows from output row to output row of an INTERPOLATE: the field ``row_step_y`` has 8 bits."""
MOST_BYTES = (1 << 20) - 1
"""Bytes from output pixel to output pixel: the field ``pixel_step`` has 20 bits."""
FILTER_CYCLES = 70
"""What each filter takes beside its outputs, about, where an INTERPOLATE is one step and filters are four at least. With it the choice is
wrong by a third at most: factors 2, 4 and 8, images of 2 to 20 pixels a side, 3 to 64 channels, ``small``, on the timing model."""


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


def resize_bilinear(selection: Selection, operator: Operator) -> list[Step]:
    """RESIZE_BILINEAR.

    Raises
    ------
    WeftError
        Where the NPU has no INTERPOLATE, and filters cannot do it either: it names the switch.
    """
    source, result = selection.graph.input(operator, 0), selection.graph.output(operator)
    sides = [_alike(*bilinear_taps(source.shape[i], result.shape[i], **operator.options)) for i in (1, 2)]
    reason = _unfit(sides)
    config = selection.config
    # half of the scratchpad: other tensors are there too
    many = len(sides[0]) * len(sides[1]) > MOST_FILTERS and 2 * (source.size + result.size) > config.act_bytes
    better = config.accumulator_bits >= SUM_BITS and (many or _filter_cycles(sides) > _between_cycles(selection, operator))
    if config.interpolation and (reason or better):
        return _between(selection, operator)
    if reason:
        ratio = f"a resize from {source.shape[1]}x{source.shape[2]} to {result.shape[1]}x{result.shape[2]}"
        selection.refuse(
            operator, f"{ratio} {reason}, and {config.name} has no interpolation",
            "set interpolation = true in the configuration, resize by a factor of 2 or 4, or to the nearest neighbour",
        )  # fmt: skip
    return _filters(selection, operator, sides)


def _unfit(sides) -> str | None:
    """Why filters cannot do it."""
    count = len(sides[0]) * len(sides[1])
    if count > MOST_PIECES:
        return f"would take {count} steps of the NPU, the limit is {MOST_PIECES}"
    sums = [sum(rows.weights) * sum(cols.weights) for rows, cols in itertools.product(*sides) if _heaviest(rows, cols) > MOST_WEIGHT]
    return f"needs weights of 1/{sums[0]}, which are not bytes" if sums else None


def _heaviest(rows: Alike, cols: Alike) -> int:
    """The largest weight of a filter, which is twice the product's."""
    return 2 * max(rows.weights) * max(cols.weights)


def _filter_cycles(sides) -> int:
    """About what the filters take for C channels: a block row takes a step more than it has outputs where it has two taps."""
    pairs = list(itertools.product(*sides))
    return sum(rows.count * max(3, cols.count * cols.stride + len(cols.weights) - 1) + FILTER_CYCLES for rows, cols in pairs)


def _between_cycles(selection, operator) -> int:
    """The same of an INTERPOLATE."""
    kernel, (_, height, width, _) = _kernel(_places(selection, operator)), selection.graph.output(operator).shape
    return math.prod((*kernel, height, width))


def _places(selection, operator) -> tuple[Positions, Positions]:
    """Where the outputs lie along height and width."""
    source, result = selection.graph.input(operator, 0).shape, selection.graph.output(operator).shape
    height, width = (Positions(*bilinear_positions(source[i], result[i], **operator.options)) for i in (1, 2))
    return height, width


def _kernel(places) -> tuple[int, int]:
    """Taps along height and width: one where every output lies on an input."""
    height, width = (1 if along.first % ONE == 0 and along.step % ONE == 0 else 2 for along in places)
    return height, width


def _between(selection: Selection, operator: Operator) -> list[Step]:
    """One INTERPOLATE; a piece for each row, or column, of outputs so far apart that no field holds their distance.

    Sums are in units of 2^-20. Times (2^31 - 1) / 2^31, they are what they were, for they are below 2^28; the shift by 20 rounds half
    away from zero.
    """
    source, result = selection.graph.input(operator, 0), selection.graph.output(operator)
    places, channels = _places(selection, operator), result.shape[3]
    kernel, most = _kernel(places), (MOST_ROWS, min(MOST_BYTES // channels, MOST_BYTES))
    steps = []
    for (y, rows, down), (x, cols, along) in itertools.product(*map(_pieces, places, result.shape[1:3], most)):
        view = None if (rows, cols) == result.shape[1:3] else selection.seen(result.name, View(y, 1, x * channels, channels))
        steps.append(
            selection.step(
                operator, Opcode.INTERPOLATE, source.name, result.name,
                Extent(source.shape[1], source.shape[2], channels), Extent(rows, cols, channels),
                kernel=kernel, stride=(down.step // ONE, along.step // ONE), between=(down, along),
                multiplier=np.array([(1 << 31) - 1], np.int32), exponent=np.array([-2 * FRACTION_BITS], np.int32),
                output_view=view,
            )
        )  # fmt: skip
    return steps


def _pieces(places: Positions, count: int, most: int) -> list[tuple[int, int, Positions]]:
    """Runs of outputs along an axis whose steps fit: first, how many, and where they lie."""
    if places.step // ONE <= most:
        return [(0, count, places)]
    return [(output, 1, Positions(places.first + output * places.step, 0)) for output in range(count)]


def _filters(selection: Selection, operator: Operator, sides) -> list[Step]:
    """Outputs whose taps and weights are alike are a DEPTHWISE step; the sum of the weights is a power of two.

    Twice the sum, times 2^30, loses nothing in the first rounding; the second, by the whole power of two, rounds half away from zero.
    """
    source, result = selection.graph.input(operator, 0), selection.graph.output(operator)
    steps = []
    for rows, cols in itertools.product(*sides):
        weights, channels = np.outer(rows.weights, cols.weights), result.shape[3]
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
