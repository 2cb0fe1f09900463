"""Golden operators of two tensors, element by element, from graph to arguments."""

from golden.operators.add import add as golden_add
from golden.operators.add import subtract
from golden.operators.maximum import maximum as golden_maximum
from golden.operators.maximum import minimum as golden_minimum
from golden.operators.mul import mul as golden_mul
from golden.operators.prelu import prelu as golden_prelu
from golden.operators.squared_difference import squared_difference as golden_square
from weft.compiler import parameters


def _operands(graph, operator, values):
    """The values of both operands, of which one may be a constant."""
    tensors = (graph.input(operator, 0), graph.input(operator, 1))
    return [tensor.data if tensor.constant else values[tensor.name] for tensor in tensors]


def _zero_points(graph, operator):
    return [tensor.zero_point for tensor in (graph.input(operator, 0), graph.input(operator, 1), graph.output(operator))]


def _sum(function):
    def run(graph, operator, values):
        return function(
            *_operands(graph, operator, values), parameters.add_multipliers(graph, operator),
            zero_points=_zero_points(graph, operator), clamp=parameters.clamp(graph, operator),
        )  # fmt: skip

    return run


add, sub = _sum(golden_add), _sum(subtract)


def mul(graph, operator, values):
    """MUL."""
    multiplier, exponent = parameters.mul_multiplier(graph, operator)
    return golden_mul(
        *_operands(graph, operator, values), multiplier=multiplier, exponent=exponent,
        zero_points=_zero_points(graph, operator), clamp=parameters.clamp(graph, operator),
    )  # fmt: skip


def squared_difference(graph, operator, values):
    """SQUARED_DIFFERENCE."""
    first, second = _operands(graph, operator, values)
    return golden_square(first, second, parameters.square_multipliers(graph, operator), zero_points=_zero_points(graph, operator))


def maximum(graph, operator, values):
    """MAXIMUM."""
    return golden_maximum(*_operands(graph, operator, values))


def minimum(graph, operator, values):
    """MINIMUM."""
    return golden_minimum(*_operands(graph, operator, values))


def prelu(graph, operator, values):
    """PRELU."""
    positive, negative = parameters.prelu_multipliers(graph, operator)
    return golden_prelu(
        *_operands(graph, operator, values), positive=positive, negative=negative, zero_points=_zero_points(graph, operator)
    )
