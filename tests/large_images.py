"""Networks of one operator whose tensors are larger than the scratchpad: they run in bands of rows, or windows part by part."""

from dataclasses import replace

import numpy as np

from tests.random_graphs import GraphMaker
from weft.compiler.graph import Graph, Tensor


def _pair(maker, image, op):
    """MAXIMUM or MINIMUM of the image with a constant that broadcasts, or with another image."""
    like, channels = maker.tensors[image], maker.tensors[image].shape[3]
    if maker.rng.random() < 0.5:
        other = maker.conv(image, channels, (1, 1))
        maker.tensors[other] = replace(maker.tensors[other], quantization=like.quantization)
    else:
        other = maker.tensor("k", (1, 1, channels), data=maker.rng.integers(-128, 128, (1, 1, channels)).astype(np.int8))
        maker.tensors[other] = replace(maker.tensors[other], quantization=like.quantization)
    return maker._operator(op, maker.rng.permutation([image, other]).tolist(), like.shape, {}, like=like)


def _prelu(maker, image):
    shape = maker.tensors[image].shape
    maker.tensor("alpha", (1, 1, shape[3]), data=maker.rng.integers(-128, 128, (1, 1, shape[3])).astype(np.int8))
    return maker._operator("PRELU", (image, "alpha"), shape, {})


def _mean(maker, image, axes, keep):
    return _reduction(maker, image, "MEAN", axes, keep)


def _reduction(maker, image, op, axes, keep, **fields):
    shape = maker.tensors[image].shape
    maker.tensors["axes"] = Tensor("axes", (len(axes),), "int32", None, np.array(axes, np.int32))
    sizes = [1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes]
    return maker._operator(op, (image, "axes"), sizes, {"keep_dims": keep}, **fields)


def _pool(maker, image, op):
    """A window of all of the image, or of most of it."""
    height, width = maker.tensors[image].shape[1:3]
    if maker.rng.random() < 0.5:
        return maker.pool(op, image, (height, width), stride=(1, 1), padding="VALID")
    kernel = height - int(maker.rng.integers(0, 5)), int(maker.rng.integers(1, width + 1))
    stride = tuple(int(maker.rng.integers(1, side + 1)) for side in kernel)
    return maker.pool(op, image, kernel, stride=stride, padding=str(maker.rng.choice(["SAME", "VALID"])))


def _excited(maker, image):
    """Squeeze and excite: the image times a function of its own mean."""
    scale = maker.conv(_mean(maker, image, (1, 2), True), maker.tensors[image].shape[3], (1, 1))
    return maker._operator("MUL", (image, scale), maker.tensors[image].shape, {"activation": "NONE"})


def _softmax_beside_a_filter(maker, image):
    """SOFTMAX of an image of which a filter reads more rows at a time: its ring turns in the middle of a band."""
    made = maker.conv(image, maker.tensors[image].shape[3], (1, 1))
    return maker.add(maker.softmax(made), maker.depthwise(made, (5, 3)))


KINDS = {
    "MAXIMUM": lambda maker, image: _pair(maker, image, "MAXIMUM"),
    "MINIMUM": lambda maker, image: _pair(maker, image, "MINIMUM"),
    "PRELU": _prelu,
    "SOFTMAX": lambda maker, image: maker.softmax(image),
    "SOFTMAX beside a filter": _softmax_beside_a_filter,
    "MEAN of all pixels": lambda maker, image: _mean(maker, image, (1, 2), bool(maker.rng.random() < 0.5)),
    "MEAN of rows": lambda maker, image: _mean(maker, image, (1,), False),
    "REDUCE_MIN of all pixels": lambda maker, image: _reduction(maker, image, "REDUCE_MIN", (1, 2), False, like=maker.tensors[image]),
    "AVERAGE_POOL_2D": lambda maker, image: _pool(maker, image, "AVERAGE_POOL_2D"),
    "MAX_POOL_2D": lambda maker, image: _pool(maker, image, "MAX_POOL_2D"),
    "squeeze and excite": _excited,
}
"""For each kind a function of a `GraphMaker` and an image that gives the network's output."""
WINDOWED = ("MEAN of all pixels", "MEAN of rows", "REDUCE_MIN of all pixels", "AVERAGE_POOL_2D", "MAX_POOL_2D", "squeeze and excite")
"""Kinds in which a window has more rows than the scratchpad."""


def large_image(kind: str, rng: np.random.Generator, size: int, row: int) -> Graph:
    """A network of a kind on an image of more than `size` bytes, whose rows have at most `row` bytes."""
    channels = int(rng.choice([1, 3, 4, 8, 16, 20, 24]))
    width = max(1, row // channels - int(rng.integers(0, 9)))
    maker = GraphMaker(rng, (1, -(-size // (width * channels)) + int(rng.integers(1, 9)), width, channels))
    image = "input"
    if rng.random() < 0.3:  # the image may come from another layer as well
        image = maker.conv(image, channels, (1, 1))
    return maker.graph(KINDS[kind](maker, image))
