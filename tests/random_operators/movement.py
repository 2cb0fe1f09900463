"""Random operators that move data without changing it."""

import numpy as np

from tests.random_operators.values import one_operator, scale_of, zero_point_of
from tests.tflite_builder import BuilderTensor


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
