"""Functions of one tensor: every byte against the reference kernels, and their tables on the golden machine."""

import numpy as np
import pytest

from golden.operators.lookup import all_bytes
from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from tests import random_operators
from tests.machine_checks import assert_exact
from tests.reference import run_reference
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.driver import compile_graph
from weft.compiler.evaluate import evaluate
from weft.compiler.tables import FUNCTIONS

COUNT = 40
ALIASES = ("EXPAND_DIMS", "RESHAPE", "SQUEEZE")


@pytest.mark.parametrize("op", FUNCTIONS)
def test_all_256_bytes_equal_the_reference(op, seed, read):
    rng = np.random.default_rng([seed, *op.encode()])
    for trial in range(COUNT):
        model = random_operators.OPERATORS[op](rng)
        graph = read(model)
        if graph.tensors["x"].dtype == "float32":
            continue
        dtype, shape = graph.tensors["x"].dtype, graph.tensors["x"].shape
        x = np.resize(all_bytes(dtype), shape)
        got, expected = evaluate(graph, {"x": x})["y"], run_reference(model, [x])["y"]
        wrong = np.argwhere(got != expected)
        assert not wrong.size, (
            f"seed {seed}, trial {trial}, {op} of {x[tuple(wrong[0])]}: expected {expected[tuple(wrong[0])]}, "
            f"got {got[tuple(wrong[0])]}; {graph.tensors['x'].quantization} to {graph.tensors['y'].quantization}"
        )


def test_ties_go_away_from_zero(read):
    """A quotient of k + 1/2 after the float32 reciprocal: 1.5 * scale by scale, for GELU where it is the identity."""
    tensors = [BuilderTensor("x", (1, 256), scale=3.0, zero_point=-128), BuilderTensor("y", (1, 256), scale=2.0, zero_point=-128)]
    model = build_model(tensors, [BuilderOperator("GELU", ("x",), ("y",))], ["x"], ["y"])
    x = all_bytes("int8").reshape(1, 256)
    got = evaluate(read(model), {"x": x})["y"].reshape(-1)
    assert got[all_bytes("uint8") == 0x8A] == -113  # 10 above the zero point: 30 / 2 = 15
    assert got[all_bytes("uint8") == 0x8B] == -111  # 11: 33 / 2 = 16.5, which becomes 17
    assert np.array_equal(got, run_reference(model, [x])["y"].reshape(-1))


@pytest.mark.parametrize("op", [*FUNCTIONS, *ALIASES])
def test_functions_and_aliases_of_an_input_run_on_the_machine(op, seed, read):
    rng = np.random.default_rng([seed, *op.encode()])
    for _ in range(6):
        graph = read(random_operators.OPERATORS[op](rng))
        if graph.tensors[graph.inputs[0]].dtype == "float32":
            with pytest.raises(WeftError, match="the NPU computes none of its operators"):
                compile_graph(graph, PRESETS["small"])
        else:
            assert_exact(graph, PRESETS["small"], seed=seed)


def test_an_output_that_is_an_alias_and_read_inside_is_written(read):
    """X is reshaped; the result is an output and rectified too, and that is reshaped again."""
    tensors = [
        BuilderTensor("x", (1, 4, 6, 5), scale=0.5), BuilderTensor("flat", (1, 120), scale=0.5),
        BuilderTensor("y", (1, 120), scale=0.25, zero_point=-128), BuilderTensor("z", (10, 12), scale=0.25, zero_point=-128),
    ]  # fmt: skip
    wiring = (("RESHAPE", "x", "flat"), ("RELU", "flat", "y"), ("RESHAPE", "y", "z"))
    operators = [BuilderOperator(op, (source,), (result,)) for op, source, result in wiring]
    for outputs in (["flat", "z"], ["z", "y", "flat"], ["y"]):
        assert_exact(read(build_model(tensors, operators, ["x"], outputs)), PRESETS["small"])


def test_softmax_of_a_reshaped_input_runs(read):
    tensors = [
        BuilderTensor("x", (1, 2, 5), scale=0.1), BuilderTensor("flat", (1, 10), scale=0.1),
        BuilderTensor("y", (1, 10), scale=1 / 256, zero_point=-128),
    ]  # fmt: skip
    operators = [BuilderOperator("RESHAPE", ("x",), ("flat",)), BuilderOperator("SOFTMAX", ("flat",), ("y",))]
    assert_exact(read(build_model(tensors, operators, ["x"], ["y"])), PRESETS["small"])
