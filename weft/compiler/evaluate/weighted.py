"""Golden operators with weights, from graph to arguments."""

from golden.operators.conv2d import conv2d as golden_conv2d
from golden.operators.depthwise_conv2d import depthwise_conv2d as golden_depthwise_conv2d
from golden.operators.fully_connected import fully_connected as golden_fully_connected
from golden.operators.transpose_conv import transpose_conv as golden_transpose_conv
from weft.compiler import parameters
from weft.compiler.graph import Graph, Operator


def _weighted(graph, operator, values):
    """The arguments that all of them share."""
    source, result = parameters.source(graph, operator), graph.output(operator)
    multipliers, exponents = parameters.requantization(graph, operator)
    return values[source.name], parameters.weights(graph, operator), parameters.bias(graph, operator), {
        "input_zero_point": source.zero_point,
        "output_zero_point": result.zero_point,
        "multipliers": multipliers,
        "exponents": exponents,
        "clamp": parameters.clamp(graph, operator),
    }  # fmt: skip


def conv2d(graph: Graph, operator: Operator, values):
    """CONV_2D."""
    x, weights, bias, numbers = _weighted(graph, operator, values)
    window = parameters.window(graph, operator)
    return golden_conv2d(x, weights, bias, stride=window.stride, dilation=window.dilation, pad=window.pad, **numbers)


def depthwise_conv2d(graph, operator, values):
    """DEPTHWISE_CONV_2D."""
    x, weights, bias, numbers = _weighted(graph, operator, values)
    window = parameters.window(graph, operator)
    return golden_depthwise_conv2d(x, weights, bias, stride=window.stride, dilation=window.dilation, pad=window.pad, **numbers)


def transpose_conv(graph, operator, values):
    """TRANSPOSE_CONV."""
    x, weights, bias, numbers = _weighted(graph, operator, values)
    window = parameters.window(graph, operator)
    corner, size = (window.pad[0], window.pad[2]), graph.output(operator).shape[1:3]
    return golden_transpose_conv(x, weights, bias, stride=window.stride, pad=corner, output_size=size, **numbers)


def fully_connected(graph, operator, values):
    """FULLY_CONNECTED."""
    x, weights, bias, numbers = _weighted(graph, operator, values)
    return golden_fully_connected(x.reshape(-1, weights.shape[1]), weights, bias, **numbers).reshape(graph.output(operator).shape)
