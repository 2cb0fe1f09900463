"""REDUCE_MAX and REDUCE_MIN: exact over every set of axes, in as many steps as the dimensions ask for."""

import itertools

import numpy as np
import pytest

from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from hw.npu.interface.isa import Opcode
from tests.machine_checks import assert_exact
from tests.network_checks import assert_outputs_equal_the_reference
from tests.random_operators import random_value
from tests.reference import run_reference
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.driver import compile_graph
from weft.compiler.evaluate import evaluate
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.select import select

SMALL = PRESETS["small"]
SHAPES = ((2, 3, 5, 7), (1, 6, 5, 20), (2, 2, 3, 2, 32))


def network(path, op, shape, axes, dtype="int8") -> bytes:
    """Writes a network of one reduction; its content."""
    result = [n for i, n in enumerate(shape) if i not in axes]
    tensors = [BuilderTensor("x", shape, dtype, scale=0.5), BuilderTensor("a", (len(axes),), "int32", data=np.array(axes))]
    tensors.append(BuilderTensor("y", tuple(result), dtype, scale=0.5))
    content = build_model(tensors, [BuilderOperator(op, ("x", "a"), ("y",))], ["x"], ["y"])
    path.write_bytes(content)
    return content


@pytest.mark.parametrize("op", ["REDUCE_MAX", "REDUCE_MIN"])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_every_set_of_axes_is_exact(op, dtype, seed, tmp_path):
    path, steps, rng = tmp_path / "net.tflite", set(), np.random.default_rng(seed)
    for shape in SHAPES:
        for count in range(1, len(shape) + 1):
            for axes in itertools.combinations(range(len(shape)), count):
                content = network(path, op, shape, axes, dtype)
                graph = read_tflite(path)
                assert_exact(graph, SMALL, seed=seed)
                steps.add(sum(step.opcode == Opcode.MAX for step in select(graph, SMALL).steps))
        x = random_value(rng, shape, dtype)
        assert np.array_equal(run_reference(content, [x])["y"], evaluate(graph, {"x": x})["y"])
    assert steps >= {1, 2, 3}, "some take one step, some one for each run of dimensions"


def test_channels_are_compared_as_vectors_before_one_by_one(tmp_path):
    """The largest of 64 channels of 100 pixels: 4 vectors of 16 each, then 16 bytes, not 64."""
    network(tmp_path / "net.tflite", "REDUCE_MAX", (1, 10, 10, 64), (3,))
    sides = [(step.image.channels, step.kernel) for step in select(read_tflite(tmp_path / "net.tflite"), SMALL).steps]
    assert sides == [(16, (1, 4)), (1, (1, 16))]


def test_a_run_too_long_for_a_window_is_refused_with_its_dimensions(tmp_path):
    network(tmp_path / "net.tflite", "REDUCE_MAX", (3, 257, 5), (1,))
    with pytest.raises(
        WeftError, match=r"does not compare dimensions \[1\] of \[3, 257, 5\]; make its length a product of numbers up to 255"
    ):
        compile_graph(read_tflite(tmp_path / "net.tflite"), SMALL)


def test_a_global_pool_written_as_a_reduction_is_exact(cases, seed):
    path = cases / "c08b_globalmaxpool.tflite"
    assert_outputs_equal_the_reference(read_tflite(path), path.read_bytes(), seed)
    assert_exact(read_tflite(path), SMALL, seed=seed)
