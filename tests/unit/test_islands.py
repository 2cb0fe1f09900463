"""Float islands in networks of bytes: tables and movements in their place, exact to the reference interpreter, or the island as it was."""

import builtins

import numpy as np
import pytest

from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from tests.machine_checks import assert_exact
from tests.random_islands import random_island
from tests.reference import run_reference
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.evaluate import evaluate
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.islands import interpreted, with_islands

LENGTH, IN_TEST, IN_TEST_ALL = 12, 5, 60
REALS = ("DEQUANTIZE", "QUANTIZE")


def every_byte(graph, rng):
    """Inputs with every byte in them, as often as there is room."""
    values = {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        every = rng.permutation(np.resize(np.arange(256), max(tensor.size, 256)))[: tensor.size]
        values[name] = every.astype(np.uint8).view(tensor.dtype).reshape(tensor.shape)
    return values


def assert_all_bytes(graph):
    """Nothing of the network is a real number any more."""
    assert [each.title for each in graph.operators if each.op in REALS] == []
    assert {graph.tensors[name].dtype for each in graph.operators for name in each.outputs} <= {"int8", "uint8"}


def check(rng, read, *, machine):
    """A random island against the interpreter, and the golden machine against the operators."""
    model = random_island(rng, LENGTH)
    graph = read(model)
    assert_all_bytes(graph)
    for _ in range(3):
        inputs = every_byte(graph, rng)
        computed, expected = evaluate(graph, inputs), run_reference(model, [inputs[name] for name in graph.inputs])
        for name in graph.outputs:
            assert np.array_equal(computed[name], expected[name]), f"{name}\n{graph}"
    if machine:
        assert_exact(graph, PRESETS["small"], inputs=inputs)


@pytest.mark.parametrize("number", range(IN_TEST))
def test_random_islands_equal_the_reference(number, read, seed):
    check(np.random.default_rng([seed, number]), read, machine=True)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(IN_TEST, IN_TEST + IN_TEST_ALL))
def test_many_random_islands_equal_the_reference(number, read, seed):
    check(np.random.default_rng([seed, number]), read, machine=True)
