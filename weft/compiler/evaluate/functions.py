"""Golden functions of one tensor, from graph to arguments."""

from golden.operators.quantize import change_quantization
from golden.operators.quantize import dequantize as golden_dequantize
from golden.operators.quantize import quantize as golden_quantize
from golden.operators.softmax import softmax as golden_softmax


def softmax(graph, operator, values):
    """SOFTMAX."""
    return golden_softmax(values[operator.inputs[0]], scale=graph.input(operator, 0).scale, beta=operator.options["beta"])


def quantize(graph, operator, values):
    """QUANTIZE."""
    source, result = graph.input(operator, 0), graph.output(operator)
    x = values[source.name]
    if source.dtype == "float32":
        return golden_quantize(x, scale=result.scale, zero_point=result.zero_point, dtype=result.dtype)
    return change_quantization(
        x, input_scale=source.scale, input_zero_point=source.zero_point,
        output_scale=result.scale, output_zero_point=result.zero_point, dtype=result.dtype,
    )  # fmt: skip


def dequantize(graph, operator, values):
    """DEQUANTIZE."""
    source = graph.input(operator, 0)
    return golden_dequantize(values[source.name], scale=source.scale, zero_point=source.zero_point)
