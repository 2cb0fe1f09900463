"""Pools and means: windows of a SUM or MAX, and a MATMUL with weights of one where the last dimension is summed."""

import math
from dataclasses import replace

import numpy as np

from golden.operators.mean import elements
from hw.npu.isa import Opcode
from weft.compiler import parameters
from weft.compiler.graph import Operator
from weft.compiler.nests import ROW_LIMIT, divisor
from weft.compiler.reduction import MOST_TAPS
from weft.compiler.select.convolutions import window
from weft.compiler.select.functions import FLIP
from weft.compiler.select.selection import Selection, wrapped
from weft.compiler.steps import Extent, Step, View, extent_of


def average_pool_2d(selection: Selection, operator: Operator) -> list[Step]:
    """AVERAGE_POOL_2D: a SUM over the window, divided by the number of positions inside the image."""
    low, high = parameters.clamp(selection.graph, operator)
    fields = window(selection, operator)
    return [selection.whole(operator, Opcode.SUM, average=True, clamp_min=low, clamp_max=high, **fields)]


def max_pool_2d(selection: Selection, operator: Operator) -> list[Step]:
    """MAX_POOL_2D: a MAX over the window; padding is the type's minimum."""
    low, high = parameters.clamp(selection.graph, operator)
    return [selection.whole(operator, Opcode.MAX, pad_value=-128, clamp_min=low, clamp_max=high, **window(selection, operator))]


def mean(selection: Selection, operator: Operator) -> list[Step]:
    """MEAN: windows without overlap; uint8 as int8, through a table before and after."""
    graph = selection.graph
    source, result = graph.input(operator, 0), graph.output(operator)
    unsigned = 128 if source.dtype == "uint8" else 0
    read, before = source.name, []
    if unsigned:
        read = selection.temporary(operator, "signed", source.shape)
        seen = extent_of(source.shape)
        before = [selection.step(operator, Opcode.SUM, source.name, read, seen, seen, table=FLIP)]
    axes = parameters.axes(graph, operator)
    multiplier, exponent = parameters.mean_multiplier(graph, operator)
    step = _sum(selection, operator, read, source.shape, axes)
    bias = wrapped(np.array([-elements(source.shape, axes) * (source.zero_point - unsigned)], np.int64))
    step = replace(
        step,
        bias=np.repeat(bias, step.result.channels),
        multiplier=np.array([multiplier], np.int32),
        exponent=np.array([exponent], np.int32),
        zero_point=result.zero_point - unsigned,
        table=FLIP if unsigned else b"",
    )
    return [*before, step]


def _sum(selection, operator, read, shape, axes) -> Step:
    """A step that sums over the axes."""
    taps = _as_image(shape, axes)
    image_rows = taps is not None
    if not image_rows:
        taps = _as_loops(shape, axes)
    if taps is None:
        selection.refuse(operator, f"the NPU does not sum dimensions {list(axes)} of {list(shape)} in one step", "sum them one by one")
    (height, taps_y), (width, taps_x), (lanes, summed) = taps
    image, result = Extent(height * taps_y, width * taps_x, lanes), Extent(height, width, 1 if summed else lanes)
    views = {}
    if not image_rows:
        views = {"source_view": View(0, 1, 0, lanes, image.row_bytes), "output_view": View(0, 1, 0, result.channels, result.row_bytes)}
    weights = np.ones((taps_y, taps_x, lanes, 1), np.int8) if summed else None
    opcode = Opcode.MATMUL if summed else Opcode.SUM
    # of more taps than a command's fields hold there is one window: nothing moves on to a next one
    sides = {"kernel": (taps_y, taps_x), "stride": tuple(taps if taps <= MOST_TAPS else 1 for taps in (taps_y, taps_x))}
    return selection.step(operator, opcode, read, operator.outputs[0], image, result, weights=weights, **sides, **views)


def _as_image(shape, axes):
    """Kept and summed rows, kept and summed pixels, channels and whether they are summed, of one image; None where it is none."""
    if len(shape) != 4 or shape[0] != 1 or shape[1] > ROW_LIMIT:
        return None
    rows, pixels = ((1, shape[axis]) if axis in axes else (shape[axis], 1) for axis in (1, 2))
    if 3 in axes and max(rows[1], pixels[1]) > MOST_TAPS:  # sums of bytes side by side are a MATMUL, whose kernel is not cut
        return None
    return rows, pixels, (shape[3], 3 in axes)


def _as_loops(shape, axes):
    """The same of any other shape: dimensions as loops, from the outermost kept, summed, kept, summed; None where there are more."""
    loops: list[tuple[bool, int]] = []
    for axis, count in enumerate(shape):
        if count > 1:
            if loops and loops[-1][0] == (axis in axes):
                count *= loops.pop()[1]
            loops.append((axis in axes, count))
    summed, lanes = loops.pop() if loops else (False, 1)
    sides = []
    for _ in range(2):
        taps = loops.pop()[1] if loops and loops[-1][0] else 1
        sides.append((loops.pop()[1] if loops else 1, taps))
    (width, taps_x), (height, taps_y) = sides
    if taps_x > MOST_TAPS and height == taps_y == 1:  # a run as a window of two sides
        height, width, (taps_y, taps_x) = width, 1, _window_of(taps_x)
    if not summed and taps_x == taps_y == 1:  # nothing is summed
        width, lanes = width * height * lanes // (channels := divisor(lanes, 16)), channels
        height = 1
    if loops or max(taps_x, taps_y) > MOST_TAPS or height * taps_y > ROW_LIMIT:
        return None
    return (height, taps_y), (width, taps_x), (lanes, summed)


def _window_of(count) -> tuple[int, int]:
    """Sides of a window of so many positions, as small as there are."""
    return next((count // n, n) for n in range(math.isqrt(count), 0, -1) if count % n == 0)
