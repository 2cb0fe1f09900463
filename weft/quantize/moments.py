"""What a layer's inputs are like: means and second moments of the values under its window, over a set of samples.

The sums of a layer are ``w . x`` with the values x under the window, less the input's zero point. Where the layers before it are in 4 bits
already, it sees other values x' and its new sums are ``v . x'``. How far they are from the old ones in the mean square, for any v, follows
from the moments of x and x': that is all of the samples that the search for weights needs.
"""

import math
from dataclasses import dataclass

import numpy as np

from golden.operators.conv2d import patches_of
from weft.compiler import parameters
from weft.compiler.graph import Graph, Operator

POSITIONS = 8192
"""Positions of the window that are looked at, at most; every so many-th of all samples'."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Of K values under the window, for each of G groups of output channels that see the same ones.

    Attributes
    ----------
    mean, new_mean : float64[G, K]
        Of x and x'.
    second, new_second, cross : float64[G, K, K]
        Means of ``x x^T``, ``x' x'^T`` and ``x x'^T``.
    seen : float
        Positions that they are the means of; infinite where they are known.
    """

    mean: np.ndarray
    second: np.ndarray
    new_mean: np.ndarray
    new_second: np.ndarray
    cross: np.ndarray
    seen: float = float("inf")

    def about_means(self) -> "Moments":
        """The same of ``x - mean`` and ``x' - new_mean``: what is left of the sums where a bias takes up their mean."""
        zero = np.zeros_like(self.mean)
        return Moments(
            zero, self.second - _outer(self.mean, self.mean),
            zero, self.new_second - _outer(self.new_mean, self.new_mean),
            self.cross - _outer(self.mean, self.new_mean), self.seen,
        )  # fmt: skip


def _outer(a, b):
    return a[:, :, None] * b[:, None, :]


def groups_of(graph: Graph, operator: Operator) -> tuple[int, int, int]:
    """How a layer's weights are taken apart: groups G of output channels that see the same inputs, channels n of each, inputs K."""
    weights, source = graph.input(operator, 1).shape, graph.input(operator, 0).shape
    if operator.op == "DEPTHWISE_CONV_2D":
        return source[3], weights[3] // source[3], weights[1] * weights[2]
    groups = source[3] // weights[3] if operator.op == "CONV_2D" else 1
    return groups, weights[0] // groups, math.prod(weights[1:])


def unit_moments(graph: Graph, operator: Operator) -> Moments:
    """The moments where nothing is known of a layer's inputs: independent, of mean 0 and variance 1."""
    groups, _, inputs = groups_of(graph, operator)
    mean, unit = np.zeros((groups, inputs)), np.broadcast_to(np.eye(inputs), (groups, inputs, inputs))
    return Moments(mean, unit, mean, unit, unit)


class MomentSums:
    """Collects the moments of one layer.

    Parameters
    ----------
    graph : Graph
    operator : Operator
        CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED.
    samples : int
        How many will come.
    """

    def __init__(self, graph: Graph, operator: Operator, samples: int):
        self._graph, self._operator = graph, operator
        groups, _, inputs = groups_of(graph, operator)
        self._means = np.zeros((2, groups, inputs))
        self._seconds = np.zeros((3, groups, inputs, inputs))
        self._count = self._next = 0
        shape = graph.output(operator).shape
        in_sample = max(1, graph.output(operator).size // parameters.channels(graph, operator))
        self._step = -(-in_sample * samples // POSITIONS)
        while math.gcd(self._step, shape[-2] if len(shape) > 1 else 1) > 1:  # it would see some columns of the image only
            self._step += 1

    def add(self, values: np.ndarray, new_values: np.ndarray | None = None):
        """Add the layer's input of some samples.

        Parameters
        ----------
        values, new_values : int8[samples, ...]
            In the INT8 network, and with layers before this one in 4 bits; None where they are the same.
        """
        positions = self._positions(values)
        x = self._chosen(values, positions)
        self._count += x.shape[1]
        self._means[0] += x.sum(axis=1)
        self._seconds[0] += x.transpose(0, 2, 1) @ x
        if new_values is None or new_values is values:
            self._means[1], self._seconds[1], self._seconds[2] = self._means[0], self._seconds[0], self._seconds[0]
        else:
            new = self._chosen(new_values, positions)
            self._means[1] += new.sum(axis=1)
            self._seconds[1] += new.transpose(0, 2, 1) @ new
            self._seconds[2] += x.transpose(0, 2, 1) @ new

    def moments(self) -> Moments:
        """Of all that were added."""
        (mean, new_mean), (second, new_second, cross) = self._means / self._count, self._seconds / self._count
        return Moments(mean, second, new_mean, new_second, cross, self._count)

    def _chosen(self, values, positions) -> np.ndarray:
        """The values under the window at some positions, less the zero point, float64[G, positions, K]."""
        graph, operator = self._graph, self._operator
        zero_point = graph.input(operator, 0).zero_point
        groups, _, inputs = groups_of(graph, operator)
        if operator.op == "FULLY_CONNECTED":
            return values.reshape(1, -1, inputs)[:, positions].astype(np.float64) - zero_point
        window = parameters.window(graph, operator)
        patches = patches_of(values, window.kernel, window.stride, window.dilation, window.pad, zero_point)
        chosen = patches[np.unravel_index(positions, patches.shape[:3])]  # [positions, KH, KW, Cin]
        by_group = chosen.reshape(*chosen.shape[:3], groups, -1)
        return by_group.transpose(3, 0, 1, 2, 4).reshape(groups, -1, inputs).astype(np.float64) - zero_point

    def _positions(self, values) -> np.ndarray:
        """Every so many-th position of the layer's output on these samples, counted on from the last ones."""
        result = self._graph.output(self._operator)
        in_sample = result.size // parameters.channels(self._graph, self._operator)
        count = in_sample * values.size // self._graph.input(self._operator, 0).size
        chosen = np.arange(self._next, count, self._step)
        self._next = (self._next - count) % self._step
        return chosen
