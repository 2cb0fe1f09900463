"""Files that are legal but unusual: each is read and computed exactly, or stops with one line."""

import numpy as np
import pytest

from hw.npu.config import PRESETS
from tests import random_operators, tflite_builder
from tests.machine_checks import assert_exact
from tests.network_checks import assert_outputs_equal_the_reference, constant, message_of, refusal
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.driver import compile_graph
from weft.compiler.evaluate import evaluate
from weft.compiler.host import handed_out
from weft.compiler.limits import LIMITS

SMALL = PRESETS["small"]


def tensor(name, shape=(1, 4, 4, 8), **fields) -> BuilderTensor:
    """An image of one scale."""
    return BuilderTensor(name, shape, **{"scale": 0.5, **fields})


def assert_runs(read, model, seed):
    """Outputs equal the reference's, and all tensors on the golden machine the golden operators'."""
    graph = read(model)
    assert_outputs_equal_the_reference(graph, model, seed)
    assert_exact(graph, SMALL, seed=seed)
    return graph


def test_a_tensor_used_twice_by_one_operator(read, seed):
    tensors = [tensor("x"), tensor("y", scale=1.0)]
    assert_runs(read, build_model(tensors, [BuilderOperator("ADD", ("x", "x"), ("y",))], ["x"], ["y"]), seed)


def test_joining_a_tensor_with_itself(read, seed):
    tensors = [tensor("x"), tensor("y", (1, 4, 4, 16))]
    model = build_model(tensors, [BuilderOperator("CONCATENATION", ("x", "x"), ("y",), {"axis": 3})], ["x"], ["y"])
    assert_outputs_equal_the_reference(read(model), model, seed)


def test_several_inputs_and_outputs_in_an_order_of_their_own(read, seed):
    """Outputs are listed last first, and one of them is read inside."""
    tensors = [
        tensor("a"),
        tensor("b"),
        tensor("sum", scale=1.0),
        tensor("relu", scale=0.5, zero_point=-128),
        tensor("tanh", scale=1 / 128),
    ]
    operators = [
        BuilderOperator("ADD", ("b", "a"), ("sum",)),
        BuilderOperator("RELU", ("sum",), ("relu",)),
        BuilderOperator("TANH", ("a",), ("tanh",)),
    ]
    graph = assert_runs(read, build_model(tensors, operators, ["b", "a"], ["tanh", "relu", "sum"]), seed)
    assert (graph.inputs, graph.outputs) == (("b", "a"), ("tanh", "relu", "sum"))


def test_an_output_listed_twice(read, seed):
    tensors = [tensor("x"), tensor("y")]
    assert_runs(read, build_model(tensors, [BuilderOperator("RELU", ("x",), ("y",))], ["x"], ["y", "y"]), seed)


def test_an_input_that_nobody_reads(read, seed):
    tensors = [tensor("x"), tensor("unread", (1, 3)), tensor("y")]
    graph = assert_runs(read, build_model(tensors, [BuilderOperator("RELU", ("x",), ("y",))], ["unread", "x"], ["y"]), seed)
    assert graph.inputs == ("unread", "x")


def test_an_operator_whose_result_nobody_reads_vanishes(read, seed):
    tensors = [tensor("x"), tensor("dead"), tensor("deader"), tensor("y")]
    operators = [BuilderOperator("RELU", (a,), (b,)) for a, b in (("x", "dead"), ("dead", "deader"), ("x", "y"))]
    graph = assert_runs(read, build_model(tensors, operators, ["x"], ["y"]), seed)
    assert [operator.outputs for operator in graph.operators] == [("y",)]


def test_part_of_an_operators_outputs_may_stay_unread(read, seed):
    tensors = [tensor("x"), *(tensor(f"y{i}", (1, 4, 4, 2)) for i in range(4)), constant("axis", 3)]
    operator = BuilderOperator("SPLIT", ("axis", "x"), ("y0", "y1", "y2", "y3"), {"num_splits": 4})
    model = build_model(tensors, [operator], ["x"], ["y2", "y0"])
    assert_outputs_equal_the_reference(read(model), model, seed)


def test_a_dynamic_batch_whose_shape_is_one(read, seed):
    tensors = [tensor("x", shape_signature=(-1, 4, 4, 8)), tensor("y", (1, 128), shape_signature=(-1, 128)), constant("shape", [-1, 128])]
    operators = [BuilderOperator("RESHAPE", ("x", "shape"), ("z",)), BuilderOperator("RELU", ("z",), ("y",))]
    model = build_model([*tensors, tensor("z", (1, 128), shape_signature=(-1, 128))], operators, ["x"], ["y"])
    assert_runs(read, model, seed)


def test_a_file_of_before_2020_has_its_operators_in_the_deprecated_field(read, seed, monkeypatch):
    def old_code(builder, kind):
        code = getattr(tflite_builder.tflite.BuiltinOperator, kind)
        return tflite_builder._table(builder, "OperatorCode", DeprecatedBuiltinCode=code, Version=2)

    monkeypatch.setattr(tflite_builder, "_code", old_code)
    tensors = [tensor("x"), tensor("y", scale=1.0)]
    assert_runs(read, build_model(tensors, [BuilderOperator("RELU6", ("x",), ("y",))], ["x"], ["y"]), seed)


def test_a_tensor_without_a_name_gets_one(read):
    tensors = [tensor("x"), tensor(""), tensor("y")]
    operators = [BuilderOperator("RELU", ("x",), ("",)), BuilderOperator("RELU", ("",), ("y",))]
    graph = read(build_model(tensors, operators, ["x"], ["y"]))
    assert graph.operators[0].outputs == ("tensor_1",)
    assert_exact(graph, SMALL)


def test_unsigned_edges_run(read, seed):
    """Uint8 in, int8 inside, uint8 out."""
    tensors = [
        tensor("x", dtype="uint8", zero_point=128), tensor("a"), tensor("b", zero_point=-128), tensor("y", dtype="uint8"),
    ]  # fmt: skip
    wiring = (("QUANTIZE", "x", "a"), ("RELU", "a", "b"), ("QUANTIZE", "b", "y"))
    operators = [BuilderOperator(op, (source,), (result,)) for op, source, result in wiring]
    graph = read(build_model(tensors, operators, ["x"], ["y"]))
    assert_exact(graph, SMALL, seed=seed)


def test_a_network_of_unsigned_bytes_is_computed_where_functions_have_them(read, seed):
    tensors = [tensor("x", dtype="uint8", zero_point=100), tensor("y", dtype="uint8", zero_point=7)]
    assert_exact(read(build_model(tensors, [BuilderOperator("HARD_SWISH", ("x",), ("y",))], ["x"], ["y"])), SMALL, seed=seed)


@pytest.mark.parametrize("outputs", [["y", "x"], ["y", "shape"]])
def test_outputs_that_nothing_computes_are_handed_out(read, seed, outputs):
    tensors = [tensor("x"), tensor("y"), BuilderTensor("shape", (4,), "int32")]
    operators = [BuilderOperator("RELU", ("x",), ("y",)), BuilderOperator("SHAPE", ("x",), ("shape",))]
    compiled = assert_exact(read(build_model(tensors, operators, ["x"], outputs)), SMALL, seed=seed)
    assert len(handed_out(compiled.graph)) == 1


def test_an_output_renamed_from_another_output_runs(read, seed):
    tensors = [tensor("x"), tensor("y"), tensor("flat", (1, 128)), tensor("long", (128,))]
    wiring = (("RELU", "x", "y", {}), ("RESHAPE", "y", "flat", {"new_shape": (1, -1)}), ("RESHAPE", "flat", "long", {"new_shape": (128,)}))
    operators = [BuilderOperator(op, (source,), (result,), options) for op, source, result, options in wiring]
    for outputs in (["y", "flat", "long"], ["long"], ["flat", "y"]):
        assert_runs(read, build_model(tensors, operators, ["x"], outputs), seed)


def test_the_transformers_stop_with_what_is_missing(models, read):
    for name, missing in (("synth_kwt1_int8", 24), ("synth_vit_tiny_int8", 24)):
        message = message_of(read, (models / f"{name}.tflite").read_bytes())
        assert "layer batch_matmul_0 (" in message
        assert f"BATCH_MATMUL: not supported (and {missing - 1} more like it)" in message


def test_mobilenet_v1_of_the_converter_keeps_no_shape_arithmetic(models, read):
    graph = read((models / "synth_mobilenet_v1_224_int8.tflite").read_bytes())
    ops = {operator.op for operator in graph.operators}
    assert not ops & {"SHAPE", "STRIDED_SLICE", "PACK"}
    assert "RESHAPE" in ops


def test_a_network_of_the_host_alone_is_not_compiled(read):
    tensors = [tensor("x"), BuilderTensor("y", (1, 4, 4, 8), "float32")]
    graph = read(build_model(tensors, [BuilderOperator("DEQUANTIZE", ("x",), ("y",))], ["x"], ["y"]))
    message = message_of(lambda _: compile_graph(graph, SMALL), None)
    assert "the NPU computes none of its operators" in message


@pytest.mark.parametrize("op", LIMITS)
def test_changed_bytes_of_any_operator_are_read_or_refused(op, read, seed):
    """Either a network, which then runs, or one line."""
    rng = np.random.default_rng([seed, *op.encode()])

    def read_and_evaluate(content):
        graph = read(content)
        if sum(tensor.size for tensor in graph.tensors.values()) < 100_000:
            evaluate(graph, {name: np.zeros(graph.tensors[name].shape, graph.tensors[name].dtype) for name in graph.inputs})

    for _ in range(6):
        model = random_operators.OPERATORS[op](rng)
        for _ in range(5):
            changed = np.frombuffer(model, np.uint8).copy()
            where = rng.integers(8, len(model), int(rng.integers(1, 4)))
            changed[where] = rng.choice([0, 1, 2, 3, 0x7F, 0x80, 0xFF, *rng.integers(0, 256, 3)], where.size)
            refusal(read_and_evaluate, changed.tobytes())
