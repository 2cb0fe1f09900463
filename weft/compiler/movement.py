"""What operators that move data take from where: derived once, for the limits, the golden operators and the lowering.

Constants have been checked by `weft.compiler.limits.movement` where a graph comes from the frontend.
"""

from dataclasses import dataclass

import numpy as np

from golden.operators.movement import axis_index, strided_index
from weft.compiler.graph import Graph, Operator, Tensor

JOINS = ("CONCATENATION", "PACK")
"""Operators that lay all their inputs side by side."""
SLICES = ("SLICE", "SPLIT", "SPLIT_V", "STRIDED_SLICE", "UNPACK")
"""Operators each of whose outputs is a part of their input."""
MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


@dataclass(frozen=True)
class Part:
    """What is taken of one axis: elements ``begin, begin + stride, ...``, `count` of them; `stride` may be negative."""

    begin: int
    stride: int
    count: int


def moved(graph: Graph, operator: Operator) -> list[Tensor]:
    """The tensors whose elements the operator moves; its other inputs say where to."""
    if operator.op in JOINS:
        return [graph.tensors[name] for name in operator.inputs]
    return [graph.input(operator, 1 if operator.op == "SPLIT" else 0)]


def numbers(graph: Graph, operator: Operator, index: int) -> list[int]:
    """The values of a constant input that counts or places elements."""
    return [int(n) for n in graph.input(operator, index).data.reshape(-1)]


def axis(graph: Graph, operator: Operator) -> int:
    """The axis along which CONCATENATION, PACK, SPLIT, SPLIT_V, UNPACK and GATHER work, from 0; EXPAND_DIMS' new one."""
    where = {"SPLIT": 0, "SPLIT_V": 2, "EXPAND_DIMS": 1}.get(operator.op)
    given = operator.options["axis"] if where is None else numbers(graph, operator, where)[0]
    rank = len(moved(graph, operator)[0].shape) + (operator.op in ("PACK", "EXPAND_DIMS"))
    return given + rank if given < 0 else given


def pairs(graph: Graph, operator: Operator, index: int) -> tuple[tuple[int, int], ...]:
    """A constant input of two numbers for each axis: paddings, crops."""
    flat = numbers(graph, operator, index)
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def indices(graph: Graph, operator: Operator) -> list[tuple]:
    """For each output of an operator of `SLICES` the numpy index that takes it from the input."""
    op = operator.op
    if op == "STRIDED_SLICE":
        begin, end, strides = (numbers(graph, operator, i) for i in (1, 2, 3))
        return [strided_index(begin, end, strides, **{name: operator.options[name] for name in MASKS})]
    if op == "SLICE":
        sizes = zip(numbers(graph, operator, 1), numbers(graph, operator, 2), strict=True)
        return [tuple(slice(begin, None if size == -1 else begin + size) for begin, size in sizes)]
    where, count = axis(graph, operator), len(operator.outputs)
    if op == "UNPACK":
        return [axis_index(where, i) for i in range(count)]
    length = moved(graph, operator)[0].shape[where]
    sizes = split_sizes(graph, operator) if op == "SPLIT_V" else [length // count] * count
    ends = np.cumsum(sizes).tolist()
    return [axis_index(where, slice(end - size, end)) for end, size in zip(ends, sizes)]


def split_sizes(graph: Graph, operator: Operator) -> list[int]:
    """Elements of each output of a SPLIT_V along its axis; one of them may be given as -1, the rest."""
    sizes = numbers(graph, operator, 1)
    rest = moved(graph, operator)[0].shape[axis(graph, operator)] - sum(size for size in sizes if size != -1)
    return [rest if size == -1 else size for size in sizes]


def parts(graph: Graph, operator: Operator) -> list[tuple[Part, ...]]:
    """For each output of an operator of `SLICES` what it takes of each axis of the input."""
    shape = moved(graph, operator)[0].shape
    return [tuple(_part(entry, size) for entry, size in zip(_whole(index, len(shape)), shape)) for index in indices(graph, operator)]


def result_shape(index: tuple, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of what a numpy index takes from a tensor; no memory is touched.

    Raises
    ------
    IndexError
        If the index does not fit the shape.
    """
    return np.broadcast_to(np.int8(0), shape)[index].shape


def _whole(index, rank):
    """An index with an entry for each axis of the tensor, new axes left out."""
    entries = [entry for entry in index if entry is not np.newaxis]
    place = next((i for i, entry in enumerate(entries) if entry is Ellipsis), len(entries))
    given = entries[:place] + entries[place + 1 :]
    return given[:place] + [slice(None)] * (rank - len(given)) + given[place:]


def _part(entry, size) -> Part:
    if isinstance(entry, slice):
        begin, end, stride = entry.indices(size)
        return Part(begin, stride, len(range(begin, end, stride)))
    return Part(entry % size, 1, 1)


def reversed_axes(graph: Graph, operator: Operator) -> tuple[int, ...]:
    """Of a REVERSE_V2: its axes from 0, in the order of the file."""
    rank = len(moved(graph, operator)[0].shape)
    return tuple(axis + rank if axis < 0 else axis for axis in numbers(graph, operator, 1))


def permutation(graph: Graph, operator: Operator) -> tuple[int, ...]:
    """Of a TRANSPOSE: the input's axis for each axis of the output."""
    return tuple(numbers(graph, operator, 1))


def pad_value(graph: Graph, operator: Operator) -> int:
    """What PAD, PADV2 and SPACE_TO_BATCH_ND put around their input: the output's zero point, but PADV2's own constant."""
    if operator.op == "PADV2":
        return int(graph.input(operator, 2).data.reshape(-1)[0])
    quantization = graph.output(operator).quantization
    return 0 if quantization is None else quantization.zero_point[0]


def phase_shape(shape: tuple[int, ...], blocks: list[int], paddings) -> tuple[int, ...]:
    """SPACE_TO_BATCH_ND's output shape."""
    sides = [(n + before + after) // block for n, block, (before, after) in zip(shape[1:], blocks, paddings)]
    return (shape[0] * int(np.prod(blocks)), *sides, *shape[len(blocks) + 1 :])


def whole_shape(shape: tuple[int, ...], blocks: list[int], crops) -> tuple[int, ...]:
    """BATCH_TO_SPACE_ND's output shape."""
    sides = [n * block - before - after for n, block, (before, after) in zip(shape[1:], blocks, crops)]
    return (shape[0] // int(np.prod(blocks)), *sides, *shape[len(blocks) + 1 :])
