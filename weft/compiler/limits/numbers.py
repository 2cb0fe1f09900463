"""Limits of the numbers that TFLite derives from scales: multipliers, clamps, tables."""

from golden.operators.softmax import DIFFERENCE_INTEGER_BITS, MAX_DEPTH
from weft.compiler import parameters
from weft.compiler.limits.tensors import activations, show_quantization

MAX_EXPONENT = 30
"""Largest left shift of a requantization: single rounding shifts right by at least one bit."""


def has_small_multipliers(graph, operator):
    """The factor input scale * weight scale / output scale must be below 2^30"""
    try:
        _, exponents = parameters.requantization(graph, operator)
    except (OverflowError, ValueError):
        return "not a finite number"
    return None if exponents.max() <= MAX_EXPONENT else f"2^{exponents.max()}"


def has_mul_multiplier(graph, operator):
    """The factor product of input scales / output scale must be below 2^30"""
    try:
        _, exponent = parameters.mul_multiplier(graph, operator)
    except (OverflowError, ValueError):
        return "not a finite number"
    return None if exponent <= MAX_EXPONENT else f"2^{exponent}"


def has_square_multiplier(graph, operator):
    """The factor larger input scale^2 / output scale must be above 0 and below 2^12, else the reference aborts"""
    try:
        parameters.square_multipliers(graph, operator)
    except ValueError as error:
        return str(error)
    return None


def has_prelu_multipliers(graph, operator):
    """The factors input scale / output scale and input scale * alpha scale / output scale must be below 2^30"""
    try:
        exponent = max(e for _, e in parameters.prelu_multipliers(graph, operator))
    except (OverflowError, ValueError):
        return "not a finite number"
    return None if exponent <= MAX_EXPONENT else f"2^{exponent}"


def has_mean_multiplier(graph, operator):
    """The factor input scale / output scale must be below 2^30"""
    exponent = parameters.mean_multiplier(graph, operator)[1]
    return None if exponent <= MAX_EXPONENT else f"2^{exponent}"


def has_sum_multiplier(graph, operator):
    """The factor input scale / output scale must be below 2^30"""
    exponent = parameters.sum_multiplier(graph, operator)[1]
    return None if exponent <= MAX_EXPONENT else f"2^{exponent}"


def has_sum_zero_point(graph, operator):
    """The output's zero point must be 0 or above, because the reference writes the sum as an unsigned byte whatever the type"""
    zero_point = graph.output(operator).zero_point
    return None if zero_point >= 0 else str(zero_point)


def has_finite_clamp(graph, operator):
    """The output's scale must be large enough for the fused activation"""
    try:
        parameters.clamp(graph, operator)
    except (OverflowError, ValueError):
        return f"{graph.output(operator).scale:g}"
    return None


def has_add_multipliers(graph, operator):
    """The output's scale must be above 2^-19 times the larger operand's, and the operands' scales within 2^31 of each other"""
    try:
        numbers = parameters.add_multipliers(graph, operator)
    except ValueError as error:
        return str(error)
    smallest = min(numbers.multiplier1, numbers.multiplier2, numbers.output_multiplier)
    return None if smallest else "a multiplier of 0"


def has_quantize_ratio(graph, operator):
    """The ratio of input scale to output scale must be below 2^22"""
    source, result = activations(graph, operator)
    if source.dtype == "float32":
        return None
    ratio = source.scale / result.scale
    return None if ratio < 1 << 22 else f"{ratio:g}"


def has_softmax_output(graph, operator):
    """The output must have scale 1/256 and zero point -128"""
    result = graph.output(operator)
    return None if (result.scale, result.zero_point) == (1 / 256, -128) else show_quantization(result.quantization)


def has_short_rows(graph, operator):
    """Its last dimension must be from 1 to 4095"""
    shape = graph.input(operator, 0).shape
    return None if shape and shape[-1] <= MAX_DEPTH else str(list(shape))


def has_softmax_scale(graph, operator):
    """The product of beta and input scale must be above 2^-26 and at most 32"""
    real = operator.options["beta"] * graph.input(operator, 0).scale
    return None if 2.0 ** (DIFFERENCE_INTEGER_BITS - 31) < real <= 32 else f"{real:g}"
