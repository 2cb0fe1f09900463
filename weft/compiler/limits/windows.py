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
    channels = graph.input(operator, 1).shape[0] if operator.op == "CONV_2D" else graph.input(operator, 0).shape[3]
    wanted = [1, *window.output, channels]
    return None if list(result) == wanted else f"{list(result)} instead of {wanted}"


def has_average_count(graph, operator):
    """A window must have at most 2097152 positions"""
    count = operator.options["filter_height"] * operator.options["filter_width"]
    return None if count <= AVERAGE_MAX_COUNT else str(count)
