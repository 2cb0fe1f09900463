"""Where a requantized sum leaves int32: refused with its layer, and exact on the near side of the limit, at the worst input."""

import numpy as np
import pytest

from hw.npu.errors import WeftError
from tests.reference import run_reference
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.evaluate import evaluate
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.limits import LIMITS
from weft.compiler.limits.products import largest_sums

CHANNELS = 3
BOUNDED = {
    "CONV_2D": "has_bounded_sums",
    "DEPTHWISE_CONV_2D": "has_bounded_sums",
    "FULLY_CONNECTED": "has_bounded_sums",
    "MEAN": "has_bounded_mean",
    "MUL": "has_bounded_product",
    "PRELU": "has_bounded_prelu",
    "SUM": "has_bounded_sum",
    "TRANSPOSE_CONV": "has_bounded_sums",
}
"""Operators whose sums or products can leave int32, and the limit that says so."""


def image(name, *shape, scale=1.0, zero_point=0):
    return BuilderTensor(name, shape, scale=scale, zero_point=zero_point)


def constants(name, values, dtype="int32", **quantization):
    return BuilderTensor(name, np.shape(values), dtype, data=np.array(values), **quantization)


def weighted(op, factor, zero_point, bias):
    """An operator with weights of 100 and a bias, whose largest sum is 4 * 100 * (128 + |zero point|) + bias."""
    shape = {"DEPTHWISE_CONV_2D": (1, 2, 2, CHANNELS), "FULLY_CONNECTED": (CHANNELS, 4)}.get(op, (CHANNELS, 2, 2, 1))
    scale = [factor] * CHANNELS if op != "FULLY_CONNECTED" else factor
    axis = 3 if op == "DEPTHWISE_CONV_2D" else 0
    weights = constants("w", np.full(shape, 100), "int8", scale=scale, axis=axis)
    biases = constants("b", [bias, -1000, 7], scale=scale)
    x = image("x", *(1, 4) if op == "FULLY_CONNECTED" else (1, 2, 2, CHANNELS if op == "DEPTHWISE_CONV_2D" else 1), zero_point=zero_point)
    y = image("y", *(1, CHANNELS) if op == "FULLY_CONNECTED" else (1, 2, 2, CHANNELS), zero_point=-1 - zero_point)
    options = {} if op == "FULLY_CONNECTED" else {"padding": "SAME"}
    if op == "TRANSPOSE_CONV":
        return [constants("s", y.shape), weights, x, biases, y], "swxb", options
    return [x, weights, biases, y], "xwb", options


def pair(op, factor, zero_point):
    """Two tensors of one scale each, so that every second factor is the scale's square."""
    return (
        [image("x", 1, 256, zero_point=zero_point), image("v", 1, 256, scale=factor, zero_point=zero_point), image("y", 1, 256)],
        "xv",
        {},
    )


def mean(op, factor, zero_point):
    return [image("x", 1, 4, 4, 2, scale=factor, zero_point=zero_point), constants("a", [1, 2]), image("y", 1, 2)], "xa", {}


def network(path, op, factor, zero_point, *, bias=1000):
    """Writes a network of one operator, of which the first channel has the bias; its content."""
    make = {"MUL": pair, "PRELU": pair, "MEAN": mean, "SUM": mean}.get(op)
    numbers = op, float(np.float32(factor)), zero_point
    tensors, names, options = make(*numbers) if make else weighted(*numbers, bias)
    inputs = [name for name in names if name in "xv"]
    content = build_model(tensors, [BuilderOperator(op, tuple(names), ("y",), options)], inputs, ["y"])
    path.write_bytes(content)
    return content


def worst_inputs(graph):
    """All of the lowest, all of the highest, and both mixed."""
    shapes = [graph.tensors[name].shape for name in graph.inputs]
    for low, high in ((-128, -128), (127, 127), (-128, 127), (127, -128)):
        yield {name: np.full(shape, value, np.int8) for name, shape, value in zip(graph.inputs, shapes, (low, high))}


def read_or_refusal(path):
    """The graph of a file, or why it is refused."""
    try:
        return read_tflite(path), ""
    except WeftError as error:
        return None, str(error)


@pytest.mark.parametrize("op", BOUNDED)
def test_a_product_is_exact_up_to_the_limit_and_refused_beyond(tmp_path, op):
    """Factors a root of two apart, to the last one that is accepted: nothing that is accepted differs from the reference."""
    path = tmp_path / "net.tflite"
    for zero_point in (-128, 127):
        accepted, refused = 0, 0
        for exponent in np.arange(12, 29, 0.5):
            content = network(path, op, 2.0**exponent, zero_point)
            graph, message = read_or_refusal(path)
            if graph is None:
                assert f"layer {op.lower().replace('_2d', '2d')}_0 (y): {op}: " in message and "below 2^31; here" in message
                refused += 1
                continue
            accepted += 1
            assert not refused, "a larger factor is accepted again"
            for inputs in worst_inputs(graph):
                expected, got = run_reference(content, list(inputs.values()))["y"], evaluate(graph, inputs)["y"]
                assert np.array_equal(expected, got), f"{op} at 2^{exponent}, zero point {zero_point}: {expected} {got}"
        assert accepted and refused


def test_a_fully_connected_beyond_the_limit_differs_from_the_reference(tmp_path, monkeypatch):
    """What the limit is for: the reference gives -2^31 for a product of 2^31 and above."""
    path = tmp_path / "net.tflite"
    monkeypatch.setitem(LIMITS, "FULLY_CONNECTED", [limit for limit in LIMITS["FULLY_CONNECTED"] if limit.__name__ != "has_bounded_sums"])
    content = network(path, "FULLY_CONNECTED", 2.0**16, -128)
    graph, x = read_tflite(path), np.full((1, 4), 127, np.int8)
    assert evaluate(graph, {"x": x})["y"].max() == 127
    assert run_reference(content, [x])["y"].max() == -128


@pytest.mark.parametrize("op", [op for op, limit in BOUNDED.items() if limit == "has_bounded_sums"])
def test_the_bound_of_a_sum_is_reached(tmp_path, op):
    """Four weights of 100 and a bias: by the lowest or by the highest input, whichever is farther from the zero point."""
    path = tmp_path / "net.tflite"
    for zero_point in (-128, 5, 127):
        network(path, op, 1.0, zero_point)
        graph = read_tflite(path)
        ends = (400 * (-128 - zero_point), 400 * (127 - zero_point))
        assert largest_sums(graph, graph.operators[0]).tolist() == [max(abs(end + b) for end in ends) for b in (1000, -1000, 7)]


@pytest.mark.parametrize("op", [op for op, limit in BOUNDED.items() if limit == "has_bounded_sums"])
def test_a_sum_that_leaves_int32_before_a_small_factor_wraps_as_in_the_reference(tmp_path, op):
    """Converters saturate the bias of a dead channel at the ends of int32."""
    path = tmp_path / "net.tflite"
    for bias in (2**31 - 1, -(2**31)):
        content = network(path, op, 2.0**-24, 0, bias=bias)
        graph = read_tflite(path)
        results = []
        for inputs in worst_inputs(graph):
            expected, got = run_reference(content, list(inputs.values()))["y"], evaluate(graph, inputs)["y"]
            assert np.array_equal(expected, got), f"{op}, bias {bias}: {expected} {got}"
            results.append(int(got.reshape(-1)[0]))
        assert min(results) < -100 and max(results) > 100, "a sum on either side of the end"


def test_every_operator_that_multiplies_is_bounded():
    found = {op: [limit.__name__ for limit in limits if limit.__name__.startswith("has_bounded")] for op, limits in LIMITS.items()}
    assert {op: names[0] for op, names in found.items() if names} == BOUNDED


@pytest.mark.parametrize(("dtype", "zero_points"), [("int8", (-128, -5, 0, 127)), ("uint8", (0, 5, 255))])
def test_quantize_of_values_beyond_int32_is_that_of_the_reference(tmp_path, dtype, zero_points):
    edge = 2.0**31
    values = [0, 1, 2.0**30, edge - 200, edge - 128, edge, edge + 256, 1e30, np.inf, 128 - edge, -edge, -edge - 256, -1e30, -np.inf, np.nan]
    x = np.array([values], np.float32)
    for zero_point in zero_points:
        tensors = [BuilderTensor("x", x.shape, "float32"), BuilderTensor("y", x.shape, dtype, scale=1.0, zero_point=zero_point)]
        content = build_model(tensors, [BuilderOperator("QUANTIZE", ("x",), ("y",))], ["x"], ["y"])
        (tmp_path / "net.tflite").write_bytes(content)
        got = evaluate(read_tflite(tmp_path / "net.tflite"), {"x": x})["y"]
        assert got.tolist() == run_reference(content, [x])["y"].tolist()


def test_the_network_that_left_int32_is_refused_with_its_layer(models):
    path = models.parent / "cases" / "num_small_1202.tflite"
    if not path.exists():
        pytest.skip("no ../shared/cases")
    with pytest.raises(
        WeftError, match=r"layer fully_connected_0 \(t3\): FULLY_CONNECTED: the largest sum .* below 2\^31; here \d+ \* 4\.69"
    ):
        read_tflite(path)
