"""What each operator may be: one predicate a limit, whose docstring is the message that the user reads.

A predicate gets the graph and the operator and returns the offending value as text, or None where the limit is kept.
`LIMITS` lists them for each operator, in the order in which they are checked; later ones rely on earlier ones.
"""

import math

from golden.operators.softmax import DIFFERENCE_INTEGER_BITS, MAX_DEPTH
from golden.quantization import ACTIVATIONS
from golden.requantize import AVERAGE_MAX_COUNT
from hw.npu.errors import WeftError
from weft.compiler import parameters
from weft.compiler.graph import Graph, Operator, Tensor

BYTES = ("int8", "uint8")
MAX_STEP, MAX_KERNEL, MAX_SIDE = 255, 255, 16384
MAX_EXPONENT = 30
"""Largest left shift of a requantization: single rounding shifts right by at least one bit."""


def check_limits(graph: Graph, operator: Operator):
    """Refuse an operator that breaks one of its limits.

    Raises
    ------
    WeftError
        With the limit's sentence and the value that breaks it.
    """
    for limit in LIMITS[operator.op]:
        value = limit(graph, operator)
        if value is not None:
            sentence = limit.__doc__[0].lower() + limit.__doc__[1:]
            raise WeftError(f"{operator.op}: {sentence}; here {value}", file=graph.file, layer=operator.title)


# Tensors


def _activations(graph, operator) -> list[Tensor]:
    """The tensors that are computed when the network runs: the first input (both of an ADD) and the output."""
    count = 2 if operator.op == "ADD" else 1
    return [*(graph.input(operator, i) for i in range(count)), graph.output(operator)]


def _first(tensors, wrong, show):
    return next((f"{tensor.name} has {show(tensor)}" for tensor in tensors if wrong(tensor)), None)


def _counts(graph, operator, least, most):
    given = len(operator.inputs)
    if not least <= given <= most or len(operator.outputs) != 1 or None in operator.inputs[:least]:
        return f"{given} inputs and {len(operator.outputs)} outputs"
    return None


def takes_one_input(graph, operator):
    """It must have one input and one output"""
    return _counts(graph, operator, 1, 1)


def takes_two_inputs(graph, operator):
    """It must have two inputs and one output"""
    return _counts(graph, operator, 2, 2)


def takes_optional_shape(graph, operator):
    """It must have one input, perhaps a shape, and one output"""
    return _counts(graph, operator, 1, 2)


def takes_weights_and_bias(graph, operator):
    """It must have an input, weights, perhaps a bias, and one output"""
    return _counts(graph, operator, 2, 3)


def is_computed(graph, operator):
    """Its operands must be computed by the network or be its inputs, not constants"""
    return _first(_activations(graph, operator), lambda t: t.constant, lambda t: "a constant value")


def is_int8(graph, operator):
    """Activations must be int8"""
    return _first(_activations(graph, operator), lambda t: t.dtype != "int8", lambda t: f"type {t.dtype}")


def keeps_type(graph, operator):
    """Input and output must both be int8 or both be uint8"""
    source, result = _activations(graph, operator)
    return None if source.dtype == result.dtype and source.dtype in BYTES else f"{source.dtype} and {result.dtype}"


def is_quantized(graph, operator):
    """Activations must have one scale above 0 and a zero point in the range of their type"""

    def wrong(tensor):
        q = tensor.quantization
        if tensor.dtype == "float32":
            return False
        if q is None or len(q.scale) != 1 or not (math.isfinite(q.scale[0]) and q.scale[0] > 0):
            return True
        low = -128 if tensor.dtype == "int8" else 0
        return not low <= q.zero_point[0] <= low + 255

    return _first(_activations(graph, operator), wrong, lambda t: _show_quantization(t.quantization))


def _show_quantization(q):
    if q is None:
        return "no quantization"
    return f"{len(q.scale)} scales" if len(q.scale) > 1 else f"scale {q.scale[0]:g} and zero point {q.zero_point[0]}"


def is_one_image(graph, operator):
    """Input and output must be one image, [1, height, width, channels]"""
    return _first(_activations(graph, operator), lambda t: len(t.shape) != 4 or t.shape[0] != 1, lambda t: f"shape {list(t.shape)}")


def has_small_sides(graph, operator):
    """height, width and channels must be at most 16384"""
    return _first(_activations(graph, operator), lambda t: max(t.shape, default=1) > MAX_SIDE, lambda t: f"shape {list(t.shape)}")


def keeps_shape(graph, operator):
    """Input and output must have one shape"""
    shapes = [list(tensor.shape) for tensor in _activations(graph, operator)]
    return None if all(shape == shapes[0] for shape in shapes) else " and ".join(map(str, shapes))


def keeps_size(graph, operator):
    """Input and output must have the same number of elements"""
    source, result = _activations(graph, operator)
    return None if source.size == result.size else f"{list(source.shape)} and {list(result.shape)}"


# Windows


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


def keeps_quantization(graph, operator):
    """Input and output must have the same scale and zero point"""
    source, result = (tensor.quantization for tensor in _activations(graph, operator))
    return None if (source.scale, source.zero_point) == (result.scale, result.zero_point) else (
        f"{_show_quantization(source)} and {_show_quantization(result)}"
    )  # fmt: skip


# Weights


def has_constant_int8_weights(graph, operator):
    """Weights must be a constant of type int8"""
    weights = graph.input(operator, 1)
    return None if weights.constant and weights.dtype == "int8" else f"{weights.dtype}{'' if weights.constant else ', computed'}"


def has_convolution_weights(graph, operator):
    """Weights must be [output channels, height, width, input channels] of at most 255x255, and not in groups"""
    weights, source = graph.input(operator, 1).shape, graph.input(operator, 0).shape
    right = len(weights) == 4 and max(weights[1:3]) <= MAX_KERNEL and weights[3] == source[3]
    return None if right else f"{list(weights)} for an input of {list(source)}"


def has_matrix_weights(graph, operator):
    """Weights must be [outputs, inputs], in the default format, and the input a multiple of them"""
    weights, source = graph.input(operator, 1).shape, graph.input(operator, 0)
    right = len(weights) == 2 and source.size % weights[1] == 0 and operator.options["weights_format"] == 0
    return None if right else f"{list(weights)} for an input of {list(source.shape)}"


def has_matrix_output(graph, operator):
    """The output must have one row of outputs for each row of inputs"""
    weights, source, result = graph.input(operator, 1).shape, graph.input(operator, 0), graph.output(operator)
    wanted = [*source.shape[:-1], weights[0]] if operator.options["keep_num_dims"] else [source.size // weights[1], weights[0]]
    if operator.options["keep_num_dims"] and source.shape[-1:] != weights[1:]:
        return f"an input of {list(source.shape)} for weights of {list(weights)}"
    return None if list(result.shape) == wanted else f"{list(result.shape)} instead of {wanted}"


def has_channel_scales(graph, operator):
    """Weights must have one scale, or one for each output channel along dimension 0, and zero points of 0"""
    weights = graph.input(operator, 1)
    q = weights.quantization
    if q is None:
        return "no quantization"
    if len(q.scale) > 1 and (q.axis != 0 or len(q.scale) != weights.shape[0]):
        return f"{len(q.scale)} scales along dimension {q.axis} of {list(weights.shape)}"
    if not all(math.isfinite(scale) and scale >= 0 for scale in q.scale):
        return "a scale that is negative or not a number"
    return f"zero point {next(z for z in q.zero_point if z)}" if any(q.zero_point) else None


def has_int32_bias(graph, operator):
    """The bias must be a constant int32 for each output channel"""
    bias, channels = graph.input(operator, 2), graph.input(operator, 1).shape[0]
    if bias is None or (bias.constant and bias.dtype == "int32" and bias.size == channels):
        return None
    return f"{bias.dtype} {list(bias.shape)}{'' if bias.constant else ', computed'} for {channels} channels"


# Numbers


def has_small_multipliers(graph, operator):
    """The factor input scale * weight scale / output scale must be below 2^30"""
    try:
        _, exponents = parameters.requantization(graph, operator)
    except (OverflowError, ValueError):
        return "not a finite number"
    return None if exponents.max() <= MAX_EXPONENT else f"2^{exponents.max()}"


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
    source, result = _activations(graph, operator)
    if source.dtype == "float32":
        return None
    ratio = source.scale / result.scale
    return None if ratio < 1 << 22 else f"{ratio:g}"


def has_softmax_output(graph, operator):
    """The output must have scale 1/256 and zero point -128"""
    result = graph.output(operator)
    return None if (result.scale, result.zero_point) == (1 / 256, -128) else _show_quantization(result.quantization)


def has_short_rows(graph, operator):
    """Its last dimension must be from 1 to 4095"""
    shape = graph.input(operator, 0).shape
    return None if shape and shape[-1] <= MAX_DEPTH else str(list(shape))


def has_softmax_scale(graph, operator):
    """The product of beta and input scale must be above 2^-26 and at most 32"""
    real = operator.options["beta"] * graph.input(operator, 0).scale
    return None if 2.0 ** (DIFFERENCE_INTEGER_BITS - 31) < real <= 32 else f"{real:g}"


def has_constant_paddings(graph, operator):
    """Paddings must be a constant int32 or int64 [rank, 2] of numbers from 0 to 255, for at most 4 dimensions"""
    paddings, rank = graph.input(operator, 1), len(graph.input(operator, 0).shape)
    if not paddings.constant or paddings.dtype not in ("int32", "int64") or paddings.shape != (rank, 2) or rank > 4:
        return f"{paddings.dtype} {list(paddings.shape)}{'' if paddings.constant else ', computed'} for {rank} dimensions"
    bad = paddings.data[(paddings.data < 0) | (paddings.data > MAX_STEP)]
    return str(bad[0]) if bad.size else None


def has_padded_output(graph, operator):
    """The output's shape must be the input's plus the paddings"""
    source, result = _activations(graph, operator)
    wanted = [n + sum(p) for n, p in zip(source.shape, parameters.paddings(graph, operator))]
    return None if list(result.shape) == wanted else f"{list(result.shape)} instead of {wanted}"


def reads_bytes_or_input(graph, operator):
    """It must read int8, uint8, or a float32 input of the network"""
    source = graph.input(operator, 0)
    allowed = source.dtype in BYTES or (source.dtype == "float32" and source.name in graph.inputs)
    return None if allowed else f"{source.name} of {source.dtype}"


def writes_bytes(graph, operator):
    """Its output must be int8 or uint8"""
    return None if graph.output(operator).dtype in BYTES else graph.output(operator).dtype


def reads_bytes(graph, operator):
    """Its input must be int8 or uint8"""
    return None if graph.input(operator, 0).dtype in BYTES else graph.input(operator, 0).dtype


def writes_float_output(graph, operator):
    """Its output must be float32 and be read by no other operator"""
    result = graph.output(operator)
    readers = graph.consumers()[result.name]
    return None if result.dtype == "float32" and not readers else f"{result.dtype}, read by {', '.join(r.title for r in readers) or 'none'}"


_POOL = (
    takes_one_input, is_computed, is_int8, is_quantized, keeps_quantization, is_one_image, has_small_sides, has_known_activation,
    has_small_stride, has_small_filter, has_window_output, has_finite_clamp,
)  # fmt: skip

LIMITS = {
    "ADD": (
        takes_two_inputs, is_computed, is_int8, is_quantized, keeps_shape, has_known_activation, has_finite_clamp, has_add_multipliers,
    ),
    "AVERAGE_POOL_2D": (*_POOL, has_average_count),
    "CONV_2D": (
        takes_weights_and_bias, is_computed, is_int8, is_quantized, is_one_image, has_small_sides, has_constant_int8_weights,
        has_convolution_weights, has_channel_scales, has_int32_bias, has_known_activation, has_small_stride, has_small_dilation,
        has_window_output, has_small_multipliers, has_finite_clamp,
    ),
    "DEQUANTIZE": (takes_one_input, is_computed, reads_bytes, writes_float_output, is_quantized, keeps_shape),
    "FULLY_CONNECTED": (
        takes_weights_and_bias, is_computed, is_int8, is_quantized, has_constant_int8_weights, has_matrix_weights, has_matrix_output,
        has_channel_scales, has_int32_bias, has_known_activation, has_small_multipliers, has_finite_clamp,
    ),
    "MAX_POOL_2D": _POOL,
    "PAD": (takes_two_inputs, is_computed, is_int8, is_quantized, has_constant_paddings, has_padded_output),
    "QUANTIZE": (takes_one_input, is_computed, reads_bytes_or_input, writes_bytes, is_quantized, keeps_shape, has_quantize_ratio),
    "RESHAPE": (takes_optional_shape, is_computed, keeps_type, keeps_size),
    "SOFTMAX": (takes_one_input, is_computed, is_int8, is_quantized, keeps_shape, has_softmax_output, has_short_rows, has_softmax_scale),
}  # fmt: skip
"""For each supported operator its limits, in the order in which they are checked."""

SUPPORTED = tuple(LIMITS)
"""TFLite's names of the operators that Weft knows."""
