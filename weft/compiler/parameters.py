"""What TFLite derives from an operator and its tensors before it runs: the numbers behind an operator.

`weft.compiler.evaluate` and the lowering both read them here, so that the two cannot differ.
"""

from dataclasses import dataclass

import numpy as np

from golden import quantization
from golden.geometry import output_size, padding_before_after
from golden.operators.mean import elements
from golden.operators.squared_difference import LEFT_SHIFT
from golden.operators.sum import sum_ratio
from golden.quantization import (
    AddParameters,
    SquareParameters,
    activation_range,
    add_parameters,
    convolution_multipliers,
    product_multiplier,
    quantize_multiplier,
    scale_ratio,
    square_parameters,
    unsigned_convolution_multiplier,
)
from golden.rounded_product import fully_connected_multipliers
from weft.compiler.graph import Graph, Operator, Tensor

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
WEIGHTED = (*CONVOLUTIONS, "FULLY_CONNECTED")
"""Operators of weights, which are their second input."""
WINDOWS = ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D")
"""Operators that move a window over an image."""
EDGES = ("QUANTIZE", "DEQUANTIZE")
"""Operators that may have a real number on one side, and take whatever type they find."""


def source(graph: Graph, operator: Operator) -> Tensor:
    """The tensor that an operator computes on: its first input, but the third of a TRANSPOSE_CONV, whose first is the output's shape."""
    return graph.input(operator, 2 if operator.op == "TRANSPOSE_CONV" else 0)


@dataclass(frozen=True)
class Window:
    """How a convolution or a pool moves over its image.

    Attributes
    ----------
    kernel, stride, dilation, output : tuple of int
        ``(height, width)``.
    pad : tuple of int
        ``(top, bottom, left, right)``.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pad: tuple[int, int, int, int]
    output: tuple[int, int]


def window(graph: Graph, operator: Operator) -> Window:
    """The window of a convolution or a pool.

    Of a TRANSPOSE_CONV that of the convolution which goes the other way, from its output to its input (``transpose_conv.cc``, ``Eval``).
    """
    options = operator.options
    image = (graph.output(operator) if operator.op == "TRANSPOSE_CONV" else graph.input(operator, 0)).shape[1:3]
    if operator.op in CONVOLUTIONS:
        kernel = graph.input(operator, 1).shape[1:3]
    else:
        kernel = (options["filter_height"], options["filter_width"])
    stride = (options["stride_h"], options["stride_w"])
    dilation = (options.get("dilation_h", 1), options.get("dilation_w", 1))
    rows, cols = ((options["padding"], image[i], kernel[i], stride[i], dilation[i]) for i in (0, 1))
    pad = (*padding_before_after(*rows), *padding_before_after(*cols))
    return Window(tuple(kernel), stride, dilation, pad, (output_size(*rows), output_size(*cols)))


def channel_axis(operator: Operator) -> int:
    """The dimension of the weights that counts output channels: [1, height, width, channels] of a DEPTHWISE_CONV_2D, else the first."""
    return 3 if operator.op == "DEPTHWISE_CONV_2D" else 0


def channels(graph: Graph, operator: Operator) -> int:
    """Output channels of an operator with weights."""
    return graph.input(operator, 1).shape[channel_axis(operator)]


def unsigned(graph: Graph, operator: Operator) -> bool:
    """Whether the file has the operator on uint8; in the graph it is one on int8, whose weights alone are still uint8."""
    return source(graph, operator).name in graph.shifted


def weights(graph: Graph, operator: Operator) -> np.ndarray:
    """What an operator multiplies by: int8; of uint8 weights their distances from the zero point, int16 of -255 to 255."""
    tensor = graph.input(operator, 1)
    return tensor.data.astype(np.int16) - tensor.zero_point if tensor.dtype == "uint8" else tensor.data


def requantization(graph: Graph, operator: Operator) -> tuple[np.ndarray, np.ndarray]:
    """Multiplier and exponent of each output channel of a convolution or FULLY_CONNECTED.

    Returns
    -------
    multipliers, exponents : int32[channels]
        Exponent 0 or more is a left shift before the multiplication, below 0 a rounding right shift after it.
    """
    tensor, result = graph.input(operator, 1), graph.output(operator)
    scale, count = source(graph, operator).scale, channels(graph, operator)
    if operator.op in CONVOLUTIONS and unsigned(graph, operator):
        return unsigned_convolution_multiplier(scale, tensor.scale, result.scale, count)
    derive = convolution_multipliers if operator.op in CONVOLUTIONS else fully_connected_multipliers
    return derive(scale, tensor.quantization.scale, result.scale, count)


def clamp(graph: Graph, operator: Operator) -> tuple[int, int]:
    """Smallest and largest output value under the operator's fused activation."""
    result = graph.output(operator)
    return activation_range(operator.options.get("activation", "NONE"), result.scale, result.zero_point, result.dtype)


def add_multipliers(graph: Graph, operator: Operator) -> AddParameters:
    """The multipliers of an ADD or SUB."""
    first, second, result = graph.input(operator, 0), graph.input(operator, 1), graph.output(operator)
    return add_parameters(first.scale, second.scale, result.scale)


def mul_multiplier(graph: Graph, operator: Operator) -> tuple[int, int]:
    """Multiplier and exponent of a MUL."""
    return product_multiplier(graph.input(operator, 0).scale, graph.input(operator, 1).scale, graph.output(operator).scale)


def square_multipliers(graph: Graph, operator: Operator) -> SquareParameters:
    """The multipliers of a SQUARED_DIFFERENCE."""
    first, second, result = graph.input(operator, 0), graph.input(operator, 1), graph.output(operator)
    return square_parameters(first.scale, second.scale, result.scale, LEFT_SHIFT)


def prelu_multipliers(graph: Graph, operator: Operator) -> tuple[tuple[int, int], tuple[int, int]]:
    """Multiplier and exponent of a PRELU's inputs from 0 on, and of their products with alpha below 0."""
    x, alpha, result = graph.input(operator, 0), graph.input(operator, 1), graph.output(operator)
    return quantize_multiplier(scale_ratio(x.scale, result.scale)), product_multiplier(x.scale, alpha.scale, result.scale)


def axes(graph: Graph, operator: Operator) -> tuple[int, ...]:
    """The dimensions that a MEAN, SUM, REDUCE_MAX or REDUCE_MIN reduces, each once, from 0, ascending."""
    rank = len(graph.input(operator, 0).shape)
    return tuple(sorted({int(axis) % rank for axis in graph.input(operator, 1).data.reshape(-1)})) if rank else ()


def mean_multiplier(graph: Graph, operator: Operator) -> tuple[int, int]:
    """Multiplier and exponent of a MEAN, with 1/n in them."""
    x, result = graph.input(operator, 0), graph.output(operator)
    return quantization.mean_multiplier(x.scale, result.scale, elements(x.shape, axes(graph, operator)))


def sum_multiplier(graph: Graph, operator: Operator) -> tuple[int, int]:
    """Multiplier and exponent of a SUM."""
    return quantize_multiplier(sum_ratio(graph.input(operator, 0).scale, graph.output(operator).scale))


def paddings(graph: Graph, operator: Operator) -> tuple[tuple[int, int], ...]:
    """Elements before and after, for each axis of a PAD."""
    return tuple((int(before), int(after)) for before, after in graph.input(operator, 1).data.reshape(-1, 2))


def bias_tensor(graph: Graph, operator: Operator) -> Tensor | None:
    """The bias of an operator with weights, None where it has none."""
    return graph.input(operator, 3 if operator.op == "TRANSPOSE_CONV" else 2)


def bias(graph: Graph, operator: Operator) -> np.ndarray:
    """The values of an operator's bias, int32[channels]; zeros where it has none."""
    tensor = bias_tensor(graph, operator)
    return np.zeros(channels(graph, operator), np.int32) if tensor is None else tensor.data.reshape(-1)
