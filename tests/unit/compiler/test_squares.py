"""SQUARED_DIFFERENCE of two tensors: exact for every pair of bytes, whatever the scales."""

import numpy as np
import pytest

from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from tests.machine_checks import assert_exact
from tests.reference import run_reference
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.driver import compile_graph
from weft.compiler.evaluate import evaluate
from weft.compiler.frontends.tflite import read_tflite

BASE = PRESETS["base"]
BYTES = np.arange(-128, 128).astype(np.int8)
QUANTIZATIONS = {
    "a normalization over channels": ((0.02649184688925743, -2), (0.004838813096284866, 3), (0.0588119737803936, -128)),
    "the larger scale second": ((0.0123, 5), (0.0371, -11), (0.11, -128)),
    "one scale": ((0.02, 3), (0.02, -9), (0.1, -128)),
    "ties": ((0.25, 0), (0.125, 1), (4.0, -128)),
    "saturated from the middle on": ((0.03, 100), (0.017, 90), (0.03, 20)),
}
"""Scales and zero points of both operands and the result."""


def network(path, first, second, result) -> bytes:
    """Writes a network in which each byte meets each; its content."""
    shapes = zip("aby", ((256, 1), (1, 256), (256, 256)), (first, second, result))
    tensors = [BuilderTensor(name, shape, scale=scale, zero_point=zero) for name, shape, (scale, zero) in shapes]
    content = build_model(tensors, [BuilderOperator("SQUARED_DIFFERENCE", ("a", "b"), ("y",))], ["a", "b"], ["y"])
    path.write_bytes(content)
    return content


@pytest.mark.parametrize("kind", QUANTIZATIONS)
def test_every_pair_of_bytes_is_exact(kind, tmp_path):
    content = network(tmp_path / "net.tflite", *QUANTIZATIONS[kind])
    graph, inputs = read_tflite(tmp_path / "net.tflite"), {"a": BYTES.reshape(256, 1), "b": BYTES.reshape(1, 256)}
    assert np.array_equal(run_reference(content, list(inputs.values()))["y"], evaluate(graph, inputs)["y"])
    assert_exact(graph, BASE, inputs=inputs)


@pytest.mark.parametrize(("scale", "right"), [(0.999, True), (1.0, False)])
def test_factors_end_where_those_of_the_reference_end(scale, right, tmp_path):
    """It aborts at 2^12: an output scale of 1 for inputs of 64."""
    content = network(tmp_path / "net.tflite", (64 * scale, 0), (64 * scale, 0), (1.0, 0))
    if not right:
        with pytest.raises(WeftError, match=r"must be above 0 and below 2\^12, else the reference aborts; here 4096"):
            read_tflite(tmp_path / "net.tflite")
        return
    inputs = {"a": BYTES.reshape(256, 1), "b": BYTES.reshape(1, 256)}
    expected = run_reference(content, list(inputs.values()))["y"]
    assert np.array_equal(expected, evaluate(read_tflite(tmp_path / "net.tflite"), inputs)["y"])


REFUSED = {
    "a small output scale": (((0.5, 0), (0.3, 0), (0.05, -128)), "SQUARED_DIFFERENCE: the output's scale is so small that a step of"),
    "zero points apart": (((0.5, 127), (0.3, -128), (500.0, -128)), "SQUARED_DIFFERENCE: differences reach 408 steps of the larger scale"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_its_tables_do_not_hold_is_refused(kind, tmp_path):
    quantizations, expected = REFUSED[kind]
    network(tmp_path / "net.tflite", *quantizations)
    with pytest.raises(WeftError, match=expected):
        compile_graph(read_tflite(tmp_path / "net.tflite"), BASE)
