"""Limits of an operator's tensors: how many, of which types and shapes, how quantized."""

import math

import numpy as np

from weft.compiler import parameters
from weft.compiler.graph import BYTES, Tensor, label_of

MAX_SIDE = 16384
MAX_BROADCAST_RANK = 6
PAIRS = ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU", "SQUARED_DIFFERENCE")
"""Operators of two tensors, element by element."""


def activations(graph, operator) -> list[Tensor]:
    """The tensors that are computed when the network runs: what the operator computes on (both operands of an ADD) and the output."""
    sources = [graph.input(operator, 0), graph.input(operator, 1)] if operator.op in PAIRS else [parameters.source(graph, operator)]
    return [*sources, graph.output(operator)]


def first_wrong(tensors, wrong, show):
    return next((f"{label_of(tensor.name)} has {show(tensor)}" for tensor in tensors if wrong(tensor)), None)


def _counts(graph, operator, least, most):
    given = len(operator.inputs)
    if not least <= given <= most or len(operator.outputs) != 1 or None in operator.inputs[:least]:
        return f"{given} inputs and {len(operator.outputs)} outputs"
    return None


def takes_one_input(graph, operator):
    """It must have one input and one output"""
    return _counts(graph, operator, 1, 1)


def takes_two_inputs(graph, operator):
    """It must have two inputs and one output"""
    return _counts(graph, operator, 2, 2)


def takes_optional_shape(graph, operator):
    """It must have one input, perhaps a shape, and one output"""
    return _counts(graph, operator, 1, 2)


def takes_weights_and_bias(graph, operator):
    """It must have an input, weights, perhaps a bias, and one output"""
    return _counts(graph, operator, 2, 3)


def takes_shape_weights_input(graph, operator):
    """It must have the output's shape, weights, an input, perhaps a bias, and one output"""
    return _counts(graph, operator, 3, 4)


def has_computed_operand(graph, operator):
    """One of its operands must be computed by the network or be its input, not a constant"""
    return "two constants" if graph.input(operator, 0).constant and graph.input(operator, 1).constant else None


def is_computed(graph, operator):
    """Its operands must be computed by the network or be its inputs, not constants"""
    return first_wrong(activations(graph, operator), lambda t: t.constant, lambda t: "a constant value")


def is_int8(graph, operator):
    """Activations must be int8"""
    return first_wrong(activations(graph, operator), lambda t: t.dtype != "int8", lambda t: f"type {t.dtype}")


def keeps_type(graph, operator):
    """Input and output must both be int8 or both be uint8"""
    source, result = activations(graph, operator)
    return None if source.dtype == result.dtype and source.dtype in BYTES else f"{source.dtype} and {result.dtype}"


def is_quantized(graph, operator):
    """Activations must have one scale above 0 and a zero point in the range of their type"""

    def wrong(tensor):
        q = tensor.quantization
        if tensor.dtype == "float32":
            return False
        if q is None or len(q.scale) != 1 or not (math.isfinite(q.scale[0]) and q.scale[0] > 0):
            return True
        low = -128 if tensor.dtype == "int8" else 0
        return not low <= q.zero_point[0] <= low + 255

    return first_wrong(activations(graph, operator), wrong, lambda t: show_quantization(t.quantization))


def show_quantization(q):
    if q is None:
        return "no quantization"
    return f"{len(q.scale)} scales" if len(q.scale) > 1 else f"scale {q.scale[0]:g} and zero point {q.zero_point[0]}"


def keeps_quantization(graph, operator):
    """Input and output must have the same scale and zero point"""
    shown = [show_quantization(tensor.quantization) for tensor in activations(graph, operator)]
    kinds = {(tensor.scale, tensor.zero_point) for tensor in activations(graph, operator)}
    return None if len(kinds) == 1 else " and ".join(shown)


def has_images(graph, operator):
    """Input and output must be as many images, [batch, height, width, channels]"""
    source, result = activations(graph, operator)
    wrong = first_wrong((source, result), lambda t: len(t.shape) != 4, lambda t: f"shape {list(t.shape)}")
    return wrong or (None if source.shape[0] == result.shape[0] else f"{list(source.shape)} and {list(result.shape)}")


def has_small_sides(graph, operator):
    """height, width and channels must be at most 16384"""
    return first_wrong(activations(graph, operator), lambda t: max(t.shape, default=1) > MAX_SIDE, lambda t: f"shape {list(t.shape)}")


def keeps_shape(graph, operator):
    """Input and output must have one shape"""
    shapes = [list(tensor.shape) for tensor in activations(graph, operator)]
    return None if all(shape == shapes[0] for shape in shapes) else " and ".join(map(str, shapes))


def keeps_size(graph, operator):
    """Input and output must have the same number of elements"""
    source, result = activations(graph, operator)
    return None if source.size == result.size else f"{list(source.shape)} and {list(result.shape)}"


def broadcasts(graph, operator):
    """Operands must have the output's shape, or broadcast to it in at most 6 dimensions"""
    *operands, result = (tensor.shape for tensor in activations(graph, operator))
    if all(shape == result for shape in operands):
        return None
    try:
        right = np.broadcast_shapes(*operands) == result and len(result) <= MAX_BROADCAST_RANK
    except ValueError:
        right = False
    return None if right else f"{' and '.join(str(list(shape)) for shape in operands)} for {list(result)}"


def broadcasts_to_input(graph, operator):
    """The second operand must broadcast to the input, whose shape is the output's"""
    x, _, result = (tensor.shape for tensor in activations(graph, operator))
    return broadcasts(graph, operator) if x == result else f"{list(x)} for {list(result)}"
