"""Random operators with weights of 8 bits, or of 4."""

import numpy as np

from golden.geometry import output_size
from tests.random_operators.values import activation_of, batch_of, one_operator, random_bytes, random_nibbles, scale_of, zero_point_of
from tests.tflite_builder import BuilderTensor


def weights_of(rng, shape, source_scale, reduction, axis=0, bits=8):
    """Weights with output channels along `axis`, bias and an output scale that neither saturates nor vanishes."""
    channels = shape[axis]
    per_channel = rng.random() < 0.7
    scales = [scale_of(rng, -9, -5) for _ in range(channels if per_channel else 1)]
    bias_scale = [float(np.float32(source_scale) * np.float32(s)) for s in scales]
    largest = 1 << (14 if bits == 8 else 10)
    bias = rng.integers(-largest, largest, channels).astype(np.int32)
    weights = np.maximum(random_bytes(rng, shape), -127) if bits == 8 else random_nibbles(rng, shape)
    finer = rng.uniform(8, 14) if rng.random() < 0.1 else rng.uniform(-2, 3)  # factors above 1, whose left shift may wrap
    typical = 60 if bits == 8 else 4
    output_scale = float(np.float32(source_scale * np.mean(scales) * typical * np.sqrt(reduction) * 2.0**-finer))
    return (
        BuilderTensor("weights", shape, f"int{bits}", scale=scales, axis=axis if per_channel else 0, data=weights),
        BuilderTensor("bias", (channels,), "int32", scale=bias_scale, data=bias),
        output_scale,
    )


def _window(rng):
    """Size of an image and of its output, kernel, and the options of a convolution over it."""
    kernel = [int(k) for k in rng.integers(1, 6, 2)]
    stride = [int(s) for s in rng.integers(1, 4, 2)]
    dilation = [int(d) for d in rng.integers(1, 4, 2)] if rng.random() < 0.3 else [1, 1]
    padding = str(rng.choice(["SAME", "VALID"]))
    least = [(k - 1) * d + 1 if padding == "VALID" else 1 for k, d in zip(kernel, dilation)]
    size = [int(low + rng.integers(0, 12)) for low in least]
    out = [output_size(padding, size[i], kernel[i], stride[i], dilation[i]) for i in (0, 1)]
    options = {
        "padding": padding, "stride_h": stride[0], "stride_w": stride[1], "dilation_h": dilation[0], "dilation_w": dilation[1],
        "activation": activation_of(rng),
    }  # fmt: skip
    return size, out, kernel, options


def _inputs(rng, *names):
    """Names of the inputs, sometimes without the last one, the bias. (The reference refuses one that is there but absent, -1.)"""
    return names[:-1] if rng.random() < 0.2 else names


def conv2d(rng, *, weight_bits=8) -> bytes:
    """CONV_2D with every attribute, sometimes in groups. (The reference refuses one of int8 without a bias.)"""
    size, out, kernel, options = _window(rng)
    groups = int(rng.integers(2, 5)) if rng.random() < 0.3 else 1
    depth, cout = int(rng.integers(1, 20 // groups)), groups * int(rng.integers(1, 24 // groups))
    batch, source_scale = batch_of(rng), scale_of(rng)
    weights, bias, output_scale = weights_of(rng, (cout, *kernel, depth), source_scale, kernel[0] * kernel[1] * depth, bits=weight_bits)
    tensors = [
        BuilderTensor("x", (batch, *size, groups * depth), scale=source_scale, zero_point=zero_point_of(rng)), weights, bias,
        BuilderTensor("y", (batch, *out, cout), scale=output_scale, zero_point=zero_point_of(rng)),
    ]  # fmt: skip
    return one_operator("CONV_2D", tensors, ("x", "weights", "bias"), ("y",), options)


def depthwise_conv2d(rng, *, weight_bits=8) -> bytes:
    """DEPTHWISE_CONV_2D with every attribute, sometimes with several filters a channel, sometimes without a bias."""
    size, out, kernel, options = _window(rng)
    cin, depth_multiplier = int(rng.integers(1, 20)), int(rng.integers(2, 9)) if rng.random() < 0.3 else 1
    batch, source_scale, cout = batch_of(rng), scale_of(rng), cin * depth_multiplier
    weights, bias, output_scale = weights_of(rng, (1, *kernel, cout), source_scale, kernel[0] * kernel[1], axis=3, bits=weight_bits)
    tensors = [
        BuilderTensor("x", (batch, *size, cin), scale=source_scale, zero_point=zero_point_of(rng)), weights, bias,
        BuilderTensor("y", (batch, *out, cout), scale=output_scale, zero_point=zero_point_of(rng)),
    ]  # fmt: skip
    options["depth_multiplier"] = int(rng.choice([depth_multiplier, 3]))  # the kernel does not look at it
    return one_operator("DEPTHWISE_CONV_2D", tensors, _inputs(rng, "x", "weights", "bias"), ("y",), options)


def transpose_conv(rng) -> bytes:
    """TRANSPOSE_CONV with every attribute, to any size from which its convolution comes back to the input's, sometimes without a bias."""
    kernel = [int(k) for k in rng.integers(1, 6, 2)]
    stride = [int(s) for s in rng.integers(1, 5, 2)]
    padding = str(rng.choice(["SAME", "VALID"]))
    size = [int(n) for n in rng.integers(1, 9, 2)]
    least = [(n - 1) * s + (1 if padding == "SAME" else k) for n, s, k in zip(size, stride, kernel)]
    out = [int(low + rng.integers(0, s)) for low, s in zip(least, stride)]
    cin, cout = int(rng.integers(1, 20)), int(rng.integers(1, 24))
    batch, source_scale = batch_of(rng), scale_of(rng)
    weights, bias, output_scale = weights_of(rng, (cout, *kernel, cin), source_scale, kernel[0] * kernel[1] * cin)
    tensors = [
        BuilderTensor("shape", (4,), "int32", data=np.array([batch, *out, cout])),
        BuilderTensor("x", (batch, *size, cin), scale=source_scale, zero_point=zero_point_of(rng)), weights, bias,
        BuilderTensor("y", (batch, *out, cout), scale=output_scale, zero_point=zero_point_of(rng)),
    ]  # fmt: skip
    options = {"padding": padding, "stride_h": stride[0], "stride_w": stride[1], "activation": activation_of(rng)}
    return one_operator("TRANSPOSE_CONV", tensors, _inputs(rng, "shape", "weights", "x", "bias"), ("y",), options)


def fully_connected(rng, *, weight_bits=8) -> bytes:
    """FULLY_CONNECTED, sometimes of several rows, sometimes without a bias."""
    rows, inputs, outputs = int(rng.integers(1, 6)), int(rng.integers(1, 300)), int(rng.integers(1, 40))
    source_scale = scale_of(rng)
    weights, bias, output_scale = weights_of(rng, (outputs, inputs), source_scale, inputs, bits=weight_bits)
    keep = bool(rng.random() < 0.3)
    tensors = [
        BuilderTensor("x", (1, rows, inputs) if keep else (rows, inputs), scale=source_scale, zero_point=zero_point_of(rng)), weights,
        BuilderTensor("y", (1, rows, outputs) if keep else (rows, outputs), scale=output_scale, zero_point=zero_point_of(rng)), bias,
    ]  # fmt: skip
    names = ("x", "weights", None if rng.random() < 0.2 else "bias")
    return one_operator("FULLY_CONNECTED", tensors, names, ("y",), {"keep_num_dims": keep, "activation": activation_of(rng)})
