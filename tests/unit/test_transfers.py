"""What the weight scratchpad cannot hold is refused with the size that is enough."""

import re

import numpy as np
import pytest

from hw.npu.config import NpuConfig
from tests.machine_checks import assert_exact
from tests.network_checks import refusal
from tests.random_graphs import GraphMaker
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
