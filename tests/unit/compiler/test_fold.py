"""Shape arithmetic disappears; what remains computes what the reference interpreter does."""

import numpy as np
import pytest

from tests.network_checks import assert_outputs_equal_the_reference, constant, message_of
from tests.random_operators import random_bytes
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model


def plain(name, shape, dtype="int32"):
    return BuilderTensor(name, shape, dtype)


def shapes(**changes) -> bytes:
    """X is reshaped to what SHAPE, STRIDED_SLICE, GATHER, CAST, REDUCE_PROD, ADD and PACK make of its shape; `changes` replace tensors."""
    tensors = {
        "x": BuilderTensor("x", (1, 3, 4, 5), scale=0.5),
        "shape": plain("shape", (4,)),
        "zero": constant("zero", [0]), "one": constant("one", [1]), "two": constant("two", [2]), "height": constant("height", [1, 2]),
        "batch": plain("batch", ()), "sides": plain("sides", (2,)), "wide": plain("wide", (2,), "int64"), "narrow": plain("narrow", (2,)),
        "area": plain("area", ()), "axis": constant("axis", [0]), "last": constant("last", 3), "channels": plain("channels", ()),
        "doubled": plain("doubled", ()), "pixels": plain("pixels", (3,)), "sum": plain("sum", (3,)), "minus": constant("minus", [0, 0, -5]),
        "unread": plain("unread", (4,)),
        "y": BuilderTensor("y", (1, 12, 5), scale=0.5), "z": BuilderTensor("z", (1, 12, 5), scale=0.25, zero_point=-128),
    }  # fmt: skip
    tensors |= changes
    operators = [
        BuilderOperator("SHAPE", ("x",), ("shape",)),
        BuilderOperator("STRIDED_SLICE", ("shape", "zero", "one", "one"), ("batch",), {"shrink_axis_mask": 1}),
        BuilderOperator("GATHER", ("shape", "height"), ("sides",)),
        BuilderOperator("CAST", ("sides",), ("wide",)),
        BuilderOperator("CAST", ("wide",), ("narrow",)),
        BuilderOperator("REDUCE_PROD", ("narrow", "axis"), ("area",)),
        BuilderOperator("GATHER", ("shape", "last"), ("channels",)),
        BuilderOperator("ADD", ("channels", "channels"), ("doubled",)),
        BuilderOperator("MUL", ("shape", "shape"), ("unread",)),
        BuilderOperator("PACK", ("batch", "area", "doubled"), ("pixels",), {"values_count": 3}),
        BuilderOperator("ADD", ("pixels", "minus"), ("sum",)),
        BuilderOperator("RESHAPE", ("x", "sum"), ("y",)),
        BuilderOperator("RELU", ("y",), ("z",)),
    ]
    return build_model(list(tensors.values()), operators, ["x"], ["z"])


def test_shape_arithmetic_is_folded_and_equals_the_reference(read, seed):
    model = shapes()
    graph = read(model)
    assert [operator.op for operator in graph.operators] == ["RESHAPE", "RELU"]
    assert sorted(graph.tensors) == ["sum", "x", "y", "z"]
    assert graph.tensors["sum"].data.tolist() == [1, 12, 5]
    assert not graph.tensors["sum"].data.flags.writeable
    assert_outputs_equal_the_reference(graph, model, seed)


def test_a_dynamic_batch_is_one(read, seed):
    model = shapes(x=BuilderTensor("x", (1, 3, 4, 5), scale=0.5, shape_signature=(-1, 3, 4, 5)))
    assert_outputs_equal_the_reference(read(model), model, seed)


def test_a_folded_shape_that_differs_from_the_file_is_refused(read):
    message = message_of(read, shapes(sides=plain("sides", (3,))))
    assert "GATHER: its numbers must lie inside the axis" in message
    assert "here [3] instead of [2]" in message
    message = message_of(read, shapes(shape=plain("shape", (5,))))
    assert "SHAPE: the constant shape is int32 [4], but the file says int32 [5]" in message
    assert "convert the network again with fixed input shapes" in message
    message = message_of(read, shapes(minus=constant("minus", [0, 1, -5])))
    assert "RESHAPE: the new shape must be a constant that is the output's shape" in message
    assert "here [1, 13, 5] for [1, 12, 5]" in message


def test_numbers_outside_a_constant_are_refused(read):
    assert "here 1 to 4 of 4" in message_of(read, shapes(height=constant("height", [1, 4])))
    assert "here -1 to 2 of 4" in message_of(read, shapes(height=constant("height", [-1, 2])))


FILLED_WRONG = "its constants do not fit together: [1, 12] for an output of [1, 12, 5]"


@pytest.mark.parametrize(("dims", "refused"), [([1, 12, 5], None), ([1, 12], FILLED_WRONG)])
def test_fill_range_and_quantize_make_constants(read, dims, refused):
    """Bytes that FILL and QUANTIZE make are joined to the input; nobody reads what RANGE makes."""
    tensors = [
        BuilderTensor("x", (1, 12, 5), scale=0.5), constant("dims", dims), constant("value", 7, "float32"),
        plain("filled", (1, 12, 5), "float32"), BuilderTensor("bytes", (1, 12, 5), scale=0.5), BuilderTensor("y", (1, 24, 5), scale=0.5),
        constant("start", 2), constant("limit", 9), constant("step", 3), plain("range", (3,)),
    ]  # fmt: skip
    operators = [
        BuilderOperator("FILL", ("dims", "value"), ("filled",)),
        BuilderOperator("QUANTIZE", ("filled",), ("bytes",)),
        BuilderOperator("RANGE", ("start", "limit", "step"), ("range",)),
        BuilderOperator("CONCATENATION", ("x", "bytes"), ("y",), {"axis": 1}),
    ]
    model = build_model(tensors, operators, ["x"], ["y"])
    if refused:
        assert refused in message_of(read, model)
        return
    graph = read(model)
    assert [operator.op for operator in graph.operators] == ["CONCATENATION"]
    assert (graph.tensors["bytes"].data == 14).all()
    assert_outputs_equal_the_reference(graph, model, 1)


def test_arithmetic_of_a_computed_tensor_is_not_supported(read):
    tensors = [BuilderTensor("x", (1, 4), scale=0.5), plain("y", (1, 4))]
    message = message_of(read, build_model(tensors, [BuilderOperator("CAST", ("x",), ("y",))], ["x"], ["y"]))
    assert "layer cast_0 (y): CAST: supported only where its inputs are constants or shapes, not computed; " in message


def test_weights_that_the_file_transposes_are_constant(read, seed):
    """A converter may leave TRANSPOSE and RESHAPE of a constant in front of a convolution."""
    rng = np.random.default_rng(seed)
    values = np.maximum(random_bytes(rng, (3, 3, 2, 4)), -127)
    tensors = [
        BuilderTensor("x", (1, 5, 6, 2), scale=0.5), BuilderTensor("stored", (3, 3, 2, 4), scale=0.01, data=values),
        constant("order", [3, 0, 1, 2]), BuilderTensor("weights", (4, 3, 3, 2), scale=0.01), constant("new", [4]),
        BuilderTensor("bytes", (1, 4), "int32", data=rng.integers(-500, 500, (1, 4))), BuilderTensor("bias", (4,), "int32"),
        BuilderTensor("y", (1, 3, 4, 4), scale=0.5, zero_point=-3),
    ]  # fmt: skip
    operators = [
        BuilderOperator("TRANSPOSE", ("stored", "order"), ("weights",)),
        BuilderOperator("RESHAPE", ("bytes", "new"), ("bias",), {"new_shape": (4,)}),
        BuilderOperator("CONV_2D", ("x", "weights", "bias"), ("y",), {"padding": "VALID"}),
    ]
    graph = read(build_model(tensors, operators, ["x"], ["y"]))
    assert [operator.op for operator in graph.operators] == ["CONV_2D"]
    assert np.array_equal(graph.tensors["weights"].data, values.transpose(3, 0, 1, 2))
    # the interpreter refuses computed weights of its own, so that it gets the folded file
    folded = [BuilderTensor("x", (1, 5, 6, 2), scale=0.5), tensors[-1]]
    folded += [BuilderTensor("weights", (4, 3, 3, 2), scale=0.01, data=graph.tensors["weights"].data)]
    folded += [BuilderTensor("bias", (4,), "int32", scale=0.005, data=tensors[5].data.reshape(4))]
    assert_outputs_equal_the_reference(graph, build_model(folded, operators[-1:], ["x"], ["y"]), seed)


def test_constants_of_float16_are_float32(read):
    """A converter keeps what it cannot quantize as float16, and a DEQUANTIZE that does nothing else."""
    values = np.array([[0.1, -2, 7, 65504]], np.float16)
    tensors = [
        BuilderTensor("x", (1, 4), scale=0.5), BuilderTensor("half", (1, 4), "float16", data=values), plain("real", (1, 4), "float32"),
        BuilderTensor("bytes", (1, 4), scale=0.5), BuilderTensor("y", (2, 4), scale=0.5),
    ]  # fmt: skip
    operators = [
        BuilderOperator("DEQUANTIZE", ("half",), ("real",)), BuilderOperator("QUANTIZE", ("real",), ("bytes",)),
        BuilderOperator("CONCATENATION", ("x", "bytes"), ("y",), {"axis": 0}),
    ]  # fmt: skip
    model = build_model(tensors, operators, ["x"], ["y"])
    graph = read(model)
    assert [operator.op for operator in graph.operators] == ["CONCATENATION"]
    assert_outputs_equal_the_reference(graph, model, 1)
