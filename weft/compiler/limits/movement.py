"""Limits of operators that move data without changing it."""

from weft.compiler import parameters
from weft.compiler.limits.tensors import activations
from weft.compiler.limits.windows import MAX_STEP


def has_constant_paddings(graph, operator):
    """Paddings must be a constant int32 or int64 [rank, 2] of numbers from 0 to 255, for at most 4 dimensions"""
    paddings, rank = graph.input(operator, 1), len(graph.input(operator, 0).shape)
    if not paddings.constant or paddings.dtype not in ("int32", "int64") or paddings.shape != (rank, 2) or rank > 4:
        return f"{paddings.dtype} {list(paddings.shape)}{'' if paddings.constant else ', computed'} for {rank} dimensions"
    bad = paddings.data[(paddings.data < 0) | (paddings.data > MAX_STEP)]
    return str(bad[0]) if bad.size else None


def has_padded_output(graph, operator):
    """The output's shape must be the input's plus the paddings"""
    source, result = activations(graph, operator)
    wanted = [n + sum(p) for n, p in zip(source.shape, parameters.paddings(graph, operator))]
    return None if list(result.shape) == wanted else f"{list(result.shape)} instead of {wanted}"
