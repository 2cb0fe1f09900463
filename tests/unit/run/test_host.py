"""The host's steps: sub-models against the interpreter of the whole file, and whole files up to their report."""

import json

import flatbuffers
import numpy as np
import pytest
from flatbuffers import flexbuffers

import weft.run.network
import weft.run.soc
import weft.run.whole
from golden.reference import load_reference
from golden.submodel import ModelTree
from hw.npu.config import PRESETS
from hw.npu.errors import Finding
from tests.host_networks import compiled, random_whole
from tests.reference import run_reference
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from tests.unit.cli.test_cli import MachineAsSimulator
from tests.unit.compiler.test_int4_files import changed_with_schema
from tests.unit.run.test_soc_job import MachineAsSoc
from weft.cli.main import main
from weft.compiler.cut.labels import label
from weft.compiler.frontends.tflite import file_tensor_names, read_file
from weft.run.host_rows import called_macs, shares_of
from weft.run.inputs import random_sample
from weft.run.network import Prepared, check_reference, run_samples, start_reference
from weft.run.reference_judge import judge

SMALL = PRESETS["small"]


@pytest.fixture
def no_rtl(monkeypatch):
    """The golden machine in the simulator's place."""
    monkeypatch.setattr(weft.run.network, "Simulator", MachineAsSimulator)


def outcomes(whole, samples):
    return run_samples(Prepared(whole, MachineAsSimulator(SMALL, None, stage=None)), samples)


# Sub-models


def test_a_run_of_operators_alone_computes_what_the_whole_network_does(tmp_path, seed):
    rng = np.random.default_rng(seed)
    for _ in range(10):
        path = tmp_path / "net.tflite"
        path.write_bytes(random_whole(rng))
        graph, model = read_file(path).graph, path.read_bytes()
        known = run_reference(model, list(random_sample(graph, 1).values()))
        index = {name: number for number, name in enumerate(file_tensor_names(path))}
        first, last = sorted(rng.choice(len(graph.operators) + 1, 2, replace=False))
        chosen = graph.operators[first:last]
        made = [name for operator in chosen for name in operator.outputs]
        read = list(dict.fromkeys(name for operator in chosen for name in operator.inputs if name not in made))
        chosen_inputs = {number: [index[name] for name in graph.operators[number].inputs] for number in range(first, last)}
        part = ModelTree(model).part(chosen_inputs, [index[name] for name in read], [index[name] for name in made])
        assert len(part) < len(model) or len(chosen) == len(graph.operators)
        got = run_reference(part, [known[name] for name in read])
        for name in made:
            assert np.array_equal(got[name], known[name]), f"seed {seed}, operators {first} to {last}, {name}"


def test_a_value_that_was_folded_stands_in_the_sub_model(tmp_path):
    """The second operator gets its constant from the first, which is left out."""
    tensors = [BuilderTensor(name, (2, 3), scale=0.1) for name in "xky"] + [
        BuilderTensor("c", (2, 3), scale=0.1, data=np.full((2, 3), 7, np.int8))
    ]
    operators = [BuilderOperator("RELU", ("c",), ("k",)), BuilderOperator("ADD", ("x", "k"), ("y",))]
    model, x = build_model(tensors, operators, ["x"], ["y"]), np.arange(6, dtype=np.int8).reshape(2, 3)
    part = ModelTree(model).part({1: [0, 1]}, [0], [2], {1: np.full((2, 3), 7, np.int8)})
    assert np.array_equal(run_reference(part, [x])["y"], run_reference(model, [x])["y"])


BRANCHES = (("RELU", ("x",)), ("ADD", ("x", "x")))


def branching(branches=BRANCHES) -> bytes:
    """An ADD, then an IF between two subgraphs, which double it or leave it; then a MAX_POOL_2D."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="pip install ai-edge-litert==2.3.0")

    def image(name):
        return BuilderTensor(name, (1, 4, 4, 2), scale=0.1)

    def model(tensors, operators, inputs):
        return schema.ModelT.InitFromPackedBuf(build_model(tensors, operators, inputs, ["y"]), 0)

    pool = BuilderOperator("MAX_POOL_2D", ("b",), ("y",))
    steps = [BuilderOperator("ADD", ("x", "x"), ("a",)), BuilderOperator("CUSTOM:if", ("choice", "a"), ("b",)), pool]
    main = model([BuilderTensor("choice", (), "bool"), *map(image, "xaby")], steps, ["choice", "x"])
    main.operatorCodes[1].builtinCode = schema.BuiltinOperator.IF
    main.operatorCodes[1].deprecatedBuiltinCode, main.operatorCodes[1].customCode = schema.BuiltinOperator.IF, None
    main.subgraphs[0].operators[1].builtinOptionsType = schema.BuiltinOptions.IfOptions
    main.subgraphs[0].operators[1].builtinOptions = schema.IfOptionsT(thenSubgraphIndex=2, elseSubgraphIndex=1)
    for op, inputs in branches:
        branch = model([*map(image, "xy")], [BuilderOperator(op, inputs, ("y",))], ["x"])
        branch.subgraphs[0].operators[0].opcodeIndex = len(main.operatorCodes)
        for tensor in branch.subgraphs[0].tensors:
            tensor.buffer = 0
        main.operatorCodes += branch.operatorCodes
        main.subgraphs += branch.subgraphs
    builder = flatbuffers.Builder(1024)
    builder.Finish(main.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("choice", [False, True])
def test_control_flow_runs_on_the_host_with_the_subgraphs_that_it_calls(tmp_path, choice):
    whole = compiled(tmp_path / "net.tflite", branching())
    assert [step.name for step in whole.steps] == ["npu_0", "host", "npu_2"]
    sample = random_sample(whole.graph, 1) | {"choice": np.array(choice)}
    (outcome,) = outcomes(whole, [sample])
    expected = run_reference((tmp_path / "net.tflite").read_bytes(), list(sample.values()))
    assert outcome.mismatch is None and np.array_equal(outcome.outputs["y"], expected["y"])


def test_products_of_what_control_flow_calls_are_the_hosts(tmp_path):
    """Of a convolution of an image by itself as a filter, which no interpreter is asked to run: 32 sums of 32 products."""
    whole = compiled(tmp_path / "net.tflite", branching((("RELU", ("x",)), ("CONV_2D", ("x", "x")))))
    assert called_macs(whole.host_steps[0]) == 32 * 32 and shares_of(whole).macs == 0
    assert shares_of(compiled(tmp_path / "none.tflite", branching())).macs == 1


def with_custom(content: bytes, name: str, options: bytes, outputs: int) -> bytes:
    """A file whose last operator is a custom one."""

    def change(schema, subgraph):
        subgraph.operators[-1].customOptions = np.frombuffer(options, np.uint8)
        for index in subgraph.outputs[-outputs:]:
            subgraph.tensors[index].shape = np.array([], np.int32)

    return changed_with_schema(content, change)


def detector() -> bytes:
    """Boxes and scores of 6 anchors as bytes through a RELU, real numbers, and TFLite_Detection_PostProcess."""
    rng = np.random.default_rng(0)
    sizes = {"boxes": (1, 6, 4), "scores": (1, 6, 3)}
    tensors = [BuilderTensor(f"{kind}{name}", shape, scale=0.01, zero_point=-10) for name, shape in sizes.items() for kind in ("in ", "")]
    tensors += [BuilderTensor(f"real {name}", shape, "float32") for name, shape in sizes.items()]
    tensors += [BuilderTensor("anchors", (6, 4), "float32", data=rng.uniform(0.1, 0.9, (6, 4)).astype(np.float32))]
    ends = [BuilderTensor(f"end {number}", (1, 4) if number else (1, 4, 4), "float32") for number in range(4)]
    operators = [BuilderOperator("RELU", (f"in {name}",), (name,)) for name in sizes]
    operators += [BuilderOperator("DEQUANTIZE", (name,), (f"real {name}",)) for name in sizes]
    last = BuilderOperator("CUSTOM:TFLite_Detection_PostProcess", ("real boxes", "real scores", "anchors"), tuple(end.name for end in ends))
    fields = {"max_detections": 4, "max_classes_per_detection": 1, "num_classes": 2, "nms_score_threshold": 0.0, "nms_iou_threshold": 0.5,
              "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0, "use_regular_nms": False}  # fmt: skip
    model = build_model([*tensors, *ends], [*operators, last], ["in boxes", "in scores"], [end.name for end in ends])
    return with_custom(model, last.op, bytes(flexbuffers.Dumps(fields)), len(ends))


def test_a_detector_ends_with_its_post_processing_on_the_host(tmp_path):
    whole = compiled(tmp_path / "net.tflite", detector())
    assert [step.name for step in whole.steps] == ["npu", "host"]
    sample = random_sample(whole.graph, 1)
    (outcome,) = outcomes(whole, [sample])
    expected = run_reference((tmp_path / "net.tflite").read_bytes(), list(sample.values()))
    assert outcome.mismatch is None and set(outcome.outputs) == {f"end {number}" for number in range(4)}
    assert all(np.array_equal(value, expected[name]) for name, value in outcome.outputs.items())


# Whole files


def test_random_networks_equal_the_interpreter_of_the_whole(tmp_path, seed):
    """Each tensor of a program against golden operators and interpreter, and all outputs."""
    rng, programs = np.random.default_rng(seed), 0
    for trial in range(5):
        path = tmp_path / f"{trial}.tflite"
        whole = compiled(path, random_whole(rng))
        programs += len(whole.npu_steps)
        sample = random_sample(whole.graph, trial)
        with start_reference(whole.graph, [sample]) as interpreter:
            (outcome,) = outcomes(whole, [sample])
            check_reference(interpreter, whole)
            verdict, mismatch = judge(whole.on_npu, path, interpreter.result(), outcome.computed)
        assert outcome.mismatch is None and mismatch is None and verdict.tensors == len(whole.on_npu.operators)
        expected = run_reference(path.read_bytes(), list(sample.values()))
        for name, value in outcome.outputs.items():
            assert np.array_equal(value, expected[name]), f"seed {seed}, trial {trial}, {name}"
    assert programs > 5, "no network was more than one program"


FILES = {
    "cases/c25b_unet_argmax": ["npu", "host"],
    "cases/c10_conv3d": ["host", "npu"],
    "models/tflm_dtln_lstm_int8": ["host", "npu"],
    "models/tflm_mnist_lstm_int8": ["host", "npu"],
}
"""Files that the NPU runs in part, and their steps."""


@pytest.mark.parametrize("name", FILES)
def test_files_from_the_field_run(name, cases, capsys, no_rtl, tmp_path):
    model = cases.parent / f"{name}.tflite"
    assert main(["run", str(model), "--seed", "1", "-q", "--report", str(tmp_path / "report.json")]) == 0
    written = json.loads((tmp_path / "report.json").read_text())
    printed = capsys.readouterr().out
    assert written["bit_exact"] and written["reference"]["stopped_at"] is None
    assert [step["name"] for step in written["host_steps"]] == [step for step in FILES[name] if step.startswith("host")]
    assert written["host_ops"] == [op for step in written["host_steps"] for op in step["operators"]]
    assert 0 <= written["npu_mac_share"] <= 1 and 0 < written["npu_operator_share"] < 1
    assert "not in the cycles" in printed and "what the host computes is the reference's own" in " ".join(printed.split())
    assert max(map(len, printed.splitlines())) <= 110


def test_the_hosts_rows_stand_where_they_ran(tmp_path, capsys, no_rtl):
    tensors = [BuilderTensor(name, (1, 8), scale=1 / 128) for name in "xabyz"]
    operators = [BuilderOperator(op, (a,), (b,)) for op, a, b in (("ADD", "x", "a"), ("L2_NORMALIZATION", "a", "b"), ("ADD", "b", "y"))]
    operators = [BuilderOperator(each.op, each.inputs * 2, each.outputs) if each.op == "ADD" else each for each in operators]
    path = tmp_path / "net.tflite"
    path.write_bytes(build_model(tensors, operators, ["x"], ["y"]))
    assert main(["run", str(path), "--seed", "1", "-q", "--report", str(tmp_path / "report.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = [line.split()[0] for line in lines if line.split()[:1] in (["add_0"], ["host"], ["add_1"])]
    assert first[:3] == ["add_0", "host", "add_1"]
    written = json.loads((tmp_path / "report.json").read_text())
    (step,) = written["host_steps"]
    assert (step["position"], step["bytes_in"], step["bytes_out"], step["macs"]) == (1, 8, 8, 0)
    assert step["reasons"] == ["L2_NORMALIZATION: not supported"] and step["layers"] == ["l2_normalization_0"]
    assert written["cycles"] == sum(layer["cycles"] for layer in written["layers"])
    assert written["npu_operator_share"] == 2 / 3 and written["npu_mac_share"] == 1
    assert main(["run", str(path), "--seed", "1", "-q", "--camera", "640x480@30"]) == 2
    assert "is 2 programs" in capsys.readouterr().err


def test_bytes_of_uint8_go_to_the_host_and_back_as_the_file_has_them(tmp_path):
    """Two programs that compute on int8, and an operator between them that reads and writes uint8."""
    names = {"x": 120, "a": 120, "b": 128, "y": 100}
    tensors = [BuilderTensor(name, (1, 8), "uint8", 1 / 128, zero) for name, zero in names.items()]
    operators = [BuilderOperator(op, inputs, (made,)) for op, inputs, made in (
        ("ADD", ("x", "x"), "a"), ("L2_NORMALIZATION", ("a",), "b"), ("ADD", ("b", "b"), "y"))]  # fmt: skip
    whole = compiled(tmp_path / "net.tflite", build_model(tensors, operators, ["x"], ["y", "a"]))
    assert [step.name for step in whole.steps] == ["npu_0", "host", "npu_2"]
    sample = random_sample(whole.graph, 1)
    (outcome,) = outcomes(whole, [sample])
    expected = run_reference((tmp_path / "net.tflite").read_bytes(), list(sample.values()))
    assert outcome.mismatch is None and all(np.array_equal(value, expected[name]) for name, value in outcome.outputs.items())
    with start_reference(whole.graph, [sample]) as interpreter:
        verdict, mismatch = judge(whole.on_npu, tmp_path / "net.tflite", interpreter.result(), outcome.computed)
    assert mismatch is None and verdict.tensors >= 2


def test_a_program_with_a_host_step_runs_in_a_soc(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(weft.run.soc, "SocSimulator", MachineAsSoc)
    tensors = [BuilderTensor(name, (1, 8), scale=1 / 128) for name in "xay"]
    operators = [BuilderOperator("ADD", ("x", "x"), ("a",)), BuilderOperator("L2_NORMALIZATION", ("a",), ("y",))]
    path = tmp_path / "net.tflite"
    path.write_bytes(build_model(tensors, operators, ["x"], ["y"]))
    assert main(["run", str(path), "--seed", "1", "-q", "--display", "640x480@30", "--report", str(tmp_path / "report.json")]) == 0
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["bit_exact"] and written["soc"] and [step["operators"] for step in written["host_steps"]] == [["L2_NORMALIZATION"]]
    assert "on the host  L2_NORMALIZATION (not in the cycles)" in capsys.readouterr().out


def test_a_wrong_program_is_blamed_and_not_those_behind_it(tmp_path, monkeypatch):
    candidates = (compiled(tmp_path / "net.tflite", random_whole(np.random.default_rng(number))) for number in range(20))
    whole = next(each for each in candidates if len(each.npu_steps) > 1)
    monkeypatch.setattr(MachineAsSimulator, "spoil", True)
    sample = random_sample(whole.graph, 1)
    (outcome,) = outcomes(whole, [sample])
    assert outcome.mismatch is not None
    with start_reference(whole.graph, [sample]) as interpreter:
        _, mismatch = judge(whole.on_npu, tmp_path / "net.tflite", interpreter.result(), outcome.computed)
    assert mismatch is None, "the golden operators of the second program ran on right values"


def test_states_of_the_host_go_on_in_a_stream_and_begin_anew_with_the_next(models):
    path = models / "tflm_dtln_lstm_int8.tflite"
    whole = compiled(path)
    assert [step.keeps_state for step in whole.host_steps] == [True]
    samples = [random_sample(whole.graph, number) for number in range(3)]
    (name,) = whole.graph.outputs
    for given in (samples, samples[1:]):
        made = load_reference(path.read_bytes())
        for outcome, sample in zip(outcomes(whole, given), given, strict=True):
            assert np.array_equal(outcome.outputs[name], _invoked(made, sample))
    assert not np.array_equal(_invoked(load_reference(path.read_bytes()), samples[1]), outcomes(whole, samples[:2])[1].outputs[name])


@pytest.mark.parametrize("which", ["concatenation_0", "conv2d_3", "fully_connected_0"])
def test_a_wake_word_of_which_the_host_has_a_part_keeps_its_states(models, which, monkeypatch):
    """Variables that one program reads and assigns are states of it; the others are the host's with all that lies between."""
    path = models / "mww2_okay_nabu.tflite"
    monkeypatch.setattr(
        weft.run.whole, "label", lambda file, refused, bound: label(file, {**refused, which: Finding("X", "for a reason")}, bound)
    )
    whole = compiled(path)
    assert whole.host_steps and sum(len(step.compiled.graph.states) for step in whole.npu_steps) >= (
        5 if which == "fully_connected_0" else 0
    )
    samples = [random_sample(whole.graph, number) for number in range(4)]
    made, (name,) = load_reference(path.read_bytes()), whole.graph.outputs
    for outcome, sample in zip(outcomes(whole, samples), samples, strict=True):
        assert outcome.mismatch is None and np.array_equal(outcome.outputs[name], _invoked(made, sample))


def _invoked(interpreter, sample):
    (value,), (source,), (result,) = sample.values(), interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(source["index"], value)
    interpreter.invoke()
    return interpreter.get_tensor(result["index"])
