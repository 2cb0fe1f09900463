"""The reference interpreter as a judge: in its own process, to the end or to where it dies, and what a run says of that."""

import json
from pathlib import Path

import numpy as np
import pytest

from golden.reference import operator_count, operator_tensors, reference_version, single_operator
from golden.reference_process import ReferenceProcess, Stop
from hw.npu.errors import WeftError
from tests.reference import run_reference
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from tests.unit.cli.test_cli import MachineAsSimulator
from tests.unit.compiler.test_products import network
from weft.cli.main import main
from weft.compiler.frontends.tflite import file_tensor_names, read_tflite
from weft.compiler.limits import LIMITS
from weft.run.inputs import random_sample

DIGITS = Path(__file__).parents[3] / "examples" / "digits" / "digits.tflite"


@pytest.fixture
def no_rtl(monkeypatch):
    """The golden machine in the simulator's place."""
    monkeypatch.setattr("weft.run.network.Simulator", MachineAsSimulator)


def flat_softmax(path):
    """A RELU, then a SOFTMAX of 900 equal values, at which the reference kernel aborts, then a RELU of its output."""
    shape, probabilities = (1, 900), {"scale": 1 / 256, "zero_point": -128}
    tensors = [BuilderTensor(name, shape, scale=1e-4) for name in "xh"] + [BuilderTensor(name, shape, **probabilities) for name in "py"]
    chain = [BuilderOperator(op, (a,), (b,)) for op, a, b in (("RELU", "x", "h"), ("SOFTMAX", "h", "p"), ("RELU", "p", "y"))]
    path.write_bytes(build_model(tensors, chain, ["x"], ["y"]))
    return path


def digits_input():
    graph = read_tflite(DIGITS)
    return list(random_sample(graph, 1).values())


def test_another_process_computes_the_same_tensors():
    inputs = digits_input()
    with ReferenceProcess(DIGITS, inputs) as reference:
        run = reference.result()
    expected = run_reference(DIGITS.read_bytes(), inputs)
    names = file_tensor_names(DIGITS)
    assert run.stop is None and run.version == reference_version() == "2.3.0"
    assert {names[index] for index in run.tensors if index < len(names)} >= {"y"} & set(names) | set(read_tflite(DIGITS).outputs)
    for index, value in run.tensors.items():
        if index < len(names):
            assert np.array_equal(value, expected[names[index]]), names[index]


def test_operators_one_by_one_compute_what_the_whole_network_does():
    model, inputs = DIGITS.read_bytes(), digits_input()
    expected = run_reference(model, inputs)
    names, graph = file_tensor_names(DIGITS), read_tflite(DIGITS)
    assert operator_count(model) == len(graph.operators)
    for number, operator in enumerate(graph.operators):
        read, written = operator_tensors(model, number)
        alone = run_reference(single_operator(model, number), [expected[names[index]] for index in read])
        assert [names[index] for index in written] == list(operator.outputs)
        for name in operator.outputs:
            assert np.array_equal(alone[name], expected[name]), name


def test_what_the_interpreter_died_of_is_found_with_all_before_it(tmp_path):
    path, x = flat_softmax(tmp_path / "flat.tflite"), np.full((1, 900), 7, np.int8)
    with ReferenceProcess(path, [x]) as reference:
        reference.check_loads()
        run = reference.result()
    assert run.stop == Stop(operator=1, tensor=2, reason="SIGABRT")
    assert sorted(run.tensors) == [0, 1] and (run.tensors[1] == 7).all()


def test_a_kernel_that_refuses_a_value_is_quoted(tmp_path):
    tensors = [BuilderTensor(name, (1, 2), scale=0.1) for name in "xhy"]
    chain = [BuilderOperator("NEG", ("x",), ("h",)), BuilderOperator("SQRT", ("h",), ("y",))]
    (tmp_path / "root.tflite").write_bytes(build_model(tensors, chain, ["x"], ["y"]))
    with ReferenceProcess(tmp_path / "root.tflite", [np.full((1, 2), 3, np.int8)]) as reference:
        run = reference.result()
    assert (run.stop.operator, run.stop.tensor) == (1, 2) and "SQRT" in run.stop.reason
    assert run.tensors[1].tolist() == [[-3, -3]]


def test_a_file_that_the_interpreter_refuses_is_refused_with_its_reason(tmp_path, no_rtl, capsys):
    """A bias whose scale is not that of the products; Weft itself never looks at it."""
    tensors = [
        BuilderTensor("x", (1, 4), scale=1.0), BuilderTensor("w", (2, 4), scale=1.0, data=np.ones((2, 4))),
        BuilderTensor("b", (2,), "int32", scale=9.0, data=np.ones(2)), BuilderTensor("y", (1, 2), scale=1.0),
    ]  # fmt: skip
    path = tmp_path / "bias.tflite"
    path.write_bytes(build_model(tensors, [BuilderOperator("FULLY_CONNECTED", ("x", "w", "b"), ("y",))], ["x"], ["y"]))
    for command in (["run", path], ["compile", path, "-o", tmp_path / "image"]):
        assert main([*map(str, command), "--quiet"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "bias.tflite: the reference interpreter 2.3.0 refuses it: " in line and "scale_diff" in line
    assert not (tmp_path / "image" / "map.json").exists()


def test_without_an_interpreter_the_run_says_so(tmp_path, no_rtl, capsys, monkeypatch):
    monkeypatch.setattr("golden.reference_process.MODULE", "golden.no_such_module")
    assert main(["run", str(DIGITS), "--quiet"]) == 2
    assert "--no-reference" in capsys.readouterr().err
    assert main(["run", str(DIGITS), "--quiet", "--no-reference"]) == 0


def verdict_of(tmp_path, capsys, *arguments):
    """Exit code, what was printed, and the report as JSON."""
    report = tmp_path / "report.json"
    code = main(["run", *map(str, arguments), "--seed", "1", "--quiet", "--report", str(report)])
    captured = capsys.readouterr()
    return code, " ".join(captured.out.split()), captured.err, json.loads(report.read_text())


def test_the_report_says_by_whom_it_was_judged(tmp_path, no_rtl, capsys):
    code, out, _, content = verdict_of(tmp_path, capsys, DIGITS)
    operators = len(read_tflite(DIGITS).operators)
    assert (code, content["bit_exact"]) == (0, True)
    assert content["reference"] == {"version": "2.3.0", "tensors": operators, "stopped_at": None, "reason": None}
    assert f"reference {operators} tensors of the golden operators compared with the TFLite interpreter 2.3.0" in out


def test_a_run_can_do_without_the_interpreter_and_says_so(tmp_path, no_rtl, capsys):
    code, out, _, content = verdict_of(tmp_path, capsys, DIGITS, "--no-reference")
    assert (code, content["bit_exact"], content["reference"]) == (0, True, None)
    assert "reference the TFLite reference interpreter was not asked" in out


def test_where_the_interpreter_dies_the_tensors_before_are_compared_and_the_verdict_says_so(tmp_path, no_rtl, capsys):
    path = flat_softmax(tmp_path / "flat.tflite")
    code, out, _, content = verdict_of(tmp_path, capsys, path)
    assert (code, content["bit_exact"]) == (0, True)
    assert content["reference"] == {"version": "2.3.0", "tensors": 1, "stopped_at": "softmax_0 (p)", "reason": "SIGABRT"}
    assert "interpreter 2.3.0, up to softmax_0 (p), where it ended: SIGABRT" in out


def test_operators_that_differ_from_the_interpreter_are_a_third_kind_of_fault(tmp_path, no_rtl, capsys, monkeypatch):
    """A product beyond int32 behind a limit that is taken away: golden operators and machine saturate alike, the interpreter does not."""
    monkeypatch.setitem(LIMITS, "FULLY_CONNECTED", [limit for limit in LIMITS["FULLY_CONNECTED"] if limit.__name__ != "has_bounded_sums"])
    network(tmp_path / "net.tflite", "FULLY_CONNECTED", 2.0**22, -128)
    code, out, err, content = verdict_of(tmp_path, capsys, tmp_path / "net.tflite")
    assert (code, content["bit_exact"]) == (1, False)
    assert "bit-exact NO" in out
    assert "weft: the golden operators differ from the reference interpreter, first at layer fully_connected_0 (y)" in err
    assert content["mismatch"]["blame"] == "golden operators" and content["mismatch"]["tensor"] == "y"
    assert content["mismatch"]["expected"] == -128 and content["mismatch"]["got"] == 127
    assert content["mismatch"]["what"] == "y[0, 0]"


def test_a_network_that_is_given_up_leaves_no_process_behind(tmp_path):
    with pytest.raises(WeftError), ReferenceProcess(DIGITS, digits_input()) as reference:
        raise WeftError("something else is wrong")
    assert reference._future.done()
    assert reference._child is None or reference._child.ended
