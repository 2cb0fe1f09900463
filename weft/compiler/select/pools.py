"""Pools, means and extremes: windows of a SUM or MAX, and a MATMUL with weights of one where the last dimension is summed."""

import math
from dataclasses import replace

import numpy as np

from golden.operators.mean import elements
from hw.npu.interface.isa import Opcode
from weft.compiler import parameters
from weft.compiler.graph import Operator
from weft.compiler.nests import ROW_LIMIT, divisor
from weft.compiler.reduction import MOST_TAPS
from weft.compiler.select.convolutions import window
from weft.compiler.select.functions import COMPLEMENT, FLIP, FLIPPED_COMPLEMENT
from weft.compiler.select.selection import Selection, wrapped
from weft.compiler.steps import Extent, Step, View, extent_of


def average_pool_2d(selection: Selection, operator: Operator) -> list[Step]:
    """AVERAGE_POOL_2D: a SUM over the window, divided by the number of positions inside the image.

    Of uint8 the sum is that of unsigned bytes: 128 more for each position, also for those outside, whose bytes are 0.
    """
    low, high = parameters.clamp(selection.graph, operator)
    fields = window(selection, operator)
    if parameters.unsigned(selection.graph, operator):
        bias = np.full(selection.graph.output(operator).shape[3], 128 * math.prod(fields["kernel"]), np.int32)
        fields |= {"bias": bias, "pad_value": -128, "zero_point": -128}
    return [selection.whole(operator, Opcode.SUM, average=True, clamp_min=low, clamp_max=high, **fields)]


def max_pool_2d(selection: Selection, operator: Operator) -> list[Step]:
    """MAX_POOL_2D: a MAX over the window; padding is the type's minimum."""
    low, high = parameters.clamp(selection.graph, operator)
    return [selection.whole(operator, Opcode.MAX, pad_value=-128, clamp_min=low, clamp_max=high, **window(selection, operator))]


def mean(selection: Selection, operator: Operator) -> list[Step]:
    """MEAN: windows without overlap; uint8 as int8, through a table before and after."""
    unsigned = selection.graph.input(operator, 0).dtype == "uint8"
    return _sum(selection, operator, parameters.mean_multiplier(selection.graph, operator), unsigned=unsigned)


def reduce_sum(selection: Selection, operator: Operator) -> list[Step]:
    """SUM: as MEAN, of bytes that are unsigned whatever the tensor's type."""
    return _sum(selection, operator, parameters.sum_multiplier(selection.graph, operator), unsigned=True)


def _sum(selection, operator, numbers, *, unsigned) -> list[Step]:
    """Sums over the axes, times a multiplier of an exponent; of unsigned bytes as int8, through a table before and after."""
    graph, lower = selection.graph, 128 if unsigned else 0
    source, result = graph.input(operator, 0), graph.output(operator)
    read, before = source.name, []
    if unsigned:
        read = selection.temporary(operator, "signed", source.shape)
        seen = extent_of(source.shape)
        before = [selection.step(operator, Opcode.SUM, source.name, read, seen, seen, table=FLIP)]
    axes = parameters.axes(graph, operator)
    taps = _as_image(source.shape, axes) or _as_loops(source.shape, axes)
    if taps is None:
        reason = f"the NPU does not sum dimensions {list(axes)} of {list(source.shape)} in one step"
        selection.refuse(operator, reason, "sum them one by one")
    step = _reduction(selection, operator, Opcode.SUM, read, result.name, taps, as_image=_as_image(source.shape, axes) is not None)
    bias = wrapped(np.array([-elements(source.shape, axes) * (source.zero_point - lower)], np.int64))
    step = replace(
        step,
        bias=np.repeat(bias, step.result.channels),
        multiplier=np.array(numbers[:1], np.int32),
        exponent=np.array(numbers[1:], np.int32),
        zero_point=result.zero_point - lower,
        table=FLIP if unsigned else b"",
    )
    return [*before, step]


def reduce_max(selection: Selection, operator: Operator) -> list[Step]:
    """REDUCE_MAX; of uint8 as int8, through a table before and after."""
    unsigned = selection.graph.input(operator, 0).dtype == "uint8"
    return _extreme(selection, operator, FLIP if unsigned else b"")


def reduce_min(selection: Selection, operator: Operator) -> list[Step]:
    """REDUCE_MIN: the complement of the largest complement."""
    unsigned = selection.graph.input(operator, 0).dtype == "uint8"
    return _extreme(selection, operator, FLIPPED_COMPLEMENT if unsigned else COMPLEMENT)


def _extreme(selection, operator, turn) -> list[Step]:
    """The largest values, of what the table `turn` makes of the input, and through it again."""
    source, axes = selection.graph.input(operator, 0), parameters.axes(selection.graph, operator)
    read, steps, passes = source.name, [], _passes(source.shape, axes, selection.config.cols)
    if passes is None:
        reason = f"the NPU does not compare dimensions {list(axes)} of {list(source.shape)}"
        selection.refuse(operator, reason, f"make its length a product of numbers up to {MOST_TAPS}")
    if turn:
        read, seen = selection.temporary(operator, "turned", source.shape), extent_of(source.shape)
        steps.append(selection.step(operator, Opcode.SUM, source.name, read, seen, seen, table=turn))
    for i, (shape, reduced) in enumerate(passes):
        last, taps = i == len(passes) - 1, _largest_as_image(shape, reduced)
        kept = tuple(1 if axis in reduced else n for axis, n in enumerate(shape))
        output = operator.outputs[0] if last else selection.temporary(operator, f"pass{i}", kept)
        as_image, taps = taps is not None, taps or _as_loops(shape, reduced, side_by_side=False)
        step = _reduction(selection, operator, Opcode.MAX, read, output, taps, as_image=as_image)
        steps.append(replace(step, table=turn if last else b""))
        read = output
    return steps


def _largest_as_image(shape, axes):
    """`_as_image` of what a MAX does: never over bytes side by side."""
    return None if 3 in axes else _as_image(shape, axes)


def _passes(shape, axes, cols):
    """Shapes and their axes, one after the other, that a MAX each takes together; None where a run of an axis is too long.

    A run of bytes side by side is compared one by one, by a single column: as many as there are columns go first, as vectors.
    """
    if _largest_as_image(shape, axes) is not None:
        return [(shape, axes)]
    runs = _runs(shape, axes)
    sizes = [count for _, count in runs]
    reduced = [i for i, (taken, _) in enumerate(runs) if taken]
    if reduced and reduced[-1] == len(runs) - 1 and 1 < (lanes := divisor(sizes[-1], cols)) < sizes[-1]:
        sizes[-1:] = sizes[-1] // lanes, lanes
        reduced.append(len(runs))
        now = reduced[-2]
    elif _as_loops(shape, axes, side_by_side=False) is not None:
        return [(shape, axes)]
    else:
        now = reduced[0]
    if len(reduced) == 1 or _as_loops(sizes, (now,), side_by_side=False) is None:
        return None
    rest = _passes([1 if i == now else n for i, n in enumerate(sizes)], [i for i in reduced if i != now], cols)
    return None if rest is None else [(sizes, (now,)), *rest]


def _reduction(selection, operator, opcode, read, output, taps, *, as_image) -> Step:
    """A step over windows without overlap: of an image's rows as they lie, or of loops over bytes."""
    (height, taps_y), (width, taps_x), (lanes, summed) = taps
    image, result = Extent(height * taps_y, width * taps_x, lanes), Extent(height, width, 1 if summed else lanes)
    views = {}
    if not as_image:
        views = {"source_view": View(0, 1, 0, lanes, image.row_bytes), "output_view": View(0, 1, 0, result.channels, result.row_bytes)}
    weights = np.ones((taps_y, taps_x, lanes, 1), np.int8) if summed else None
    opcode = Opcode.MATMUL if summed else opcode
    # of more taps than a command's fields hold there is one window: nothing moves on to a next one
    sides = {"kernel": (taps_y, taps_x), "stride": tuple(taps if taps <= MOST_TAPS else 1 for taps in (taps_y, taps_x))}
    return selection.step(operator, opcode, read, output, image, result, weights=weights, **sides, **views)


def _as_image(shape, axes):
    """Kept and summed rows, kept and summed pixels, channels and whether they are summed, of one image; None where it is none."""
    if len(shape) != 4 or shape[0] != 1 or shape[1] > ROW_LIMIT:
        return None
    rows, pixels = ((1, shape[axis]) if axis in axes else (shape[axis], 1) for axis in (1, 2))
    if 3 in axes and max(rows[1], pixels[1]) > MOST_TAPS:  # sums of bytes side by side are a MATMUL, whose kernel is not cut
        return None
    return rows, pixels, (shape[3], 3 in axes)


def _runs(shape, axes) -> list[tuple[bool, int]]:
    """Dimensions as loops, from the outermost: whether it is reduced, and how often; neighbours of a kind are one."""
    loops: list[tuple[bool, int]] = []
    for axis, count in enumerate(shape):
        if count > 1:
            if loops and loops[-1][0] == (axis in axes):
                count *= loops.pop()[1]
            loops.append((axis in axes, count))
    return loops


def _as_loops(shape, axes, *, side_by_side=True):
    """The same of any other shape: from the outermost loop kept, summed, kept, summed; None where there are more.

    Without `side_by_side` a loop of bytes that is reduced is one of pixels of one channel.
    """
    loops = _runs(shape, axes)
    summed, lanes = loops.pop() if loops and (side_by_side or not loops[-1][0]) else (False, 1)
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
