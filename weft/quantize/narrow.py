"""One layer in 4 bits: new weights, scales and bias, and what they do to its sums."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from weft.compiler import parameters
from weft.compiler.graph import Graph, Operator, Quantization
from weft.compiler.limits import check_limits
from weft.quantize.moments import Moments, groups_of
from weft.quantize.rounding import LEAST, MOST, aimed, damped, rounded

LARGEST_BIAS = 1 << 30
"""Of a new bias: the sums around it are int32 too."""


@dataclass(frozen=True, eq=False)
class Narrowed:
    """A layer's weights in 4 bits.

    Attributes
    ----------
    name, op : str
        Of the operator.
    weights, bias : str
        Names of the tensors; `bias` is None where there is none.
    values : int8[...]
        The weights, -7 to 7, in their shape.
    scale, bias_scale : float32[channels]
    axis : int
        Dimension of the channels.
    bias_values : int32[channels]
    signal_db : float
        Power of the layer's sums about their mean, over that of their error, dB; infinite where nothing changed. The error is all that
        there is at that place of the network: what layers before it did is in it, where the moments have it.
    """

    name: str
    op: str
    weights: str
    bias: str | None
    values: np.ndarray
    scale: np.ndarray
    axis: int
    bias_values: np.ndarray
    bias_scale: np.ndarray
    signal_db: float


def narrowed(graph: Graph, operator: Operator, moments: Moments) -> Narrowed:
    """Round a layer's weights to 4 bits, so that its sums are least changed.

    A bias takes up the mean of their change; the search for the weights then looks at what is left.

    Raises
    ------
    WeftError
        If Weft would refuse the layer, for a multiplier out of its range.
    """
    weights, bias = graph.input(operator, 1), parameters.bias_tensor(graph, operator)
    shape, axis = groups_of(graph, operator), parameters.channel_axis(operator)
    old = np.broadcast_to(np.asarray(weights.quantization.scale, np.float64), parameters.channels(graph, operator)).reshape(shape[:2])
    known = np.where(old > 0, old, 1.0)  # of a scale 0 too: its channel is 0 whatever its weights
    w = np.moveaxis(weights.data, axis, 0).reshape(shape) * old[..., None]
    left = moments if bias is None else moments.about_means()
    values = parameters.bias(graph, operator).reshape(shape[:2]) * old  # in units of the input's scale
    a = damped(left.new_second, left.seen)
    scale, q = _with_room(aimed(w, a, left.new_second, left.cross), a, known, values)
    v = scale[..., None] * q
    if bias is not None:
        values = values + _apply(w, moments.mean) - _apply(v, moments.new_mean)
    noise = _power(w, left.second) - 2 * ((w @ left.cross) * v).sum() + _power(v, left.new_second)
    single, moved = scale.reshape(-1).astype(np.float32), np.moveaxis(weights.data, axis, 0).shape
    layer = Narrowed(
        name=operator.name, op=operator.op, weights=weights.name, bias=None if bias is None else bias.name,
        values=np.ascontiguousarray(np.moveaxis(q.reshape(moved), 0, axis)), scale=single, axis=axis,
        bias_values=np.rint(values / scale).astype(np.int32).reshape(-1), bias_scale=np.float32(graph.input(operator, 0).scale) * single,
        signal_db=_decibels(_power(w, moments.about_means().second), noise),
    )  # fmt: skip
    check_limits(with_layers(graph, [layer]), operator)
    return layer


def _apply(w, mean):
    """Mean sums, float64[G, n]."""
    return (w @ mean[..., None])[..., 0]


def _power(w, second) -> float:
    """Mean square of all sums together."""
    return float(((w @ second) * w).sum())


def _with_room(w, a, known, bias):
    """`rounded`, but with a scale at which the bias stays below `LARGEST_BIAS` steps."""
    scale, q = rounded(w, a, known)
    least = np.abs(bias) / LARGEST_BIAS
    if (scale < least).any():
        scale = np.maximum(scale, least).astype(np.float32).astype(np.float64)
        q = np.clip(np.rint(w / scale[..., None]), LEAST, MOST).astype(np.int8)
    return scale, q


def _decibels(power, noise) -> float:
    """Power over noise; a noise that is nothing but the sums' own rounding in float64 is none."""
    if noise <= 1e-12 * power:
        return float("inf")
    return float(10 * np.log10(power / noise)) if power > 0 else float("-inf")


def with_layers(graph: Graph, layers: Iterable[Narrowed]) -> Graph:
    """The network with some layers in 4 bits, as their file will be read."""
    tensors = dict(graph.tensors)
    for layer in layers:
        quantization = Quantization(tuple(layer.scale.tolist()), (0,) * layer.scale.size, layer.axis if layer.scale.size > 1 else 0)
        tensors[layer.weights] = replace(tensors[layer.weights], dtype="int4", quantization=quantization, data=layer.values)
        if layer.bias is not None:
            bias = tensors[layer.bias]
            quantization = Quantization(tuple(layer.bias_scale.tolist()), (0,) * layer.scale.size) if bias.quantization else None
            tensors[layer.bias] = replace(bias, quantization=quantization, data=layer.bias_values.reshape(bias.shape))
    return replace(graph, tensors=tensors)
