"""Run a network with the golden operators: the values that hardware and command machine must reproduce.

`EVALUATORS` has a function for each operator; it gets the graph, the operator and the values so far by tensor name, and
returns the value of its output, or a tuple with one for each of several.
"""

import numpy as np

from golden.operators.pooling import average_pool, max_pool, unsigned_average_pool
from hw.npu.errors import WeftError
from weft.compiler.evaluate.elementwise import add, maximum, minimum, mul, prelu, squared_difference, sub
from weft.compiler.evaluate.functions import FUNCTION_EVALUATORS
from weft.compiler.evaluate.images import mean, reduce_max, reduce_min, reduce_sum, resize_bilinear, resize_nearest_neighbor
from weft.compiler.evaluate.movement import MOVEMENT_EVALUATORS
from weft.compiler.evaluate.pools import pool
from weft.compiler.evaluate.weighted import conv2d, depthwise_conv2d, fully_connected, transpose_conv
from weft.compiler.graph import Graph


def evaluate(graph: Graph, inputs: dict) -> dict[str, np.ndarray]:
    """Every tensor that a run computes.

    Parameters
    ----------
    graph : Graph
    inputs : dict of str to ndarray
        A value of the right shape and type for each of ``graph.inputs``. Values of states, by the tensor `State.old`, may stand beside
        them; a state that has none has its initial value.

    Returns
    -------
    dict of str to ndarray
        The inputs, the states before the run, every operator's output (the states after the run among them) and outputs of the network
        that are constants, by the tensor's name; other constants are in the graph.

    Raises
    ------
    WeftError
        If an input is missing, unknown, or of another shape or type.
    """
    values = _checked_inputs(graph, inputs)
    for operator in graph.operators:
        results = EVALUATORS[operator.op](graph, operator, values)
        values.update(zip(operator.outputs, results if isinstance(results, tuple) else (results,), strict=True))
    return values | {name: graph.tensors[name].data for name in graph.outputs if graph.tensors[name].constant}


def next_states(graph: Graph, values: dict) -> dict[str, np.ndarray]:
    """The states that the next run begins with, as `evaluate` takes them, from what it gave for this one."""
    tensors = graph.tensors
    return {state.old: np.asarray(values[state.new]).reshape(tensors[state.old].shape) for state in graph.states}


def _checked_inputs(graph, inputs):
    for name in inputs:
        if name not in graph.sources:
            raise WeftError(f"there is no input {name!r}", file=graph.file, remedy=f"the inputs are {', '.join(graph.inputs)}")
    values, inputs = {}, {state.old: state.initial for state in graph.states} | inputs
    for name in graph.sources:
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


EVALUATORS = {
    **FUNCTION_EVALUATORS,
    **MOVEMENT_EVALUATORS,
    "ADD": add,
    "AVERAGE_POOL_2D": pool(average_pool, unsigned_average_pool),
    "CONV_2D": conv2d,
    "DEPTHWISE_CONV_2D": depthwise_conv2d,
    "FULLY_CONNECTED": fully_connected,
    "MAXIMUM": maximum,
    "MAX_POOL_2D": pool(max_pool),
    "MEAN": mean,
    "MINIMUM": minimum,
    "MUL": mul,
    "PRELU": prelu,
    "REDUCE_MAX": reduce_max,
    "REDUCE_MIN": reduce_min,
    "RESIZE_BILINEAR": resize_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest_neighbor,
    "SQUARED_DIFFERENCE": squared_difference,
    "SUB": sub,
    "SUM": reduce_sum,
    "TRANSPOSE_CONV": transpose_conv,
}
"""For each operator of `weft.compiler.limits` the function that computes it."""
