"""What a user can do about an operator that breaks a limit: the remedy behind the limit's sentence."""

from weft.compiler.limits.edges import reads_bytes, reads_bytes_or_input, writes_bytes, writes_float_output
from weft.compiler.limits.functions import has_logistic_output
from weft.compiler.limits.images import has_integer_rule
from weft.compiler.limits.movement import (
    has_constant_numbers,
    has_constant_paddings,
    has_fitting_shape,
    has_slice_numbers,
    joins_one_quantization,
    joins_plainly,
    moves_bytes,
    moves_something_computed,
)
from weft.compiler.limits.numbers import has_small_multipliers, has_softmax_output, has_sum_zero_point
from weft.compiler.limits.products import BOUNDED
from weft.compiler.limits.tensors import (
    has_computed_operand,
    is_computed,
    is_int8,
    is_quantized,
    keeps_quantization,
    keeps_type,
)
from weft.compiler.limits.weights import (
    has_channel_scales,
    has_constant_int8_weights,
    has_constant_weights,
    has_int32_bias,
    has_unsigned_weights,
)

_QUANTIZE = "quantize the network to int8 whole: activations and weights (full integer quantization)"
_CONVERT = "convert the network again with the TensorFlow Lite converter, which sets these"
_FIXED = "convert the network with fixed shapes and constants, so that nothing of it depends on the input"
_CONSTANT = "compute it before the network is converted, and keep its result as a constant"

REMEDIES = {
    **dict.fromkeys((is_int8, has_integer_rule, keeps_type, moves_bytes, is_quantized), _QUANTIZE),
    **dict.fromkeys((reads_bytes, reads_bytes_or_input, writes_bytes), _QUANTIZE),
    **dict.fromkeys((keeps_quantization, joins_one_quantization, has_softmax_output, has_logistic_output), _CONVERT),
    **dict.fromkeys((has_constant_numbers, has_constant_paddings, has_fitting_shape, has_slice_numbers), _FIXED),
    **dict.fromkeys((is_computed, has_computed_operand, moves_something_computed), _CONSTANT),
    has_sum_zero_point: "build the network with a MEAN, or with a convolution whose weights are 1",
    writes_float_output: "quantize the layers that read it too, or end the network there",
    joins_plainly: "build the network with the activation as a layer of its own",
    has_channel_scales: "quantize weights symmetrically, with one scale or one for each output channel",
    has_unsigned_weights: "quantize weights of uint8 by tensor, or the network to int8",
    has_constant_weights: "convert the network with weights that are constants of type int8",
    has_constant_int8_weights: "convert the network with weights that are constants of type int8",
    has_int32_bias: "quantize the bias to int32, as full integer quantization of int8 networks does",
    **dict.fromkeys(
        (has_small_multipliers, *BOUNDED), "quantize it with a larger output scale: take a wider range from the representative data set"
    ),
}
"""Remedies of the limits that converters and trainers break; the others say of themselves what would be right."""


def remedy_of(limit, operator) -> str:
    """What to do where an operator breaks a limit."""
    return REMEDIES.get(limit, f"change the layer in the model (weft operators {operator.op} lists its limits)")
