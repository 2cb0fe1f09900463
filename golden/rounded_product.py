"""Integers with which single rounding gives what FULLY_CONNECTED's reference kernel computes in doubles.

The kernel of the pinned interpreter multiplies a sum by a double, ``input scale * weight scale / output scale``, and rounds half away
from zero (``docs/numerics.md``). The command has a multiplier of 31 bits and rounds half up, which differs where a product lies within
2^-31 of a tie, or on one below zero. A neighbour of the nearest multiplier is right there too: one more sends ties below zero away from it.
"""

from functools import lru_cache

import numpy as np

from golden.quantization import quantize_multiplier, weighted_factors
from golden.requantize import INT32_MAX, multiply_by_quantized_multiplier

LEVELS = np.arange(255) + 0.5
"""Ties between values of an output, seen from its zero point: where one may lie, in either direction."""
BOUNDS = (-256, 256)
"""Products beyond are clamped, whatever the zero point."""
NEIGHBOURS = (0, 1, -1, 2, -2, 3, -3, 4, -4)
"""Multipliers that are tried, from the nearest one on."""


def fully_connected_multipliers(input_scale: float, filter_scales, output_scale: float, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Requantization of FULLY_CONNECTED, one multiplier for each output, by tensor as by channel.

    Returns
    -------
    multipliers, exponents : int32[channels]
    """
    factors = weighted_factors(input_scale, filter_scales, output_scale)
    multipliers, exponents = np.array([_closest(float(factor)) for factor in factors], np.int32).T
    return np.broadcast_to(multipliers, (channels,)).copy(), np.broadcast_to(exponents, (channels,)).copy()


def thresholds(factor: float) -> np.ndarray:
    """The sums on either side of each tie, int64[n]: where they are rounded rightly, all others are."""
    first = np.ceil(LEVELS / factor)
    first = first[first <= INT32_MAX].astype(np.int64)
    above = np.concatenate([first - 1, first, first + 1])  # a quotient's own rounding moves it by one
    above = np.unique(above[(above >= 0) & (above <= INT32_MAX)])
    return np.concatenate([-above, above])


@lru_cache(maxsize=1 << 14)
def _closest(factor: float) -> tuple[int, int]:
    """Multiplier and exponent that are wrong at the fewest sums, nearly always at none; the nearest to the factor of those."""
    nearest, exponent = quantize_multiplier(factor)
    if nearest == 0:
        return 0, 0
    sums = thresholds(factor)
    products = sums * factor
    wanted = np.clip(np.copysign(np.floor(np.abs(products) + 0.5), products), *BOUNDS)
    best, fewest = nearest, len(sums) + 1
    for step in NEIGHBOURS:
        multiplier = min(nearest + step, INT32_MAX)
        products = multiply_by_quantized_multiplier(sums, multiplier, exponent, single_rounding=True)
        wrong = np.count_nonzero(np.clip(products, *BOUNDS) != wanted)
        if wrong < fewest:
            best, fewest = multiplier, wrong
        if not wrong:
            break
    return best, exponent
