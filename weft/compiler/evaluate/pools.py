"""Golden pools, from graph to arguments."""

from weft.compiler import parameters


def pool(function):
    """The evaluator of a pool that `function` computes."""

    def run(graph, operator, values):
        window = parameters.window(graph, operator)
        clamp = parameters.clamp(graph, operator)
        return function(values[operator.inputs[0]], kernel=window.kernel, stride=window.stride, pad=window.pad, clamp=clamp)

    return run
