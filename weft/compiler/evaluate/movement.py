"""Golden operators that move data, from graph to arguments. What they move may be constant, and of any type."""

import numpy as np

from golden.operators import movement as golden
from golden.operators.pad import pad as golden_pad
from weft.compiler import movement
from weft.compiler.graph import Graph, Operator


def moved(graph: Graph, operator: Operator, values) -> list[np.ndarray]:
    """The values of `weft.compiler.movement.moved`."""
    return [tensor.data if tensor.constant else values[tensor.name] for tensor in movement.moved(graph, operator)]


def join(graph, operator, values):
    """CONCATENATION, and PACK along an axis of its own."""
    function = np.stack if operator.op == "PACK" else np.concatenate
    return function(moved(graph, operator, values), axis=movement.axis(graph, operator))


def take(graph, operator, values):
    """SLICE, SPLIT, SPLIT_V, STRIDED_SLICE and UNPACK."""
    (x,) = moved(graph, operator, values)
    return tuple(x[index] for index in movement.indices(graph, operator))


def view(graph, operator, values):
    """RESHAPE, SQUEEZE and EXPAND_DIMS."""
    (x,) = moved(graph, operator, values)
    return x.reshape(graph.output(operator).shape)


def pad(graph, operator, values):
    """PAD and PADV2."""
    (x,) = moved(graph, operator, values)
    return golden_pad(x, movement.pairs(graph, operator, 1), movement.pad_value(graph, operator))


def mirror_pad(graph, operator, values):
    """MIRROR_PAD."""
    (x,) = moved(graph, operator, values)
    return golden.mirror_pad(x, movement.pairs(graph, operator, 1), operator.options["mode"])


def transpose(graph, operator, values):
    """TRANSPOSE."""
    (x,) = moved(graph, operator, values)
    return x.transpose(movement.permutation(graph, operator))


def reverse(graph, operator, values):
    """REVERSE_V2."""
    (x,) = moved(graph, operator, values)
    return np.flip(x, movement.reversed_axes(graph, operator))


def depth_to_space(graph, operator, values):
    """DEPTH_TO_SPACE."""
    (x,) = moved(graph, operator, values)
    return golden.depth_to_space(x, operator.options["block_size"])


def space_to_depth(graph, operator, values):
    """SPACE_TO_DEPTH."""
    (x,) = moved(graph, operator, values)
    return golden.space_to_depth(x, operator.options["block_size"])


def space_to_batch(graph, operator, values):
    """SPACE_TO_BATCH_ND."""
    (x,) = moved(graph, operator, values)
    blocks, paddings = movement.numbers(graph, operator, 1), movement.pairs(graph, operator, 2)
    return golden.space_to_batch(x, blocks, paddings, movement.pad_value(graph, operator))


def batch_to_space(graph, operator, values):
    """BATCH_TO_SPACE_ND."""
    (x,) = moved(graph, operator, values)
    return golden.batch_to_space(x, movement.numbers(graph, operator, 1), movement.pairs(graph, operator, 2))


def gather(graph, operator, values):
    """GATHER."""
    (x,) = moved(graph, operator, values)
    return np.take(x, graph.input(operator, 1).data, axis=movement.axis(graph, operator))


def tile(graph, operator, values):
    """TILE."""
    (x,) = moved(graph, operator, values)
    return np.tile(x, movement.numbers(graph, operator, 1))


def broadcast_to(graph, operator, values):
    """BROADCAST_TO."""
    (x,) = moved(graph, operator, values)
    return np.broadcast_to(x, graph.output(operator).shape)


MOVEMENT_EVALUATORS = {
    "BATCH_TO_SPACE_ND": batch_to_space,
    "BROADCAST_TO": broadcast_to,
    "CONCATENATION": join,
    "DEPTH_TO_SPACE": depth_to_space,
    "EXPAND_DIMS": view,
    "GATHER": gather,
    "MIRROR_PAD": mirror_pad,
    "PACK": join,
    "PAD": pad,
    "PADV2": pad,
    "RESHAPE": view,
    "REVERSE_V2": reverse,
    "SLICE": take,
    "SPACE_TO_BATCH_ND": space_to_batch,
    "SPACE_TO_DEPTH": space_to_depth,
    "SPLIT": take,
    "SPLIT_V": take,
    "SQUEEZE": view,
    "STRIDED_SLICE": take,
    "TILE": tile,
    "TRANSPOSE": transpose,
    "UNPACK": take,
}
"""Rows of `weft.compiler.evaluate.EVALUATORS`."""
