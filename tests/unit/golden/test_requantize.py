"""Fixed-point products against exact rational arithmetic, and the average's multiplier against rounded division."""

from fractions import Fraction

import numpy as np
import pytest

from golden.quantization import activation_range, add_parameters, quantize_multiplier
from golden.requantize import (
    AVERAGE_MAX_COUNT,
    average_multiplier,
    multiply_double_rounding,
    multiply_single_rounding,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
    wrap_int32,
)

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1
EDGES = [INT32_MIN, INT32_MIN + 1, -(1 << 30), -3, -2, -1, 0, 1, 2, 3, 1 << 30, INT32_MAX]


def gemmlowp_high_mul(a, b):
    """A product in the words of gemmlowp: a nudge by sign, then a division towards zero."""
    if a == b == INT32_MIN:
        return INT32_MAX
    product = a * b
    total = product + ((1 << 30) if product >= 0 else 1 - (1 << 30))
    return total // (1 << 31) if total >= 0 else -(-total // (1 << 31))


def rounded_half_away(numerator, denominator):
    """A quotient rounded to nearest, ties away from zero."""
    return np.sign(numerator) * ((np.abs(numerator) + denominator // 2) // denominator)


def test_high_mul_equals_gemmlowp(seed):
    rng = np.random.default_rng(seed)
    pairs = [(a, b) for a in EDGES for b in EDGES] + rng.integers(INT32_MIN, INT32_MAX, (2000, 2), endpoint=True).tolist()
    pairs += [(a << 15, b << 15) for a, b in rng.integers(-99, 99, (500, 2)).tolist()]  # ties
    for a, b in pairs:
        assert saturating_rounding_doubling_high_mul(a, b) == gemmlowp_high_mul(a, b), (a, b)


@pytest.mark.parametrize("exponent", [0, 1, 2, 7, 30, 31])
def test_divide_by_pot_rounds_ties_away_from_zero(exponent, seed):
    half = (1 << exponent) >> 1
    x = np.concatenate([EDGES, np.random.default_rng(seed).integers(INT32_MIN, INT32_MAX, 500), [k * half for k in (-3, -1, 1)]])
    expected = [int(np.sign(v)) * ((abs(int(v)) + half) >> exponent) for v in x]
    assert rounding_divide_by_pot(x, exponent).tolist() == expected


def test_single_rounding_is_the_nearest_number(seed):
    rng = np.random.default_rng(seed)
    for _ in range(500):
        x, q = int(rng.integers(-(1 << 24), 1 << 24)), int(rng.integers(1 << 30, 1 << 31))
        left, right = (int(rng.integers(0, 8)), 0) if rng.random() < 0.5 else (0, int(rng.integers(0, 32)))
        exact = Fraction(x * q * 2**left, 2 ** (31 + right)) + Fraction(1, 2)
        assert multiply_single_rounding(x, q, left, right) == exact.numerator // exact.denominator


def test_left_shift_wraps_in_32_bits():
    assert wrap_int32([1 << 31, -(1 << 31) - 1, 1 << 32]).tolist() == [INT32_MIN, INT32_MAX, 0]
    assert multiply_double_rounding(1 << 30, 1 << 30, 1, 0) == -(1 << 30)


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.0, (0, 0)),
        (1.0, (1 << 30, 1)),
        (0.5, (1 << 30, 0)),
        (0.75, (3 << 29, 0)),
        (1 - 2.0**-40, (1 << 30, 1)),  # the mantissa rounds up to 2^31
        (2.0**-32, (1 << 30, -31)),
        (2.0**-33, (0, 0)),  # exponent -32 is flushed
    ],
)
def test_quantize_multiplier_at_its_edges(real, expected):
    assert quantize_multiplier(real) == expected


def test_quantize_multiplier_is_the_nearest_q31(seed):
    for real in 2.0 ** np.random.default_rng(seed).uniform(-31, 8, 500):
        multiplier, exponent = quantize_multiplier(real)
        assert 1 << 30 <= multiplier < 1 << 31
        assert abs(Fraction(multiplier) * Fraction(2) ** (exponent - 31) - Fraction(float(real))) <= Fraction(2) ** (exponent - 32)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [("NONE", (-128, 127)), ("RELU", (-10, 127)), ("RELU6", (-10, 50)), ("RELU_N1_TO_1", (-20, 0))],
)
def test_activation_range(activation, expected):
    assert activation_range(activation, 0.1, -10) == expected


def test_add_of_equal_scales_halves_and_doubles():
    numbers = add_parameters(0.5, 0.5, 0.5)
    assert (numbers.multiplier1, numbers.shift1) == (numbers.multiplier2, numbers.shift2) == (1 << 30, 0)
    assert (numbers.output_multiplier, numbers.output_shift) == (1 << 30, 18)


def test_add_refuses_what_tflite_refuses():
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        add_parameters(1.0, 1.0, 2.0**-20)


def wrong_average(count, left=None, *, unsigned=False):
    """Whether some sum of `count` int8 values, or of unsigned bytes, is averaged wrongly.

    Division and command both rise with the sum, so they agree everywhere if they agree on both sides of each step of the division.
    """
    multiplier, shift, right = average_multiplier(count, unsigned=unsigned)
    if left is not None:
        shift, right = left, right - shift + left
        shift, right = max(shift, shift - right), max(right, 0)
    least, most = (0, 255) if unsigned else (-128, 127)
    means = np.arange(least, most + 1, dtype=np.int64)
    low = np.where(means > 0, -(-(2 * means - 1) * count // 2), (2 * means - 1) * count // 2 + 1)  # smallest sum of each mean
    sums = np.concatenate([low - 1, low, low + 1, [least * count, most * count]])
    sums = sums[(sums >= least * count) & (sums <= most * count)]
    return bool((multiply_double_rounding(sums, multiplier, shift, right) != rounded_half_away(sums, count)).any())


BOTH = pytest.mark.parametrize("unsigned", [False, True], ids=["int8", "uint8"])


@BOTH
def test_average_equals_division_for_every_sum_of_counts_to_1024(unsigned):
    assert [count for count in range(1, 1025) if wrong_average(count, unsigned=unsigned)] == []


@pytest.mark.slow
@BOTH
def test_average_equals_division_for_every_count_to_65536(unsigned):
    assert [count for count in range(1, 65537) if wrong_average(count, unsigned=unsigned)] == []


@BOTH
def test_average_equals_division_for_large_counts(unsigned, seed):
    most = AVERAGE_MAX_COUNT >> unsigned
    counts = [*np.random.default_rng(seed).integers(1025, most, 2000).tolist()]
    counts += [power + step for power in (1 << b for b in range(11, 20)) for step in (-1, 0, 1)] + [most - 1, most]
    assert [count for count in counts if wrong_average(count, unsigned=unsigned)] == []


@pytest.mark.parametrize(("left", "wrong"), [(0, 521), (1, 0), (2, 0)])
def test_average_without_left_shift_is_wrong(left, wrong):
    assert sum(wrong_average(count, left) for count in range(1, 1025)) == wrong


@pytest.mark.parametrize("count", [3, 49, 64, 225])
def test_average_by_brute_force(count):
    sums = np.arange(-128 * count, 127 * count + 1)
    assert np.array_equal(multiply_double_rounding(sums, *average_multiplier(count)), rounded_half_away(sums, count))


@pytest.mark.parametrize("count", [0, AVERAGE_MAX_COUNT + 1])
def test_average_of_a_wrong_count_is_refused(count):
    with pytest.raises(ValueError, match="must be of 1 to 2097152"):
        average_multiplier(count)
    with pytest.raises(ValueError, match="must be of 1 to 1048576"):
        average_multiplier(-(-count // 2), unsigned=True)
