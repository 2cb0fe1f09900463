"""What TFLite derives from an operator and its tensors before it runs: the numbers behind an operator.

`weft.compiler.evaluate` and the lowering both read them here, so that the two cannot differ.
"""

from dataclasses import dataclass

import numpy as np

from golden.geometry import output_size, padding_before_after
from golden.quantization import (
    AddParameters,
    activation_range,
    add_parameters,
    convolution_multipliers,
    fully_connected_multipliers,
)
from weft.compiler.graph import Graph, Operator


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
    """The window of a CONV_2D, AVERAGE_POOL_2D or MAX_POOL_2D."""
    options = operator.options
    image = graph.input(operator, 0).shape[1:3]
    if operator.op == "CONV_2D":
        kernel = graph.input(operator, 1).shape[1:3]
    else:
        kernel = (options["filter_height"], options["filter_width"])
    stride = (options["stride_h"], options["stride_w"])
    dilation = (options.get("dilation_h", 1), options.get("dilation_w", 1))
    rows, cols = ((options["padding"], image[i], kernel[i], stride[i], dilation[i]) for i in (0, 1))
    pad = (*padding_before_after(*rows), *padding_before_after(*cols))
    return Window(tuple(kernel), stride, dilation, pad, (output_size(*rows), output_size(*cols)))


def requantization(graph: Graph, operator: Operator) -> tuple[np.ndarray, np.ndarray]:
    """Multiplier and exponent of each output channel of a CONV_2D or FULLY_CONNECTED.

    Returns
    -------
    multipliers, exponents : int32[channels]
        Exponent 0 or more is a left shift before the multiplication, below 0 a rounding right shift after it.
    """
    source, weights, result = graph.input(operator, 0), graph.input(operator, 1), graph.output(operator)
    derive = convolution_multipliers if operator.op == "CONV_2D" else fully_connected_multipliers
    return derive(source.scale, weights.quantization.scale, result.scale, weights.shape[0])


def clamp(graph: Graph, operator: Operator) -> tuple[int, int]:
    """Smallest and largest output value under the operator's fused activation."""
    result = graph.output(operator)
    return activation_range(operator.options.get("activation", "NONE"), result.scale, result.zero_point, result.dtype)


def add_multipliers(graph: Graph, operator: Operator) -> AddParameters:
    """The multipliers of an ADD."""
    first, second, result = graph.input(operator, 0), graph.input(operator, 1), graph.output(operator)
    return add_parameters(first.scale, second.scale, result.scale)


def paddings(graph: Graph, operator: Operator) -> tuple[tuple[int, int], ...]:
    """Elements before and after, for each axis of a PAD."""
    return tuple((int(before), int(after)) for before, after in graph.input(operator, 1).data.reshape(-1, 2))


def bias(graph: Graph, operator: Operator) -> np.ndarray:
    """The bias of a CONV_2D or FULLY_CONNECTED, int32[channels]; zeros where the operator has none."""
    tensor = graph.input(operator, 2)
    channels = graph.input(operator, 1).shape[0]
    return np.zeros(channels, np.int32) if tensor is None else tensor.data.reshape(-1)
