"""Random operators that average a tensor or resize an image."""

import numpy as np

from tests.random_operators.values import batch_of, one_operator, scale_of, zero_point_of
from tests.tflite_builder import BuilderTensor


def mean(rng) -> bytes:
    """MEAN over any axes of one to five dimensions, negative and repeated ones too."""
    rank = int(rng.integers(1, 6))
    shape = tuple(int(n) for n in rng.integers(1, [0, 400, 40, 16, 9, 5][rank], rank))
    axes = rng.integers(-rank, rank, int(rng.integers(1, rank + 1))).astype(np.int32)
    reduced, keep = {int(axis) % rank for axis in axes}, bool(rng.random() < 0.5)
    out = tuple(1 if i in reduced else n for i, n in enumerate(shape) if keep or i not in reduced)
    dtype, scale = str(rng.choice(["int8", "int8", "uint8"])), scale_of(rng)
    output_scale = scale if rng.random() < 0.3 else float(np.float32(scale * 2.0 ** rng.uniform(-2, 2)))
    zero_point = zero_point_of(rng, dtype)
    tensors = [
        BuilderTensor("x", shape, dtype, scale=scale, zero_point=zero_point),
        BuilderTensor("axes", axes.shape, "int32", data=axes),
        BuilderTensor("y", out, dtype, scale=output_scale, zero_point=zero_point if rng.random() < 0.5 else zero_point_of(rng, dtype)),
    ]
    return one_operator("MEAN", tensors, ("x", "axes"), ("y",), {"keep_dims": keep})


def _resize(op, rng) -> bytes:
    size = [int(n) for n in rng.integers(1, 14, 2)]
    out = [int(n) for n in (rng.integers(1, 30, 2) if rng.random() < 0.5 else np.array(size) * rng.integers(1, 4))]
    batch, channels, scale, zero_point = batch_of(rng), int(rng.integers(1, 12)), scale_of(rng), zero_point_of(rng)
    alignment = [(False, False), (True, False), (False, True)][int(rng.integers(3))]
    tensors = [
        BuilderTensor("x", (batch, *size, channels), scale=scale, zero_point=zero_point),
        BuilderTensor("size", (2,), "int32", data=np.array(out)),
        BuilderTensor("y", (batch, *out, channels), scale=scale, zero_point=zero_point),
    ]
    options = dict(zip(("align_corners", "half_pixel_centers"), alignment))
    return one_operator(op, tensors, ("x", "size"), ("y",), options)


def resize_bilinear(rng) -> bytes:
    """RESIZE_BILINEAR up and down."""
    return _resize("RESIZE_BILINEAR", rng)


def resize_nearest_neighbor(rng) -> bytes:
    """RESIZE_NEAREST_NEIGHBOR up and down."""
    return _resize("RESIZE_NEAREST_NEIGHBOR", rng)
