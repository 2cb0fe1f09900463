"""Multiply-accumulates of the file's operators, whoever runs them: padding included, as the field counts them."""

from math import prod

from weft.compiler.graph import Graph, Operator

STATES = {
    "BIDIRECTIONAL_SEQUENCE_LSTM": range(35, 39),
    "BIDIRECTIONAL_SEQUENCE_RNN": (4, 8),
    "LSTM": (18, 19),
    "RNN": (4,),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (18, 19),
    "UNIDIRECTIONAL_SEQUENCE_RNN": (4,),
}
"""Which inputs of a recurrent operator are states; its other matrices are weights."""


def macs_of(graph: Graph, operator: Operator) -> int:
    """The multiply-accumulates of an operator; 0 of one that has no weights or whose shapes are not fixed."""
    count = COUNTS.get(operator.op)
    if count is None:
        return 0
    try:
        return count(graph, operator)
    except (AttributeError, IndexError):  # an operand is absent or has no shape
        return 0


def _convolution(graph, operator):
    """Each output element is a sum over the filter of its channel."""
    return graph.output(operator).size * prod(graph.input(operator, 1).shape[1:])


def _depthwise(graph, operator):
    return graph.output(operator).size * prod(graph.input(operator, 1).shape[1:3])


def _convolution_3d(graph, operator):
    return graph.output(operator).size * prod(graph.input(operator, 1).shape[:4])


def _transposed(graph, operator):
    """Each input element is multiplied by the filters of all output channels."""
    weights = graph.input(operator, 1).shape
    return graph.input(operator, 2).size * prod(weights[:3])


def _fully_connected(graph, operator):
    return graph.output(operator).size * graph.input(operator, 1).shape[-1]


def _batch_matmul(graph, operator):
    """The adjoint flags turn the matrices, not how many products an element needs: elements of a times rows of the result's columns."""
    result, a = graph.output(operator), graph.input(operator, 0)
    rows = result.shape[-2]
    return result.size * (prod(a.shape[-2:]) // rows)


def _recurrent(graph, operator):
    """Every matrix once a step of time and image of the batch."""
    operands = [graph.input(operator, index) for index in range(len(operator.inputs)) if index not in STATES[operator.op]]
    matrices = (each.size for each in operands[1:] if each is not None and each.constant and len(each.shape) == 2)
    return prod(operands[0].shape[:-1]) * sum(matrices)


def _svdf(graph, operator):
    return graph.input(operator, 0).shape[0] * (graph.input(operator, 1).size + graph.input(operator, 2).size)


COUNTS = {
    **dict.fromkeys(STATES, _recurrent),
    "BATCH_MATMUL": _batch_matmul,
    "CONV_2D": _convolution,
    "CONV_3D": _convolution_3d,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "SVDF": _svdf,
    "TRANSPOSE_CONV": _transposed,
}
"""For each operator that multiplies by weights, or by another matrix, what counts it."""
