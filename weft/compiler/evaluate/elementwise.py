"""Golden operators of two tensors, element by element, from graph to arguments."""

from golden.operators.add import add as golden_add
from weft.compiler import parameters


def add(graph, operator, values):
    """ADD."""
    tensors = [graph.input(operator, 0), graph.input(operator, 1), graph.output(operator)]
    return golden_add(
        values[tensors[0].name], values[tensors[1].name], parameters.add_multipliers(graph, operator),
        zero_points=[tensor.zero_point for tensor in tensors], clamp=parameters.clamp(graph, operator),
    )  # fmt: skip
