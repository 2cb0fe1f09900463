"""Random operators that reduce a tensor or resize an image."""

import numpy as np

from tests.random_operators.values import batch_of, one_operator, scale_of, zero_point_of
from tests.tflite_builder import BuilderTensor


def _reduction(rng):
    """Any axes of one to five dimensions, negative and repeated ones too: shapes of input and output, the axes, whether they are kept."""
    rank = int(rng.integers(1, 6))
    shape = tuple(int(n) for n in rng.integers(1, [0, 400, 40, 16, 9, 5][rank], rank))
    axes = rng.integers(-rank, rank, int(rng.integers(1, rank + 1))).astype(np.int32)
    reduced, keep = {int(axis) % rank for axis in axes}, bool(rng.random() < 0.5)
    out = tuple(1 if i in reduced else n for i, n in enumerate(shape) if keep or i not in reduced)
    return shape, out, BuilderTensor("axes", axes.shape, "int32", data=axes), keep


def mean(rng) -> bytes:
    """MEAN."""
    shape, out, axes, keep = _reduction(rng)
    dtype, scale = str(rng.choice(["int8", "int8", "uint8"])), scale_of(rng)
    output_scale = scale if rng.random() < 0.3 else float(np.float32(scale * 2.0 ** rng.uniform(-2, 2)))
    zero_point = zero_point_of(rng, dtype)
    tensors = [
        BuilderTensor("x", shape, dtype, scale=scale, zero_point=zero_point),
        axes,
        BuilderTensor("y", out, dtype, scale=output_scale, zero_point=zero_point if rng.random() < 0.5 else zero_point_of(rng, dtype)),
    ]
    return one_operator("MEAN", tensors, ("x", "axes"), ("y",), {"keep_dims": keep})


def reduce_sum(rng) -> bytes:
    """SUM, of an output scale around that of independent values; what the reference writes is unsigned: no zero point below 0."""
    shape, out, axes, keep = _reduction(rng)
    dtype, scale = str(rng.choice(["int8", "uint8"])), scale_of(rng)
    count = np.prod(shape, dtype=np.float64) / np.prod(out, dtype=np.float64)
    output_scale = scale if rng.random() < 0.2 else float(np.float32(scale * count**0.5 * 2.0 ** rng.uniform(-2, 3)))
    tensors = [
        BuilderTensor("x", shape, dtype, scale=scale, zero_point=zero_point_of(rng, dtype)),
        axes,
        BuilderTensor("y", out, dtype, scale=output_scale, zero_point=zero_point_of(rng, dtype) & (127 if dtype == "int8" else 255)),
    ]
    return one_operator("SUM", tensors, ("x", "axes"), ("y",), {"keep_dims": keep})


def _extreme(op, rng) -> bytes:
    shape, out, axes, keep = _reduction(rng)
    dtype = str(rng.choice(["int8", "int8", "uint8"]))
    quantization = {"scale": scale_of(rng), "zero_point": zero_point_of(rng, dtype)}
    tensors = [BuilderTensor("x", shape, dtype, **quantization), axes, BuilderTensor("y", out, dtype, **quantization)]
    return one_operator(op, tensors, ("x", "axes"), ("y",), {"keep_dims": keep})


def reduce_max(rng) -> bytes:
    """REDUCE_MAX."""
    return _extreme("REDUCE_MAX", rng)


def reduce_min(rng) -> bytes:
    """REDUCE_MIN."""
    return _extreme("REDUCE_MIN", rng)


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
