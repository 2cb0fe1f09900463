"""Images that are larger than the activation scratchpad, and windows that are: in bands of rows, or part by part, exact."""

from pathlib import Path

import numpy as np
import pytest

from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from tests.large_images import KINDS, WINDOWED, large_image
from tests.machine_checks import assert_exact
from tests.random_graphs import GraphMaker
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.graph import Tensor

SMALL, NANO = (PRESETS[name].replace(act_kib=16) for name in ("small", "nano"))
"""The reference array and the smallest one, with the smallest scratchpad."""
CASES = {"p1_max_two_inputs": 0, "q_softmax": 0, "q_mean": 1, "q_transpose": 0}
"""Files of ../shared/cases, and of how many of their segments windows go by in parts."""


def mean_of_pixels(shape):
    maker = GraphMaker(np.random.default_rng(1), shape)
    maker.tensors["axes"] = Tensor("axes", (2,), "int32", None, np.array([1, 2], np.int32))
    return maker.graph(maker._operator("MEAN", ("input", "axes"), (1, shape[3]), {"keep_dims": False}))


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_larger_than_the_scratchpad_is_exact(kind, seed):
    rng = np.random.default_rng([seed, *kind.encode()])
    for case in range(4):
        config = (SMALL, NANO)[case % 2]
        graph = large_image(kind, rng, config.act_bytes, row=480)
        plan = assert_exact(graph, config, seed=case).plan
        assert any(segment.window_rows for segment in plan.segments) == (kind in WINDOWED), f"case {case}, {graph.operators}"


def test_a_ring_under_softmax_may_turn_in_the_middle_of_a_band():
    """SOFTMAX's commands do not follow a ring, as those of windows do: the band is cut there."""
    config, cut = SMALL.replace(act_kib=32), 0
    for case in range(2):
        graph = large_image("SOFTMAX beside a filter", np.random.default_rng(2 * case), config.act_bytes, row=480)
        plan = assert_exact(graph, config, seed=case).plan
        for segment in plan.segments:
            softmax, rows = segment.first, segment.rings.get("conv_2d_1_out", 0)
            cut += any(rows and band.step == softmax and band.y // rows < (band.y + band.rows - 1) // rows for band in segment.bands)
    assert cut == 2


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "q_transpose")) for name in CASES])
def test_a_large_image_runs_in_bands_on_the_reference_configuration(name):
    file = Path(__file__).parents[4] / "shared" / "cases" / f"{name}.tflite"
    if not file.is_file():
        pytest.skip(f"no ../shared/cases/{name}.tflite: the files of reported faults are kept beside the repository")
    plan = assert_exact(read_tflite(file), PRESETS["small"]).plan
    assert sum(segment.window_rows > 0 for segment in plan.segments) == CASES[name]


@pytest.mark.parametrize("shape", [(1, 300, 2, 8), (1, 2, 300, 8), (1, 300, 270, 3), (1, 600, 3, 20)])
def test_a_mean_of_more_rows_or_columns_than_a_command_counts_is_exact(shape):
    assert_exact(mean_of_pixels(shape), SMALL)


def test_a_window_goes_by_once_where_vectors_of_channels_are_visited_like_pixels():
    """48 channels are three vectors of one job: the image is loaded once; 24 are two column tiles: twice."""
    for channels, times in ((48, 1), (24, 2)):
        shape = (1, 80, 10, channels)
        program = compile_graph(mean_of_pixels(shape), SMALL).program
        loaded = [planned.command["dma"] for planned in program.commands if planned.note.endswith("of input")]
        assert sum(dma["row_bytes"] * dma["rows"] for dma in loaded) == times * np.prod(shape)


def test_two_parts_of_a_window_are_in_the_scratchpad_so_that_one_is_loaded_while_the_other_is_summed():
    program = compile_graph(mean_of_pixels((1, 100, 30, 16)), SMALL).program
    commands = [planned.command for planned in program.commands]
    works = [command for command in commands if command.opcode.name == "SUM"]
    waits = [command["header"]["wait_exec"] for command in commands if command.opcode.name == "LOAD" and command["dma"]["target"] == 0]
    assert len(works) > 3 and waits[:4] == [0, 0, 1, 2]
    # bias, and a table if there is one, are read where the sum is complete
    assert ["address" in work.fields.get("weights", {}) for work in works] == [work is works[-1] for work in works]


def test_rows_that_do_not_fit_are_refused_with_what_two_of_them_take():
    with pytest.raises(WeftError, match=r"layer mean_0.*16 KiB is 9 KiB too small .* set act_kib to \d+ or more"):
        compile_graph(mean_of_pixels((1, 40, 768, 16)), SMALL)
