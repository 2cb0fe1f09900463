"""Limits of convolutions and pools: how their window moves over an image."""

from golden.quantization import ACTIVATIONS
from golden.requantize import AVERAGE_MAX_COUNT
from weft.compiler import parameters

MAX_STEP, MAX_KERNEL = 255, 255


def has_known_activation(graph, operator):
    """The fused activation must be NONE, RELU, RELU6 or RELU_N1_TO_1"""
    activation = operator.options["activation"]
    return None if activation in ACTIVATIONS else activation


def has_small_stride(graph, operator):
    """Strides must be from 1 to 255"""
    strides = operator.options["stride_h"], operator.options["stride_w"]
    return None if all(1 <= s <= MAX_STEP for s in strides) else f"{strides[0]}x{strides[1]}"


def has_small_dilation(graph, operator):
    """Dilations must be from 1 to 255"""
    dilations = operator.options["dilation_h"], operator.options["dilation_w"]
    return None if all(1 <= d <= MAX_STEP for d in dilations) else f"{dilations[0]}x{dilations[1]}"


def has_small_filter(graph, operator):
    """The window must be from 1x1 to 255x255"""
    sides = operator.options["filter_height"], operator.options["filter_width"]
    return None if all(1 <= side <= MAX_KERNEL for side in sides) else f"{sides[0]}x{sides[1]}"


def has_window_output(graph, operator):
    """The output's size must be what the padding gives"""
    window, result = parameters.window(graph, operator), graph.output(operator).shape
    weighted = operator.op in parameters.CONVOLUTIONS
    channels = parameters.channels(graph, operator) if weighted else graph.input(operator, 0).shape[3]
    wanted = [graph.input(operator, 0).shape[0], *window.output, channels]
    return None if list(result) == wanted else f"{list(result)} instead of {wanted}"


def has_average_count(graph, operator):
    """A window must have at most 2097152 positions"""
    count = operator.options["filter_height"] * operator.options["filter_width"]
    return None if count <= AVERAGE_MAX_COUNT else str(count)


def has_constant_output_shape(graph, operator):
    """The output's shape must be a constant int32 of four numbers: images with a channel for each of the weights'"""
    shape, result = graph.input(operator, 0), graph.output(operator).shape
    if not shape.constant or shape.dtype != "int32" or shape.shape != (4,):
        return f"{shape.dtype} {list(shape.shape)}{'' if shape.constant else ', computed'}"
    right = tuple(shape.data.tolist()) == result and result[3] == parameters.channels(graph, operator)
    return None if right else f"{shape.data.tolist()} for an output of {list(result)}"


def has_window_input(graph, operator):
    """The input's size must be what the padding gives for the output's"""
    wanted, source = parameters.window(graph, operator).output, parameters.source(graph, operator).shape
    return None if source[1:3] == wanted else f"{list(source[1:3])} instead of {list(wanted)}"
