"""The golden SUM against the reference kernels on random shapes."""

import numpy as np

from golden.operators.sum import reduce_sum
from tests.random_operators.values import one_operator, random_value, scale_of, zero_point_of
from tests.reference import run_reference
from tests.tflite_builder import BuilderTensor

COUNT = 60


def random_sum(rng):
    """A network of one SUM of either type; a third of them keeps the quantization."""
    dtype = str(rng.choice(["int8", "uint8"]))
    shape = tuple(int(n) for n in rng.integers(1, 9, int(rng.integers(1, 5))))
    axes = np.sort(rng.permutation(len(shape))[: int(rng.integers(1, len(shape) + 1))])
    keep = bool(rng.random() < 0.5)
    result = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
    source = {"scale": scale_of(rng), "zero_point": zero_point_of(rng, dtype)}
    count = int(np.prod([shape[axis] for axis in axes]))
    other = {"scale": float(np.float32(source["scale"] * count**0.5 * 2.0 ** rng.uniform(-3, 3))), "zero_point": zero_point_of(rng, dtype)}
    written = source if rng.random() < 1 / 3 else other
    tensors = [
        BuilderTensor("x", shape, dtype, **source),
        BuilderTensor("axes", (len(axes),), "int32", data=axes),
        BuilderTensor("y", tuple(result), dtype, **written),
    ]
    arguments = {"axes": tuple(int(axis) for axis in axes), "keep_dims": keep}
    arguments |= {f"input_{name}": value for name, value in source.items()} | {f"output_{name}": value for name, value in written.items()}
    return one_operator("SUM", tensors, ("x", "axes"), ("y",), {"keep_dims": keep}), random_value(rng, shape, dtype), arguments


def test_random_sums_equal_the_reference(seed):
    rng, compared = np.random.default_rng([seed, 12]), 0
    for _ in range(COUNT):
        model, x, arguments = random_sum(rng)
        expected, got = run_reference(model, [x])["y"], reduce_sum(x, **arguments)
        assert got.dtype == expected.dtype and got.shape == expected.shape
        assert np.array_equal(got, expected), (
            f"{x.dtype} {x.shape} {arguments}: expected {expected.reshape(-1)[:8]}, got {got.reshape(-1)[:8]}"
        )
        compared += got.size
    assert compared > COUNT
