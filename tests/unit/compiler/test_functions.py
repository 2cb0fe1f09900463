"""Functions of one tensor: every byte against the reference kernels, and their tables on the golden machine."""

import numpy as np
import pytest

from golden.operators.lookup import all_bytes
from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from tests import random_operators
from tests.machine_checks import assert_exact
from tests.network_checks import message_of
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


@pytest.mark.parametrize(("op", "ratio"), [("TANH", 1.5), ("GELU", 3.0)])
def test_next_to_ties_the_last_bit_of_the_c_library_counts(op, ratio, seed, read):
    """Near 0 the functions are x and x / 2, so that with these ratios of the scales every odd distance lies next to a tie."""
    rng, every = np.random.default_rng([seed, *op.encode()]), all_bytes("int8").reshape(1, 256)
    for scale in 10 ** rng.uniform(-5, -3, 60):
        model = function(op, (float(np.float32(ratio * scale)), int(rng.integers(-128, 128))), (float(np.float32(scale)), -128))
        got, expected = evaluate(read(model), {"x": every})["y"], run_reference(model, [every])["y"]
        assert np.array_equal(got, expected), f"scale {scale}: {np.count_nonzero(got != expected)} of 256 differ"


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


def function(op, x, y, dtype="int8", **options) -> bytes:
    """One function; `x` and `y` are scale and zero point."""
    tensors = [BuilderTensor(name, (1, 256), dtype, scale=q[0], zero_point=q[1]) for name, q in (("x", x), ("y", y))]
    return build_model(tensors, [BuilderOperator(op, ("x",), ("y",), options)], ["x"], ["y"])


LAST_GOOD_AND_FIRST_BAD = {
    "RELU": (
        (2.0**21.9, 3),
        (1.0, 5),
        (2.0**22, 3),
        (1.0, 5),
        {},
        "the ratio of input scale to output scale must be below 2^22; here 4.1943e+06",
    ),
    "RELU6": (
        (2.0**-28, 3),
        (2.0**-28, 5),
        (2.0**-29, 3),
        (2.0**-29, 5),
        {},
        "the output's scale must be 2^-28 or more, so that 6 of it is an int32",
    ),
    "LEAKY_RELU": (
        (1.0, 3),
        (1.0, 5),
        (8.0, 3),
        (1.0, 5),
        {"alpha": 2.0**20},
        "alpha must be 0 or more, and alpha * input scale / output scale below 2^22",
    ),
    "HARD_SWISH": ((127.9, 3), (1.0, 5), (128.0, 3), (1.0, 5), {}, "the ratio of input scale to output scale must be below 128"),
    "LOGISTIC": ((0.1, 3), (1 / 256, -128), (0.1, 3), (1 / 256, -127), {}, "the output must have scale 1/256 and the lowest zero point"),
    "RSQRT": ((1.0, -128), (2.0**10.9, 5), (1.0, -128), (2.0**13, 5), {}, "must be from 2^-11 to 2^30; here 2^-12"),
    "SQRT": ((0.5, -128), (0.1, 5), (0.5, -127), (0.1, 5), {}, "the input's zero point must be -128, since there is no root"),
    "NEG": ((0.5, 0), (0.5, 0), (0.5, 0), (0.5, 1), {}, "both zero points must be 0 and the scales equal"),
    "TANH": ((2.0**-60, 3), (2.0**60, 5), (2.0**-61, 3), (2.0**60, 5), {}, "scales must be from 2^-60 to 2^60"),
}
"""For each function quantizations that are still exact, others that are not accepted, options, and a part of the message."""


@pytest.mark.parametrize("op", LAST_GOOD_AND_FIRST_BAD)
def test_limits_of_functions_on_both_sides(op, read):
    x, y, bad_x, bad_y, options, expected = LAST_GOOD_AND_FIRST_BAD[op]
    model, every = function(op, x, y, **options), all_bytes("int8").reshape(1, 256)
    assert np.array_equal(evaluate(read(model), {"x": every})["y"], run_reference(model, [every])["y"])
    assert f"{op}: {expected}" in message_of(read, function(op, bad_x, bad_y, **options)).replace(
        "the factor 1 / (root of input scale * output scale) ", ""
    )


def test_a_root_that_overflows_is_refused(read):
    assert "must be below 2^30; here 1.59687e+09" in message_of(read, function("SQRT", (1.0, -128), (1e-8, 0)))


@pytest.mark.parametrize("op", ["ABS", "EXP", "LOG", "NEG", "RSQRT", "SQRT"])
def test_functions_without_unsigned_kernels_are_refused(op, read):
    message = message_of(read, function(op, (0.5, 0), (0.5, 0), "uint8"))
    assert f"{op}: activations must be int8; here x has type uint8" in message
