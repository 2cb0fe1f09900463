"""Scales and 4-bit weights: against brute force, and against plainer ways that must not win."""

from itertools import product

import numpy as np
import pytest

from weft.quantize.rounding import (
    LEAST,
    MOST,
    aimed,
    best_scales,
    damped,
    descend,
    errors,
    feedback,
    fractions,
    nearest,
    refitted,
    rounded,
)


def problem(rng, groups=2, channels=3, inputs=5):
    """Weights that are int8 times a scale, correlated inputs' moments, and the weights' scales."""
    known = rng.uniform(0.001, 0.1, (groups, channels))
    w = rng.integers(-127, 128, (groups, channels, inputs)) * known[..., None]
    x = rng.normal(size=(groups, 400, inputs)) @ rng.normal(size=(groups, inputs, inputs)) + rng.normal(size=(groups, 1, inputs))
    return w, x.transpose(0, 2, 1) @ x / 400, known


def test_the_error_is_the_mean_square_of_the_sums(seed):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(1, 50, 4)), rng.normal(size=(1, 2, 4))
    s, q = rng.uniform(0.1, 1, (1, 2)), rng.integers(-7, 8, (1, 2, 4))
    sums = (w - s[..., None] * q) @ x.transpose(0, 2, 1)
    assert np.allclose(errors(w, s, q, x.transpose(0, 2, 1) @ x / 50), (sums**2).mean(axis=-1))


def test_the_scale_is_the_best_of_all_for_plain_rounding(seed):
    w, a, known = problem(np.random.default_rng(seed))
    s = best_scales(w, a, known)
    least = errors(w, s, nearest(w, s), a)
    largest = np.abs(w).max(axis=-1) / MOST
    tried = [errors(w, largest * part, nearest(w, largest * part), a) for part in fractions(w.shape[-1])]
    assert np.allclose(least, np.minimum(np.min(tried, axis=0), errors(w, largest, nearest(w, largest), a)))
    finest = np.min([errors(w, largest * part, nearest(w, largest * part), a) for part in np.linspace(0.2, 1.5, 20_001)], axis=0)
    ratios = least / finest
    print(f"error over the best of 20001 scales: {ratios.round(3).tolist()}")
    assert ratios.max() < 1.1
    assert (least < errors(w, largest, nearest(w, largest), a)).any()


@pytest.mark.parametrize("inputs", [2, 3])
def test_scales_and_weights_together_come_close_to_the_best_pair_there_is(seed, inputs):
    """Every vector of integers with its own best scale: 225 or 3375 of them for each channel."""
    w, a, known = problem(np.random.default_rng([seed, inputs]), groups=3, channels=8, inputs=inputs)
    a = damped(a)
    s, q = rounded(w, a, known)
    best = np.full(s.shape, np.inf)
    for one in product(range(LEAST, MOST + 1), repeat=inputs):
        integers = np.broadcast_to(np.array(one, float), w.shape)
        best = np.minimum(best, errors(w, refitted(w, known * 127, integers, a), integers, a))
    excess = (errors(w, s, q, a) - best) / ((w @ a) * w).sum(axis=-1)
    print(f"noise above the least there is, in parts of the signal: median {np.median(excess):.1e}, largest {excess.max():.1e}")
    assert (excess > -1e-9).all()
    assert np.median(excess) < 5e-4 and excess.max() < 1e-2


@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_weights_are_the_best_of_all_for_their_scale(seed, inputs):
    w, a, known = problem(np.random.default_rng([seed, inputs]), inputs=inputs)
    a = damped(a)
    s, q = rounded(w, a, known)
    every = np.array(list(product(range(LEAST, MOST + 1), repeat=inputs)), float)
    found = errors(w, s, q, a)
    least = np.min([errors(w, s, np.broadcast_to(one, w.shape), a) for one in every], axis=0)
    ratios = found / least
    print(f"error over the best one's: {ratios.round(3).tolist()}")
    assert (ratios >= 1 - 1e-9).all()
    assert np.median(ratios) < 1.001 and ratios.max() < 1.6  # a descent over single weights may end beside the best


def test_each_step_is_better_than_the_one_before(seed):
    w, a, known = problem(np.random.default_rng(seed), groups=4, channels=64, inputs=36)
    a = damped(a)
    largest = np.abs(w).max(axis=-1) / MOST
    plain = errors(w, largest, nearest(w, largest), a).sum()
    s = best_scales(w, a, known)
    scaled = errors(w, s, nearest(w, s), a).sum()
    fed = errors(w, s, feedback(w, s, a), a).sum()
    down = descend(w, s, feedback(w, s, a), a)
    descended = errors(w, s, down, a).sum()
    refit = errors(w, refitted(w, s, down, a), down, a).sum()
    assert plain > scaled > fed > descended > refit


def test_the_descent_ends_where_no_single_weight_can_improve(seed):
    w, a, known = problem(np.random.default_rng(seed))
    a = damped(a)
    s = best_scales(w, a, known)
    q = descend(w, s, nearest(w, s), a)
    least = errors(w, s, q, a)
    for k, value in product(range(w.shape[-1]), range(LEAST, MOST + 1)):
        other = q.copy()
        other[..., k] = value
        assert (errors(w, s, other, a) >= least * (1 - 1e-9)).all()


def test_refitted_scales_are_least_squares(seed):
    w, a, known = problem(np.random.default_rng(seed))
    q = nearest(w, known * 16)
    s = refitted(w, known * 16, q, a)
    for factor in (0.99, 1.01):
        assert (errors(w, s * factor, q, a) > errors(w, s, q, a)).all()


def test_weights_that_fit_4_bits_stay_as_they_are(seed):
    rng = np.random.default_rng(seed)
    _, a, known = problem(rng)
    known = known.astype(np.float32).astype(float)
    q8 = rng.integers(-7, 8, (2, 3, 5))
    s, q = rounded(q8 * known[..., None], damped(a), known)
    assert np.array_equal(s, known) and np.array_equal(q, q8)


def test_channels_of_zeros_and_inputs_that_never_change_are_no_trouble():
    w, known = np.zeros((1, 2, 3)), np.full((1, 2), 0.5)
    w[0, 1] = [0.5, -8, 30]
    s, q = rounded(w, damped(np.zeros((1, 3, 3))), known)
    assert s[0, 0] == 0.5 and not q[0, 0].any()
    assert np.abs(s[0, 1] * q[0, 1] - w[0, 1]).max() < s[0, 1]


def test_scales_are_single_and_weights_in_range(seed):
    w, a, known = problem(np.random.default_rng(seed), channels=20, inputs=17)
    s, q = rounded(w, damped(a), known)
    assert np.array_equal(s, s.astype(np.float32)) and q.dtype == np.int8
    assert (q.min(), q.max()) == (LEAST, MOST)


def test_weights_that_are_aimed_mend_what_happened_to_their_inputs(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1, 3000, 6)) @ rng.normal(size=(1, 6, 6))
    mixing = np.eye(6) + 0.2 * rng.normal(size=(6, 6))
    new = x @ mixing + 0.01 * rng.normal(size=x.shape)
    w = rng.normal(size=(1, 4, 6))
    second, cross = (one.transpose(0, 2, 1) @ new / 3000 for one in (new, x))

    def error(v):
        return ((x @ w.transpose(0, 2, 1) - new @ v.transpose(0, 2, 1)) ** 2).mean()

    assert error(aimed(w, damped(second), second, cross)) < 0.1 * error(w)
    assert np.allclose(aimed(w, damped(second, 5), second, second), w)


@pytest.mark.parametrize("inputs", [63, 64, 65, 150])
def test_blocks_of_inputs_change_speed_and_not_the_result(seed, inputs, monkeypatch):
    w, a, known = problem(np.random.default_rng([seed, inputs]), inputs=inputs)
    a = damped(a)
    s = best_scales(w, a, known)
    blocked = feedback(w, s, a), descend(w, s, nearest(w, s), a)
    monkeypatch.setattr("weft.quantize.rounding.BLOCK", 1)
    assert np.array_equal(blocked[0], feedback(w, s, a))
    assert np.array_equal(blocked[1], descend(w, s, nearest(w, s), a))


def test_few_positions_are_trusted_less(seed):
    _, a, _ = problem(np.random.default_rng(seed))
    power = np.trace(a, axis1=1, axis2=2) / 5
    for seen, part in ((float("inf"), 0.03), (5, 0.33), (50, 0.06)):
        assert np.allclose(damped(a, seen) - a, part * power[:, None, None] * np.eye(5))
