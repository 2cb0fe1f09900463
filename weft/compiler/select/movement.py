"""Operators that move bytes: each is a list of copies, from a view of a tensor to a view of another."""

import itertools

import numpy as np

from hw.npu.interface.isa import Opcode
from weft.compiler import movement
from weft.compiler.graph import Operator
from weft.compiler.nests import operand, whole
from weft.compiler.select.copies import copy, fill
from weft.compiler.select.selection import Selection, as_signed
from weft.compiler.steps import Step


def join(selection: Selection, operator: Operator) -> list[Step]:
    """CONCATENATION, and PACK along an axis of its own."""
    shape = selection.graph.output(operator).shape
    where, steps, end = movement.axis(selection.graph, operator), [], 0
    target = whole(shape)
    for tensor in movement.moved(selection.graph, operator):
        begin, end = end, end + (1 if operator.op == "PACK" else tensor.shape[where])
        part = target[movement.axis_index(where, begin if operator.op == "PACK" else slice(begin, end))]
        base = whole(tensor.shape)
        steps += copy(selection, operator, operand(tensor.name, base, base), operand(operator.outputs[0], target, part))
    return steps


def take(selection: Selection, operator: Operator) -> list[Step]:
    """SLICE, SPLIT, SPLIT_V, STRIDED_SLICE and UNPACK."""
    (source,) = movement.moved(selection.graph, operator)
    base, steps = whole(source.shape), []
    for name, index in zip(operator.outputs, movement.indices(selection.graph, operator), strict=True):
        target = whole(selection.tensors[name].shape)
        steps += copy(selection, operator, operand(source.name, base, base[index]), operand(name, target, target))
    return steps


def _views(selection, operator, source_view, target_view=None) -> list[Step]:
    """One copy; the views are functions of the arrays that stand for input and output."""
    (source,) = movement.moved(selection.graph, operator)
    base, target = whole(source.shape), whole(selection.graph.output(operator).shape)
    seen = target if target_view is None else target_view(target)
    taken = operand(source.name, base, np.broadcast_to(source_view(base), seen.shape))
    return copy(selection, operator, taken, operand(operator.outputs[0], target, seen))


def transpose(selection: Selection, operator: Operator) -> list[Step]:
    """TRANSPOSE."""
    return _views(selection, operator, lambda x: x.transpose(movement.permutation(selection.graph, operator)))


def reverse(selection: Selection, operator: Operator) -> list[Step]:
    """REVERSE_V2: a copy for each position along an axis, one axis after the other, for a step does not go backwards."""
    (source,) = movement.moved(selection.graph, operator)
    given = movement.reversed_axes(selection.graph, operator)
    axes = [axis for axis in given if source.shape[axis] > 1] or given[:1]  # of a single position: what is left is a copy
    read, steps = source.name, []
    for axis in axes:
        output = operator.outputs[0] if axis == axes[-1] else selection.temporary(operator, f"axis{axis}", source.shape)
        base, target = whole(source.shape), whole(source.shape)
        turned = operand(read, base, base[movement.axis_index(axis, slice(None, None, -1))])
        steps += copy(selection, operator, turned, operand(output, target, target))
        read = output
    return steps


def broadcast_to(selection: Selection, operator: Operator) -> list[Step]:
    """BROADCAST_TO."""
    return _views(selection, operator, lambda x: x)


def tile(selection: Selection, operator: Operator) -> list[Step]:
    """TILE: the output with an axis for the repetitions in front of each."""
    times = movement.numbers(selection.graph, operator, 1)
    (source,) = movement.moved(selection.graph, operator)
    shape = [n for pair in zip(times, source.shape) for n in pair]
    ones = [n for size in source.shape for n in (1, size)]
    return _views(selection, operator, lambda x: x.reshape(ones), lambda y: y.reshape(shape))


def depth_to_space(selection: Selection, operator: Operator) -> list[Step]:
    """DEPTH_TO_SPACE: vectors of a block's rows."""
    block = operator.options["block_size"]
    n, h, w, c = selection.graph.output(operator).shape
    inner = (n, h // block, w // block, block, block, c)
    outer = (n, h // block, block, w // block, block, c)
    return _views(selection, operator, lambda x: x.reshape(inner).transpose(0, 1, 3, 2, 4, 5), lambda y: y.reshape(outer))


def space_to_depth(selection: Selection, operator: Operator) -> list[Step]:
    """SPACE_TO_DEPTH: the other way."""
    block = operator.options["block_size"]
    n, h, w, c = movement.moved(selection.graph, operator)[0].shape
    inner = (n, h // block, w // block, block, block, c)
    outer = (n, h // block, block, w // block, block, c)
    return _views(selection, operator, lambda x: x.reshape(outer), lambda y: y.reshape(inner).transpose(0, 1, 3, 2, 4, 5))


def pad(selection: Selection, operator: Operator) -> list[Step]:
    """PAD and PADV2: of an image's sides a copy that reads outside of it; of anything else a fill, and a copy into its middle."""
    (source,), paddings = movement.moved(selection.graph, operator), movement.pairs(selection.graph, operator, 1)
    value = as_signed(movement.pad_value(selection.graph, operator))
    if len(source.shape) == 4 and source.shape[0] == 1 and not any(paddings[0]) and not any(paddings[3]):
        return [selection.whole(operator, Opcode.SUM, pad=(paddings[1][0], paddings[2][0]), pad_value=value)]
    middle = tuple(slice(before, before + n) for (before, _), n in zip(paddings, source.shape))
    filled = [fill(selection, operator, operator.outputs[0], value)] if any(map(any, paddings)) else []
    return [*filled, *_views(selection, operator, lambda x: x, lambda y: y[middle])]


def mirror_pad(selection: Selection, operator: Operator) -> list[Step]:
    """MIRROR_PAD: the middle, and what lies before and after it backwards, in every combination of the axes."""
    (source,), paddings = movement.moved(selection.graph, operator), movement.pairs(selection.graph, operator, 1)
    edge = 1 if operator.options["mode"] == "REFLECT" else 0
    axes = []
    for n, (before, after) in zip(source.shape, paddings):
        parts = [(slice(before, before + n), slice(None))]
        if before:
            parts.append((slice(0, before), slice(edge, edge + before)))
        if after:
            parts.append((slice(before + n, None), slice(n - edge - after, n - edge)))
        axes.append(parts)
    steps = []
    for choice in itertools.product(*axes):
        target = tuple(part[0] for part in choice)
        turned = tuple(slice(None, None, 1 if part[1] == slice(None) else -1) for part in choice)
        taken = tuple(part[1] for part in choice)
        steps += _views(selection, operator, lambda x: x[taken][turned], lambda y: y[target])  # noqa: B023, called at once
    return steps


def _phases(shape, blocks, before):
    """For each phase of a whole image its number, and along each spatial axis its rows that lie inside and where they are in the image."""
    for number, phase in enumerate(itertools.product(*map(range, blocks))):
        inside, places = [], []
        for n, block, skipped, first in zip(shape, blocks, before, phase):
            begin = -(-max(0, skipped - first) // block)
            place = begin * block + first - skipped
            count = len(range(place, n, block))
            inside.append(slice(begin, begin + count))
            places.append(slice(place, None, block) if count else slice(0, 0))
        yield number, tuple(inside), tuple(places)


def space_to_batch(selection: Selection, operator: Operator) -> list[Step]:
    """SPACE_TO_BATCH_ND: the padding's value, then each phase."""
    graph = selection.graph
    (source,), result = movement.moved(graph, operator), graph.output(operator)
    blocks, paddings = movement.numbers(graph, operator, 1), movement.pairs(graph, operator, 2)
    steps = []
    if any(map(any, paddings)):
        steps.append(fill(selection, operator, result.name, as_signed(movement.pad_value(graph, operator))))
    batch = source.shape[0]
    for number, inside, places in _phases(source.shape[1:], blocks, [before for before, _ in paddings]):
        images = slice(number * batch, (number + 1) * batch)
        if all(part.stop > part.start for part in inside):
            steps += _views(
                selection, operator, lambda x: x[(slice(None), *places)], lambda y: y[(images, *inside)]  # noqa: B023, called at once
            )  # fmt: skip
    return steps


def batch_to_space(selection: Selection, operator: Operator) -> list[Step]:
    """BATCH_TO_SPACE_ND: each phase, without what is cropped."""
    graph = selection.graph
    result = graph.output(operator)
    blocks, crops = movement.numbers(graph, operator, 1), movement.pairs(graph, operator, 2)
    batch, steps = result.shape[0], []
    for number, inside, places in _phases(result.shape[1:], blocks, [before for before, _ in crops]):
        images = slice(number * batch, (number + 1) * batch)
        if all(part.stop > part.start for part in inside):
            steps += _views(
                selection, operator, lambda x: x[(images, *inside)], lambda y: y[(slice(None), *places)]  # noqa: B023, called at once
            )  # fmt: skip
    return steps


def runs(indices: np.ndarray) -> list[tuple[slice, slice]]:
    """Positions of a list of indices, and the indices there, as ranges of one step each: (positions, indices).

    One index for several positions is a range of one. Indices that are all repeated alike, ``0 0 1 1 2 2``, become as many ranges as there
    are repetitions.
    """
    n = len(indices)
    for every in range(2, n):
        if n % every == 0 and (np.repeat(indices[::every], every) == indices).all():
            return [
                (slice(where.start * every + i, where.stop * every, where.step * every), what)
                for i in range(every)
                for where, what in runs(indices[::every])
            ]
    found, first = [], 0
    while first < n:
        end = first + 1
        step = int(indices[end] - indices[first]) if end < n else 1
        while end < n and indices[end] - indices[end - 1] == step:
            end += 1
        low, last = int(indices[first]), int(indices[end - 1])
        stop = last + (1 if step >= 0 else -1)
        found.append((slice(first, end, 1), slice(low, stop if stop >= 0 else None, step or 1)))
        first = end
    return found


def gather(selection: Selection, operator: Operator) -> list[Step]:
    """GATHER of constant positions: a copy for each run of them."""
    (source,), where = movement.moved(selection.graph, operator), movement.axis(selection.graph, operator)
    chosen = selection.graph.input(operator, 1).data.reshape(-1).astype(np.int64)
    shape = (*source.shape[:where], len(chosen), *source.shape[where + 1 :])
    steps = []
    for positions, indices in runs(chosen):
        steps += _views(
            selection, operator,
            lambda x: x[movement.axis_index(where, indices)],  # noqa: B023, called at once
            lambda y: y.reshape(shape)[movement.axis_index(where, positions)],  # noqa: B023
        )  # fmt: skip
    return steps
