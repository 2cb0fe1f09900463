"""The golden operators, through frontend and parameters, against the TFLite reference kernels: every element of every tensor."""

import time

import numpy as np
import pytest
from PIL import Image

from hw.npu.errors import WeftError
from tests import random_operators
from tests.int4_networks import int4_copy
from tests.reference import run_reference, without_last_operator
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.evaluate import EVALUATORS, evaluate
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.limits import SUPPORTED

COUNT = 60


def compare(graph, inputs, model, *, without=()):
    """Fail at the first wrong element of any tensor, `without` some; returns how many elements were compared."""
    got, expected = evaluate(graph, inputs), run_reference(model, [inputs[name] for name in graph.inputs])
    for name in without:
        del got[name]
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


NETWORKS = {
    "mlperf_ad_fcae_int8": 2_312,
    "mlperf_ic_resnet8_int8": 117_908,
    "mlperf_kws_dscnn_int8": 72_642,
    "mlperf_sww_int8": 16_086,
    "mlperf_vww_mbv1_025_96_int8": 259_716,
    "tflm_person_detect_int8": 241_030,
    "coral_mbv2_224_ptq_int8": 7_200_836,
}
"""Networks, and how many elements their tensors have together, the input's included."""
LARGE_NETWORKS = {"synth_mobilenet_v1_224_int8": 5_196_240, "synth_resnet50_224_int8": 17_452_220}
FLAT_NETWORKS = ("synth_mobilenet_v1_224_int8",)
"""Networks whose random weights make all classes alike, where the reference SOFTMAX aborts: they are compared without it."""
PICTURES = {
    "mlperf_ic_resnet8_int8": ("cat", "RGB"),
    "mlperf_vww_mbv1_025_96_int8": ("person", "RGB"),
    "tflm_person_detect_int8": ("person", "L"),
    "coral_mbv2_224_ptq_int8": ("grace_hopper", "RGB"),
}
"""A picture for a network, and Pillow's name of its colours."""


def picture(models, graph, name, colours):
    """A picture as a network's input: its bytes, shifted by 128 where the input is signed."""
    tensor = graph.tensors[graph.inputs[0]]
    with Image.open(models / "inputs" / f"{name}.bmp") as image:
        resized = image.convert(colours).resize(tensor.shape[2:0:-1], Image.Resampling.BILINEAR)
    pixels = np.asarray(resized).reshape(tensor.shape)
    return pixels if tensor.dtype == "uint8" else (pixels.astype(np.int16) - 128).astype(np.int8)


def compare_network(folder, name, inputs) -> int:
    """Compare every tensor of a network; `inputs` makes them from the graph."""
    path = folder / f"{name}.tflite"
    graph, model = read_tflite(path), path.read_bytes()
    if name in FLAT_NETWORKS:
        return compare(graph, inputs(graph), without_last_operator(model), without=graph.outputs)
    return compare(graph, inputs(graph), model)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_of_a_network_equals_the_reference(models, name, seed):
    assert compare_network(models, name, lambda graph: random_inputs(np.random.default_rng(seed), graph)) == NETWORKS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE_NETWORKS)
def test_every_tensor_of_a_large_network_equals_the_reference(models, name, seed):
    assert compare_network(models, name, lambda graph: random_inputs(np.random.default_rng(seed), graph)) == LARGE_NETWORKS[name]


def compare_rounded(models, tmp_path, name, seed) -> int:
    """Compare every tensor of a network with int4 weights in all layers that can have them."""
    assert int4_copy(models / f"{name}.tflite", tmp_path / f"{name}.tflite")
    return compare_network(tmp_path, name, lambda graph: random_inputs(np.random.default_rng(seed), graph))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_of_a_network_rounded_to_int4_equals_the_reference(models, tmp_path, name, seed):
    assert compare_rounded(models, tmp_path, name, seed) == NETWORKS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE_NETWORKS)
def test_every_tensor_of_a_large_network_rounded_to_int4_equals_the_reference(models, tmp_path, name, seed):
    assert compare_rounded(models, tmp_path, name, seed) == LARGE_NETWORKS[name]


@pytest.mark.parametrize("name", PICTURES)
def test_every_tensor_of_a_picture_equals_the_reference(models, name):
    compare_network(models, name, lambda graph: {graph.inputs[0]: picture(models, graph, *PICTURES[name])})


def test_the_keyword_network_scores_901_of_1000(models):
    """The score of the reference kernels on the accuracy set of MLPerf Tiny (``README.md`` of the models)."""
    graph = read_tflite(models / "mlperf_kws_dscnn_int8.tflite")
    with np.load(models / "inputs" / "mlperf_kws_1000.npz") as data:
        x, labels = data["x"], data["y"]
    answers = [evaluate(graph, {graph.inputs[0]: keyword[None]})[graph.outputs[0]].argmax() for keyword in x]
    assert (np.array(answers) == labels).sum() == 901


def test_resnet50_is_evaluated_in_half_a_minute(models, seed):
    graph = read_tflite(models / "synth_resnet50_224_int8.tflite")
    inputs = random_inputs(np.random.default_rng(seed), graph)
    start = time.process_time()
    evaluate(graph, inputs)
    assert time.process_time() - start < 30


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
