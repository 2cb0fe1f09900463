"""Random functions of one tensor."""

import numpy as np

from tests.random_operators.values import one_operator, scale_of, zero_point_of
from tests.tflite_builder import BuilderTensor


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
