"""Operators of two tensors and functions of one, added to a network."""

import numpy as np

from tests.random_networks.maker import Declined, Step
from tests.random_operators.values import activation_of, scale_of, zero_point_of

MOST_DIMENSIONS = 5


def _broadcast(shape, other) -> bool:
    """Whether the other tensor goes with the source and makes nothing of more dimensions than the reference's kernels know."""
    try:
        return len(np.broadcast_shapes(shape, other)) <= MOST_DIMENSIONS
    except ValueError:
        return False


def _operand(step: Step, wanted, *, alike) -> str:
    """The second operand: an older tensor of the same shape more often than one that broadcasts, itself, or a constant."""
    equal = step.others(lambda shape: shape == step.shape)
    others = step.others(wanted)
    kind = step.choices.pick(("equal",) * 5 + ("broadcast",) * 2 + ("constant",) * 3)
    if kind == "constant" or not others:
        shape = tuple(n if step.choices.chance(60) else 1 for n in step.shape)[step.choices.number(0, len(step.shape)) :]
        return step.bytes_constant(shape, alike=alike)
    name = step.choices.pick(equal[::-1] if kind == "equal" and equal else others[::-1])
    return step.alike(name) if alike else name


def _pair(op, step: Step, result, second, **options):
    names = [step.source.name, second]
    step.maker.operator(op, names[:: -1 if step.choices.chance(40) else 1], (result,), options)
    return [result]


def _shape(step: Step, second):
    return np.broadcast_shapes(step.shape, step.maker.tensors[second].shape)


def _sum(op, step: Step):
    second = _operand(step, lambda shape: _broadcast(step.shape, shape), alike=False)
    other = step.maker.tensors[second].scale / step.source.scale
    result = step.new(_shape(step, second), max(1, other) * 2.0 ** step.rng.uniform(-1, 2))
    return _pair(op, step, result, second, activation=activation_of(step.rng))


def add(step: Step):
    """ADD."""
    return _sum("ADD", step)


def sub(step: Step):
    """SUB."""
    return _sum("SUB", step)


def mul(step: Step):
    """MUL, sometimes by a factor above 1."""
    second = _operand(step, lambda shape: _broadcast(step.shape, shape), alike=False)
    result = step.new(_shape(step, second), step.maker.tensors[second].scale * 2.0 ** step.rng.uniform(-1, 8))
    return _pair("MUL", step, result, second, activation=activation_of(step.rng))


def squared_difference(step: Step):
    """SQUARED_DIFFERENCE, mostly of a scale that fits what the operands reach, and of a range that begins at 0."""
    second = _operand(step, lambda shape: _broadcast(step.shape, shape), alike=False)
    scale = max(step.source.scale, step.maker.tensors[second].scale)
    factor = scale**2 / step.source.scale * 255 * 2.0 ** step.rng.uniform(-4, 2)
    result = step.new(_shape(step, second), factor)
    if step.choices.chance(70):
        result = step.maker.tensor(_shape(step, second), scale=step.maker.tensors[result].scale, zero_point=-128)
    return _pair("SQUARED_DIFFERENCE", step, result, second)


def _extremum(op, step: Step):
    second = _operand(step, lambda shape: _broadcast(step.shape, shape), alike=True)
    return _pair(op, step, step.same(_shape(step, second)), second)


def maximum(step: Step):
    """MAXIMUM."""
    return _extremum("MAXIMUM", step)


def minimum(step: Step):
    """MINIMUM."""
    return _extremum("MINIMUM", step)


def prelu(step: Step):
    """PRELU, mostly of a constant alpha for each channel."""

    def smaller(shape):
        return _broadcast(step.shape, shape) and np.broadcast_shapes(step.shape, shape) == step.shape

    alpha = _operand(step, smaller, alike=False)
    return step.add("PRELU", step.new(step.shape), alpha)


def _function(op, **settings):
    def add_function(step: Step):
        return step.add(op, step.new(step.shape), **settings)

    add_function.__doc__ = f"{op}."
    return add_function


def _clamp(op):
    def add_clamp(step: Step):
        kept = step.choices.chance(40)  # a clamp only
        return step.add(op, step.same(step.shape) if kept else step.new(step.shape))

    add_clamp.__doc__ = f"{op}, of the source's quantization or another."
    return add_clamp


def logistic(step: Step):
    """LOGISTIC, whose output's quantization is given."""
    lowest = np.iinfo(step.source.dtype).min
    return step.add("LOGISTIC", step.maker.tensor(step.shape, dtype=step.source.dtype, scale=1 / 256, zero_point=int(lowest)))


def softmax(step: Step):
    """SOFTMAX; long flat rows make the reference abort."""
    if step.shape[-1] > 500 or not 2.0**-24 < step.source.scale <= 16:
        raise Declined
    result = step.maker.tensor(step.shape, scale=1 / 256, zero_point=-128)
    return step.add("SOFTMAX", result, options={"beta": step.choices.pick((1.0, 0.5, 2.0))})


def neg(step: Step):
    """NEG of plain bytes."""
    step.with_quantization(step.source.scale, 0)
    return step.add("NEG", step.same(step.shape))


def sqrt(step: Step):
    """SQRT of what has no negative values."""
    step.with_quantization(step.source.scale, -128)
    return step.add("SQRT", step.new(step.shape))


def rsqrt(step: Step):
    """RSQRT of outputs that are not all saturated."""
    step.with_quantization(step.source.scale, -128)
    scale = float(np.float32(2.0 ** step.rng.uniform(-9, 1) / np.sqrt(step.source.scale)))
    return step.add("RSQRT", step.maker.tensor(step.shape, scale=scale, zero_point=zero_point_of(step.rng)))


def hard_swish(step: Step):
    """HARD_SWISH, whose ratio of scales has a limit."""
    return step.add("HARD_SWISH", step.new(step.shape, 2.0 ** step.rng.uniform(-2, 2)))


def leaky_relu(step: Step):
    """LEAKY_RELU with alpha from 0 to above 1."""
    return step.add("LEAKY_RELU", step.new(step.shape), options={"alpha": step.choices.pick((0.25, 0.0, 0.01, 1.0, 1.5))})


def gelu(step: Step):
    """GELU, both kinds."""
    return step.add("GELU", step.new(step.shape), options={"approximate": step.choices.chance(50)})


def quantize(step: Step):
    """QUANTIZE to another scale, sometimes to the other type of bytes."""
    other = {"int8": "uint8", "uint8": "int8"}[step.source.dtype]
    dtype = other if step.choices.chance(15) or step.source.dtype == "uint8" else step.source.dtype
    scale = scale_of(step.rng, -7, -2) if step.choices.chance(30) else step.source.scale
    return step.add("QUANTIZE", step.maker.tensor(step.shape, dtype=dtype, scale=scale, zero_point=zero_point_of(step.rng, dtype)))


def dequantize(step: Step):
    """DEQUANTIZE: its output leaves the network."""
    return step.add("DEQUANTIZE", step.maker.tensor(step.shape, dtype="float32"))


INT8_FUNCTIONS = {
    "ABS": _function("ABS"),
    "EXP": _function("EXP"),
    "LOG": _function("LOG"),
    "NEG": neg,
    "RSQRT": rsqrt,
    "SOFTMAX": softmax,
    "SQRT": sqrt,
}
"""Functions of int8 only."""
BYTE_FUNCTIONS = {
    "DEQUANTIZE": dequantize,
    "GELU": gelu,
    "HARD_SWISH": hard_swish,
    "LEAKY_RELU": leaky_relu,
    "LOGISTIC": logistic,
    "QUANTIZE": quantize,
    "RELU": _clamp("RELU"),
    "RELU6": _clamp("RELU6"),
    "RELU_0_TO_1": _clamp("RELU_0_TO_1"),
    "RELU_N1_TO_1": _clamp("RELU_N1_TO_1"),
    "TANH": _function("TANH"),
}
"""Functions of int8 and uint8."""
