"""Batches: operators of images do one image after the other, exactly, with weights that are stored and loaded once."""

from pathlib import Path

import numpy as np
import pytest

from golden.program import Program
from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from hw.npu.interface.isa import Opcode
from tests.machine_checks import assert_exact
from tests.random_graphs import GraphMaker
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite

SMALL = PRESETS["small"]
TIGHT = SMALL.replace(act_kib=16)
CASE = Path(__file__).parents[4] / "shared" / "cases" / "c13_batch4.tflite"


def filters(maker: GraphMaker, image: str) -> str:
    """A stem, a filter of each channel and a projection."""
    channels = maker.tensors[image].shape[3]
    return maker.conv(maker.depthwise(maker.conv(image, channels, (3, 3)), (3, 3)), channels, (1, 1))


def weights_loaded(program: Program) -> int:
    """Bytes that come into the weight scratchpad."""
    loads = [planned.command["dma"] for planned in program.commands if planned.command.opcode == Opcode.LOAD and planned.tensor is None]
    return sum(dma["row_bytes"] * dma["rows"] for dma in loads)


def network(shape, build=filters, seed=0):
    maker = GraphMaker(np.random.default_rng(seed), shape)
    return maker.graph(build(maker, "input"))


def test_the_reported_file_is_exact():
    if not CASE.is_file():
        pytest.skip("no ../shared/cases/c13_batch4.tflite: the files of reported faults are kept beside the repository")
    assert_exact(read_tflite(CASE), SMALL)


@pytest.mark.parametrize("batch", [2, 5])
def test_images_share_their_weights(batch):
    one, several = (compile_graph(network((n, 12, 10, 24)), SMALL).program for n in (1, batch))
    assert len(several.constants) <= len(one.constants) + 64 * batch
    assert weights_loaded(several) == weights_loaded(one)


def test_what_no_window_joins_is_one_tall_image():
    """A convolution of one tap, and a pool whose windows fill the image; padding above keeps images apart."""
    steps = compile_graph(network((3, 8, 9, 16)), SMALL).network.steps
    assert [step.op for step in steps].count("CONV_2D") == 3 + 1
    for padding, height, count in (("VALID", 8, 1), ("SAME", 8, 1), ("VALID", 9, 3), ("SAME", 9, 3)):
        graph = network((3, height, 6, 8), lambda maker, image: maker.pool("MAX_POOL_2D", image, (2, 2), stride=(2, 2), padding=padding))  # noqa: B023
        assert len(assert_exact(graph, SMALL).network.steps) == count, (padding, height)


@pytest.mark.parametrize("config", [TIGHT, TIGHT.replace(rows=8, cols=8, weight_kib=8)], ids=["16x16", "8x8"])
def test_a_batch_larger_than_the_scratchpad_runs_in_bands(config, seed):
    for shape in ((3, 40, 20, 12), (2, 90, 30, 7)):
        plan = assert_exact(network(shape, seed=seed), config, seed=seed).plan
        assert any(segment.rings for segment in plan.segments)


def test_images_behind_an_alias_lie_in_other_rows(seed):
    def behind_an_alias(maker, image):
        n, height, width, channels = maker.tensors[image].shape
        shape = (n, width, height, channels)
        return filters(maker, maker.reshape(filters(maker, image), shape))

    assert_exact(network((3, 6, 10, 8), behind_an_alias, seed), SMALL, seed=seed)


def test_more_images_than_steps_are_refused():
    graph = network((1025, 2, 1, 4), lambda maker, image: maker.conv(image, 4, (3, 3)))
    with pytest.raises(WeftError, match="1025 images of 1 steps each are more than the limit of 1024 steps; use a smaller batch"):
        compile_graph(graph, SMALL)
