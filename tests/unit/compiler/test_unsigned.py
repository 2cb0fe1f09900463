"""Networks of uint8: the rules in which their kernels differ from those of int8, and the pass that turns one into the other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from golden.machine import Machine
from golden.quantization import convolution_multipliers, unsigned_convolution_multiplier
from golden.reference_process import ReferenceProcess
from golden.requantize import requantize
from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from tests.random_operators import random_value
from tests.random_operators.unsigned import UNSIGNED_OPERATORS
from tests.reference import run_reference, without_last_operator
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.accumulator import largest_sum
from weft.compiler.driver import compile_graph
from weft.compiler.evaluate import evaluate
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.graph import Graph, Operator, Quantization, State, Tensor
from weft.compiler.select import select
from weft.compiler.unsigned import FOLLOWING, signed
from weft.run.reference_judge import judge

COUNT = 8
CHANNELS = 2000
SMALL = PRESETS["small"]


def read(tmp_path, model) -> Graph:
    path = tmp_path / "model.tflite"
    path.write_bytes(model)
    return read_tflite(path)


def inputs_of(rng, graph):
    return {name: random_value(rng, graph.tensors[name].shape, graph.tensors[name].dtype) for name in graph.inputs}


def assert_reference(graph, inputs, model):
    """Every tensor that the file has, in the file's type."""
    computed, expected = evaluate(graph, inputs), run_reference(model, [inputs[name] for name in graph.inputs])
    assert expected.keys() >= set(graph.outputs)
    for name in expected.keys() & computed.keys():
        got = graph.in_file(name, computed[name])
        assert got.dtype == expected[name].dtype, f"{name}: {got.dtype}"
        wrong = np.argwhere(got != expected[name])
        assert not len(wrong), f"{name}: {len(wrong)} wrong, first {wrong[0]}\n{graph}"


@pytest.mark.parametrize("op", UNSIGNED_OPERATORS)
def test_random_operators_of_uint8_equal_the_reference(op, seed, tmp_path):
    rng = np.random.default_rng([seed, *op.encode()])
    for _ in range(COUNT):
        model = UNSIGNED_OPERATORS[op](rng)
        graph = read(tmp_path, model)
        assert graph.shifted
        assert_reference(graph, inputs_of(rng, graph), model)


def near_ties(rng, factor):
    """Sums whose products lie next to a tie, int32[CHANNELS]."""
    return (np.round((rng.integers(-120, 120, CHANNELS) + 0.5) / factor) + rng.integers(-1, 2, CHANNELS)).astype(np.int32)


def sums_alone(op, scales, bias) -> bytes:
    """An operator of uint8 whose input and weights are all at their zero points, so that its sums are the bias."""
    dense, shape = op == "FULLY_CONNECTED", (1, 1, 1, 1)
    tensors = {
        "x": BuilderTensor("x", shape[:2] if dense else shape, "uint8", scale=scales[0], zero_point=7),
        "w": BuilderTensor("w", (), "uint8", scale=scales[1], zero_point=131),
        "b": BuilderTensor("b", (CHANNELS,), "int32", scale=float(np.float32(scales[0]) * np.float32(scales[1])), data=bias),
        "y": BuilderTensor("y", (1, CHANNELS) if dense else (1, 1, 1, CHANNELS), "uint8", scale=scales[2], zero_point=128),
    }
    filters = {"DEPTHWISE_CONV_2D": (1, 1, 1, CHANNELS), "FULLY_CONNECTED": (CHANNELS, 1)}.get(op, (CHANNELS, 1, 1, 1))
    tensors["w"] = replace(tensors["w"], shape=filters, data=np.full(filters, 131))
    names = ("x", "w", "b")
    if op == "TRANSPOSE_CONV":
        tensors["shape"], names = BuilderTensor("shape", (4,), "int32", data=np.array([1, 1, 1, CHANNELS])), ("shape", "w", "x", "b")
    options = {"depth_multiplier": CHANNELS} if op == "DEPTHWISE_CONV_2D" else {}
    return build_model(list(tensors.values()), [BuilderOperator(op, names, ("y",), options)], ["x"], ["y"])


@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"])
def test_sums_next_to_ties_are_rounded_as_the_reference_rounds_them(op, seed, tmp_path):
    """Scales whose product is a power of two as a float, but not as a double: only then are there ties."""
    rng, lost = np.random.default_rng([seed, *op.encode()]), 0
    for _ in range(15):
        scale = np.float32(rng.uniform(0.01, 0.1))
        scales = float(scale), float(np.float32(2.0**-10) / scale), 2.0 ** -int(rng.integers(1, 6))
        factor = np.float64(np.float32(scales[0])) * np.float64(np.float32(scales[1])) / scales[2]
        bias = near_ties(rng, factor)
        model = sums_alone(op, scales, bias)
        graph = read(tmp_path, model)
        assert_reference(graph, {"x": np.full(graph.tensors["x"].shape, 7, np.uint8)}, model)
        double, single = (derive(*scales, 1) for derive in (convolution_multipliers, unsigned_convolution_multiplier))
        rounded = [requantize(bias.astype(np.int64), *numbers, 0, (-128, 127)) for numbers in (double, single)]
        lost += np.count_nonzero(rounded[0] != rounded[1])
    assert op == "FULLY_CONNECTED" or lost, "no sum tells a product of floats from one of doubles"


def filtered(rng, *, zero_point=131, shape=(40, 1, 1, 24), weights=None, op="CONV_2D", **weight_fields) -> list[BuilderTensor]:
    """Tensors of a convolution of uint8."""
    made = shape[3] if op == "DEPTHWISE_CONV_2D" else shape[0]
    weights = rng.integers(max(0, zero_point - 128), min(255, zero_point + 127) + 1, shape) if weights is None else weights
    fields = {"dtype": "uint8", "scale": 0.01, "zero_point": zero_point, "data": weights} | weight_fields
    return [
        BuilderTensor("x", (1, 9, 9, shape[3]), "uint8", scale=0.05, zero_point=119), BuilderTensor("w", shape, **fields),
        BuilderTensor("y", (1, 9, 9, made), "uint8", scale=0.2, zero_point=128),
    ]  # fmt: skip


def convolution(tensors, op="CONV_2D") -> bytes:
    bias = BuilderTensor(
        "b", tensors[2].shape[3:], "int32", scale=float(np.float32(0.05) * np.float32(0.01)), data=np.zeros(tensors[2].shape[3])
    )
    return build_model([*tensors, bias], [BuilderOperator(op, ("x", "w", "b"), ("y",))], ["x"], ["y"])


def execute(graph, config, inputs):
    """The network on the golden machine; each tensor as the golden operators have it. Gives the program's execute commands."""
    compiled = compile_graph(graph, config)
    machine, expected = Machine(compiled.program).run(inputs), evaluate(graph, inputs)
    names = expected.keys() & machine.tensors.keys()
    assert names >= set(graph.outputs)
    for name in names:
        assert np.array_equal(machine.tensors[name], expected[name]), name
    return [planned.command for planned in compiled.program.commands if planned.command.opcode.name in ("MATMUL", "DEPTHWISE")]


@pytest.mark.parametrize(("op", "shape"), [("CONV_2D", (40, 1, 1, 24)), ("CONV_2D", (40, 3, 3, 24)), ("DEPTHWISE_CONV_2D", (1, 3, 3, 40))])
def test_a_weight_beyond_int8_costs_one_reduction_tile_of_its_column_tile(op, shape, seed, tmp_path):
    rng = np.random.default_rng([seed, *op.encode()])
    tensors = filtered(rng, shape=shape, op=op)
    inside = read(tmp_path, convolution(tensors, op))
    at = (0, 1, 1, 20) if op == "DEPTHWISE_CONV_2D" else (20, *(n // 2 for n in shape[1:3]), 17)
    tensors[1].data[at] = 0  # -131
    beyond = read(tmp_path, convolution(tensors, op))
    plain, more = (execute(graph, SMALL, inputs_of(rng, graph)) for graph in (inside, beyond))
    second = [command for command in more if command["loops"]["partial_out"]]
    assert not any(command["loops"]["partial_out"] for command in plain)
    blocks = len({command["output"]["address"] for command in second})
    assert len(second) == blocks and all(command["loops"]["taps_y"] == command["loops"]["taps_x"] == 1 for command in second)
    assert all(command["loops"]["lanes"] == 1 for command in second if op == "CONV_2D")


def test_int8_weights_and_one_beyond_are_multiplied_alike(seed, tmp_path):
    """Every weight from the zero point's distance -255 to 255, whatever the zero point: against the reference, on the machine."""
    rng = np.random.default_rng(seed)
    for zero_point in (0, 1, 127, 128, 254, 255):
        model = convolution(filtered(rng, zero_point=zero_point, shape=(16, 3, 3, 16), weights=rng.integers(0, 256, (16, 3, 3, 16))))
        graph = read(tmp_path, model)
        inputs = inputs_of(rng, graph)
        assert_reference(graph, inputs, model)
        execute(graph, SMALL, inputs)


def test_a_network_without_operators_of_int8_alone_stays_as_it_is(tmp_path):
    """MEAN, tables and movement know uint8; nothing is turned round twice."""
    tensors = [BuilderTensor(name, (1, 4, 4, 3), "uint8", scale=0.1, zero_point=5) for name in "xy"]
    graph = read(tmp_path, build_model(tensors, [BuilderOperator("RELU", ("x",), ("y",))], ["x"], ["y"]))
    assert not graph.shifted and [operator.op for operator in graph.operators] == ["RELU"] and graph.tensors["x"].dtype == "uint8"


@pytest.mark.parametrize("side", [3, 64])
def test_averages_round_half_up_and_do_not_overflow(side, seed, tmp_path):
    """Of 64x64 bytes of 255 the sum needs 20 bits, and 12 more for the shift before its product would be too many."""
    shape, pool = (1, side, side + 1, 4), {"filter_height": side, "filter_width": side, "padding": "VALID", "stride_h": 1, "stride_w": 1}
    tensors = [BuilderTensor(name, size, "uint8", scale=0.1, zero_point=5) for name, size in (("x", shape), ("y", (1, 1, 2, 4)))]
    model = build_model(tensors, [BuilderOperator("AVERAGE_POOL_2D", ("x",), ("y",), pool)], ["x"], ["y"])
    graph = read(tmp_path, model)
    for values in (np.full(shape, 255, np.uint8), random_value(np.random.default_rng(seed), shape, "uint8")):
        assert_reference(graph, {"x": values}, model)
        execute(graph, SMALL, {"x": values})


def mixed(tmp_path, rng) -> tuple[Graph, bytes]:
    """uint8 in; MAX_POOL of uint8; QUANTIZE to int8; MAX_POOL of int8; QUANTIZE to uint8; MAX_POOL; SUM, which stays uint8, beside it."""
    shape, low = (1, 6, 6, 3), {"scale": 0.1, "zero_point": -20}
    tensors = [BuilderTensor(name, shape, "uint8", scale=0.1, zero_point=108) for name in ("x", "a", "d", "e")]
    tensors += [BuilderTensor(name, shape, **low) for name in ("b", "c")]
    tensors += [
        BuilderTensor("axes", (1,), "int32", data=np.array([3])), BuilderTensor("s", shape[:3], "uint8", scale=0.5, zero_point=9),
    ]  # fmt: skip
    pool = {"filter_height": 3, "filter_width": 3}
    operators = [
        BuilderOperator("MAX_POOL_2D", ("x",), ("a",), pool), BuilderOperator("QUANTIZE", ("a",), ("b",)),
        BuilderOperator("MAX_POOL_2D", ("b",), ("c",), pool), BuilderOperator("QUANTIZE", ("c",), ("d",)),
        BuilderOperator("MAX_POOL_2D", ("d",), ("e",), pool), BuilderOperator("SUM", ("d", "axes"), ("s",)),
    ]  # fmt: skip
    model = build_model(tensors, operators, ["x"], ["e", "s", "d"])
    return read(tmp_path, model), model


def test_a_network_of_both_types_is_exact(seed, tmp_path):
    rng = np.random.default_rng(seed)
    graph, model = mixed(tmp_path, rng)
    inputs = inputs_of(rng, graph)
    assert_reference(graph, inputs, model)
    execute(graph, SMALL, inputs)
    assert [graph.tensors[name].dtype for name in ("x", "e", "s", "d")] == ["uint8"] * 4
    assert graph.shifted == {"a", "x#signed", "e#signed", "d#signed"} and graph.tensors["b"].quantization.zero_point == (-20,)
    assert [operator.name for operator in graph.operators if "signed" in operator.name] == ["signed_0", "unsigned_0", "unsigned_1"]


def test_states_stay_uint8_as_inputs_and_outputs_do():
    """What a run begins with and what it leaves are one place in DDR: both forms of it are one type."""
    shape, names = (1, 4, 4, 3), ("x", "old", "new", "y")
    tensors = {name: Tensor(name, shape, "uint8", Quantization((0.1,), (5,))) for name in names}
    operators = Operator("maximum_0", "MAXIMUM", ("x", "old"), ("new",)), Operator("minimum_0", "MINIMUM", ("new", "x"), ("y",))
    state = State("v", "old", "new", np.zeros(shape, np.uint8))
    graph = signed(Graph("net", "net.tflite", tensors, operators, ("x",), ("y",), states=(state,)))
    assert [graph.tensors[name].dtype for name in (*graph.sources, *graph.results)] == ["uint8"] * 4
    assert graph.shifted == {f"{name}#signed" for name in names}


def test_a_picture_is_shifted_in_few_cycles(tmp_path):
    """Rows of bytes, not of pixels of three bytes; the table at the network's end goes into its last step."""
    pool = BuilderOperator("MAX_POOL_2D", ("x",), ("y",))
    tensors = [BuilderTensor(name, (1, 16, 32, 3), "uint8", scale=0.1, zero_point=5) for name in "xy"]
    graph = read(tmp_path, build_model(tensors, [pool], ["x"], ["y"]))
    first, *_ = select(graph, SMALL).steps
    assert first.image.size == 16 * 96 and first.image.height * first.image.width * -(-first.image.channels // SMALL.cols) == 96
    compiled = compile_graph(graph, SMALL)
    assert [step.op for step in compiled.network.steps] == ["QUANTIZE", "MAX_POOL_2D+QUANTIZE"]


def test_the_interpreter_judges_shifted_tensors(seed, tmp_path):
    """Inside ones too: the file has uint8 where the golden operators have int8."""
    graph, _ = mixed(tmp_path, np.random.default_rng(seed))
    inputs = inputs_of(np.random.default_rng(seed), graph)
    computed = evaluate(graph, inputs)
    with ReferenceProcess(Path(graph.file), [inputs["x"]]) as process:
        run = process.result()
    verdict, mismatch = judge(graph, Path(graph.file), run, computed)
    assert mismatch is None and verdict.tensors == 6
    wrong = computed | {"a": np.where(computed["a"] == computed["a"].max(), -128, computed["a"]).astype(np.int8)}
    _, mismatch = judge(graph, Path(graph.file), run, wrong)
    assert mismatch.tensor == "a" and mismatch.got == 0


def test_sums_of_weights_beyond_int8_are_bounded_by_all_of_them(tmp_path):
    """One weight of 255: a byte times it has 16 bits and a sign."""
    graph = read(tmp_path, convolution(filtered(None, zero_point=0, shape=(1, 1, 1, 1), weights=np.full((1, 1, 1, 1), 255))))
    step = select(graph, SMALL).steps[1]
    assert largest_sum(step) == 255 * 128 and sum(int(step.taps(number)[0, 0, 0, 0]) for number in range(3)) == 255


RESIZED = {"one pixel": ((1, 1), (5, 7), True), "same size": ((5, 7), (5, 7), True), "other": ((3, 3), (6, 6), False)}


@pytest.mark.parametrize("kind", RESIZED)
@pytest.mark.parametrize("alignment", [(False, False), (True, False), (False, True)])
def test_a_bilinear_resize_that_copies_runs_and_others_are_refused(kind, alignment, seed, tmp_path):
    size, out, runs = RESIZED[kind]
    tensors = [
        BuilderTensor("x", (1, *size, 4), "uint8", scale=0.1, zero_point=9), BuilderTensor("size", (2,), "int32", data=np.array(out)),
        BuilderTensor("y", (1, *out, 4), "uint8", scale=0.1, zero_point=9),
    ]  # fmt: skip
    options = dict(zip(("align_corners", "half_pixel_centers"), alignment))
    model = build_model(tensors, [BuilderOperator("RESIZE_BILINEAR", ("x", "size"), ("y",), options)], ["x"], ["y"])
    if not runs:
        with pytest.raises(WeftError, match=r"RESIZE_BILINEAR: on uint8 .* float arithmetic, .*; here 3x3 to 6x6; quantize the network"):
            read(tmp_path, model)
        return
    graph = read(tmp_path, model)
    assert_reference(graph, inputs_of(np.random.default_rng(seed), graph), model)


ZEROS = np.zeros((40, 1, 1, 24))
REFUSED = {
    "by channel": ({"scale": [0.01] * 40}, {}, "weights of uint8 must have one scale, and a zero point from 0 to 255; here 40 scales"),
    "int8 weights": (
        {"dtype": "int8", "zero_point": 0, "data": np.zeros((40, 1, 1, 24))},
        {},
        "those of a uint8 network one of uint8; here int8",
    ),
    "zero point": (
        {"zero_point": 300, "data": np.zeros((40, 1, 1, 24))},
        {},
        "a zero point from 0 to 255; here scale 0.01 and zero point 300",
    ),
    "int8 output": ({}, {"dtype": "int8"}, "activations must be int8; here x has type uint8"),
    "no scale": (
        {},
        {"scale": None},
        "must have one scale above 0 and a zero point in the range of their type; here y has no quantization",
    ),
    "output's zero point": (
        {},
        {"zero_point": 256},
        "a zero point in the range of their type; here y has scale 0.2 and zero point 128, less the 128 between uint8 and int8",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_uint8_by_tensor_is_refused_with_its_value(name, seed, tmp_path):
    weights, output, message = REFUSED[name]
    tensors = filtered(np.random.default_rng(seed), **weights)
    tensors[2] = replace(tensors[2], **output)
    with pytest.raises(WeftError) as raised:
        read(tmp_path, convolution(tensors))
    assert message in str(raised.value), str(raised.value)


def test_every_following_operator_is_one_that_the_npu_also_knows_on_uint8(seed, tmp_path):
    """Of those that follow alone nothing is turned: a network that was compiled before there was the pass stays as fast."""
    rng = np.random.default_rng(seed)
    for op in sorted(FOLLOWING):
        model = UNSIGNED_OPERATORS[op](rng)
        graph = read(tmp_path, model)
        assert op in {operator.op for operator in graph.operators} and graph.operators[-1].op in ("MINIMUM", "QUANTIZE")


def test_the_uint8_network_equals_the_reference(models, seed):
    path = models / "coral_mbv1_025_128_uint8.tflite"
    graph = read_tflite(path)
    assert_reference(graph, inputs_of(np.random.default_rng(seed), graph), path.read_bytes())


def test_the_network_of_the_report_runs(seed, models):
    path = models.parent / "cases" / "y04_uint8_fc.tflite"
    if not path.exists():
        pytest.skip("no ../shared/cases/y04_uint8_fc.tflite: the files of reported faults are kept beside the repository")
    graph = read_tflite(path)
    inputs = inputs_of(np.random.default_rng(seed), graph)
    assert_reference(graph, inputs, path.read_bytes())
    commands = execute(graph, SMALL, inputs)
    assert sum(command["loops"]["partial_out"] for command in commands) == 1, "both its weights of -131 stand in one reduction tile"


@pytest.mark.slow
def test_deeplab_equals_the_reference_up_to_its_last_resize(seed, tmp_path, models):
    """A resize of one pixel and one of equal sizes are copies; the third takes floats, and an ARG_MAX reads it."""
    path = models / "coral_deeplab_dm05_uint8.tflite"
    model = without_last_operator(without_last_operator(path.read_bytes()))
    graph = read(tmp_path, model)
    assert sum(operator.op == "RESIZE_NEAREST_NEIGHBOR" for operator in graph.operators) == 2
    assert_reference(graph, inputs_of(np.random.default_rng(seed), graph), model)
