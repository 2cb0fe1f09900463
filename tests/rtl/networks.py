"""Small networks, compiled for the configuration of these tests."""

import functools

import numpy as np

from tests.machine_checks import random_inputs
from tests.random_graphs import random_network
from tests.random_mixtures import MixtureMaker
from tests.random_networks.batch import random_graph
from tests.rtl.jobs import TINY, Stream
from weft.compiler.driver import compile_graph
from weft.compiler.host import host_before


def stream_of(graph, seed, config=TINY) -> Stream:
    """A graph, compiled, with random inputs."""
    compiled = compile_graph(graph, config)
    return Stream.of(compiled.program, host_before(compiled, random_inputs(graph, seed)))


@functools.cache
def small_network() -> Stream:
    """Three convolutions, one of them depthwise, a sum, a pooling, a fully connected layer and a softmax: every opcode but SUM."""
    maker = MixtureMaker(np.random.default_rng(7), (1, 9, 7, 3))
    first = maker.depthwise(maker.conv("input", 6, (3, 3)), 1, (3, 3))
    second = maker.conv(first, 6, (3, 2), dilation=(1, 2))
    total = maker.pool("MAX_POOL_2D", maker.add(first, second), (2, 2), stride=(2, 2))
    flat = maker.reshape(total, (1, maker.tensors[total].size))
    return stream_of(maker.graph(maker.softmax(maker.fully_connected(flat, 10))), 3)


@functools.cache
def random_stream(seed) -> Stream:
    """A random network."""
    return stream_of(random_network(seed), seed)


@functools.cache
def mixed_stream(seed) -> Stream:
    """A random network of all operators."""
    return stream_of(random_graph(seed), seed)
