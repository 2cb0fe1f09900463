"""Limits of convolutions, means, resizes and operators of two tensors: each on both sides, and the sentence that refuses."""

import numpy as np
import pytest

from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from tests import random_operators
from tests.machine_checks import assert_exact
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.graph import Graph


def image(name, *shape, scale=1.0, **fields):
    return BuilderTensor(name, shape, scale=scale, **fields)


def weights(*shape, scale=0.1):
    return BuilderTensor("w", shape, scale=scale, data=np.zeros(shape))


def integers(name, *values, dtype="int32"):
    return BuilderTensor(name, (len(values),), dtype, data=np.array(values))


def pair(*shapes, **fields):
    """Operands a and b and a result y."""
    return [image(name, *shape, **fields) for name, shape in zip("aby", shapes)]


VALID = {"padding": "VALID"}
DEPTHWISE = [image("x", 1, 5, 5, 3), weights(1, 3, 3, 6), image("y", 1, 3, 3, 6)]
TRANSPOSED = [integers("s", 1, 8, 8, 2), weights(2, 3, 3, 3), image("x", 1, 4, 4, 3), image("y", 1, 8, 8, 2)]
MEAN = [image("x", 1, 4, 4, 3), integers("i", 1, 2), image("y", 1, 3)]
RESIZE = [image("x", 1, 4, 4, 3), integers("i", 8, 7), image("y", 1, 8, 7, 3)]
MANY = (2, 1, 3, 2, 1, 2, 2)


def changed(tensors, *replacements):
    """The tensors, some replaced by others of their name."""
    new = {tensor.name: tensor for tensor in replacements}
    return [new.get(tensor.name, tensor) for tensor in tensors]


READ = {
    "a depthwise convolution": ("DEPTHWISE_CONV_2D", DEPTHWISE, "xw", VALID),
    "a transposed convolution": ("TRANSPOSE_CONV", TRANSPOSED, "swx", {"stride_h": 2, "stride_w": 2}),
    "a mean": ("MEAN", MEAN, "xi", {}),
    "a mean of the last axes": ("MEAN", changed(MEAN, integers("i", -2, -3), image("y", 1, 1, 1, 3)), "xi", {"keep_dims": True}),
    "a largest value": ("REDUCE_MAX", changed(MEAN, integers("i", -1, 3), image("y", 1, 4, 4)), "xi", {}),
    "a smallest value": ("REDUCE_MIN", MEAN, "xi", {}),
    "a sum": ("SUM", changed(MEAN, image("y", 1, 3, scale=4.0)), "xi", {}),
    "a resize": ("RESIZE_NEAREST_NEIGHBOR", RESIZE, "xi", {"half_pixel_centers": True}),
    "six dimensions": ("ADD", pair(MANY[1:], (2, 2), MANY[1:]), "ab", {}),
    "seven dimensions of one shape": ("ADD", pair(MANY, MANY, MANY), "ab", {}),
}
"""What is read: operator, tensors, names of its inputs, options."""

REFUSED = {
    "depthwise channels": (
        "DEPTHWISE_CONV_2D", changed(DEPTHWISE, weights(1, 3, 3, 5)), "xw", VALID,
        "the input's channels divide the output's; here [1, 3, 3, 5] for an input of [1, 5, 5, 3]",
    ),
    "depthwise axis": (
        "DEPTHWISE_CONV_2D", changed(DEPTHWISE, weights(1, 3, 3, 6, scale=[0.1] * 6)), "xw", VALID,
        "here 6 scales along dimension 0 of [1, 3, 3, 6]",
    ),
    "depthwise output": (
        "DEPTHWISE_CONV_2D", changed(DEPTHWISE, image("y", 1, 5, 5, 6)), "xw", VALID,
        "must be what the padding gives; here [1, 5, 5, 6] instead of [1, 3, 3, 6]",
    ),
    "transposed size": (
        "TRANSPOSE_CONV", TRANSPOSED, "swx", {},
        "the input's size must be what the padding gives for the output's; here [4, 4] instead of [8, 8]",
    ),
    "transposed shape": (
        "TRANSPOSE_CONV", changed(TRANSPOSED, integers("s", 1, 8, 9, 2)), "swx", {},
        "a channel for each of the weights'; here [1, 8, 9, 2] for an output of [1, 8, 8, 2]",
    ),
    "transposed channels": (
        "TRANSPOSE_CONV", changed(TRANSPOSED, weights(2, 3, 3, 4)), "swx", {}, "here [2, 3, 3, 4] for an input of [1, 4, 4, 3]",
    ),
    "mean axis": ("MEAN", changed(MEAN, integers("i", 4)), "xi", {}, "must be a constant int32 of dimensions of the input; here 4 of 4"),
    "mean axes type": ("MEAN", changed(MEAN, integers("i", 1, 2, dtype="int64")), "xi", {}, "here int64"),
    "mean output": ("MEAN", MEAN, "xi", {"keep_dims": True}, "here [1, 3] instead of [1, 1, 1, 3]"),
    "mean type": ("MEAN", changed(MEAN, image("y", 1, 3, dtype="uint8")), "xi", {}, "must both be int8 or both be uint8"),
    "mean factor": ("MEAN", changed(MEAN, image("x", 1, 4, 4, 3, scale=1e30)), "xi", {}, "must be below 2^30; here 2^"),
    "largest axis": ("REDUCE_MAX", changed(MEAN, integers("i", -5)), "xi", {}, "here -5 of 4"),
    "smallest output": ("REDUCE_MIN", MEAN, "xi", {"keep_dims": True}, "here [1, 3] instead of [1, 1, 1, 3]"),
    "largest scale": (
        "REDUCE_MAX", changed(MEAN, image("y", 1, 3, scale=2.0)), "xi", {}, "must have the same scale and zero point; here",
    ),
    "sum output": ("SUM", MEAN, "xi", {"keep_dims": True}, "here [1, 3] instead of [1, 1, 1, 3]"),
    "sum zero point": ("SUM", changed(MEAN, image("y", 1, 3, zero_point=-5)), "xi", {}, "as an unsigned byte whatever the type; here -5"),
    "sum factor": ("SUM", changed(MEAN, image("x", 1, 4, 4, 3, scale=1e30)), "xi", {}, "must be below 2^30; here 2^"),
    "resize size": ("RESIZE_BILINEAR", changed(RESIZE, integers("i", 8, 8)), "xi", {}, "here [8, 8] for [1, 4, 4, 3] to [1, 8, 7, 3]"),
    "resize corners": (
        "RESIZE_BILINEAR", RESIZE, "xi", {"align_corners": True, "half_pixel_centers": True}, "must not both be set; here both",
    ),
    "resize beyond the end": (
        "RESIZE_BILINEAR", changed(RESIZE, integers("i", 8, 5000), image("y", 1, 8, 5000, 3)), "xi", {"align_corners": True},
        "here width 4 to 5000, where 5000 steps of 1/1024 lead to 4.88",
    ),
    "resize scale": (
        "RESIZE_BILINEAR", changed(RESIZE, image("x", 1, 4, 4, 3, scale=2.0)), "xi", {}, "must have the same scale and zero point; here",
    ),
    "shapes": (
        "SUB", pair((1, 2, 3), (1, 2, 2), (1, 2, 3)), "ab", {}, "at most 6 dimensions; here [1, 2, 3] and [1, 2, 2] for [1, 2, 3]",
    ),
    "output shape": ("MUL", pair((1, 2, 1), (1, 1, 3), (1, 2, 1)), "ab", {}, "here [1, 2, 1] and [1, 1, 3] for [1, 2, 1]"),
    "seven dimensions": ("ADD", pair(MANY, (2,), MANY), "ab", {}, "broadcast to it in at most 6 dimensions; here"),
    "two constants that are not folded": (
        "MUL", [*(image(n, 1, 2, dtype="uint8", data=np.zeros((1, 2))) for n in "ab"), image("x", 1, 2), image("y", 1, 2)], "ab", {},
        "here two constants",
    ),
    "mul factor": ("MUL", pair((1, 2), (1, 2), (1, 2), scale=1e15), "ab", {}, "must be below 2^30; here 2^"),
    "square factor": (
        "SQUARED_DIFFERENCE", pair((1, 2), (1, 2), (1, 2), scale=1e14), "ab", {}, "below 2^12, else the reference aborts; here 1e+14",
    ),
    "extremum": (
        "MAXIMUM", changed(pair((1, 2), (1, 2), (1, 2)), image("b", 1, 2, scale=2.0)), "ab", {}, "must have the same scale and zero point",
    ),
    "prelu": ("PRELU", pair((1, 2, 1), (1, 1, 3), (1, 2, 3)), "ab", {}, "whose shape is the output's; here [1, 2, 1] for [1, 2, 3]"),
    "prelu factor": (
        "PRELU", changed(pair((1, 2), (2,), (1, 2)), image("a", 1, 2, scale=1e30)), "ab", {}, "must be below 2^30; here 2^",
    ),
}  # fmt: skip
"""As `READ`, and a part of the message."""


def read(tmp_path, op, tensors, names, options) -> Graph:
    """The graph of one operator."""
    path = tmp_path / "net.tflite"
    inputs = [tensor.name for tensor in tensors if tensor.data is None and tensor.name != "y"]
    path.write_bytes(build_model(tensors, [BuilderOperator(op, tuple(names), ("y",), options)], inputs, ["y"]))
    return read_tflite(path)


@pytest.mark.parametrize("what", READ)
def test_a_limit_holds_on_its_good_side(tmp_path, what):
    op, *rest = READ[what]
    assert read(tmp_path, op, *rest).operators[0].op == op


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_limit_is_named_with_its_value(tmp_path, mistake):
    *case, expected = REFUSED[mistake]
    with pytest.raises(WeftError) as caught:
        read(tmp_path, *case)
    message = str(caught.value)
    assert expected in message
    assert f"net.tflite: layer {case[0].lower().replace('_2d', '2d')}_0 (y): {case[0]}: " in message
    assert "\n" not in message


ARITHMETIC = (
    "ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "MAXIMUM", "MEAN", "MINIMUM", "MUL", "PRELU", "REDUCE_MAX", "REDUCE_MIN", "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR", "SQUARED_DIFFERENCE", "SUB", "SUM", "TRANSPOSE_CONV",
)  # fmt: skip


@pytest.mark.parametrize("op", ARITHMETIC)
def test_an_operator_is_exact_on_the_machine_or_one_clear_error(op, seed, tmp_path):
    """What the compiler does not lower yet must neither be a traceback nor another result."""
    rng, path = np.random.default_rng([seed, *op.encode()]), tmp_path / "net.tflite"
    for _ in range(5):
        path.write_bytes(random_operators.OPERATORS[op](rng))
        graph = read_tflite(path)
        try:
            assert_exact(graph, PRESETS["small"], seed=seed)
        except WeftError as error:
            message = str(error)
            assert "\n" not in message
            assert f"net.tflite: layer {graph.operators[0].title}: {op}: " in message
