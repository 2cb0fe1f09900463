"""Golden pools, from graph to arguments."""

from weft.compiler import parameters


def pool(function, unsigned_function=None):
    """The evaluator of a pool that `function` computes, and `unsigned_function` where the file has it on uint8."""

    def run(graph, operator, values):
        window = parameters.window(graph, operator)
        clamp = parameters.clamp(graph, operator)
        rule = unsigned_function if unsigned_function is not None and parameters.unsigned(graph, operator) else function
        return rule(values[operator.inputs[0]], kernel=window.kernel, stride=window.stride, pad=window.pad, clamp=clamp)

    return run
