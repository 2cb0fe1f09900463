"""Random functions of one tensor."""

import numpy as np

from tests.random_operators.values import one_operator, scale_of, zero_point_of
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model


def softmax(rng) -> bytes:
    """SOFTMAX of rows of 1 to 900; long rows are not flat, because the reference aborts where the exponentials sum to 512."""
    shape = (int(rng.integers(1, 5)), int(rng.choice([1, 2, 10, 12, 300, 900])))
    tensors = [
        BuilderTensor("x", shape, scale=scale_of(rng, -10 if shape[1] < 512 else -3, 2), zero_point=zero_point_of(rng)),
        BuilderTensor("y", shape, scale=1 / 256, zero_point=-128),
    ]
    return one_operator("SOFTMAX", tensors, ("x",), ("y",), {"beta": float(rng.choice([1.0, 0.5, 0.7, 2.0]))})


def _function(op, rng, *, types=("int8", "uint8"), spread=5.0, lowest=False, options=None, output=None) -> bytes:
    """Any function of one tensor: all 256 bytes, or a random shape.

    `lowest`: the input's zero point is the lowest; `spread`: how far apart the scales are, as an exponent; `output`: its quantization.
    """
    dtype = str(rng.choice(types))
    shape = (1, 16, 16) if rng.random() < 0.7 else tuple(int(n) for n in rng.integers(1, 12, int(rng.integers(1, 5))))
    scale = scale_of(rng, -12, 2)
    output_scale = float(
        np.float32(scale * rng.choice([1, 2 / 3, 2.0 ** rng.uniform(-spread, spread)]))
    )  # 2/3: every second input is a tie
    quantization = {"scale": output_scale, "zero_point": zero_point_of(rng, dtype)}
    if output is not None:
        quantization = {"scale": output, "zero_point": np.iinfo(dtype).min}
    tensors = [
        BuilderTensor("x", shape, dtype, scale=scale, zero_point=np.iinfo(dtype).min if lowest else zero_point_of(rng, dtype)),
        BuilderTensor("y", shape, dtype, **quantization),
    ]
    return one_operator(op, tensors, ("x",), ("y",), options)


def _plain(op, **settings):
    """The generator of a function without options."""

    def generate(rng) -> bytes:
        return _function(op, rng, **settings)

    return generate


def gelu(rng) -> bytes:
    """GELU, both kinds."""
    return _function("GELU", rng, options={"approximate": bool(rng.random() < 0.5)})


def leaky_relu(rng) -> bytes:
    """LEAKY_RELU with alpha from 0 to above 1."""
    return _function("LEAKY_RELU", rng, options={"alpha": float(rng.choice([0.0, 0.01, 0.1, 0.2, 0.3, 1.0, 1.5]))})


def neg(rng) -> bytes:
    """NEG of plain bytes."""
    scale, shape = scale_of(rng), (1, int(rng.integers(1, 300)))
    return one_operator("NEG", [BuilderTensor(name, shape, scale=scale) for name in "xy"], ("x",), ("y",))


def rsqrt(rng) -> bytes:
    """RSQRT of outputs that are not all saturated."""
    scale = scale_of(rng, -12, 2)
    output_scale = float(np.float32(2.0 ** rng.uniform(-9, 1) / np.sqrt(scale)))
    tensors = [
        BuilderTensor("x", (1, 256), scale=scale, zero_point=-128),
        BuilderTensor("y", (1, 256), scale=output_scale, zero_point=zero_point_of(rng)),
    ]
    return one_operator("RSQRT", tensors, ("x",), ("y",))


def quantize(rng) -> bytes:
    """QUANTIZE from int8, uint8 or float32 to int8 or uint8."""
    shape = tuple(int(n) for n in rng.integers(1, 30, 2))
    source, result = str(rng.choice(["int8", "uint8", "float32"])), str(rng.choice(["int8", "uint8"]))
    scale = scale_of(rng)
    source_scale = scale if rng.random() < 0.3 else float(np.float32(scale * 2.0 ** rng.uniform(-4, 4)))
    quantization = {} if source == "float32" else {"scale": source_scale, "zero_point": zero_point_of(rng, source)}
    tensors = [
        BuilderTensor("x", shape, source, **quantization),
        BuilderTensor("y", shape, result, scale=scale, zero_point=zero_point_of(rng, result)),
    ]
    return one_operator("QUANTIZE", tensors, ("x",), ("y",))


def dequantize(rng) -> bytes:
    """DEQUANTIZE from int8 or uint8."""
    shape, source = tuple(int(n) for n in rng.integers(1, 30, 2)), str(rng.choice(["int8", "uint8"]))
    tensors = [
        BuilderTensor("x", shape, source, scale=scale_of(rng), zero_point=zero_point_of(rng, source)),
        BuilderTensor("y", shape, "float32"),
    ]
    return one_operator("DEQUANTIZE", tensors, ("x",), ("y",))


ISLANDS = (("SIN", 0.02, 0.01), ("LOGISTIC", 0.05, 1 / 128), (None, 0.04, 0.03), (None, 0.01, 0.5), (None, 0.01, 0.002))
"""For LOOKUP a function of real numbers or none, and both scales: few, since the reference interpreter is asked for the table of each."""


def lookup(rng) -> bytes:
    """LOOKUP: DEQUANTIZE, perhaps a function of real numbers, QUANTIZE."""
    op, *scales = ISLANDS[int(rng.integers(0, len(ISLANDS)))]
    shape = tuple(int(n) for n in rng.integers(1, 12, int(rng.integers(1, 5))))
    types = ("int8", "int8") if op else [str(rng.choice(["int8", "uint8"])) for _ in scales]
    zero_points = (0, -3) if op else [zero_point_of(rng, dtype) for dtype in types]
    x, y = (BuilderTensor(*each, scale=s, zero_point=z) for *each, s, z in zip("xy", (shape, shape), types, scales, zero_points))
    reals = [BuilderTensor(name, shape, "float32") for name in ("r", "s")[: 1 + bool(op)]]
    steps = [("DEQUANTIZE", "x", "r"), *([(op, "r", "s")] if op else []), ("QUANTIZE", reals[-1].name, "y")]
    operators = [BuilderOperator(each, (source,), (result,)) for each, source, result in steps]
    return build_model([x, *reals, y], operators, ["x"], ["y"])


INT8 = ("int8",)
FUNCTION_OPERATORS = {
    "ABS": _plain("ABS", types=INT8),
    "DEQUANTIZE": dequantize,
    "EXP": _plain("EXP", types=INT8),
    "GELU": gelu,
    "HARD_SWISH": _plain("HARD_SWISH"),
    "LEAKY_RELU": leaky_relu,
    "LOG": _plain("LOG", types=INT8),
    "LOOKUP": lookup,
    "LOGISTIC": _plain("LOGISTIC", output=1 / 256),
    "NEG": neg,
    "QUANTIZE": quantize,
    "RELU": _plain("RELU"),
    "RELU6": _plain("RELU6"),
    "RELU_0_TO_1": _plain("RELU_0_TO_1"),
    "RELU_N1_TO_1": _plain("RELU_N1_TO_1"),
    "RSQRT": rsqrt,
    "SOFTMAX": softmax,
    "SQRT": _plain("SQRT", types=INT8, lowest=True),
    "TANH": _plain("TANH"),
}
"""Rows of `tests.random_operators.OPERATORS`."""
