"""Limits of what is requantized: no sum times its factor leaves int32, whatever the input.

Beyond int32 the reference kernels are not defined. FULLY_CONNECTED converts a double to int32, which gives -2^31 for either sign on x86
and saturates elsewhere; the other kernels shift a sum left in 32 bits, and add the zero point in 32 bits. Operators that have no limit
here cannot get there: the operands of an ADD have 9 bits and are shifted by 20, functions of one byte have factors below 2^22.
A sum that leaves int32 before its product wraps in the reference, in the golden operators and in the accumulators alike.
"""

import numpy as np

from golden.operators.mean import elements
from golden.quantization import weighted_factors
from weft.compiler import parameters
from weft.compiler.graph import Graph, Operator, Tensor

LIMIT = 1 << 31
"""Where int32 ends."""
ZERO_POINT = 256
"""More than any zero point of a byte: what is added to a product."""


def distances(tensor: Tensor) -> tuple[int, int]:
    """Smallest and largest distance from the zero point, of a constant that of its values."""
    info = np.iinfo(tensor.dtype)
    low, high = (int(tensor.data.min()), int(tensor.data.max())) if tensor.constant else (info.min, info.max)
    return low - tensor.zero_point, high - tensor.zero_point


def largest_sums(graph: Graph, operator: Operator) -> np.ndarray:
    """A bound of the magnitude of each output channel's sum, bias included, for any input: int64[channels], at most 2^31.

    Padding adds nothing to a sum, so that fewer taps do not reach farther.
    """
    low, high = distances(parameters.source(graph, operator))
    weights = np.moveaxis(parameters.weights(graph, operator), parameters.channel_axis(operator), 0)
    weights = weights.reshape(len(weights), -1)
    positive = np.maximum(weights, 0).sum(axis=1, dtype=np.int64)
    negative = np.minimum(weights, 0).sum(axis=1, dtype=np.int64)
    bias = parameters.bias(graph, operator).astype(np.int64)
    ends = positive * high + negative * low + bias, positive * low + negative * high + bias
    return np.minimum(np.maximum(*map(np.abs, ends)), LIMIT)


def has_bounded_sums(graph, operator):
    """The largest sum that weights and bias allow, times its factor, must be below 2^31"""
    sums = largest_sums(graph, operator)
    if operator.op == "FULLY_CONNECTED":
        scales = parameters.source(graph, operator).scale, graph.input(operator, 1).quantization.scale, graph.output(operator).scale
        factors = np.broadcast_to(weighted_factors(*scales), sums.shape)
        return _first_beyond(sums, factors, np.zeros(len(sums), np.int64))
    multipliers, exponents = parameters.requantization(graph, operator)
    return _first_beyond(sums, _factors(multipliers, exponents), exponents)


def has_bounded_mean(graph, operator):
    """The largest sum, times input scale / output scale / count, must be below 2^31"""
    source = parameters.source(graph, operator)
    count = elements(source.shape, parameters.axes(graph, operator))
    return _beyond(count * max(map(abs, distances(source))), parameters.mean_multiplier(graph, operator))


def has_bounded_sum(graph, operator):
    """The largest sum of the elements, as unsigned bytes, times input scale / output scale, must be below 2^31"""
    source = parameters.source(graph, operator)
    farthest = max(abs(source.zero_point), abs(255 - source.zero_point))
    return _beyond(elements(source.shape, parameters.axes(graph, operator)) * farthest, parameters.sum_multiplier(graph, operator))


def has_bounded_product(graph, operator):
    """The largest product, times product of input scales / output scale, must be below 2^31"""
    return _beyond(_largest_product(graph, operator), parameters.mul_multiplier(graph, operator))


def has_bounded_prelu(graph, operator):
    """The largest input, times input scale / output scale, and the largest product with alpha, times its factor, must be below 2^31"""
    positive, negative = parameters.prelu_multipliers(graph, operator)
    largest = max(map(abs, distances(graph.input(operator, 0))))
    return _beyond(largest, positive) or _beyond(_largest_product(graph, operator), negative)


BOUNDED = (has_bounded_mean, has_bounded_prelu, has_bounded_product, has_bounded_sum, has_bounded_sums)
"""The limits of this file."""


def _largest_product(graph, operator):
    """Of an operator of two tensors, the magnitude."""
    first, second = (distances(graph.input(operator, i)) for i in (0, 1))
    return max(abs(a * b) for a in first for b in second)


def _beyond(largest, multiplier_and_exponent):
    """What `_first_beyond` says of one sum."""
    multiplier, exponent = (np.array([number], np.int64) for number in multiplier_and_exponent)
    return _first_beyond(np.array([min(largest, LIMIT)], np.int64), _factors(multiplier, exponent), exponent)


def _factors(multipliers, exponents):
    return np.asarray(multipliers, np.float64) * 2.0 ** (np.asarray(exponents, np.float64) - 31)


def _first_beyond(sums, factors, exponents):
    """The first sum that leaves int32, by its left shift before the product, or with its product and a zero point; as text."""
    shifted = np.where(exponents > 0, sums * 2.0 ** np.maximum(exponents, 0), 0)  # without a shift a sum may be any int32
    beyond = np.flatnonzero(np.maximum(shifted, sums * factors + ZERO_POINT) >= LIMIT)
    if not len(beyond):
        return None
    first = int(beyond[0])
    return f"{sums[first]} * {factors[first]:.4g}" + (f" in channel {first}" if len(sums) > 1 else "")
