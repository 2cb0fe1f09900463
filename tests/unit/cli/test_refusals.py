"""Files that are refused: all that is wrong with one is said at once, in a table that fits, with a remedy for each kind of fault."""

import re

import flatbuffers
import numpy as np
import pytest
from rich.console import Console

from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from tests.network_checks import constant, message_of, refusal
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from tests.unit.compiler.test_int4_files import changed_with_schema
from weft.cli.main import main
from weft.cli.refusals import print_refusal
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.limits import SUPPORTED


def image(name, **fields) -> BuilderTensor:
    """An int8 image, or what `fields` change of it."""
    return BuilderTensor(name, **{"shape": (1, 4, 4, 8), "scale": 0.5, **fields})


def real(name) -> BuilderTensor:
    """An image of real numbers."""
    return image(name, dtype="float32", scale=None)


def chain(*steps, inputs=("x",), outputs=None) -> bytes:
    """A network from pairs: an operator and the tensor that it makes of the one before."""
    tensors, operators, previous = [image("x")], [], "x"
    for op, result in steps:
        result = image(result) if isinstance(result, str) else result
        tensors.append(result)
        operators.append(BuilderOperator(op, (previous,), (result.name,)))
        previous = result.name
    return build_model(tensors, operators, inputs, outputs or [previous])


def many_faults() -> bytes:
    """Two operators that are unknown, one of them twice; a type, a shape and a limit that are wrong; and a custom operator."""
    tensors = [
        image("x"), image("a"), image("b"), image("c"), image("wide", dtype="int16"), image("d"),
        image("moving", shape_signature=(1, -1, 4, 8)), image("e"), image("f"), image("g", scale=0.25), constant("k", [1, 2]),
    ]  # fmt: skip
    wiring = (
        ("ARG_MAX", "x", "a"), ("ARG_MAX", "a", "b"), ("CUMSUM", "b", "c"), ("ABS", "c", "wide"), ("NEG", "wide", "d"),
        ("RELU", "d", "moving"), ("CUSTOM:my op", "moving", "e"), ("RELU", "e", "f"), ("MAX_POOL_2D", "f", "g"),
    )  # fmt: skip
    return build_model(tensors, [BuilderOperator(op, (source,), (result,)) for op, source, result in wiring], ["x"], ["g"])


FOUND = {
    "ARG_MAX": (2, "arg_max_0 (a)", "not supported"),
    "CUMSUM": (1, "cumsum_0 (c)", "not supported"),
    "CUSTOM:my op": (1, "custom:my op_0 (e)", "not supported: it is a custom operator"),
    "int16": (2, "abs_0 (wide)", "activations must be int8; here wide has type int16"),
    "int8": (1, "relu_0 (moving)", "tensor moving has the shape [1, -1, 4, 8]; only fixed shapes are supported"),
    "MAX_POOL_2D": (1, "max_pool2d_0 (g)", "input and output must have the same scale and zero point"),
}
"""For each kind of fault of `many_faults`: how many, the first layer, and words of the sentence."""


def error_of(read, content) -> WeftError:
    """What refuses a file."""
    with pytest.raises(WeftError) as caught:
        read(content)
    assert "\n" not in str(caught.value)
    return caught.value


def test_all_that_is_wrong_is_said_at_once(read):
    error = error_of(read, many_faults())
    found = {finding.subject: finding for finding in error.findings}
    assert set(found) == set(FOUND)
    for subject, (count, layer, words) in FOUND.items():
        assert (found[subject].count, found[subject].layer) == (count, layer), subject
        assert words in found[subject].sentence and found[subject].remedy, subject
        assert f"{found[subject].sentence} ({count}x, first in layer {layer})" in str(error)


@pytest.mark.parametrize("terminal", [False, True])
def test_the_table_fits_sixty_columns_and_loses_no_letter(read, capsys, terminal):
    error = error_of(read, many_faults())
    print_refusal(error, Console(width=60, force_terminal=terminal, markup=False, highlight=False, emoji=False))
    head, *table = capsys.readouterr().err.splitlines()
    assert head.endswith("net.tflite: is refused for 6 reasons")
    assert max(map(len, table)) <= 60
    words = set(" ".join(table).split())
    for finding in error.findings:
        assert words.issuperset(f"{finding.subject} {finding.layer}".split()), finding
        assert words.issuperset(finding.sentence.removeprefix(f"{finding.subject}: ").removesuffix(";").split()[:-1]), finding
        assert words.issuperset(finding.remedy.split()), finding


def test_without_a_terminal_a_fault_is_a_line(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    path = tmp_path / "net.tflite"
    path.write_bytes(many_faults())
    assert main(["compile", str(path), "--no-host", "-o", str(tmp_path / "out")]) == 2
    written = capsys.readouterr().err
    lines = written.splitlines()
    assert written.isascii() and lines[0] == f"weft: error: {path}: is refused for 6 reasons"
    for subject, (count, layer, words) in FOUND.items():
        (line,) = [line for line in lines[1:] if line.startswith(f"{subject} ") and layer in line]
        assert str(count) in line.split() and words in line
    assert not any(op in re.split(r"\W+", written) for op in set(SUPPORTED) - {"ABS", "MAX_POOL_2D", "NEG", "RELU"})


@pytest.mark.parametrize(("op", "who"), [("CUSTOM:ethos-u", "Vela for an Arm Ethos-U"), ("CUSTOM:edgetpu-custom-op", "Coral Edge TPU")])
def test_a_file_compiled_for_another_accelerator_is_called_that(read, op, who):
    message = message_of(read, chain(("RELU", "a"), (op, "b"), ("CUSTOM:other", "y")))
    assert "was compiled by " in message and who in message
    assert f"layer {op.lower()}_0 (b)" in message
    assert "give the original .tflite file" in message


def test_a_float_operator_in_an_int8_network_is_named_and_no_neighbour_blamed(read):
    error = error_of(read, chain(("DEQUANTIZE", real("r")), ("SOFTMAX", real("s")), ("EXP", real("t")), ("QUANTIZE", image("y"))))
    assert [(finding.subject, finding.layer) for finding in error.findings] == [("SOFTMAX", "softmax_0 (s)"), ("EXP", "exp_0 (t)")]
    assert "SOFTMAX: left in float32 in a quantized network" in str(error)
    assert "float model" not in str(error)


def test_an_unknown_float_operator_in_an_int8_network_is_both(read):
    message = message_of(read, chain(("DEQUANTIZE", real("r")), ("CONV_3D", real("s")), ("QUANTIZE", image("y"))))
    assert "layer conv_3d_0 (s): CONV_3D: not supported, and left in float32 in a quantized network" in message


def test_a_network_all_in_float_is_told_to_quantize_and_what_will_be_missing(read):
    tensors = [real(name) for name in "xyz"]
    operators = [BuilderOperator("NEG", ("x",), ("y",)), BuilderOperator("CUMSUM", ("y",), ("z",))]
    message = message_of(read, build_model(tensors, operators, ["x"], ["z"]))
    assert "is a float model: NEG computes in float32" in message
    assert "CUMSUM: not supported (1x" in message and "left in float32" not in message
    assert "quantize it to int8 (full integer quantization) first" in message


def test_only_a_float_network_without_unknown_operators_is_one_line(read):
    error = error_of(read, build_model([real("x"), real("y")], [BuilderOperator("NEG", ("x",), ("y",))], ["x"], ["y"]))
    assert not error.findings and error.layer == "neg_0 (y)"


def test_state_and_control_flow_are_called_that(read):
    handle = BuilderTensor("handle", (), "resource")
    operators = [
        BuilderOperator("CALL_ONCE", (), ()),
        BuilderOperator("VAR_HANDLE", (), ("handle",)),
        BuilderOperator("READ_VARIABLE", ("handle",), ("a",)),
        BuilderOperator("ASSIGN_VARIABLE", ("handle", "x"), ()),
        BuilderOperator("WHILE", ("a",), ("b",)),
        BuilderOperator("RELU", ("b",), ("y",)),
    ]
    error = error_of(read, build_model([handle, *map(image, "xaby")], operators, ["x"], ["y"]))
    found = {finding.subject: finding for finding in error.findings}
    assert set(found) == {"CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "WHILE"}
    assert "a variable keeps a state between runs" in found["ASSIGN_VARIABLE"].sentence
    assert "it is control flow" in found["WHILE"].sentence and "without control flow" in found["WHILE"].remedy


def test_an_operator_that_must_have_an_output_and_has_none_is_damage(read):
    model = build_model([image("x"), image("y")], [BuilderOperator("RELU", ("x",), ())], ["x"], ["x"])
    assert "is truncated or not a TFLite file (ValueError: an operator has no output)" in message_of(read, model)


@pytest.mark.parametrize(("change", "words"), [
    (lambda schema, tensor: setattr(tensor, "isVariable", True), "tensor a is a variable that keeps its value between runs"),
    (lambda schema, tensor: setattr(tensor, "sparsity", schema.SparsityParametersT()), "tensor a is stored sparse"),
    (lambda schema, tensor: setattr(tensor, "type", schema.TensorType.COMPLEX64), "tensor a has type complex64"),
])  # fmt: skip
def test_a_tensor_that_is_not_supported_is_named_with_layer_and_remedy(read, change, words):
    model = changed_with_schema(chain(("RELU", "a"), ("RELU", "y")), lambda schema, graph: change(schema, graph.tensors[1]))
    message = message_of(read, model)
    assert f"layer relu_0 (a): {words}" in message and "not supported; " in message


def test_all_that_the_npu_does_not_do_is_said_at_once(read):
    """A resize by 3 and one by 5 are legal in a file, but have no steps of the NPU."""
    sizes = [constant("size a", [12, 12]), constant("size b", [60, 60])]
    tensors = [image("x"), image("a", shape=(1, 12, 12, 8)), image("b", shape=(1, 60, 60, 8)), *sizes]
    operators = [BuilderOperator("RESIZE_BILINEAR", (source, f"size {result}"), (result,)) for source, result in ("xa", "ab")]
    graph = read(build_model(tensors, operators, ["x"], ["b"]))
    with pytest.raises(WeftError) as caught:
        compile_graph(graph, PRESETS["nano"])
    assert [finding.layer for finding in caught.value.findings] == ["resize_bilinear_0 (a)", "resize_bilinear_1 (b)"]


def with_second_subgraph(content) -> bytes:
    """A file with one more subgraph, which no operator calls and whose only operator Weft does not know."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="pip install ai-edge-litert==2.3.0")
    model, other = (schema.ModelT.InitFromPackedBuf(each, 0) for each in (content, chain(("RELU", "a"), ("CUMSUM", "z"))))
    model.operatorCodes += other.operatorCodes[1:]
    for operator in other.subgraphs[0].operators:
        operator.opcodeIndex = len(model.operatorCodes) - 1
    model.subgraphs += other.subgraphs
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_shape_between_unknown_operators_is_named_too(read):
    error = error_of(read, chain(("CUMSUM", image("a", shape_signature=(1, -1, 4, 8))), ("ARG_MAX", "y")))
    assert [finding.subject for finding in error.findings] == ["int8", "CUMSUM", "ARG_MAX"]
    assert error.findings[0].layer == "cumsum_0 (a)"


def test_a_network_of_integers_is_no_float_model(read):
    tensors = [image(name, dtype="int32", scale=None) for name in "xy"]
    message = message_of(read, build_model(tensors, [BuilderOperator("NEG", ("x",), ("y",))], ["x"], ["y"]))
    assert "NEG: activations must be int8; here x has type int32; quantize the network to int8 whole" in message


def test_a_subgraph_that_nobody_calls_is_no_control_flow(read):
    """The first subgraph is read, as an interpreter runs it."""
    graph = read(with_second_subgraph(chain(("RELU", "a"), ("EXP", "y"))))
    assert [(operator.op, operator.outputs) for operator in graph.operators] == [("RELU", ("a",)), ("EXP", ("y",))]


CASES = {
    "b15_batch_matmul": ("layer batch_matmul_0 (Identity): BATCH_MATMUL: not supported",),
    "c10_conv3d": ("CONV_3D: not supported, and left in float32 in a quantized network",),
    "c25b_unet_argmax": ("ARG_MAX: not supported; ",),
    "z01_two_signatures": (),
}
"""For files of ``../shared/cases`` words of the message; none where the file is read, or refused by an operator that is supported later."""


@pytest.mark.parametrize("name", CASES)
def test_a_file_from_the_field_is_refused_with_the_reason(cases, name):
    message = refusal(read_tflite, cases / f"{name}.tflite")
    assert (message is None) == (not CASES[name]), message
    for words in CASES[name]:
        assert words in message


def test_changed_bytes_of_a_file_of_many_faults_are_refused_in_one_line(read, seed):
    rng, model = np.random.default_rng(seed), many_faults()
    for trial in range(600):
        changed = np.frombuffer(model, np.uint8).copy()
        where = rng.integers(8, len(model), rng.integers(1, 5))
        changed[where] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, *rng.integers(0, 256, 3)], where.size)
        try:
            refusal(read, changed.tobytes())
        except Exception as error:
            raise AssertionError(f"seed {seed}, trial {trial}, bytes {where}: {type(error).__name__}: {error}") from error
