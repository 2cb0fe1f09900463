"""One layer in 4 bits: new weights, scales and bias, and what they do to its sums."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from weft.compiler import parameters
from weft.compiler.graph import Graph, Operator, Quantization
from weft.quantize.moments import Moments, groups_of
from weft.quantize.rounding import rounded

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
        Power of the layer's sums about their mean over that of their error, dB; infinite where nothing changed.
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
    """Round a layer's weights to 4 bits.

    A bias takes up the mean of the sums' error, so that the search looks at the inputs' covariance; without one, at their second moments.
    """
    weights, bias = graph.input(operator, 1), parameters.bias_tensor(graph, operator)
    shape, axis = groups_of(graph, operator), parameters.channel_axis(operator)
    old = np.broadcast_to(np.asarray(weights.quantization.scale, np.float64), parameters.channels(graph, operator)).reshape(shape[:2])
    integers = np.moveaxis(weights.data, axis, 0).reshape(shape).astype(np.float64)
    known = np.where(old > 0, old, 1.0)  # of a scale 0 too: its channel is 0 whatever its weights
    w = integers * old[..., None]
    a = moments.second if bias is None else moments.covariance
    values = parameters.bias(graph, operator).reshape(shape[:2]) * old  # in units of the input's scale
    scale, q = _with_room(w, a, known, values)
    error = w - scale[..., None] * q
    shift = (error @ moments.mean[..., None])[..., 0]
    if bias is not None:
        values = values + shift
        shift = np.zeros_like(shift)
    bias_values = np.rint(values / scale).astype(np.int32)
    single = scale.reshape(-1).astype(np.float32)
    noise = ((error @ moments.covariance) * error).sum() + (shift**2).sum()
    power = ((w @ moments.covariance) * w).sum()
    moved = np.moveaxis(np.empty(weights.shape, np.int8), axis, 0).shape
    return Narrowed(
        name=operator.name, op=operator.op, weights=weights.name, bias=None if bias is None else bias.name,
        values=np.ascontiguousarray(np.moveaxis(q.reshape(moved), 0, axis)), scale=single, axis=axis,
        bias_values=bias_values.reshape(-1), bias_scale=np.float32(graph.input(operator, 0).scale) * single,
        signal_db=_decibels(power, noise),
    )  # fmt: skip


def _with_room(w, a, known, bias):
    """`rounded`, but with a scale at which the bias stays below `LARGEST_BIAS` steps."""
    scale, q = rounded(w, a, known)
    least = np.abs(bias) / LARGEST_BIAS
    if (scale < least).any():
        scale = np.maximum(scale, least).astype(np.float32).astype(np.float64)
        q = np.clip(np.rint(w / scale[..., None]), -7, 7).astype(np.int8)
    return scale, q


def _decibels(power, noise) -> float:
    if noise <= 0:
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
