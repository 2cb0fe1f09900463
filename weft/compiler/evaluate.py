"""Run a network with the golden operators: the values that hardware and command machine must reproduce."""

import numpy as np

from golden.operators.add import add
from golden.operators.conv2d import conv2d
from golden.operators.fully_connected import fully_connected
from golden.operators.pad import pad
from golden.operators.pooling import average_pool, max_pool
from golden.operators.quantize import change_quantization, dequantize, quantize
from golden.operators.softmax import softmax
from hw.npu.errors import WeftError
from weft.compiler import parameters
from weft.compiler.graph import Graph, Operator


def evaluate(graph: Graph, inputs: dict) -> dict[str, np.ndarray]:
    """Every tensor that a run computes.

    Parameters
    ----------
    graph : Graph
    inputs : dict of str to ndarray
        A value of the right shape and type for each of ``graph.inputs``.

    Returns
    -------
    dict of str to ndarray
        The inputs and every operator's output, by the tensor's name; constants are in the graph.

    Raises
    ------
    WeftError
        If an input is missing, unknown, or of another shape or type.
    """
    values = _checked_inputs(graph, inputs)
    for operator in graph.operators:
        values[operator.outputs[0]] = EVALUATORS[operator.op](graph, operator, values)
    return values


def _checked_inputs(graph, inputs):
    for name in inputs:
        if name not in graph.inputs:
            raise WeftError(f"there is no input {name!r}", file=graph.file, remedy=f"the inputs are {', '.join(graph.inputs)}")
    values = {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        if name not in inputs:
            raise WeftError(f"input {name!r} has no value", file=graph.file)
        value = np.asarray(inputs[name])
        if value.shape != tensor.shape or value.dtype != tensor.dtype:
            raise WeftError(
                f"input {name!r} must be {tensor.dtype} {list(tensor.shape)}, not {value.dtype} {list(value.shape)}", file=graph.file
            )
        values[name] = value
    return values


def _weighted(graph, operator, values):
    """The arguments that CONV_2D and FULLY_CONNECTED share."""
    source, result = graph.input(operator, 0), graph.output(operator)
    multipliers, exponents = parameters.requantization(graph, operator)
    return values[source.name], graph.input(operator, 1).data, parameters.bias(graph, operator), {
        "input_zero_point": source.zero_point,
        "output_zero_point": result.zero_point,
        "multipliers": multipliers,
        "exponents": exponents,
        "clamp": parameters.clamp(graph, operator),
    }  # fmt: skip


def _conv2d(graph: Graph, operator: Operator, values):
    x, weights, bias, numbers = _weighted(graph, operator, values)
    window = parameters.window(graph, operator)
    return conv2d(x, weights, bias, stride=window.stride, dilation=window.dilation, pad=window.pad, **numbers)


def _fully_connected(graph, operator, values):
    x, weights, bias, numbers = _weighted(graph, operator, values)
    return fully_connected(x.reshape(-1, weights.shape[1]), weights, bias, **numbers).reshape(graph.output(operator).shape)


def _add(graph, operator, values):
    tensors = [graph.input(operator, 0), graph.input(operator, 1), graph.output(operator)]
    return add(
        values[tensors[0].name], values[tensors[1].name], parameters.add_multipliers(graph, operator),
        zero_points=[tensor.zero_point for tensor in tensors], clamp=parameters.clamp(graph, operator),
    )  # fmt: skip


def _pool(function):
    def run(graph, operator, values):
        window = parameters.window(graph, operator)
        clamp = parameters.clamp(graph, operator)
        return function(values[operator.inputs[0]], kernel=window.kernel, stride=window.stride, pad=window.pad, clamp=clamp)

    return run


def _pad(graph, operator, values):
    return pad(values[operator.inputs[0]], parameters.paddings(graph, operator), graph.output(operator).zero_point)


def _reshape(graph, operator, values):
    return values[operator.inputs[0]].reshape(graph.output(operator).shape)


def _softmax(graph, operator, values):
    return softmax(values[operator.inputs[0]], scale=graph.input(operator, 0).scale, beta=operator.options["beta"])


def _quantize(graph, operator, values):
    source, result = graph.input(operator, 0), graph.output(operator)
    x = values[source.name]
    if source.dtype == "float32":
        return quantize(x, scale=result.scale, zero_point=result.zero_point, dtype=result.dtype)
    return change_quantization(
        x, input_scale=source.scale, input_zero_point=source.zero_point,
        output_scale=result.scale, output_zero_point=result.zero_point, dtype=result.dtype,
    )  # fmt: skip


def _dequantize(graph, operator, values):
    source = graph.input(operator, 0)
    return dequantize(values[source.name], scale=source.scale, zero_point=source.zero_point)


EVALUATORS = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool(average_pool),
    "CONV_2D": _conv2d,
    "DEQUANTIZE": _dequantize,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _pool(max_pool),
    "PAD": _pad,
    "QUANTIZE": _quantize,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
}
"""For each operator of `weft.compiler.limits` the function that computes it."""
