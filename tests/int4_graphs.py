"""Graphs whose weights fit 4 bits, made of others without a file: a layer is INT4 where its weights are, whatever the tensor is called."""

import dataclasses
from collections.abc import Callable

import numpy as np

from weft.compiler.graph import Graph, Operator

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
"""Operators with weights."""
DROPPED = 4
"""Bits of an int8 weight that are lost; the scale makes up for them, so that results keep their range."""


def layers_with_weights(graph: Graph) -> list[Operator]:
    """Operators with weights that are constants, in their order."""
    return [operator for operator in graph.operators if operator.op in WEIGHTED and graph.input(operator, 1).constant]


def with_int4_weights(graph: Graph, chosen: Callable[[int], bool] = lambda number: True) -> Graph:
    """The graph with the weights of some layers cut to 4 bits, -8 to 7.

    Parameters
    ----------
    graph : Graph
        With int8 weights; no tensor belongs to two layers.
    chosen : callable
        Whether the layer of a number, counted among those with weights, is one of them.
    """
    tensors = dict(graph.tensors)
    for number, operator in enumerate(layers_with_weights(graph)):
        if not chosen(number):
            continue
        weights = graph.input(operator, 1)
        scale = tuple(value * (1 << DROPPED) for value in weights.quantization.scale)
        quantization = dataclasses.replace(weights.quantization, scale=scale)
        tensors[weights.name] = dataclasses.replace(weights, quantization=quantization, data=np.asarray(weights.data >> DROPPED, np.int8))
        bias = graph.input(operator, 3 if operator.op == "TRANSPOSE_CONV" else 2)
        if bias is not None:
            tensors[bias.name] = dataclasses.replace(bias, data=np.asarray(bias.data >> DROPPED, bias.data.dtype))
    return dataclasses.replace(graph, tensors=tensors)


def inner(graph: Graph) -> Callable[[int], bool]:
    """All layers with weights but the first and the last."""
    last = len(layers_with_weights(graph)) - 1
    return lambda number: 0 < number < last
