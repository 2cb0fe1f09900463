"""What each operator may be: one predicate a limit, whose docstring is the message that the user reads.

A predicate gets the graph and the operator and returns the offending value as text, or None where the limit is kept.
`LIMITS` lists them for each operator, in the order in which they are checked; later ones rely on earlier ones.
"""

from hw.npu.errors import Finding, WeftError
from weft.compiler.graph import Graph, Operator
from weft.compiler.limits.edges import reads_bytes, reads_bytes_or_input, writes_bytes, writes_float_output
from weft.compiler.limits.functions import FUNCTION_LIMITS
from weft.compiler.limits.images import (
    has_constant_axes,
    has_constant_size,
    has_integer_rule,
    has_one_alignment,
    has_reduced_output,
    stays_inside,
)
from weft.compiler.limits.movement import MOVEMENT_LIMITS
from weft.compiler.limits.numbers import (
    has_add_multipliers,
    has_finite_clamp,
    has_mean_multiplier,
    has_mul_multiplier,
    has_prelu_multipliers,
    has_quantize_ratio,
    has_short_rows,
    has_small_multipliers,
    has_softmax_output,
    has_softmax_scale,
    has_square_multiplier,
    has_sum_multiplier,
    has_sum_zero_point,
)
from weft.compiler.limits.products import (
    has_bounded_mean,
    has_bounded_prelu,
    has_bounded_product,
    has_bounded_sum,
    has_bounded_sums,
)
from weft.compiler.limits.remedies import remedy_of
from weft.compiler.limits.tensors import (
    activations,
    broadcasts,
    broadcasts_to_input,
    has_computed_operand,
    has_images,
    has_small_sides,
    is_computed,
    is_int8,
    is_quantized,
    keeps_quantization,
    keeps_shape,
    keeps_type,
    takes_one_input,
    takes_shape_weights_input,
    takes_two_inputs,
    takes_weights_and_bias,
)
from weft.compiler.limits.weights import (
    has_channel_scales,
    has_constant_int8_weights,
    has_constant_weights,
    has_convolution_weights,
    has_depthwise_weights,
    has_int32_bias,
    has_matrix_output,
    has_matrix_weights,
    has_transposed_weights,
    has_unsigned_weights,
)
from weft.compiler.limits.windows import (
    has_average_count,
    has_constant_output_shape,
    has_known_activation,
    has_small_dilation,
    has_small_filter,
    has_small_stride,
    has_window_input,
    has_window_output,
)
from weft.compiler.unsigned import SHIFT, SIGNED


def check_limits(graph: Graph, operator: Operator):
    """Refuse an operator that breaks one of its limits.

    Raises
    ------
    WeftError
        With the limit's sentence and the value that breaks it.
    """
    check_each(LIMITS[operator.op], graph, operator)


def check_each(limits, graph: Graph, operator: Operator):
    """`check_limits` of the given limits only."""
    found = first_broken(limits, graph, operator)
    if found is not None:
        raise WeftError(found.sentence, file=graph.file, layer=found.layer, remedy=found.remedy)


def first_broken(limits, graph: Graph, operator: Operator) -> Finding | None:
    """The first of the limits that an operator breaks, with the value that breaks it; None where it keeps all."""
    for limit in () if operator.options.get(SHIFT) else limits:
        value = limit(graph, operator)
        if value is not None:
            value = _as_in_file(value, graph, operator)
            sentence = limit.__doc__[0].lower() + limit.__doc__[1:]
            found = f"{operator.op}: {sentence}; here {value}"
            subject = _other_type(graph, operator) if limit is is_int8 else operator.op  # a type is wrong once, not for each operator
            return Finding(subject, found, operator.title, remedy_of(limit, operator), kind=sentence)
    return None


def _as_in_file(value: str, graph, operator) -> str:
    """A value without what the pass over uint8 has changed."""
    if graph.shifted.isdisjoint((*operator.inputs, *operator.outputs)):
        return value
    return value.replace(SIGNED, "") + (", less the 128 between uint8 and int8" if "zero point" in value else "")


def _other_type(graph, operator) -> str:
    return next(tensor.dtype for tensor in activations(graph, operator) if tensor.dtype != "int8")


_POOL = (
    takes_one_input, is_computed, is_int8, is_quantized, keeps_quantization, has_images, has_small_sides, has_known_activation,
    has_small_stride, has_small_filter, has_window_output, has_finite_clamp,
)  # fmt: skip

_PAIR = (takes_two_inputs, has_computed_operand, is_int8, is_quantized, broadcasts)
_SUM = (*_PAIR, has_known_activation, has_finite_clamp, has_add_multipliers)
_EXTREME = (takes_two_inputs, is_computed, keeps_type, is_quantized, keeps_quantization, has_constant_axes, has_reduced_output)
_RESIZE = (takes_two_inputs, is_computed, is_int8, is_quantized, keeps_quantization, has_images, has_small_sides, has_constant_size)

LIMITS = {
    **FUNCTION_LIMITS,
    **MOVEMENT_LIMITS,
    "ADD": _SUM,
    "AVERAGE_POOL_2D": (*_POOL, has_average_count),
    "CONV_2D": (
        takes_weights_and_bias, is_computed, is_int8, is_quantized, has_images, has_small_sides, has_constant_weights,
        has_convolution_weights, has_channel_scales, has_unsigned_weights, has_int32_bias, has_known_activation, has_small_stride,
        has_small_dilation, has_window_output, has_small_multipliers, has_bounded_sums, has_finite_clamp,
    ),
    "DEQUANTIZE": (takes_one_input, is_computed, reads_bytes, writes_float_output, is_quantized, keeps_shape),
    "DEPTHWISE_CONV_2D": (
        takes_weights_and_bias, is_computed, is_int8, is_quantized, has_images, has_small_sides, has_constant_weights,
        has_depthwise_weights, has_channel_scales, has_unsigned_weights, has_int32_bias, has_known_activation, has_small_stride,
        has_small_dilation, has_window_output, has_small_multipliers, has_bounded_sums, has_finite_clamp,
    ),
    "FULLY_CONNECTED": (
        takes_weights_and_bias, is_computed, is_int8, is_quantized, has_constant_weights, has_matrix_weights, has_matrix_output,
        has_channel_scales, has_unsigned_weights, has_int32_bias, has_known_activation, has_small_multipliers,
        has_bounded_sums, has_finite_clamp,
    ),
    "MAXIMUM": (*_PAIR, keeps_quantization),
    "MAX_POOL_2D": _POOL,
    "MEAN": (
        takes_two_inputs, is_computed, keeps_type, is_quantized, has_constant_axes, has_reduced_output, has_mean_multiplier,
        has_bounded_mean,
    ),
    "MINIMUM": (*_PAIR, keeps_quantization),
    "MUL": (*_PAIR, has_known_activation, has_finite_clamp, has_mul_multiplier, has_bounded_product),
    "PRELU": (takes_two_inputs, has_computed_operand, is_int8, is_quantized, broadcasts_to_input, has_prelu_multipliers, has_bounded_prelu),
    "QUANTIZE": (takes_one_input, is_computed, reads_bytes_or_input, writes_bytes, is_quantized, keeps_shape, has_quantize_ratio),
    "REDUCE_MAX": _EXTREME,
    "REDUCE_MIN": _EXTREME,
    "RESIZE_BILINEAR": (*_RESIZE[:2], has_integer_rule, *_RESIZE[2:], has_one_alignment, stays_inside),
    "RESIZE_NEAREST_NEIGHBOR": (*_RESIZE, has_one_alignment),
    "SOFTMAX": (takes_one_input, is_computed, is_int8, is_quantized, keeps_shape, has_softmax_output, has_short_rows, has_softmax_scale),
    "SQUARED_DIFFERENCE": (*_PAIR, has_square_multiplier),
    "SUB": _SUM,
    "SUM": (
        takes_two_inputs, is_computed, keeps_type, is_quantized, has_constant_axes, has_reduced_output, has_sum_zero_point,
        has_sum_multiplier, has_bounded_sum,
    ),
    "TRANSPOSE_CONV": (
        takes_shape_weights_input, is_computed, is_int8, is_quantized, has_images, has_small_sides, has_constant_int8_weights,
        has_transposed_weights, has_constant_output_shape, has_channel_scales, has_unsigned_weights, has_int32_bias, has_known_activation,
        has_small_stride, has_window_input, has_small_multipliers, has_bounded_sums, has_finite_clamp,
    ),
}  # fmt: skip
"""For each supported operator its limits, in the order in which they are checked."""

SUPPORTED = tuple(sorted(LIMITS))
"""TFLite's names of the operators that Weft knows."""
