"""Random quantized graphs, built without a file: for compiler and machine against the golden operators."""

import numpy as np

from golden.geometry import output_size
from weft.compiler.graph import Graph, Operator, Quantization, Tensor


class GraphMaker:
    """Grows a graph operator by operator from one input; every tensor is int8.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        Of the input.
    """

    def __init__(self, rng: np.random.Generator, shape: tuple):
        self.rng, self.tensors, self.operators = rng, {}, []
        self.first = self.tensor("input", shape)

    def tensor(self, name, shape, *, data=None, scale=None, zero_point=None, axis=0):
        scale = (float(np.float32(self.rng.uniform(0.02, 0.2))),) if scale is None else scale
        zero_point = (int(self.rng.integers(-128, 128)),) if zero_point is None else zero_point
        dtype = "int8" if data is None else str(data.dtype)
        self.tensors[name] = Tensor(name, tuple(int(n) for n in shape), dtype, Quantization(scale, zero_point, axis), data)
        return name

    def _operator(self, op, inputs, shape, options, like=None):
        name = f"{op.lower()}_{len(self.operators)}"
        alike = {} if like is None else {"scale": like.quantization.scale, "zero_point": like.quantization.zero_point}
        output = self.tensor(f"{name}_out", shape, **alike)
        self.operators.append(Operator(name, op, tuple(inputs), (output,), options))
        return output

    def _weights(self, shape, per_channel):
        name, channels = f"w{len(self.operators)}", shape[0]
        count = channels if per_channel else 1
        fan_in = int(np.prod(shape[1:]))
        scale = tuple(float(s) for s in (self.rng.uniform(0.2, 1.5, count) / np.sqrt(fan_in) / 10).astype(np.float32))
        self.tensor(name, shape, data=self.rng.integers(-127, 128, shape).astype(np.int8), scale=scale, zero_point=(0,) * count)
        bias = self.rng.integers(-20000, 20000, channels).astype(np.int32)
        self.tensor(f"b{len(self.operators)}", (channels,), data=bias, scale=(1.0,), zero_point=(0,))
        return name, f"b{len(self.operators)}"

    def _activation(self):
        return str(self.rng.choice(["NONE", "RELU", "RELU6"]))

    def conv(self, source, channels, kernel, *, stride=(1, 1), dilation=(1, 1), padding="SAME", per_channel=True):
        shape = self.tensors[source].shape
        weights, bias = self._weights((channels, *kernel, shape[3]), per_channel)
        size = [output_size(padding, shape[1 + i], kernel[i], stride[i], dilation[i]) for i in (0, 1)]
        options = {"padding": padding, "stride_h": stride[0], "stride_w": stride[1], "activation": self._activation()}
        options |= {"dilation_h": dilation[0], "dilation_w": dilation[1]}
        return self._operator("CONV_2D", (source, weights, bias), (shape[0], *size, channels), options)

    def depthwise(self, source, kernel, *, stride=(1, 1), dilation=(1, 1), padding="SAME"):
        shape = self.tensors[source].shape
        weights, bias = self._weights((shape[3], *kernel), True)
        old = self.tensors[weights]
        data = np.ascontiguousarray(old.data.transpose(1, 2, 0))[None]
        self.tensor(weights, data.shape, data=data, scale=old.quantization.scale, zero_point=old.quantization.zero_point, axis=3)
        size = [output_size(padding, shape[1 + i], kernel[i], stride[i], dilation[i]) for i in (0, 1)]
        options = {"padding": padding, "stride_h": stride[0], "stride_w": stride[1], "activation": self._activation()}
        options |= {"dilation_h": dilation[0], "dilation_w": dilation[1], "depth_multiplier": 1}
        return self._operator("DEPTHWISE_CONV_2D", (source, weights, bias), (shape[0], *size, shape[3]), options)

    def fully_connected(self, source, channels, *, pixels=1, per_channel=False):
        size = self.tensors[source].size
        weights, bias = self._weights((channels, size // pixels), per_channel)
        return self._operator("FULLY_CONNECTED", (source, weights, bias), (pixels, channels), {"activation": self._activation()})

    def add(self, first, second):
        return self._operator("ADD", (first, second), self.tensors[first].shape, {"activation": self._activation()})

    def pool(self, op, source, kernel, *, stride=(1, 1), padding="SAME"):
        shape = self.tensors[source].shape
        size = [output_size(padding, shape[1 + i], kernel[i], stride[i]) for i in (0, 1)]
        options = {"padding": padding, "stride_h": stride[0], "stride_w": stride[1], "activation": self._activation()}
        options |= {"filter_height": kernel[0], "filter_width": kernel[1]}
        return self._operator(op, (source,), (shape[0], *size, shape[3]), options, like=self.tensors[source])

    def pad(self, source, top, bottom, left, right):
        shape = self.tensors[source].shape
        amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        name = f"p{len(self.operators)}"
        self.tensors[name] = Tensor(name, (4, 2), "int32", None, amounts)
        size = (1, shape[1] + top + bottom, shape[2] + left + right, shape[3])
        return self._operator("PAD", (source, name), size, {}, like=self.tensors[source])

    def reshape(self, source, shape):
        return self._operator("RESHAPE", (source,), shape, {"new_shape": shape}, like=self.tensors[source])

    def softmax(self, source):
        return self._operator("SOFTMAX", (source,), self.tensors[source].shape, {"beta": 1.0})

    def quantize(self, source):
        return self._operator("QUANTIZE", (source,), self.tensors[source].shape, {})

    def graph(self, *outputs) -> Graph:
        return Graph("random", "random.tflite", self.tensors, tuple(self.operators), ("input",), outputs)


def random_network(seed: int) -> Graph:
    """Five to ten operators of all kinds, with branches, ending in two outputs."""
    rng = np.random.default_rng(seed)
    maker = GraphMaker(rng, (1, int(rng.integers(3, 20)), int(rng.integers(3, 20)), int(rng.integers(1, 20))))
    images = ["input"]
    for _ in range(int(rng.integers(5, 11))):
        source = images[int(rng.integers(max(0, len(images) - 3), len(images)))]
        shape = maker.tensors[source].shape
        same = [name for name in images if maker.tensors[name].shape == shape]
        kernel = (int(rng.integers(1, min(4, shape[1]) + 1)), int(rng.integers(1, min(4, shape[2]) + 1)))
        stride = (int(rng.integers(1, 3)), int(rng.integers(1, 3))) if min(shape[1:3]) > 6 else (1, 1)
        padding = "SAME" if min(shape[1:3]) < 8 else str(rng.choice(["SAME", "VALID"]))
        kind = rng.choice(["conv", "conv", "conv", "add", "average", "max", "pad", "quantize"])
        if kind == "conv":
            made = maker.conv(source, int(rng.choice([shape[3], rng.integers(1, 70)])), kernel, stride=stride, padding=padding)
        elif kind == "add":
            made = maker.add(source, str(rng.choice(same)))
        elif kind == "pad":
            made = maker.pad(source, *(int(n) for n in rng.integers(0, 3, 4)))
        elif kind == "quantize":
            made = maker.quantize(source)
        else:
            made = maker.pool("AVERAGE_POOL_2D" if kind == "average" else "MAX_POOL_2D", source, kernel, stride=stride, padding=padding)
        images.append(made)
    flat = maker.reshape(images[-1], (1, maker.tensors[images[-1]].size))
    return maker.graph(maker.fully_connected(flat, int(rng.integers(1, 60))), images[-2])


def inverted_residual(size: int, channels: int) -> Graph:
    """An image, six times as many channels between, and a sum at the end: what is needed at a time is seven or eight times the image."""
    maker = GraphMaker(np.random.default_rng(0), (1, size, size, 3))
    first = maker.conv("input", channels, (1, 1))
    wide = maker.depthwise(maker.conv(first, 6 * channels, (1, 1)), (3, 3))
    total = maker.add(maker.conv(wide, channels, (1, 1)), first)
    return maker.graph(maker.conv(total, channels, (1, 1)))
