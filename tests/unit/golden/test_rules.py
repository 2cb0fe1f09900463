"""Rules of arithmetic that differ only at ties: scales that make them, all pairs of values, and the rules that lost.

Random scales do not tell these rules apart, so every test shows twice that it can: the golden operator equals the reference
interpreter, and each rule that lost is wrong somewhere.
"""

import numpy as np
import pytest

from golden.operators.fully_connected import fully_connected
from golden.operators.mean import mean
from golden.operators.mul import mul
from golden.operators.prelu import prelu
from golden.operators.resize import resize_nearest_neighbor
from golden.quantization import add_parameters, quantize_multiplier, quantize_multipliers
from golden.requantize import multiply_double_rounding, multiply_single_rounding
from golden.rounded_product import thresholds
from hw.npu.interface.isa import ADD_LEFT_SHIFT
from tests.random_operators.values import one_operator
from tests.reference import run_reference
from tests.tflite_builder import BuilderTensor
from weft.compiler.evaluate import evaluate
from weft.compiler.frontends.tflite import read_tflite

FIRST = np.repeat(np.arange(-128, 128), 256).reshape(256, 256).astype(np.int8)
SECOND = FIRST.T.copy()
COUNT = 120


def near_tie(rng, scale):
    """A scale close to `scale` times a fraction with an even denominator, so that results are halves, nearly."""
    exact = np.float32(scale * rng.integers(3, 22) * 2 / rng.integers(5, 60))
    return float(np.nextafter(exact, exact * np.float32(rng.choice([0.5, 2]))) if rng.random() < 0.4 else exact)


def answer(tmp_path, op, tensors, inputs, options=None):
    """The reference's result y, after the golden operator was compared with it."""
    names = tuple(tensor.name for tensor in tensors[:-1])
    model, path = one_operator(op, tensors, names, ("y",), options), tmp_path / "net.tflite"
    path.write_bytes(model)
    graph = read_tflite(path)
    expected = run_reference(model, [inputs[name] for name in graph.inputs])["y"]
    wrong = np.argwhere(evaluate(graph, inputs)["y"] != expected)
    assert not wrong.size, f"{len(wrong)} wrong, first at {wrong[0]}, scales {[tensor.scale for tensor in tensors]}"
    return expected


def operands(scales, zero_points=(0, 0, 0)):
    shapes = {"shape": FIRST.shape}
    return [BuilderTensor(name, **shapes, scale=scale, zero_point=zero) for name, scale, zero in zip("aby", scales, zero_points)]


def float_product(s, t, o):
    return float(np.float32(s) * np.float32(t) / np.float32(o))


def double_product(s, t, o):
    return np.float64(np.float32(s)) * np.float64(np.float32(t)) / np.float64(np.float32(o))


def double_quotient(s, t, o):
    return np.float64(np.float32(s) * np.float32(t)) / np.float64(np.float32(o))


@pytest.mark.parametrize("lost", [double_product, double_quotient])
def test_mul_multiplies_and_divides_scales_as_floats(tmp_path, seed, lost):
    rng, wrong = np.random.default_rng([seed, 1]), 0
    for _ in range(COUNT):
        s, t = (float(np.float32(2.0 ** rng.uniform(-6, 0))) for _ in range(2))
        o = near_tie(rng, s * t)
        results = [
            mul(FIRST, SECOND, multiplier=multiplier, exponent=exponent, zero_points=(0, 0, 0), clamp=(-128, 127))
            for multiplier, exponent in (quantize_multiplier(rule(s, t, o)) for rule in (float_product, lost))
        ]
        if (results[0] != results[1]).any():
            wrong += (answer(tmp_path, "MUL", operands((s, t, o)), {"a": FIRST, "b": SECOND}) != results[1]).sum()
    assert wrong


def power_of_two(rng, scale):
    """An output scale with which every second, fourth, ... sum is a tie."""
    return float(np.float32(2.0 ** np.round(np.log2(scale)) * 2.0 ** rng.integers(1, 6)))


@pytest.mark.parametrize("dtype", ["int8", "int4"])
@pytest.mark.parametrize("count", [1, 16])
@pytest.mark.parametrize(("output", "lost"), [(near_tie, double_quotient), (power_of_two, double_product)])
def test_fully_connected_rounds_a_product_of_doubles_half_away_from_zero(tmp_path, seed, output, lost, count, dtype):
    """By tensor and by channel. Near ties the multiplier of a float product is wrong somewhere, at ties the one nearest to the factor."""
    rng, x, weights = np.random.default_rng([seed, 6]), FIRST[:, :1], np.arange(-8, 8).astype(np.int8)[:, None]
    wrong = 0
    for _ in range(COUNT if output is near_tie else 10):
        if output is near_tie:
            s, t = (float(np.float32(2.0 ** rng.uniform(-6, 0))) for _ in range(2))
        else:
            s, t = 2.0 ** -rng.integers(0, 6), 2.0 ** -rng.integers(0, 6)
        o = output(rng, s * t)
        tensors = [
            BuilderTensor("x", x.shape, scale=s),
            BuilderTensor("w", weights.shape, dtype, scale=[t] * count, data=weights),
            BuilderTensor("y", (256, 16), scale=o),
        ]
        expected = answer(tmp_path, "FULLY_CONNECTED", tensors, {"x": x})
        multipliers, exponents = quantize_multipliers([lost(s, t, o)] * 16)
        numbers = {"multipliers": multipliers, "exponents": exponents, "clamp": (-128, 127)}
        wrong += (fully_connected(x, weights, np.zeros(16, np.int32), input_zero_point=0, output_zero_point=0, **numbers) != expected).sum()
    print(f"{dtype}, {count} scales, {output.__name__}: {lost.__name__} is wrong at {wrong}")
    assert wrong


@pytest.mark.parametrize("exponent", range(-12, 1))
def test_fully_connected_is_exact_at_every_sum_where_the_output_changes(tmp_path, seed, exponent):
    """Sums come from the bias, down to factors of 2^-12; far below that 31 bits do not tell apart all sums of 32."""
    rng = np.random.default_rng([seed, 7, exponent + 12])
    for _ in range(10):
        s, t = (float(np.float32(2.0 ** rng.uniform(-6, 0))) for _ in range(2))
        o = float(np.float32(s * t / 2.0 ** (exponent + rng.uniform(0, 1))))
        sums = thresholds(double_product(s, t, o)).astype(np.int32)
        tensors = [
            BuilderTensor("x", (1, 1), scale=s),
            BuilderTensor("w", (sums.size, 1), scale=t, data=np.ones((sums.size, 1))),
            BuilderTensor("b", sums.shape, "int32", scale=float(np.float32(s) * np.float32(t)), data=sums),
            BuilderTensor("y", (1, sums.size), scale=o),
        ]
        answer(tmp_path, "FULLY_CONNECTED", tensors, {"x": np.zeros((1, 1), np.int8)})


@pytest.mark.parametrize("lost", ["double quotient at 0 and above", "double product below"])
def test_prelu_multiplies_and_divides_scales_as_floats(tmp_path, seed, lost):
    rng, wrong = np.random.default_rng([seed, 2]), 0
    for _ in range(COUNT):
        s = float(np.float32(2.0 ** rng.uniform(-6, 0)))
        o, t = near_tie(rng, s), near_tie(rng, 1.0)
        positive, negative = float(np.float32(s) / np.float32(o)), float_product(s, t, o)
        if lost.startswith("double quotient"):
            pairs = [(positive, negative), (double_product(s, 1.0, o), negative)]
        else:
            pairs = [(positive, negative), (positive, double_product(s, t, o))]
        results = [
            prelu(FIRST, SECOND, positive=quantize_multiplier(p), negative=quantize_multiplier(n), zero_points=(0, 0, 0)) for p, n in pairs
        ]
        if (results[0] != results[1]).any():
            tensors = operands((s, t, o))
            tensors[1] = BuilderTensor("b", SECOND.shape, scale=t, data=SECOND)
            wrong += (answer(tmp_path, "PRELU", tensors, {"a": FIRST}) != results[1]).sum()
    assert wrong


def negated_multiplier(x, y, p):
    return _double(x, p.multiplier1, p.shift1) + _double(y, -p.multiplier2, p.shift2)


def _double(x, multiplier, shift):
    return multiply_double_rounding(x, multiplier, ADD_LEFT_SHIFT, shift)


def test_sub_subtracts_the_scaled_operand_instead_of_negating_its_multiplier(tmp_path):
    """The scales were searched for: of 30 000 random ones, ties of the second operand's product reached the result at two."""
    wrong = 0
    for second, output in ((float.fromhex("0x1.91286cp-2"), 0.046875), (float.fromhex("0x1.f5882cp-2"), 0.03125)):
        for zeros in ((-128, -128, 0), (-128, 127, 0), (127, -128, 0), (127, 127, 0)):
            expected = answer(tmp_path, "SUB", operands((0.5, second, output), zeros), {"a": FIRST, "b": SECOND})
            p = add_parameters(0.5, second, output)
            total = negated_multiplier(FIRST.astype(np.int64) - zeros[0], SECOND.astype(np.int64) - zeros[1], p)
            lost = np.clip(multiply_double_rounding(total, p.output_multiplier, 0, p.output_shift), -128, 127)
            wrong += (expected != lost).sum()
    assert wrong


def test_sub_rounds_twice(tmp_path, seed):
    rng, wrong = np.random.default_rng([seed, 3]), 0
    for _ in range(20):
        s, t = 2.0 ** rng.integers(-3, 1), float(np.float32(2.0 ** -rng.integers(10, 20) * rng.integers(1, 1 << 8)))
        o = 2.0 ** rng.integers(-3, 3)
        p = add_parameters(s, t, o)
        x, y = FIRST.astype(np.int64), SECOND.astype(np.int64)
        difference = multiply_single_rounding(x, p.multiplier1, ADD_LEFT_SHIFT, p.shift1)
        difference -= multiply_single_rounding(y, p.multiplier2, ADD_LEFT_SHIFT, p.shift2)
        lost = np.clip(multiply_single_rounding(difference, p.output_multiplier, 0, p.output_shift), -128, 127)
        wrong += (answer(tmp_path, "SUB", operands((s, t, o)), {"a": FIRST, "b": SECOND}) != lost).sum()
    assert wrong


def test_mean_takes_the_scales_ratio_as_a_double_quotient(tmp_path, seed):
    rng, wrong, x = np.random.default_rng([seed, 4]), 0, FIRST[:, :1]
    for _ in range(40 * COUNT):
        s = float(np.float32(2.0 ** rng.uniform(-6, 0)))
        o = near_tie(rng, s)
        results = [
            mean(x, axes=(1,), keep_dims=False, input_zero_point=0, output_zero_point=0, multiplier=multiplier, exponent=exponent)
            for multiplier, exponent in (quantize_multiplier(ratio) for ratio in (s / o, float(np.float32(s) / np.float32(o))))
        ]
        if (results[0] != results[1]).any():
            axes = BuilderTensor("axes", (1,), "int32", data=np.array([1]))
            tensors = [BuilderTensor("x", x.shape, scale=s), axes, BuilderTensor("y", (256,), scale=o)]
            wrong += (answer(tmp_path, "MEAN", tensors, {"x": x}) != results[1]).sum()
    assert wrong


@pytest.mark.parametrize("alignment", [(False, False), (True, False), (False, True)])
def test_nearest_neighbours_are_found_in_float32(tmp_path, seed, alignment):
    align_corners, half_pixel_centers = alignment
    rng, wrong = np.random.default_rng([seed, 5]), 0
    for _ in range(40 * COUNT):
        size, output = int(rng.integers(1, 120)), int(rng.integers(1, 250))
        x = np.arange(size, dtype=np.int8).reshape(1, size, 1, 1)
        scale = (size - 1) / (output - 1) if align_corners and output > 1 else size / output
        position = (np.arange(output) + 0.5 * half_pixel_centers) * scale
        lost = np.minimum(np.floor(position + 0.5 * align_corners).astype(int), size - 1)
        options = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
        if (resize_nearest_neighbor(x, (output, 1), **options).reshape(-1) != lost).any():
            tensors = [
                BuilderTensor("x", x.shape, scale=1.0),
                BuilderTensor("size", (2,), "int32", data=np.array([output, 1])),
                BuilderTensor("y", (1, output, 1, 1), scale=1.0),
            ]
            wrong += (answer(tmp_path, "RESIZE_NEAREST_NEIGHBOR", tensors, {"x": x}, options).reshape(-1) != lost).sum()
    assert wrong
