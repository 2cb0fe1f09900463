"""Small networks, compiled for the configuration of these tests."""

import functools

import numpy as np

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from tests.int4_graphs import with_int4_weights
from tests.machine_checks import random_inputs
from tests.random_graphs import random_network
from tests.random_mixtures import MixtureMaker
from tests.random_networks.batch import random_graph
from tests.rtl.jobs import TINY, Stream
from weft.compiler.driver import compile_graph
from weft.compiler.host import host_before

FOR_8_BITS = 22
"""Bits of an accumulator that the networks of this page need for 8-bit weights."""


def stream_of(graph, seed, config: NpuConfig = TINY) -> Stream:
    """A graph, compiled, with random inputs."""
    compiled = compile_graph(graph, config)
    return Stream.of(compiled.program, host_before(compiled, random_inputs(graph, seed)))


def of_both_widths(graph, config):
    """The graph; with ``int4`` two of three layers get 4-bit weights, or all where sums of 8-bit ones would not fit."""
    if not config.int4:
        return graph
    return with_int4_weights(graph, lambda layer: layer % 3 < 2 or config.accumulator_bits < FOR_8_BITS)


@functools.cache
def small_network(config: NpuConfig = TINY) -> Stream:
    """Three convolutions, one of them depthwise, a sum, a pooling, a resize, a fully connected layer and a softmax.

    These are commands of every opcode but SUM; the resize is left out where a configuration has no command for it.
    """
    maker = MixtureMaker(np.random.default_rng(7), (1, 9, 7, 3))
    first = maker.depthwise(maker.conv("input", 6, (3, 3)), 1, (3, 3))
    second = maker.conv(first, 6, (3, 2), dilation=(1, 2))
    total = maker.pool("MAX_POOL_2D", maker.add(first, second), (2, 2), stride=(2, 2))
    if config.interpolation:
        total = maker.resized("RESIZE_BILINEAR", total, (7, 5))
    flat = maker.reshape(total, (1, maker.tensors[total].size))
    return stream_of(of_both_widths(maker.graph(maker.softmax(maker.fully_connected(flat, 10))), config), 3, config)


@functools.cache
def random_stream(seed, config: NpuConfig = TINY) -> Stream:
    """A random network."""
    return stream_of(of_both_widths(random_network(seed), config), seed, config)


@functools.cache
def mixed_stream(seed, config: NpuConfig = TINY) -> Stream:
    """A random network of all operators."""
    return stream_of(random_graph(seed), seed, config)


@functools.cache
def fitting(config: NpuConfig = TINY) -> tuple[Stream, ...]:
    """Random networks that a configuration has room for: three at least, of both kinds in turn."""
    found = []
    for make, seed in zip((random_stream, random_stream, mixed_stream) * 2, (0, 8, 27, 1, 9, 23), strict=True):
        try:
            found.append(make(seed, config))
        except WeftError as error:
            if not any(reason in str(error) for reason in ("scratchpad", "accumulator_bits")):
                raise
    assert len(found) > 2, f"{config.name} has room for {len(found)} networks"
    return tuple(found)
