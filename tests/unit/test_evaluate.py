"""The golden operators, through frontend and parameters, against the TFLite reference kernels: every element of every tensor."""

import numpy as np
import pytest
from PIL import Image

from hw.npu.errors import WeftError
from tests import random_operators
from tests.reference import run_reference
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.evaluate import EVALUATORS, evaluate
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.limits import SUPPORTED

COUNT = 60


def compare(graph, inputs, model):
    """Fail at the first wrong element of any tensor; returns how many elements were compared."""
    got, expected = evaluate(graph, inputs), run_reference(model, [inputs[name] for name in graph.inputs])
    for name, values in got.items():
        assert values.dtype == expected[name].dtype
        assert values.shape == expected[name].shape
        wrong = np.argwhere(values != expected[name])
        assert not wrong.size, (
            f"tensor {name} {values.shape}: {len(wrong)} wrong, first at {tuple(wrong[0])}: "
            f"expected {expected[name][tuple(wrong[0])]}, got {values[tuple(wrong[0])]}\n{graph}"
        )
    return sum(values.size for values in got.values())


def read(tmp_path, model):
    path = tmp_path / "model.tflite"
    path.write_bytes(model)
    return read_tflite(path)


def random_inputs(rng, graph):
    return {name: random_operators.random_value(rng, graph.tensors[name].shape, graph.tensors[name].dtype) for name in graph.inputs}


@pytest.mark.parametrize("op", SUPPORTED)
def test_random_operators_equal_the_reference(op, seed, tmp_path):
    rng = np.random.default_rng([seed, *op.encode()])
    for _ in range(COUNT):
        model = random_operators.OPERATORS[op](rng)
        graph = read(tmp_path, model)
        compare(graph, random_inputs(rng, graph), model)


def test_every_supported_operator_has_an_evaluator_and_a_generator():
    assert set(EVALUATORS) == set(SUPPORTED) == set(random_operators.OPERATORS)


def test_softmax_of_every_difference_equals_the_reference(tmp_path):
    """Rows of two elements with each of the 256 differences, at scales around those that networks have."""
    x = np.stack([np.full(256, 127), 127 - np.arange(256)], axis=1).astype(np.int8)
    for scale in (0.001, 0.01, 0.0625, 0.1, 0.24, 1.0, 3.7):
        tensors = [BuilderTensor("x", x.shape, scale=scale), BuilderTensor("y", x.shape, scale=1 / 256, zero_point=-128)]
        model = build_model(tensors, [BuilderOperator("SOFTMAX", ("x",), ("y",))], ["x"], ["y"])
        compare(read(tmp_path, model), {"x": x}, model)


@pytest.mark.parametrize("input_kind", ["cat", "random"])
def test_every_tensor_of_resnet8_equals_the_reference(models, input_kind, seed):
    path = models / "mlperf_ic_resnet8_int8.tflite"
    graph = read_tflite(path)
    if input_kind == "cat":
        with Image.open(models / "inputs" / "cat.bmp") as picture:
            pixels = np.asarray(picture.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR))
        x = (pixels.astype(np.int16) - 128).astype(np.int8)[None]
    else:
        x = random_operators.random_bytes(np.random.default_rng(seed), (1, 32, 32, 3))
    assert compare(graph, {graph.inputs[0]: x}, path.read_bytes()) == 117_908


def test_every_tensor_of_the_autoencoder_equals_the_reference(models, seed):
    path = models / "mlperf_ad_fcae_int8.tflite"
    graph = read_tflite(path)
    compare(graph, random_inputs(np.random.default_rng(seed), graph), path.read_bytes())


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "input 'x' has no value"),
        ({"x": np.zeros((9, 2), np.int8)}, "must be int8"),
        ({"c": np.zeros(1, np.int8)}, "there is no input 'c'"),
    ],
)
def test_wrong_inputs_are_refused(tmp_path, seed, inputs, message):
    graph = read(tmp_path, random_operators.OPERATORS["SOFTMAX"](np.random.default_rng(seed)))
    with pytest.raises(WeftError, match=message):
        evaluate(graph, inputs)
