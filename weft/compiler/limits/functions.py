"""Limits of functions of one tensor; each has a table of 256 entries (`weft.compiler.tables`)."""

import math

from golden.operators.rectify import hard_swish_multipliers, leak_ratio
from golden.operators.rsqrt import SHIFT, rsqrt_multiplier
from weft.compiler.graph import BYTES
from weft.compiler.limits.tensors import (
    first_wrong,
    is_computed,
    is_int8,
    is_quantized,
    keeps_shape,
    keeps_type,
    show_quantization,
    takes_one_input,
)

MAX_RATIO = 1 << 22
"""Factors below it cannot overflow: the distance of two bytes has 9 bits."""


def _ratio(graph, operator):
    return graph.input(operator, 0).scale / graph.output(operator).scale


def has_small_ratio(graph, operator):
    """The ratio of input scale to output scale must be below 2^22"""
    ratio = _ratio(graph, operator)
    return None if ratio < MAX_RATIO else f"{ratio:g}"


def has_coarse_output(graph, operator):
    """The output's scale must be 2^-28 or more, so that 6 of it is an int32"""
    scale = graph.output(operator).scale
    return None if scale >= 2.0**-28 else f"{scale:g}"


def has_small_leak(graph, operator):
    """Alpha must be 0 or more, and alpha * input scale / output scale below 2^22"""
    alpha = operator.options["alpha"]
    right = alpha >= 0 and leak_ratio(graph.input(operator, 0).scale, alpha, graph.output(operator).scale) < MAX_RATIO
    return None if right else f"alpha {alpha:g} and a ratio of {_ratio(graph, operator):g}"


def has_hard_swish_ratio(graph, operator):
    """The ratio of input scale to output scale must be below 128, the input's scale from 2^-36 to 2^22, and the ratio above 2^-24"""
    scale, result = graph.input(operator, 0).scale, graph.output(operator).scale
    if not (2.0**-36 <= scale <= MAX_RATIO and 2.0**-24 < scale / result < 128) or hard_swish_multipliers(scale, result)[1] > 0:
        return f"scale {scale:g} and ratio {scale / result:g}"
    return None


def has_logistic_output(graph, operator):
    """The output must have scale 1/256 and the lowest zero point"""
    result = graph.output(operator)
    lowest = -128 if result.dtype == "int8" else 0
    return None if (result.scale, result.zero_point) == (1 / 256, lowest) else show_quantization(result.quantization)


def has_lowest_zero_point(graph, operator):
    """The input's zero point must be -128, since there is no root of what lies below it"""
    zero_point = graph.input(operator, 0).zero_point
    return None if zero_point == -128 else str(zero_point)


def has_root_multiplier(graph, operator):
    """The factor 1 / (root of input scale * output scale) must be from 2^-11 to 2^30"""
    try:
        _, exponent = rsqrt_multiplier(graph.input(operator, 0).scale, graph.output(operator).scale)
    except (ArithmeticError, ValueError):
        return "not a finite number"
    return None if SHIFT - 31 <= exponent <= 30 else f"2^{exponent}"


def has_small_root(graph, operator):
    """The root of 255 * input scale, divided by the output's scale, must be below 2^30"""
    quotient = math.sqrt(255 * graph.input(operator, 0).scale) / graph.output(operator).scale
    return None if quotient < 1 << 30 else f"{quotient:g}"


def has_normal_scales(graph, operator):
    """Scales must be from 2^-60 to 2^60"""
    scales = graph.input(operator, 0).scale, graph.output(operator).scale
    wrong = [scale for scale in scales if not 2.0**-60 <= scale <= 2.0**60]
    return f"{wrong[0]:g}" if wrong else None


def negates_plain_bytes(graph, operator):
    """Both zero points must be 0 and the scales equal, because the reference negates the bytes as they are"""
    tensors = graph.input(operator, 0), graph.output(operator)
    right = tensors[0].scale == tensors[1].scale and not any(tensor.zero_point for tensor in tensors)
    return None if right else " and ".join(show_quantization(tensor.quantization) for tensor in tensors)


def maps_bytes(graph, operator):
    """It stands for float operators between a DEQUANTIZE and a QUANTIZE; input and output must be int8 or uint8"""
    return first_wrong((graph.input(operator, 0), graph.output(operator)), lambda t: t.dtype not in BYTES, lambda t: t.dtype)


_BYTES = (takes_one_input, is_computed, keeps_type, is_quantized, keeps_shape, has_normal_scales)
_INT8 = (takes_one_input, is_computed, is_int8, is_quantized, keeps_shape, has_normal_scales)
_RELU = (*_BYTES, has_small_ratio)
_CLAMPED = (*_RELU, has_coarse_output)

FUNCTION_LIMITS = {
    "ABS": (*_INT8, has_small_ratio),
    "EXP": _INT8,
    "GELU": _BYTES,
    "HARD_SWISH": (*_BYTES, has_hard_swish_ratio),
    "LEAKY_RELU": (*_RELU, has_small_leak),
    "LOG": _INT8,
    "LOGISTIC": (*_BYTES, has_logistic_output),
    "LOOKUP": (takes_one_input, is_computed, maps_bytes, is_quantized, keeps_shape),
    "NEG": (*_INT8, negates_plain_bytes),
    "RELU": _RELU,
    "RELU6": _CLAMPED,
    "RELU_0_TO_1": _CLAMPED,
    "RELU_N1_TO_1": _CLAMPED,
    "RSQRT": (*_INT8, has_lowest_zero_point, has_root_multiplier),
    "SQRT": (*_INT8, has_lowest_zero_point, has_small_root),
    "TANH": _BYTES,
}
"""Rows of `weft.compiler.limits.LIMITS`: those with `_BYTES` have int8 and uint8 in the reference, the others int8 only."""
