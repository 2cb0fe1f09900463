"""Outputs that no run computes: constants, through an operator or not, and inputs; folding of quantized operators of constants."""

import json
from pathlib import Path

import numpy as np
import pytest

from golden.reference_process import ReferenceProcess
from hw.npu.config import PRESETS
from tests.machine_checks import assert_exact, random_inputs
from tests.reference import run_reference
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.evaluate import evaluate
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.host import handed_out
from weft.compiler.image import write_image
from weft.run.reference_judge import judge

SMALL = PRESETS["small"]
CASES = Path(__file__).parents[4] / "shared" / "cases"


def tensor(name, dtype="int8", **settings):
    return BuilderTensor(name, (1, 8), dtype, **({"scale": 0.25, "zero_point": 3} if dtype == "int8" else {}), **settings)


def network(tmp_path, operators, outputs, **constants):
    """The function RELU of x is y; beside it stand some operators of constants."""
    names = dict.fromkeys(name for _, inputs, made in operators for name in (*inputs, *made))
    tensors = [tensor("x"), tensor("y")]
    tensors += [
        tensor(name, "float32" if name.startswith("real") else "int8", data=constants.get(name)) for name in names if name not in "xy"
    ]
    made = [BuilderOperator("RELU", ("x",), ("y",)), *(BuilderOperator(op, inputs, results) for op, inputs, results in operators)]
    path = tmp_path / "network.tflite"
    path.write_bytes(build_model(tensors, made, ["x"], outputs))
    return path


K = np.array([[-128, -7, 0, 3, 4, 90, 126, 127]], np.int8)
KINDS = {
    "a constant through DEQUANTIZE": ([("DEQUANTIZE", ("k",), ("real",))], ("y", "real"), ["real is a constant"]),
    "a function of a constant": ([("TANH", ("k",), ("t",)), ("ADD", ("t", "k"), ("s",)), ("ADD", ("s", "y"), ("z",))], ("z",), []),
    "a sum of constants": ([("ADD", ("k", "k"), ("s",))], ("s", "y"), ["s is a constant"]),
    "an input": ([], ("y", "x"), ["x is an input of the network"]),
    "an input through DEQUANTIZE": ([("DEQUANTIZE", ("x",), ("real",))], ("y", "real"), []),
}


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_that_no_run_computes_are_exact(kind, tmp_path):
    operators, outputs, known = KINDS[kind]
    path = network(tmp_path, operators, list(outputs), k=K)
    graph = read_tflite(path)
    assert all(any(not graph.tensors[name].constant for name in operator.inputs) for operator in graph.operators), "all is folded"
    inputs = random_inputs(graph, 1)
    compiled = assert_exact(graph, SMALL, inputs=inputs)
    assert handed_out(compiled.graph) == [f"output {each}: the host hands it out" for each in known]
    values, expected = evaluate(graph, inputs), run_reference(path.read_bytes(), [inputs["x"]])
    for name in outputs:
        assert np.array_equal(values[name], expected[name]), name
    description = json.loads((write_image(compiled, tmp_path / "image") / "map.json").read_text())
    constants = {each["tensor"]: np.frombuffer(bytes.fromhex(each["data"]), each["dtype"]) for each in description["constant_outputs"]}
    assert constants.keys() == {name for name in outputs if graph.tensors[name].constant}
    for name, value in constants.items():
        assert np.array_equal(value.reshape(expected[name].shape), expected[name]), name


@pytest.mark.parametrize("name", ["y08_output_twice", "dequantize_constant"])
def test_a_reported_file_is_exact(name):
    file = CASES / f"{name}.tflite"
    if not file.is_file():
        pytest.skip(f"no ../shared/cases/{name}.tflite: the files of reported faults are kept beside the repository")
    graph = read_tflite(file)
    assert len(handed_out(assert_exact(graph, SMALL).graph)) == 1


def test_the_reference_judges_constants_too(tmp_path):
    operators, outputs, _ = KINDS["a constant through DEQUANTIZE"]
    path = network(tmp_path, operators, list(outputs), k=K)
    graph, inputs = read_tflite(path), {"x": K}
    with ReferenceProcess(path, [K]) as reference:
        run, values = reference.result(), evaluate(graph, inputs)
    verdict, mismatch = judge(graph, path, run, values)
    assert verdict.tensors == 2 and mismatch is None
    values["real"] = values["real"] + 1
    assert "constant" in str(judge(graph, path, run, values)[1])
