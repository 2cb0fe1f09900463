"""Random operators of two tensors, element by element."""

import numpy as np

from tests.random_operators.values import activation_of, one_operator, scale_of, zero_point_of
from tests.tflite_builder import BuilderTensor


def add(rng) -> bytes:
    """ADD of two tensors of different scales."""
    shape = (1, *(int(n) for n in rng.integers(1, 12, 3)))
    scales = scale_of(rng), scale_of(rng)
    output_scale = float(np.float32(max(scales) * 2.0 ** rng.uniform(-2, 2)))
    tensors = [
        BuilderTensor(name, shape, scale=scale, zero_point=zero_point_of(rng)) for name, scale in zip("aby", (*scales, output_scale))
    ]
    return one_operator("ADD", tensors, ("a", "b"), ("y",), {"activation": activation_of(rng)})
