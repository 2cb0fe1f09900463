"""What a layer's inputs are like: mean and second moment of the values under its window, over a set of samples.

The sums of a layer are ``w . x`` with the values x under the window, less the input's zero point. With ``M = E[x x^T]`` an error e of the
weights changes them by ``e^T M e`` in the mean square: that is all of the samples that the search for weights needs.
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
    mean : float64[G, K]
    second : float64[G, K, K]
    measured : bool
        From samples; else the values are taken as independent, of mean 0 and variance 1.
    """

    mean: np.ndarray
    second: np.ndarray
    measured: bool = True

    @property
    def covariance(self) -> np.ndarray:
        """Second moments about the mean: float64[G, K, K]."""
        return self.second - self.mean[:, :, None] * self.mean[:, None, :]


def groups_of(graph: Graph, operator: Operator) -> tuple[int, int, int]:
    """How a layer's weights are taken apart: groups G of output channels that see the same inputs, channels n of each, inputs K."""
    weights, source = graph.input(operator, 1).shape, graph.input(operator, 0).shape
    if operator.op == "DEPTHWISE_CONV_2D":
        return source[3], weights[3] // source[3], weights[1] * weights[2]
    groups = source[3] // weights[3] if operator.op == "CONV_2D" else 1
    return groups, weights[0] // groups, math.prod(weights[1:])


def unit_moments(graph: Graph, operator: Operator) -> Moments:
    """The moments where nothing is known of a layer's inputs."""
    groups, _, inputs = groups_of(graph, operator)
    return Moments(np.zeros((groups, inputs)), np.broadcast_to(np.eye(inputs), (groups, inputs, inputs)), measured=False)


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
        self._first, self._second = np.zeros((groups, inputs)), np.zeros((groups, inputs, inputs))
        self._count = self._next = 0
        shape = graph.output(operator).shape
        in_sample = max(1, graph.output(operator).size // parameters.channels(graph, operator))
        self._step = -(-in_sample * samples // POSITIONS)
        while math.gcd(self._step, shape[-2] if len(shape) > 1 else 1) > 1:  # it would see some columns of the image only
            self._step += 1

    def add(self, values: np.ndarray):
        """Add the layer's input of some samples: int8[samples, ...]."""
        chosen = self._chosen(values).astype(np.float64)
        chosen -= self._graph.input(self._operator, 0).zero_point
        self._count += chosen.shape[1]
        self._first += chosen.sum(axis=1)
        self._second += chosen.transpose(0, 2, 1) @ chosen

    def moments(self) -> Moments:
        """Of all that were added."""
        return Moments(self._first / self._count, self._second / self._count)

    def _chosen(self, values) -> np.ndarray:
        """The values under the window at some positions, int8[G, positions, K]."""
        graph, operator = self._graph, self._operator
        weights = graph.input(operator, 1).shape
        if operator.op == "FULLY_CONNECTED":
            rows = values.reshape(-1, weights[1])
            return rows[None, self._positions(len(rows))]
        window = parameters.window(graph, operator)
        zero_point = graph.input(operator, 0).zero_point
        patches = patches_of(values, window.kernel, window.stride, window.dilation, window.pad, zero_point)
        image = patches.shape[:3]
        chosen = patches[np.unravel_index(self._positions(math.prod(image)), image)]  # [positions, KH, KW, Cin]
        groups, _, inputs = groups_of(graph, operator)
        by_group = chosen.reshape(*chosen.shape[:3], groups, -1)
        return by_group.transpose(3, 0, 1, 2, 4).reshape(groups, -1, inputs)

    def _positions(self, count) -> np.ndarray:
        """Every so many-th position, counted on from the last samples."""
        chosen = np.arange(self._next, count, self._step)
        self._next = (self._next - count) % self._step
        return chosen
