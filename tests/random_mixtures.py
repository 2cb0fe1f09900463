"""Random networks of all kinds of operators: what stands beside what decides which fusions meet, and what the memory plan has to hold."""

import numpy as np

from golden.geometry import output_size
from tests.random_graphs import GraphMaker
from weft.compiler.graph import Tensor

FUNCTIONS = ("RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH", "TANH", "QUANTIZE", "LOGISTIC")


class MixtureMaker(GraphMaker):
    """A `GraphMaker` that knows more operators; each method adds one to an image and gives its output's name."""

    def shape(self, name):
        return self.tensors[name].shape

    def numbers(self, values):
        """A constant int32 that counts or places elements."""
        data = np.array(values, np.int32)
        name = f"n{len(self.tensors)}"
        self.tensors[name] = Tensor(name, data.shape, "int32", None, data)
        return name

    def like(self, source):
        return self.tensors[source]

    def depthwise(self, source, multiplier, kernel, *, stride=(1, 1), dilation=(1, 1), padding="SAME"):
        shape = self.shape(source)
        channels = shape[3] * multiplier
        weights, bias = self._weights((channels, *kernel, 1), True)
        tensor = self.tensors[weights]
        data = np.ascontiguousarray(tensor.data.transpose(3, 1, 2, 0))
        scale = tuple(s / 3 for s in tensor.quantization.scale)
        self.tensor(weights, data.shape, data=data, scale=tuple(float(np.float32(s)) for s in scale), zero_point=(0,) * channels, axis=3)
        size = [output_size(padding, shape[1 + i], kernel[i], stride[i], dilation[i]) for i in (0, 1)]
        options = {"padding": padding, "stride_h": stride[0], "stride_w": stride[1], "activation": self._activation()}
        options |= {"dilation_h": dilation[0], "dilation_w": dilation[1]}
        return self._operator("DEPTHWISE_CONV_2D", (source, weights, bias), (1, *size, channels), options)

    def grouped(self, source, groups, channels, kernel):
        shape = self.shape(source)
        weights, bias = self._weights((groups * channels, *kernel, shape[3] // groups), True)
        options = {"padding": "SAME", "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "activation": "NONE"}
        return self._operator("CONV_2D", (source, weights, bias), (*shape[:3], groups * channels), options)

    def transposed(self, source, channels, kernel, stride):
        shape = self.shape(source)
        weights, bias = self._weights((channels, *kernel, shape[3]), True)
        size = [n * s for n, s in zip(shape[1:3], stride)]
        options = {"padding": "SAME", "stride_h": stride[0], "stride_w": stride[1], "activation": self._activation()}
        given = self.numbers([1, *size, channels])
        return self._operator("TRANSPOSE_CONV", (given, weights, source, bias), (1, *size, channels), options)

    def function(self, op, source):
        if op in ("RELU", "RELU6") and self.rng.random() < 0.5:
            return self._operator(op, (source,), self.shape(source), {}, like=self.like(source))  # a clamp
        return self._operator(op, (source,), self.shape(source), {"alpha": 0.25} if op == "LEAKY_RELU" else {})

    def pair(self, op, first, second):
        shape = np.broadcast_shapes(self.shape(first), self.shape(second))
        output = self._operator(op, (first, second), shape, {"activation": self._activation()})
        if op == "MUL":
            scale = float(np.float32(self.like(first).scale * self.like(second).scale * 40))
            self.tensor(output, shape, scale=(scale,))
        return output

    def extremum(self, op, first, second):
        return self._operator(op, (first, second), self.shape(first), {}, like=self.like(first))

    def alpha(self, shape):
        data = self.rng.integers(-128, 128, shape).astype(np.int8)
        return self.tensor(f"alpha{len(self.tensors)}", shape, data=data, scale=(0.01,))

    def prelu(self, source):
        return self._operator("PRELU", (source, self.alpha((1, 1, self.shape(source)[3]))), self.shape(source), {})

    def concatenate(self, sources, axis):
        shape = list(self.shape(sources[0]))
        shape[axis] = sum(self.shape(name)[axis] for name in sources)
        return self._operator("CONCATENATION", sources, shape, {"axis": axis, "activation": "NONE"}, like=self.like(sources[0]))

    def slice(self, source, axis):
        shape, begin = list(self.shape(source)), [0, 0, 0, 0]
        begin[axis] = int(self.rng.integers(0, shape[axis]))
        shape[axis] = int(self.rng.integers(1, shape[axis] - begin[axis] + 1))
        return self._operator("SLICE", (source, self.numbers(begin), self.numbers(shape)), shape, {}, like=self.like(source))

    def transpose(self, source, axes):
        shape = tuple(self.shape(source)[axis] for axis in axes)
        return self._operator("TRANSPOSE", (source, self.numbers(axes)), shape, {}, like=self.like(source))

    def mean(self, source):
        shape = self.shape(source)
        return self._operator("MEAN", (source, self.numbers([1, 2])), (1, 1, 1, shape[3]), {"keep_dims": True})

    def enlarged(self, source, factor):
        _, h, w, _ = self.shape(source)
        half = bool(self.rng.random() < 0.5)
        return self.resized(str(self.rng.choice(["RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"])), source, (h * factor, w * factor), half)

    def resized(self, op, source, size, half=True):
        n, _, _, c = self.shape(source)
        options = {"align_corners": False, "half_pixel_centers": half}
        return self._operator(op, (source, self.numbers(size)), (n, *size, c), options, like=self.like(source))


def next_image(maker: MixtureMaker, source: str, images: list[str]) -> str:
    """One more image."""
    rng, shape = maker.rng, maker.shape(source)
    kernel = (int(rng.integers(1, min(4, shape[1]) + 1)), int(rng.integers(1, min(4, shape[2]) + 1)))
    stride = (int(rng.integers(1, 3)), int(rng.integers(1, 3))) if min(shape[1:3]) > 6 else (1, 1)
    same = [name for name in images if maker.shape(name) == shape]
    choices = {
        "conv": lambda: maker.conv(source, int(rng.integers(1, 50)), kernel, stride=stride),
        "depthwise": lambda: maker.depthwise(source, 1, kernel, stride=stride),
        "multiplied": lambda: maker.depthwise(source, int(rng.integers(2, 4)), kernel),
        "dilated": lambda: maker.depthwise(source, 1, kernel, dilation=(2, 2)),
        "grouped": lambda: maker.grouped(source, int(rng.choice([d for d in range(1, shape[3] + 1) if shape[3] % d == 0])), 3, kernel),
        "transposed": lambda: maker.transposed(source, int(rng.integers(1, 20)), kernel, (2, 2)),
        "function": lambda: maker.function(str(rng.choice(FUNCTIONS)), source),
        "padded": lambda: maker.depthwise(maker.pad(source, 1, 1, 1, 1), 1, kernel, padding="VALID"),
        "add": lambda: maker.pair(str(rng.choice(["ADD", "SUB", "MUL"])), source, str(rng.choice(same))),
        "gate": lambda: maker.pair("MUL", source, maker.function("LOGISTIC", maker.mean(source))),
        "constant": lambda: maker.pair(str(rng.choice(["ADD", "SUB", "MUL"])), source, maker.alpha((shape[3],))),
        "extremum": lambda: maker.extremum(str(rng.choice(["MAXIMUM", "MINIMUM"])), source, str(rng.choice(same))),
        "prelu": lambda: maker.prelu(source),
        "join": lambda: maker.concatenate([source, maker.function("QUANTIZE", source)], int(rng.integers(1, 4))),
        "branches": lambda: maker.concatenate(
            [
                maker.conv(source, int(rng.integers(1, 30)), (1, 1)),
                maker.conv(source, 16, kernel),
                maker.pool("MAX_POOL_2D", source, kernel),
            ],
            3,
        ),
        "slice": lambda: maker.slice(source, int(rng.integers(1, 4))),
        "pool": lambda: maker.pool("AVERAGE_POOL_2D", source, kernel, stride=stride),
        "enlarged": lambda: maker.enlarged(source, 2),
    }
    large = shape[1] * shape[2] * shape[3] > 6000
    names = [name for name in choices if not (large and name in ("enlarged", "transposed", "multiplied", "join", "branches"))]
    return choices[str(rng.choice(names))]()
