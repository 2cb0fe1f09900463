"""Golden operators that reduce a tensor or resize an image, from graph to arguments."""

from golden.operators import extremes
from golden.operators.mean import mean as golden_mean
from golden.operators.resize import resize_bilinear as golden_bilinear
from golden.operators.resize import resize_nearest_neighbor as golden_nearest
from golden.operators.sum import reduce_sum as golden_sum
from weft.compiler import parameters


def mean(graph, operator, values):
    """MEAN."""
    source, result = graph.input(operator, 0), graph.output(operator)
    multiplier, exponent = parameters.mean_multiplier(graph, operator)
    return golden_mean(
        values[source.name], axes=parameters.axes(graph, operator), keep_dims=operator.options["keep_dims"],
        input_zero_point=source.zero_point, output_zero_point=result.zero_point, multiplier=multiplier, exponent=exponent,
    )  # fmt: skip


def reduce_sum(graph, operator, values):
    """SUM."""
    source, result = graph.input(operator, 0), graph.output(operator)
    return golden_sum(
        values[source.name], axes=parameters.axes(graph, operator), keep_dims=operator.options["keep_dims"],
        input_scale=source.scale, input_zero_point=source.zero_point, output_scale=result.scale, output_zero_point=result.zero_point,
    )  # fmt: skip


def _extreme(function):
    def run(graph, operator, values):
        axes, keep_dims = parameters.axes(graph, operator), operator.options["keep_dims"]
        return function(values[operator.inputs[0]], axes=axes, keep_dims=keep_dims)

    return run


reduce_max, reduce_min = _extreme(extremes.reduce_max), _extreme(extremes.reduce_min)


def resize_bilinear(graph, operator, values):
    """RESIZE_BILINEAR."""
    return golden_bilinear(values[operator.inputs[0]], graph.output(operator).shape[1:3], **operator.options)


def resize_nearest_neighbor(graph, operator, values):
    """RESIZE_NEAREST_NEIGHBOR."""
    return golden_nearest(values[operator.inputs[0]], graph.output(operator).shape[1:3], **operator.options)
