"""Random networks of one operator, with shapes small enough for thousands and odd enough to find the corners.

Each generator takes a numpy random generator and gives the bytes of a TFLite file; `OPERATORS` lists them.
"""

import numpy as np

from golden.geometry import output_size
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model

ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


def one_operator(op, tensors, inputs, outputs, options=None) -> bytes:
    """A network of one operator; its inputs that are not constant are the network's."""
    constant = {tensor.name for tensor in tensors if tensor.data is not None}
    operator = BuilderOperator(op, inputs, outputs, options or {})
    return build_model(tensors, [operator], [n for n in inputs if n is not None and n not in constant], outputs)


def scale_of(rng, low=-9.0, high=-1.0):
    """A scale, spread over powers of two."""
    return float(np.float32(2.0 ** rng.uniform(low, high)))


def zero_point_of(rng, dtype="int8"):
    """A zero point, the ends of the type more often than others."""
    info = np.iinfo(dtype)
    return int(rng.choice([info.min, info.max, 0, rng.integers(info.min, info.max + 1)]))


def activation_of(rng):
    return str(rng.choice(ACTIVATIONS))


def random_bytes(rng, shape):
    """int8 values, sometimes only the extremes."""
    values = rng.integers(-128, 128, shape)
    return (np.where(values < 0, -128, 127) if rng.random() < 0.2 else values).astype(np.int8)


def _weights(rng, shape, source_scale, reduction):
    """Weights, bias and an output scale that neither saturates nor vanishes."""
    per_channel = rng.random() < 0.7
    scales = [scale_of(rng, -9, -5) for _ in range(shape[0] if per_channel else 1)]
    if not per_channel:
        scales = scales[:1]
    bias_scale = [float(np.float32(source_scale) * np.float32(s)) for s in scales]
    bias = rng.integers(-(1 << 14), 1 << 14, shape[0]).astype(np.int32)
    weights = np.maximum(random_bytes(rng, shape), -127)
    finer = rng.uniform(8, 14) if rng.random() < 0.1 else rng.uniform(-2, 3)  # factors above 1, whose left shift may wrap
    output_scale = float(np.float32(source_scale * np.mean(scales) * 60 * np.sqrt(reduction) * 2.0**-finer))
    return (
        BuilderTensor("weights", shape, scale=scales, data=weights),
        BuilderTensor("bias", (shape[0],), "int32", scale=bias_scale, data=bias),
        output_scale,
    )


def conv2d(rng) -> bytes:
    """CONV_2D with every attribute."""
    kernel = [int(k) for k in rng.integers(1, 6, 2)]
    stride = [int(s) for s in rng.integers(1, 4, 2)]
    dilation = [int(d) for d in rng.integers(1, 4, 2)] if rng.random() < 0.3 else [1, 1]
    padding = str(rng.choice(["SAME", "VALID"]))
    least = [(k - 1) * d + 1 if padding == "VALID" else 1 for k, d in zip(kernel, dilation)]
    size = [int(low + rng.integers(0, 12)) for low in least]
    cin, cout = int(rng.integers(1, 20)), int(rng.integers(1, 24))
    source_scale = scale_of(rng)
    weights, bias, output_scale = _weights(rng, (cout, *kernel, cin), source_scale, kernel[0] * kernel[1] * cin)
    out = [output_size(padding, size[i], kernel[i], stride[i], dilation[i]) for i in (0, 1)]
    tensors = [
        BuilderTensor("x", (1, *size, cin), scale=source_scale, zero_point=zero_point_of(rng)), weights, bias,
        BuilderTensor("y", (1, *out, cout), scale=output_scale, zero_point=zero_point_of(rng)),
    ]  # fmt: skip
    options = {
        "padding": padding, "stride_h": stride[0], "stride_w": stride[1], "dilation_h": dilation[0], "dilation_w": dilation[1],
        "activation": activation_of(rng),
    }  # fmt: skip
    return one_operator("CONV_2D", tensors, ("x", "weights", "bias"), ("y",), options)


def fully_connected(rng) -> bytes:
    """FULLY_CONNECTED, sometimes of several rows, sometimes without a bias."""
    rows, inputs, outputs = int(rng.integers(1, 6)), int(rng.integers(1, 300)), int(rng.integers(1, 40))
    source_scale = scale_of(rng)
    weights, bias, output_scale = _weights(rng, (outputs, inputs), source_scale, inputs)
    keep = bool(rng.random() < 0.3)
    tensors = [
        BuilderTensor("x", (1, rows, inputs) if keep else (rows, inputs), scale=source_scale, zero_point=zero_point_of(rng)), weights,
        BuilderTensor("y", (1, rows, outputs) if keep else (rows, outputs), scale=output_scale, zero_point=zero_point_of(rng)), bias,
    ]  # fmt: skip
    names = ("x", "weights", None if rng.random() < 0.2 else "bias")
    return one_operator("FULLY_CONNECTED", tensors, names, ("y",), {"keep_num_dims": keep, "activation": activation_of(rng)})


def add(rng) -> bytes:
    """ADD of two tensors of different scales."""
    shape = (1, *(int(n) for n in rng.integers(1, 12, 3)))
    scales = scale_of(rng), scale_of(rng)
    output_scale = float(np.float32(max(scales) * 2.0 ** rng.uniform(-2, 2)))
    tensors = [
        BuilderTensor(name, shape, scale=scale, zero_point=zero_point_of(rng)) for name, scale in zip("aby", (*scales, output_scale))
    ]
    return one_operator("ADD", tensors, ("a", "b"), ("y",), {"activation": activation_of(rng)})


def _pool(op, rng) -> bytes:
    kernel = [int(k) for k in rng.integers(1, 8, 2)]
    stride = [int(s) for s in rng.integers(1, 5, 2)]
    padding = str(rng.choice(["SAME", "VALID"]))
    size = [int((k if padding == "VALID" else 1) + rng.integers(0, 14)) for k in kernel]
    channels = int(rng.integers(1, 40))
    out = [output_size(padding, size[i], kernel[i], stride[i]) for i in (0, 1)]
    scale, zero_point = scale_of(rng), zero_point_of(rng)
    tensors = [
        BuilderTensor("x", (1, *size, channels), scale=scale, zero_point=zero_point),
        BuilderTensor("y", (1, *out, channels), scale=scale, zero_point=zero_point),
    ]
    options = {
        "padding": padding, "stride_h": stride[0], "stride_w": stride[1], "filter_height": kernel[0], "filter_width": kernel[1],
        "activation": activation_of(rng),
    }  # fmt: skip
    return one_operator(op, tensors, ("x",), ("y",), options)


def average_pool(rng) -> bytes:
    """AVERAGE_POOL_2D."""
    return _pool("AVERAGE_POOL_2D", rng)


def max_pool(rng) -> bytes:
    """MAX_POOL_2D."""
    return _pool("MAX_POOL_2D", rng)


def pad(rng) -> bytes:
    """PAD of one to four dimensions."""
    shape = tuple(int(n) for n in rng.integers(1, 8, int(rng.integers(1, 5))))
    paddings = rng.integers(0, 4, (len(shape), 2)).astype(np.int32)
    scale, zero_point = scale_of(rng), zero_point_of(rng)
    out = tuple(int(n + p.sum()) for n, p in zip(shape, paddings))
    tensors = [
        BuilderTensor("x", shape, scale=scale, zero_point=zero_point),
        BuilderTensor("paddings", paddings.shape, "int32", data=paddings),
        BuilderTensor("y", out, scale=scale, zero_point=zero_point),
    ]
    return one_operator("PAD", tensors, ("x", "paddings"), ("y",))


def reshape(rng) -> bytes:
    """RESHAPE of an image to a vector and back."""
    shape = (1, *(int(n) for n in rng.integers(1, 9, 3)))
    flat = (1, int(np.prod(shape)))
    source, result = (shape, flat) if rng.random() < 0.5 else (flat, shape)
    scale = scale_of(rng)
    tensors = [
        BuilderTensor("x", source, scale=scale),
        BuilderTensor("shape", (len(result),), "int32", data=np.array(result)),
        BuilderTensor("y", result, scale=scale),
    ]
    return one_operator("RESHAPE", tensors, ("x", "shape"), ("y",), {"new_shape": result})


def softmax(rng) -> bytes:
    """SOFTMAX of rows of 1 to 900; long rows are not flat, because the reference aborts where the exponentials sum to 512."""
    shape = (int(rng.integers(1, 5)), int(rng.choice([1, 2, 10, 12, 300, 900])))
    tensors = [
        BuilderTensor("x", shape, scale=scale_of(rng, -10 if shape[1] < 512 else -3, 2), zero_point=zero_point_of(rng)),
        BuilderTensor("y", shape, scale=1 / 256, zero_point=-128),
    ]
    return one_operator("SOFTMAX", tensors, ("x",), ("y",), {"beta": float(rng.choice([1.0, 0.5, 0.7, 2.0]))})


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


OPERATORS = {
    "ADD": add,
    "AVERAGE_POOL_2D": average_pool,
    "CONV_2D": conv2d,
    "DEQUANTIZE": dequantize,
    "FULLY_CONNECTED": fully_connected,
    "MAX_POOL_2D": max_pool,
    "PAD": pad,
    "QUANTIZE": quantize,
    "RESHAPE": reshape,
    "SOFTMAX": softmax,
}
"""A generator for each operator that Weft supports."""


def random_value(rng, shape, dtype) -> np.ndarray:
    """A value for an input tensor."""
    if dtype == "float32":
        return rng.normal(0, 10, shape).astype(np.float32)
    values = random_bytes(rng, shape)
    return values if dtype == "int8" else values.view(np.uint8)
