"""Limits of operators that reduce a tensor or resize an image."""

from golden.operators.resize import bilinear_positions
from hw.npu.interface.isa import FRACTION_BITS
from weft.compiler import parameters
from weft.compiler.limits.tensors import activations


def has_constant_size(graph, operator):
    """The new size must be a constant int32 of two numbers, the output's height and width, and channels stay"""
    size, source, result = graph.input(operator, 1), graph.input(operator, 0).shape, graph.output(operator).shape
    if not size.constant or size.dtype != "int32" or size.shape != (2,):
        return f"{size.dtype} {list(size.shape)}{'' if size.constant else ', computed'}"
    right = (source[0], *size.data.tolist(), source[3]) == result
    return None if right else f"{size.data.tolist()} for {list(source)} to {list(result)}"


def has_integer_rule(graph, operator):
    """On uint8 it must repeat one pixel or keep the size: for other sizes its rule for uint8 is float arithmetic, which the NPU has not"""
    tensors = activations(graph, operator)  # where it does, the pass over uint8 has made a RESIZE_NEAREST_NEIGHBOR of it
    if any(tensor.dtype != "uint8" or len(tensor.shape) != 4 for tensor in tensors):
        return None
    return " to ".join("x".join(map(str, tensor.shape[1:3])) for tensor in tensors)


def has_one_alignment(graph, operator):
    """align_corners and half_pixel_centers must not both be set"""
    return "both" if operator.options["align_corners"] and operator.options["half_pixel_centers"] else None


def stays_inside(graph, operator):
    """Every output must lie in front of the input's end, which a rounded step may miss: the reference kernel reads whatever is behind it"""
    source, result = graph.input(operator, 0).shape, graph.output(operator).shape
    for side, size, count in zip(("height", "width"), source[1:3], result[1:3]):
        first, step = bilinear_positions(size, count, **operator.options)
        if (first + (count - 1) * step) >> FRACTION_BITS >= size:
            return f"{side} {size} to {count}, where {count} steps of {step}/1024 lead to {(first + (count - 1) * step) / 1024:.2f}"
    return None


def has_constant_axes(graph, operator):
    """Axes must be a constant int32 of dimensions of the input"""
    axes, rank = graph.input(operator, 1), len(graph.input(operator, 0).shape)
    if not axes.constant or axes.dtype != "int32":
        return f"{axes.dtype}{'' if axes.constant else ', computed'}"
    wrong = [axis for axis in axes.data.reshape(-1).tolist() if not -rank <= axis < rank]
    return f"{wrong[0]} of {rank} dimensions" if wrong else None


def has_reduced_output(graph, operator):
    """The output's shape must be the input's without the axes, or with 1 for each where they are kept"""
    source, result = graph.input(operator, 0).shape, graph.output(operator).shape
    axes, keep = parameters.axes(graph, operator), operator.options["keep_dims"]
    wanted = [1 if i in axes else n for i, n in enumerate(source) if keep or i not in axes]
    return None if list(result) == wanted else f"{list(result)} instead of {wanted}"
