"""The TFLite frontend: what it reads, and that every file it cannot read ends in one clear line."""

import time

import numpy as np
import pytest

from hw.npu.errors import WeftError
from tests import random_operators
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.evaluate import evaluate
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.limits import LIMITS, SUPPORTED


def chain(**changes) -> bytes:
    """CONV_2D, AVERAGE_POOL_2D, RESHAPE, FULLY_CONNECTED, SOFTMAX; `changes` replace a tensor's fields or an operator's options."""
    rng = np.random.default_rng(0)
    fields = {
        "x": {"shape": (1, 8, 8, 3), "scale": 0.5, "zero_point": 3},
        "w": {"shape": (4, 3, 3, 3), "scale": [0.1, 0.2, 0.3, 0.4], "data": rng.integers(-127, 128, (4, 3, 3, 3))},
        "b": {"shape": (4,), "dtype": "int32", "scale": [0.05, 0.1, 0.15, 0.2], "data": np.arange(4)},
        "block/conv;joined": {"shape": (1, 8, 8, 4), "scale": 2.0, "zero_point": -128},
        "pool": {"shape": (1, 1, 1, 4), "scale": 2.0, "zero_point": -128},
        "shape": {"shape": (2,), "dtype": "int32", "data": np.array([1, 4])},
        "flat": {"shape": (1, 4), "scale": 2.0, "zero_point": -128},
        "w2": {"shape": (2, 4), "scale": 0.1, "data": rng.integers(-127, 128, (2, 4))},
        "logits": {"shape": (1, 2), "scale": 1.0},
        "y": {"shape": (1, 2), "scale": 1 / 256, "zero_point": -128},
    }
    options = {
        "CONV_2D": {"padding": "SAME", "activation": "RELU"},
        "AVERAGE_POOL_2D": {"padding": "VALID", "filter_height": 8, "filter_width": 8},
        "SOFTMAX": {},
    }
    for name, change in changes.items():
        (options if name in options else fields)[name].update(change)
    conv = "block/conv;joined"
    operators = [
        BuilderOperator("CONV_2D", ("x", "w", "b"), (conv,), options["CONV_2D"]),
        BuilderOperator("AVERAGE_POOL_2D", (conv,), ("pool",), options["AVERAGE_POOL_2D"]),
        BuilderOperator("RESHAPE", ("pool", "shape"), ("flat",)),
        BuilderOperator("FULLY_CONNECTED", ("flat", "w2", None), ("logits",)),
        BuilderOperator("SOFTMAX", ("logits",), ("y",), options["SOFTMAX"]),
    ]
    return build_model([BuilderTensor(name, **values) for name, values in fields.items()], operators, ["x"], ["y"])


def message_of(read, content) -> str:
    """The one line that refuses a file."""
    with pytest.raises(WeftError) as caught:
        read(content)
    message = str(caught.value)
    assert "net.tflite" in message
    assert "\n" not in message
    return message


def test_a_network_is_read_whole(read):
    graph = read(chain())
    assert graph.name == "net"
    assert (graph.inputs, graph.outputs) == (("x",), ("y",))
    assert [op.name for op in graph.operators] == ["conv2d_0", "average_pool2d_0", "reshape_0", "fully_connected_0", "softmax_0"]
    conv = graph.operators[0]
    assert conv.title == "conv2d_0 (block/conv)"
    assert conv.options == {
        "stride_h": 1, "stride_w": 1, "padding": "SAME", "dilation_h": 1, "dilation_w": 1, "activation": "RELU",
    }  # fmt: skip
    weights = graph.input(conv, 1)
    assert (weights.shape, weights.dtype, weights.quantization.axis) == ((4, 3, 3, 3), "int8", 0)
    assert weights.quantization.scale == tuple(float(np.float32(s)) for s in (0.1, 0.2, 0.3, 0.4))
    assert np.array_equal(weights.data, np.random.default_rng(0).integers(-127, 128, (4, 3, 3, 3)))
    assert not weights.data.flags.writeable
    assert (graph.tensors["x"].scale, graph.tensors["x"].zero_point) == (0.5, 3)
    assert graph.input(graph.operators[3], 2) is None


def test_tensors_of_one_name_become_unique(read):
    tensors = [BuilderTensor(name, (1, 2), scale=1.0) for name in ("x", "y", "z")]
    model = build_model(tensors, [BuilderOperator("RESHAPE", ("x",), ("y",)), BuilderOperator("RESHAPE", ("y",), ("z",))], ["x"], ["z"])
    graph = read(model.replace(b"z\0", b"x\0").replace(b"y\0", b"x\0"))
    assert list(graph.tensors) == ["x", "x#2", "x#3"]
    assert graph.operators[1].inputs == ("x#2",)


@pytest.mark.parametrize("op", SUPPORTED)
def test_every_generated_operator_is_read(op, seed, read):
    rng = np.random.default_rng(seed)
    for _ in range(5):
        assert read(random_operators.OPERATORS[op](rng)).operators[0].op == op


def test_resnet50_is_read_in_a_second(models):
    start = time.process_time()
    graph = read_tflite(models / "synth_resnet50_224_int8.tflite")
    assert time.process_time() - start < 1
    assert len(graph.operators) == 75


# Files that are not networks


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeftError, match=r"none\.tflite: no such file; give the path"):
        read_tflite(tmp_path / "none.tflite")


def test_a_folder_and_a_device_are_refused(tmp_path):
    for path in (tmp_path, "/dev/zero"):
        with pytest.raises(WeftError, match="is not a regular file"):
            read_tflite(path)


@pytest.mark.parametrize("content", [b"\0", b"TFL3", b"\x1c\0\0\0TFL2" + bytes(100), b"#!/bin/sh\necho hello\n", bytes(4096)])
def test_what_is_not_tflite_is_said(read, content):
    assert "is truncated or not a TFLite file: bytes 4 to 7" in message_of(read, content)


def test_an_empty_file_is_said(read):
    assert "net.tflite: is empty" in message_of(read, b"")


def test_only_the_identifier_is_not_enough(read):
    for content in (b"\0\0\0\0TFL3", b"\x08\0\0\0TFL3", b"\xff\xff\xff\xffTFL3", b"\x08\0\0\0TFL3" + bytes(64)):
        message_of(read, content)


def read_or_refuse(read, content, what):
    """Either a network, which then runs, or one line; anything else is a defect."""
    refused = None
    try:
        graph = read(content)
        if sum(tensor.size for tensor in graph.tensors.values()) < 100_000:
            evaluate(graph, {name: np.zeros(graph.tensors[name].shape, graph.tensors[name].dtype) for name in graph.inputs})
    except WeftError as error:
        refused = str(error)
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
    assert refused is None or "\n" not in refused, what
    return refused is None


def test_a_file_cut_at_any_byte_is_read_or_refused(read):
    model = chain()
    results = [read_or_refuse(read, model[:size], f"cut at {size}") for size in range(len(model))]
    assert not any(results[: len(model) // 2])


def test_changed_bytes_are_read_or_refused(read, seed):
    rng, model = np.random.default_rng(seed), chain()
    for trial in range(1500):
        changed = np.frombuffer(model, np.uint8).copy()
        where = rng.integers(8 if trial % 10 else 0, len(model), rng.integers(1, 5))
        changed[where] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, *rng.integers(0, 256, 3)], where.size)
        read_or_refuse(read, changed.tobytes(), f"seed {seed}, trial {trial}, bytes {where}")


def test_changed_words_are_read_or_refused(read):
    """Every 32-bit word in turn, as a length or offset that is far too large, negative or zero."""
    model = chain()
    for value in (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x00FFFFFF):
        for where in range(0, len(model) - 4, 4):
            changed = model[:where] + value.to_bytes(4, "little") + model[where + 4 :]
            read_or_refuse(read, changed, f"word at {where} = {value:#x}")


def test_random_bytes_are_refused(read, seed):
    rng = np.random.default_rng(seed)
    for trial in range(300):
        content = b"\x10\0\0\0TFL3" + rng.integers(0, 256, int(rng.integers(0, 3000)), np.uint8).tobytes()
        assert not read_or_refuse(read, content, f"seed {seed}, trial {trial}")


def test_resnet8_cut_or_changed_is_read_or_refused(read, models, seed):
    rng = np.random.default_rng(seed)
    model = (models / "mlperf_ic_resnet8_int8.tflite").read_bytes()
    for size in rng.integers(0, len(model), 60):
        read_or_refuse(read, model[:size], f"seed {seed}, cut at {size}")
    for _ in range(60):
        changed = np.frombuffer(model, np.uint8).copy()
        where = rng.integers(0, len(model), 40)
        changed[where] = rng.integers(0, 256, where.size)
        read_or_refuse(read, changed.tobytes(), f"seed {seed}, bytes {where}")


# Networks that are not supported


def as_float(*weights) -> dict:
    """Changes of `chain`: all activations are float32, and the given weights."""
    activations = ("x", "block/conv;joined", "pool", "flat", "logits", "y")
    real = {name: {"dtype": "float32", "scale": None} for name in (*activations, *weights)}
    return {**real, "b": {"dtype": "float32", "scale": None}}


def test_a_float_model_is_told_to_quantize(read):
    message = message_of(read, chain(**as_float("w", "w2")))
    assert "layer conv2d_0 (block/conv): is a float model: the weights of CONV_2D are float32" in message
    assert "quantize it to int8 (full integer quantization) first" in message


def test_a_hybrid_model_is_told_to_quantize(read):
    message = message_of(read, chain(**as_float()))
    assert "is a hybrid model: CONV_2D has int8 weights but float32 activations" in message


def test_a_network_without_operators_is_refused(read):
    assert "has no operators" in message_of(read, build_model([BuilderTensor("x", (1, 2), scale=1.0)], [], ["x"], ["x"]))


REFUSED = {
    "int16 activations": ({"x": {"dtype": "int16"}}, "activations must be int8; here x has type int16"),
    "uint8 activations": ({"x": {"dtype": "uint8"}}, "activations must be int8; here x has type uint8"),
    "int64 bias": ({"b": {"dtype": "int64"}}, "the bias must be a constant int32 for each output channel; here int64"),
    "short bias": ({"b": {"shape": (3,), "data": np.arange(3), "scale": None}}, "here int32 [3] for 4 channels"),
    "no images": ({"x": {"shape": (8, 8, 3)}}, "must be as many images, [batch, height, width, channels]; here x has shape [8, 8, 3]"),
    "two images": ({"x": {"shape": (2, 8, 8, 3)}}, "must be as many images, [batch, height, width, channels]; here [2, 8, 8, 3] and [1, "),
    "dynamic height": ({"x": {"shape_signature": (1, -1, 8, 3)}}, "has the shape [1, -1, 8, 3]; only fixed shapes are supported"),
    "enormous": ({"x": {"shape": (1, 1 << 20, 1 << 12, 3)}}, "has 12884901888 elements; at most 2147483647 are supported"),
    "size 0": ({"x": {"shape": (1, 0, 8, 3)}}, "only fixed shapes are supported"),
    "axis": ({"w": {"shape": (4, 3, 3, 3), "axis": 3}}, "here 4 scales along dimension 3"),
    "scales": ({"w": {"scale": [0.1, 0.2]}}, "here 2 scales along dimension 0 of [4, 3, 3, 3]"),
    "weight zero point": ({"w": {"zero_point": 1}}, "zero points of 0; here zero point 1"),
    "nan scale": ({"w": {"scale": float("nan")}}, "here a scale that is negative or not a number"),
    "activation scale 0": ({"x": {"scale": 0.0}}, "here x has scale 0 and zero point 3"),
    "activation scales": ({"x": {"scale": [0.1, 0.2, 0.3], "axis": 3}}, "here x has 3 scales"),
    "no scale": ({"x": {"scale": None}}, "here x has no quantization"),
    "zero point": ({"x": {"zero_point": 128}}, "here x has scale 0.5 and zero point 128"),
    "huge factor": ({"x": {"scale": 1e30}}, "must be below 2^30; here 2^"),
    "groups": ({"w": {"shape": (4, 3, 3, 1), "scale": 0.1, "data": np.zeros((4, 3, 3, 1))}}, "output channels too; here [4, 3, 3, 1]"),
    "group size": ({"w": {"shape": (4, 3, 3, 2), "scale": 0.1, "data": np.zeros((4, 3, 3, 2))}}, "here [4, 3, 3, 2] for an input of"),
    "computed weights": ({"w": {"data": None}}, "input tensor w is not written by any earlier operator"),
    "short weights": ({"w": {"data": np.zeros(107)}}, "needs 108 bytes, but the file holds 107"),
    "stride 0": ({"CONV_2D": {"stride_h": 0}}, "strides must be from 1 to 255; here 0x1"),
    "stride 256": ({"CONV_2D": {"stride_w": 256}}, "strides must be from 1 to 255; here 1x256"),
    "dilation": ({"CONV_2D": {"dilation_h": -1}}, "dilations must be from 1 to 255; here -1x1"),
    "output size": ({"CONV_2D": {"padding": "VALID"}}, "must be what the padding gives; here [1, 8, 8, 4] instead of [1, 6, 6, 4]"),
    "pool window": ({"AVERAGE_POOL_2D": {"filter_height": 256}}, "the window must be from 1x1 to 255x255; here 256x8"),
    "pool scales": ({"pool": {"scale": 1.0}}, "must have the same scale and zero point; here scale 2 and zero point -128 and scale 1"),
    "reshape": ({"flat": {"shape": (1, 5)}}, "must have the same number of elements; here [1, 1, 1, 4] and [1, 5]"),
    "matrix": ({"w2": {"shape": (2, 3), "data": np.zeros(6)}}, "weights must be [outputs, inputs]"),
    "matrix output": ({"logits": {"shape": (2,)}}, "here [2] instead of [1, 2]"),
    "softmax output": ({"y": {"scale": 1 / 128}}, "must have scale 1/256 and zero point -128; here scale 0.0078125"),
    "softmax beta": ({"SOFTMAX": {"beta": 0.0}}, "must be above 2^-26 and at most 32; here 0"),
}
"""For each mistake the change of `chain` that makes it, and a part of the message."""


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_limit_is_named_with_its_value(read, mistake):
    changes, expected = REFUSED[mistake]
    message = message_of(read, chain(**changes))
    assert expected in message
    assert "layer " in message
    assert "; " in message.split(expected)[1], "no remedy"


def test_limits_hold_on_their_last_good_value(read):
    wide = {"CONV_2D": {"stride_w": 255}, "block/conv;joined": {"shape": (1, 8, 1, 4)}, "AVERAGE_POOL_2D": {"filter_width": 1}}
    assert read(chain(**wide)).operators[0].options["stride_w"] == 255
    read(chain(x={"zero_point": 127}))
    read(chain(x={"shape_signature": (-1, 8, 8, 3)}))


def test_every_limit_has_a_sentence():
    for limits in LIMITS.values():
        for limit in limits:
            assert limit.__doc__, limit.__name__
            assert "\n" not in limit.__doc__, limit.__name__
            assert not limit.__doc__.endswith("."), limit.__name__
