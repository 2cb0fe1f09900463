"""Limits of weights and biases."""

import math

from hw.npu.errors import Finding
from weft.compiler import parameters
from weft.compiler.graph import Graph, label_of
from weft.compiler.limits.tensors import show_quantization
from weft.compiler.limits.windows import MAX_KERNEL

TAKES_NIBBLES = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Operators whose weights, their second input, may be int4: those whose reference kernels take them (``docs/numerics.md``)."""


def misused_nibbles(graph: Graph) -> dict[str, Finding]:
    """Tensors of type int4 that are not constant weights of an operator that takes them: by name what to say of the first place."""
    found: dict[str, Finding] = {}

    def misuse(where, name, operator=None):
        sentence = f"{where}, {label_of(name)}, is int4, which is supported for constant weights of {', '.join(TAKES_NIBBLES)} only"
        remedy = "quantize it to int8, a bias to int32"
        found.setdefault(name, Finding("int4", sentence, operator and operator.title, remedy, kind="place"))

    nibbles = {name for name, tensor in graph.tensors.items() if tensor.dtype == "int4"}
    for operator in graph.operators:
        for index, name in enumerate(operator.inputs):
            weights = operator.op in TAKES_NIBBLES and index == 1
            if name in nibbles and not (weights and graph.tensors[name].constant):
                misuse(f"input {index} of {operator.op}", name, operator)
        for name in operator.outputs:
            if name in nibbles:
                misuse(f"an output of {operator.op}", name, operator)
    for name in (*graph.inputs, *graph.outputs):
        if name in nibbles:
            misuse("an input or output of the network", name)
    return found


def has_constant_weights(graph, operator):
    """Weights must be a constant of type int8 or int4, those of a uint8 network one of uint8"""
    return _unlike(graph.input(operator, 1), ("uint8",) if parameters.unsigned(graph, operator) else ("int8", "int4"))


def has_constant_int8_weights(graph, operator):
    """Weights must be a constant of type int8, those of a uint8 network one of uint8"""
    return _unlike(graph.input(operator, 1), ("uint8",) if parameters.unsigned(graph, operator) else ("int8",))


def _unlike(weights, dtypes):
    return None if weights.constant and weights.dtype in dtypes else f"{weights.dtype}{'' if weights.constant else ', computed'}"


def has_convolution_weights(graph, operator):
    """Weights must be [output channels, height, width, input channels / groups] of at most 255x255; groups divide output channels too"""
    weights, source = graph.input(operator, 1).shape, graph.input(operator, 0).shape
    right = len(weights) == 4 and max(weights[1:3]) <= MAX_KERNEL
    right = right and source[3] % weights[3] == 0 and weights[0] % (source[3] // weights[3]) == 0
    return None if right else f"{list(weights)} for an input of {list(source)}"


def has_depthwise_weights(graph, operator):
    """Weights must be [1, height, width, output channels] of at most 255x255; the input's channels divide the output's"""
    weights, source = graph.input(operator, 1).shape, graph.input(operator, 0).shape
    right = len(weights) == 4 and weights[0] == 1 and max(weights[1:3]) <= MAX_KERNEL and weights[3] % source[3] == 0
    return None if right else f"{list(weights)} for an input of {list(source)}"


def has_transposed_weights(graph, operator):
    """Weights must be [output channels, height, width, input channels] of at most 255x255"""
    weights, source = graph.input(operator, 1).shape, parameters.source(graph, operator).shape
    right = len(weights) == 4 and max(weights[1:3]) <= MAX_KERNEL and weights[3] == source[3]
    return None if right else f"{list(weights)} for an input of {list(source)}"


def has_matrix_weights(graph, operator):
    """Weights must be [outputs, inputs], in the default format, and the input a multiple of them"""
    weights, source = graph.input(operator, 1).shape, graph.input(operator, 0)
    right = len(weights) == 2 and source.size % weights[1] == 0 and operator.options["weights_format"] == 0
    return None if right else f"{list(weights)} for an input of {list(source.shape)}"


def has_matrix_output(graph, operator):
    """The output must have one row of outputs for each row of inputs"""
    weights, source, result = graph.input(operator, 1).shape, graph.input(operator, 0), graph.output(operator)
    wanted = [*source.shape[:-1], weights[0]] if operator.options["keep_num_dims"] else [source.size // weights[1], weights[0]]
    if operator.options["keep_num_dims"] and source.shape[-1:] != weights[1:]:
        return f"an input of {list(source.shape)} for weights of {list(weights)}"
    return None if list(result.shape) == wanted else f"{list(result.shape)} instead of {wanted}"


def has_channel_scales(graph, operator):
    """Weights must have one scale, or one for each output channel along their dimension, and zero points of 0"""
    weights = graph.input(operator, 1)
    q = weights.quantization
    if q is None:
        return "no quantization"
    if len(q.scale) > 1 and (q.axis != parameters.channel_axis(operator) or len(q.scale) != parameters.channels(graph, operator)):
        return f"{len(q.scale)} scales along dimension {q.axis} of {list(weights.shape)}"
    if not all(math.isfinite(scale) and scale >= 0 for scale in q.scale):
        return "a scale that is negative or not a number"
    return f"zero point {next(z for z in q.zero_point if z)}" if any(q.zero_point) and weights.dtype != "uint8" else None


def has_unsigned_weights(graph, operator):
    """Weights of uint8 must have one scale, and a zero point from 0 to 255"""
    weights = graph.input(operator, 1)
    q = weights.quantization
    right = weights.dtype != "uint8" or (not q.per_channel and 0 <= q.zero_point[0] <= 255)
    return None if right else show_quantization(q)


def has_int32_bias(graph, operator):
    """The bias must be a constant int32 for each output channel"""
    bias, channels = parameters.bias_tensor(graph, operator), parameters.channels(graph, operator)
    if bias is None or (bias.constant and bias.dtype == "int32" and bias.size == channels):
        return None
    return f"{bias.dtype} {list(bias.shape)}{'' if bias.constant else ', computed'} for {channels} channels"
