"""Scales and 4-bit weights that change a layer's sums least.

All functions share: ``w`` float64[G, n, K], the weights of G groups with n output channels each of K inputs; ``s`` float64[G, n], their
scales; ``q`` float64[G, n, K], integers from `LEAST` to `MOST`; ``a`` float64[G, K, K], symmetric and positive definite. The error of a
channel is ``e^T a e`` of ``e = w - s q``.

Every step paid. With all ten layers of the keyword network in 4 bits, the noise of its logits was 8.8 dB below the signal (largest weight
to 7, plain rounding), then 13.3 (scales with the least error of the weights), 17.0 (of the sums), 18.2 (with the bias's correction, and so
the covariance for a), 19.0 (error feedback), 19.6 (descent and new scales), 22.1 dB (`aimed`, layer after layer).
"""

import numpy as np

LEAST, MOST = -7, 7
"""Symmetric: -8 would have no counterpart."""
SMALLEST, LARGEST = 0.2, 1.5
"""Scales that are tried, as parts of the one that makes the largest weight `MOST`."""
ROUNDS = 3
"""Of descent and new scales, for each start."""
SWEEPS = 8
"""Of descent over all the inputs, at most; most channels stand still after two."""
BLOCK = 64
"""Inputs that are rounded one by one before the others are corrected: memory traffic, not the result, depends on it."""
MANY_INPUTS = 1024
"""From here on fewer scales are tried and the descent starts once: gains shrink with the number of inputs, and costs grow."""
DAMPING = 0.03
"""Part of the mean input's power that is added to each: what the samples did not show is not free."""
SCARCITY = 0.3
"""More of it where positions are few: so much for as many positions as inputs. With 50 samples of the keyword network 0.6 dB less noise on
others, with 500 none."""


def errors(w: np.ndarray, s: np.ndarray, q: np.ndarray, a: np.ndarray) -> np.ndarray:
    """The error of each channel, float64[G, n]."""
    e = w - s[..., None] * q
    return ((e @ a) * e).sum(axis=-1)


def damped(a: np.ndarray, seen: float = float("inf")) -> np.ndarray:
    """A matrix of moments of so many `seen` positions, made positive definite; where inputs never change it is the unit matrix."""
    inputs = a.shape[-1]
    damping = DAMPING + SCARCITY * inputs / seen
    power = np.trace(a, axis1=1, axis2=2) / inputs
    power = np.where(power > 0, power, 1 / damping)
    return a + (damping * power)[:, None, None] * np.eye(inputs)


def aimed(w: np.ndarray, a: np.ndarray, new_second: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """The weights, unrounded, that make of the new inputs x' what `w` makes of the old ones x: ``w E[x x'^T] E[x' x'^T]^-1``.

    Least squares, damped so that they stay `w` where x' is x: later layers mend what the ones before them did as far as
    the samples show how.

    Parameters
    ----------
    a : float64[G, K, K]
        `new_second`, damped.
    """
    return np.linalg.solve(a, (cross + (a - new_second)).transpose(0, 2, 1) @ w.transpose(0, 2, 1)).transpose(0, 2, 1)


def nearest(w: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Plain rounding."""
    return np.clip(np.rint(w / s[..., None]), LEAST, MOST)


def fractions(inputs: int) -> np.ndarray:
    """Parts of the largest scale that are tried: more for few inputs, of which each one's rounding shows in the error."""
    return np.linspace(SMALLEST, LARGEST, 53 if inputs > MANY_INPUTS else min(1000, max(131, 10_000 // inputs)))


def best_scales(w: np.ndarray, a: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Of all `fractions` and the `known` scales the best ones for plain rounding; `known` for a channel of zeros.

    Parameters
    ----------
    known : float64[G, n]
        The scales that the weights have now: with them, weights that fit 4 bits have no error at all.
    """
    largest = np.abs(w).max(axis=-1) / MOST
    whole = np.where(largest > 0, largest, known)
    best = np.where(largest > 0, np.maximum(known, whole), known)
    least = errors(w, best, nearest(w, best), a)
    for fraction in fractions(w.shape[-1]):
        s = whole * fraction
        found = errors(w, s, nearest(w, s), a)
        better = (found < least) & (largest > 0)
        best, least = np.where(better, s, best), np.where(better, found, least)
    return best


def feedback(w: np.ndarray, s: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Round input by input, each time moving the error to the inputs to come (Frantar et al., "GPTQ", 2022, algorithm 1)."""
    factor = np.linalg.cholesky(np.linalg.inv(a)).transpose(0, 2, 1)  # upper triangular, as there
    rest, q = w.copy(), np.empty_like(w)
    for block in _blocks(w.shape[-1]):
        error = np.empty_like(rest[..., block])
        for k in range(block.start, block.stop):
            q[..., k] = np.clip(np.rint(rest[..., k] / s), LEAST, MOST)
            error[..., k - block.start] = (rest[..., k] - s * q[..., k]) / factor[:, k, k, None]
            rest[..., k : block.stop] -= error[..., k - block.start, None] * factor[:, None, k, k : block.stop]
        rest[..., block.stop :] -= error @ factor[:, block, block.stop :]
    return q


def descend(w: np.ndarray, s: np.ndarray, q: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Change one weight of each channel at a time to its best value, until none changes."""
    q = q.copy()
    slope = (w - s[..., None] * q) @ a
    for _ in range(SWEEPS):
        before = q.copy()
        for block in _blocks(w.shape[-1]):
            start, part, inner = q[..., block].copy(), slope[..., block].copy(), a[:, block, block]
            for k in range(block.stop - block.start):
                was = q[..., block.start + k]
                best = np.clip(np.rint(was + part[..., k] / (s * inner[:, k, k, None])), LEAST, MOST)
                part -= (s * (best - was))[..., None] * inner[:, None, k]
                q[..., block.start + k] = best
            slope -= (s[..., None] * (q[..., block] - start)) @ a[:, block]
        if np.array_equal(q, before):
            break
    return q


def _blocks(inputs) -> list[slice]:
    """Inputs in blocks: within one, each sees what the ones before it did; the others hear of it by one matrix product."""
    return [slice(first, min(first + BLOCK, inputs)) for first in range(0, inputs, BLOCK)]


def refitted(w: np.ndarray, s: np.ndarray, q: np.ndarray, a: np.ndarray) -> np.ndarray:
    """The best scales for given integers, ``q^T a w / q^T a q``; those that were, where that makes none."""
    projected = q @ a
    numerator, denominator = (projected * w).sum(axis=-1), (projected * q).sum(axis=-1)
    fits = (numerator > 0) & (denominator > 0)
    return np.where(fits, numerator / np.where(fits, denominator, 1), s)


def rounded(w: np.ndarray, a: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scales and integers.

    Parameters
    ----------
    known : float64[G, n]
        As of `best_scales`; above 0.

    Returns
    -------
    s : float64[G, n]
        Each exactly a float32.
    q : int8[G, n, K]
        Of each channel the best that plain rounding or either start of the descent found.
    """
    start = _single(best_scales(w, a, known))
    best_s, best_q = start, nearest(w, start)
    least = errors(w, best_s, best_q, a)
    starts = [feedback(w, start, a)] if w.shape[-1] > MANY_INPUTS else [feedback(w, start, a), best_q]
    for q in starts:
        s = start
        for _ in range(ROUNDS):
            q = descend(w, s, q, a)
            s = _single(refitted(w, s, q, a))
        q = descend(w, s, q, a)
        found = errors(w, s, q, a)
        better = found < least
        least = np.where(better, found, least)
        best_s, best_q = np.where(better, s, best_s), np.where(better[..., None], q, best_q)
    return best_s, best_q.astype(np.int8)


def _single(s):
    return s.astype(np.float32).astype(np.float64)
