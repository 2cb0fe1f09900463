"""Golden functions of one tensor, from graph to arguments."""

from golden.operators.lookup import apply_table
from golden.operators.quantize import dequantize as golden_dequantize
from golden.operators.quantize import quantize as golden_quantize
from golden.operators.softmax import softmax as golden_softmax
from weft.compiler.tables import FUNCTIONS, table


def softmax(graph, operator, values):
    """SOFTMAX."""
    return golden_softmax(values[operator.inputs[0]], scale=graph.input(operator, 0).scale, beta=operator.options["beta"])


def quantize(graph, operator, values):
    """QUANTIZE."""
    source, result = graph.input(operator, 0), graph.output(operator)
    if source.dtype == "float32":
        return golden_quantize(values[source.name], scale=result.scale, zero_point=result.zero_point, dtype=result.dtype)
    return function(graph, operator, values)


def function(graph, operator, values):
    """Any operator that has a table."""
    return apply_table(values[operator.inputs[0]], table(graph, operator))


def dequantize(graph, operator, values):
    """DEQUANTIZE."""
    source = graph.input(operator, 0)
    return golden_dequantize(values[source.name], scale=source.scale, zero_point=source.zero_point)


FUNCTION_EVALUATORS = {**dict.fromkeys(FUNCTIONS, function), "DEQUANTIZE": dequantize, "QUANTIZE": quantize, "SOFTMAX": softmax}
"""Rows of `weft.compiler.evaluate.EVALUATORS`."""
