"""Files with int4 weights: what is read, what is computed, and that everything else of 4 bits ends in one clear line."""

from pathlib import Path

import flatbuffers
import numpy as np
import pytest

from golden.operators import conv2d, depthwise_conv2d, fully_connected
from golden.requantize import requantize
from tests.int4_networks import int4_copy
from tests.network_checks import message_of, refusal
from tests.random_operators import INT4_OPERATORS, OPERATORS, random_value
from tests.random_operators.values import one_operator
from tests.reference import run_reference
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model, pack_int4
from weft.compiler.evaluate import evaluate
from weft.compiler.frontends.tflite import read_tflite

EDGE_QUANTIZER = Path(__file__).parents[1] / "data" / "edge_quantizer_int4.tflite"
"""Written by ai-edge-quantizer 0.10.0; ``data/make_edge_quantizer.py`` makes it."""
WEIGHTS = np.array([[-8, 7, 0], [1, -1, 5], [3, -8, -7]])
"""An odd number of them, as int4."""
COUNT = 300
"""Random networks of each operator."""


def matrix(**changes) -> bytes:
    """FULLY_CONNECTED of three inputs and outputs; `changes` replace a tensor's fields."""
    fields = {
        "x": {"shape": (1, 3), "scale": 0.5, "zero_point": 3},
        "w": {"shape": (3, 3), "dtype": "int4", "scale": [0.1, 0.2, 0.3], "data": WEIGHTS},
        "b": {"shape": (3,), "dtype": "int32", "scale": [0.05, 0.1, 0.15], "data": np.array([100, -50, 7])},
        "y": {"shape": (1, 3), "scale": 2.0},
    }
    for name, change in changes.items():
        fields[name].update(change)
    return one_operator("FULLY_CONNECTED", [BuilderTensor(name, **values) for name, values in fields.items()], ("x", "w", "b"), ("y",))


def changed_with_schema(content, change) -> bytes:
    """A file after `change`, which gets the newest schema's module and the file's only subgraph."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="pip install ai-edge-litert==2.3.0")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(schema, model.subgraphs[0])
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


# What is read


def test_two_weights_are_read_from_a_byte_the_first_from_its_lower_half(read):
    model = matrix()
    assert pack_int4(WEIGHTS).tobytes() == bytes([0x78, 0x10, 0x5F, 0x83, 0x09])
    assert model.count(bytes([0x78, 0x10, 0x5F, 0x83, 0x09])) == 1
    tensor = read(model).tensors["w"]
    assert (tensor.dtype, tensor.shape, tensor.data.dtype) == ("int4", (3, 3), np.int8)
    assert tensor.data.tolist() == WEIGHTS.tolist()
    assert not tensor.data.flags.writeable


def test_the_half_byte_behind_the_last_weight_means_nothing(read):
    model, packed = matrix(), pack_int4(WEIGHTS).tobytes()
    padded = model.replace(packed, packed[:-1] + bytes([packed[-1] | 0xF0]))
    assert padded != model
    x = np.array([[1, -2, 100]], np.int8)
    for content in (model, padded):
        graph = read(content)
        assert graph.tensors["w"].data.tolist() == WEIGHTS.tolist()
        assert np.array_equal(evaluate(graph, {"x": x})["y"], run_reference(content, [x])["y"])


@pytest.mark.parametrize("size", [4, 6, 9])
def test_the_bytes_of_int4_weights_are_counted_exactly(read, size):
    message = message_of(read, matrix(w={"dtype": "int4", "data": WEIGHTS.reshape(-1)[[0] * (2 * size)]}))
    assert f"tensor w of shape [3, 3] and type int4 needs 5 bytes, but the file holds {size}; convert the network again" in message


# What is refused


def refused_transpose_conv():
    rng = np.random.default_rng(0)
    tensors = [
        BuilderTensor("shape", (4,), "int32", data=np.array([1, 4, 4, 2])),
        BuilderTensor("w", (2, 2, 2, 3), "int4", scale=0.1, data=rng.integers(-8, 8, (2, 2, 2, 3))),
        BuilderTensor("x", (1, 2, 2, 3), scale=1.0),
        BuilderTensor("y", (1, 4, 4, 2), scale=1.0),
    ]
    return one_operator("TRANSPOSE_CONV", tensors, ("shape", "w", "x"), ("y",), {"stride_h": 2, "stride_w": 2})


def refused_output():
    tensors = [BuilderTensor("x", (1, 4), scale=1.0), BuilderTensor("w", (1, 4), "int4", scale=1.0)]
    return build_model(tensors, [BuilderOperator("QUANTIZE", ("x",), ("w",))], ["x"], ["w"])


def refused_addend():
    tensors = [BuilderTensor(name, (1, 9), scale=1.0) for name in "xy"]
    tensors.append(BuilderTensor("w", (1, 9), "int4", scale=1.0, data=WEIGHTS))
    return build_model(tensors, [BuilderOperator("ADD", ("x", "w"), ("y",))], ["x"], ["y"])


def refused_slice():
    """A slice of int4 weights, which would be folded."""
    numbers = [BuilderTensor(name, (2,), "int32", data=np.array(value)) for name, value in (("begin", [0, 0]), ("size", [3, 3]))]
    tensors = [
        BuilderTensor("x", (1, 3), scale=1.0), BuilderTensor("y", (1, 3), scale=1.0), BuilderTensor("part", (3, 3), "int4", scale=1.0),
        BuilderTensor("w", (3, 3), "int4", scale=1.0, data=WEIGHTS), *numbers,
    ]  # fmt: skip
    operators = [BuilderOperator("SLICE", ("w", "begin", "size"), ("part",)), BuilderOperator("FULLY_CONNECTED", ("x", "part"), ("y",))]
    return build_model(tensors, operators, ["x"], ["y"])


def unread_input():
    """An input of the network that nobody reads."""
    tensors = [BuilderTensor("x", (1, 4), scale=1.0), BuilderTensor("y", (1, 4), scale=1.0), BuilderTensor("w", (1, 4), "int4", scale=1.0)]
    return build_model(tensors, [BuilderOperator("RELU", ("x",), ("y",))], ["w", "x"], ["y"])


ONLY = "is int4, which is supported for constant weights of CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED only"
MISPLACED = {
    "activations": (lambda: matrix(x={"dtype": "int4"}), f"layer fully_connected_0 (y): input 0 of FULLY_CONNECTED, x, {ONLY}"),
    "output": (lambda: matrix(y={"dtype": "int4"}), f"layer fully_connected_0 (y): an output of FULLY_CONNECTED, y, {ONLY}"),
    "bias": (
        lambda: matrix(b={"dtype": "int4", "data": np.zeros(3)}),
        f"layer fully_connected_0 (y): input 2 of FULLY_CONNECTED, b, {ONLY}",
    ),
    "TRANSPOSE_CONV": (refused_transpose_conv, f"layer transpose_conv_0 (y): input 1 of TRANSPOSE_CONV, w, {ONLY}"),
    "result": (refused_output, f"layer quantize_0 (w): an output of QUANTIZE, w, {ONLY}"),
    "addend": (refused_addend, f"layer add_0 (y): input 1 of ADD, w, {ONLY}"),
    "folded": (refused_slice, f"layer slice_0 (part): input 0 of SLICE, w, {ONLY}"),
    "weights that are an input": (lambda: matrix(w={"data": None}), f"input 1 of FULLY_CONNECTED, w, {ONLY}"),
    "unread": (unread_input, f": an input or output of the network, w, {ONLY}"),
}
"""For each wrong place of an int4 tensor the file and a part of the message."""


@pytest.mark.parametrize("place", MISPLACED)
def test_int4_elsewhere_is_refused_with_layer_and_tensor(read, place):
    make, expected = MISPLACED[place]
    message = message_of(read, make())
    assert expected in message
    assert message.endswith("; quantize it to int8, a bias to int32")


def test_zero_points_of_int4_weights_are_refused(read):
    message = message_of(read, matrix(w={"zero_point": [0, -8, 0]}))
    assert "must have one scale, or one for each output channel along their dimension, and zero points of 0; here zero point -8" in message


def test_a_hybrid_model_of_int4_weights_is_told_to_quantize(read):
    message = message_of(read, matrix(x={"dtype": "float32", "scale": None}, y={"dtype": "float32", "scale": None}))
    assert "is a hybrid model: FULLY_CONNECTED has int4 weights but float32 activations; quantize the activations too" in message


@pytest.mark.parametrize("name", ["INT2", "UINT4", "FLOAT8_E4M3FN", "FLOAT8_E5M2"])
def test_a_type_that_is_newer_than_the_schema_is_named(read, name):
    def change(schema, graph):
        graph.tensors[1].type = getattr(schema.TensorType, name)

    message = message_of(read, changed_with_schema(matrix(), change))
    assert f"tensor w has type {name.lower()}, which is not supported; quantize the network to int8, its weights to int8 or int4" in message


@pytest.mark.parametrize(("table", "kind"), [("BlockwiseQuantization", "blockwise"), ("MultiAxisQuantization", "multi-axis")])
def test_scales_beside_the_scales_are_refused(read, table, kind):
    def change(schema, graph):
        quantization = graph.tensors[1].quantization
        quantization.detailsType, quantization.details = getattr(schema.QuantizationDetails, table), getattr(schema, f"{table}T")()

    message = message_of(read, changed_with_schema(matrix(), change))
    assert f"tensor w has {kind} quantization, which is not supported; quantize weights by tensor or by channel" in message


def test_a_value_in_another_file_is_refused(read):
    def change(schema, graph):
        graph.tensors[1].externalBuffer, graph.tensors[1].buffer = 1, 0

    assert "tensor w has its value in another file, which is not supported" in message_of(read, changed_with_schema(matrix(), change))


# Damaged files


def test_a_file_of_int4_weights_cut_or_changed_is_read_or_refused(read, seed):
    rng, model = np.random.default_rng(seed), matrix()

    def read_and_evaluate(content):
        graph = read(content)
        if sum(tensor.size for tensor in graph.tensors.values()) < 100_000:
            evaluate(graph, {name: np.zeros(graph.tensors[name].shape, graph.tensors[name].dtype) for name in graph.inputs})

    assert all(refusal(read_and_evaluate, model[:size]) for size in range(len(model) // 2))
    for value in (0, 1, 0x11, 0x7FFFFFFF, 0xFFFFFFFF):
        for where in range(0, len(model) - 4, 4):
            refusal(read_and_evaluate, model[:where] + value.to_bytes(4, "little") + model[where + 4 :])
    for _ in range(800):
        changed = np.frombuffer(model, np.uint8).copy()
        where = rng.integers(8, len(model), rng.integers(1, 5))
        changed[where] = rng.choice([0, 1, 17, 0x80, 0xFF, *rng.integers(0, 256, 3)], where.size)
        refusal(read_and_evaluate, changed.tobytes())


# What is computed


def other_rule(*values, single_rounding=False, **fields):
    """`requantize` that rounds once where the operator rounds twice, and the other way round."""
    return requantize(*values, single_rounding=not single_rounding, **fields)


@pytest.mark.parametrize("op", INT4_OPERATORS)
def test_random_operators_of_int4_weights_equal_the_reference(op, seed, read, monkeypatch):
    """They are rounded as int8 ones are, by tensor and by channel: the other rule is wrong somewhere."""
    rng, extremes = np.random.default_rng([seed, 4, *op.encode()]), set()
    compared, lost = {True: 0, False: 0}, {True: 0, False: 0}
    for trial in range(COUNT):
        model = INT4_OPERATORS[op](rng)
        graph = read(model)
        weights = graph.tensors["weights"]
        extremes.update((int(weights.data.min()), int(weights.data.max())))
        x = random_value(rng, graph.tensors["x"].shape, "int8")
        got, expected = evaluate(graph, {"x": x})["y"], run_reference(model, [x])["y"]
        wrong = np.argwhere(got != expected)
        assert got.shape == expected.shape and not wrong.size, f"seed {seed}, trial {trial}: {len(wrong)} wrong, first {wrong[0]}\n{graph}"
        with monkeypatch.context() as patched:
            for module in (conv2d, depthwise_conv2d, fully_connected):
                patched.setattr(module, "requantize", other_rule)
            lost[weights.quantization.per_channel] += int((evaluate(graph, {"x": x})["y"] != expected).sum())
        compared[weights.quantization.per_channel] += expected.size
    for by_channel, where in ((True, "channel"), (False, "tensor")):
        print(f"{op}, scales by {where}: 0 of {compared[by_channel]} wrong; with the other rounding {lost[by_channel]}")
        assert lost[by_channel]
    assert {-8, 7} <= extremes


def test_a_file_of_the_edge_quantizer_equals_the_reference(seed):
    content, graph = EDGE_QUANTIZER.read_bytes(), read_tflite(EDGE_QUANTIZER)
    dtypes = {name: tensor.dtype for name, tensor in graph.tensors.items() if name.endswith("_w")}
    assert dtypes == {"conv_w": "int4", "depthwise_w": "int8", "pointwise_w": "int4", "logits_w": "int4"}
    assert all(graph.tensors[name].quantization.per_channel for name in dtypes)
    rng = np.random.default_rng(seed)
    for _ in range(10):
        x = random_value(rng, (1, 12, 10, 3), "int8")
        expected = run_reference(content, [x])
        for name, value in evaluate(graph, {"image": x}).items():
            assert np.array_equal(value, expected[name]), f"seed {seed}, {name}"


def test_a_network_rounded_to_int4_keeps_its_tensors(models, tmp_path):
    source, path = models / "mlperf_kws_dscnn_int8.tflite", tmp_path / "int4.tflite"
    made = int4_copy(source, path)
    before, after = read_tflite(source).tensors, read_tflite(path).tensors
    assert list(after) == list(before)
    assert sorted(made) == sorted(name for name, tensor in after.items() if tensor.dtype == "int4")
    for name in made:
        old, new = before[name], after[name]
        assert np.abs(new.data).max() == 7
        axis = new.quantization.axis if new.quantization.per_channel else new.data.ndim  # a dimension of one element
        scales = [np.array(t.quantization.scale).reshape([-1 if i == axis else 1 for i in range(t.data.ndim + 1)]) for t in (old, new)]
        errors = np.abs(old.data[..., None] * scales[0] - new.data[..., None] * scales[1]) / scales[1]
        assert errors.max() < 0.5001, name
    first = path.read_bytes()
    int4_copy(source, path)
    assert path.read_bytes() == first


def test_chosen_layers_are_rounded_and_no_others(tmp_path, read, seed):
    rng, path = np.random.default_rng(seed), tmp_path / "net.tflite"
    for layers, expected in (([0], ["weights"]), (["y"], ["weights"]), (["weights"], ["weights"]), ([1, "x"], []), ((), [])):
        path.write_bytes(OPERATORS["CONV_2D"](rng))
        assert int4_copy(path, path, layers) == expected
        assert read_tflite(path).tensors["weights"].dtype == ("int4" if expected else "int8")
