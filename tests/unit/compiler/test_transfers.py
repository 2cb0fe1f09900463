"""What the weight scratchpad cannot hold is refused with the size that is enough; rows leave for DDR when they are whole."""

import re

import numpy as np
import pytest

from hw.npu.config import NpuConfig
from tests.machine_checks import assert_exact
from tests.network_checks import refusal
from tests.random_graphs import GraphMaker
from tests.random_mixtures import MixtureMaker
from tests.rtl.jobs import TINY
from weft.compiler.driver import compile_graph


def filtered(seed, side, channels):
    """A DEPTHWISE_CONV_2D of a square filter over an image of its size."""
    maker = GraphMaker(np.random.default_rng(seed), (1, side, side, channels))
    return maker.graph(maker.depthwise("input", (side, side)))


@pytest.mark.parametrize(("rows", "cols", "side"), [(64, 64, 25), (64, 32, 17), (4, 64, 40)])
def test_a_filter_larger_than_the_weight_scratchpad_is_refused_with_a_size_that_is_enough(rows, cols, side, seed):
    graph, config = filtered(seed, side, 3), NpuConfig(rows=rows, cols=cols, weight_kib=8)
    message = refusal(compile_graph, graph, config)
    assert message is not None and message.startswith("random.tflite: layer depthwise_conv_2d_0: the weight scratchpad of 8 KiB")
    enough = int(re.search(r"set weight_kib to (\d+) or more", message)[1])
    assert_exact(graph, config.replace(weight_kib=enough), seed=seed)
    assert refusal(compile_graph, graph, config.replace(weight_kib=enough - 1)) is not None


@pytest.mark.parametrize(("height", "channels"), [(51, 18), (63, 22)])
def test_rows_leave_when_all_their_blocks_are_done_where_a_ring_cuts_blocks_side_by_side(height, channels, seed):
    """An average divides by fewer pixels in its first and last column: blocks of their own, each cut where the ring begins again."""
    maker = MixtureMaker(np.random.default_rng(seed), (1, height, 15, channels))
    averaged = maker.pool("AVERAGE_POOL_2D", "input", (3, 3), stride=(1, 1))
    graph = maker.graph(maker.depthwise(maker.add(averaged, "input"), 1, (3, 3), stride=(2, 2)))
    compiled = assert_exact(graph, TINY, seed=seed)
    assert any(segment.rings and segment.stored for segment in compiled.plan.segments), "rows of a ring go to DDR"
