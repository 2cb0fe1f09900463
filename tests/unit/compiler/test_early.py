"""A step that begins with the channels that are ready: exact, and sooner than one that waits for all of its source."""

import numpy as np

from hw.npu.config import NpuConfig
from hw.npu.interface.isa import EXECUTE
from tests.machine_checks import assert_exact
from tests.random_graphs import GraphMaker
from weft.analysis.timing import replay
from weft.compiler.dependencies import Channels
from weft.compiler.driver import compile_graph
from weft.compiler.tuning import Tuning

CONFIG = NpuConfig()


def separable(seed):
    """Three pairs of a filter and a convolution over single pixels, 6 x 6 x 128."""
    maker = GraphMaker(np.random.default_rng(seed), (1, 6, 6, 128))
    name = "input"
    for _ in range(3):
        name = maker.conv(maker.depthwise(name, (3, 3)), 128, (1, 1))
    return maker.graph(name)


def waits(program):
    """Cycles in which execute commands waited for earlier ones."""
    records = replay(program).records
    return int(records["stall_activations"][np.isin(records["opcode"], list(EXECUTE))].sum())


def test_channels_that_are_ready_go_first(seed):
    graph = separable(seed)
    early = assert_exact(graph, CONFIG, seed=seed).program
    late = compile_graph(graph, CONFIG, tuning=Tuning(early=False)).program
    assert waits(early) < waits(late) / 2, f"seed {seed}"
    assert replay(early).cycles < replay(late).cycles


def test_granules_of_channels_are_those_of_their_bytes(seed):
    rng = np.random.default_rng(seed)
    for _ in range(20):
        rows = tuple(int(row) for row in rng.integers(0, 4000, 3))
        pixels, pitch, granule = (int(n) for n in rng.integers(1, 40, 3))
        channels = Channels(rows, pixels, pitch, int(rng.integers(1, pitch + 1)))
        touched = {(row + pixel * pitch + byte) // granule for row in rows for pixel in range(pixels) for byte in range(channels.size)}
        assert set(channels.granules(granule).tolist()) == touched, f"seed {seed}: {channels}"
