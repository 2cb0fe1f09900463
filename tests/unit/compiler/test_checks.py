"""What no command can say is refused with the layer."""

import numpy as np

from hw.npu.config import NpuConfig
from tests.network_checks import refusal
from tests.random_graphs import GraphMaker
from weft.compiler.driver import compile_graph


def column(height):
    maker = GraphMaker(np.random.default_rng(0), (1, height, 1, 3))
    return maker.graph(maker.conv("input", 3, (3, 1)))


def test_an_image_of_more_rows_than_a_field_holds_is_refused_with_file_layer_value_and_remedy():
    config = NpuConfig(act_kib=1024)
    assert refusal(compile_graph, column(32768), config) is None
    message = refusal(compile_graph, column(33300), config)
    assert message is not None
    assert all(part in message for part in ("random.tflite: layer conv_2d_0: ", "input.y = 32768", "; use a smaller tensor"))
