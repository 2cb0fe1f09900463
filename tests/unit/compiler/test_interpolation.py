"""RESIZE_BILINEAR by INTERPOLATE: rows that a band reads, large images, what is faster as filters, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from golden.operators.resize import bilinear_positions, bilinear_taps
from hw.npu.config import PRESETS, NpuConfig
from hw.npu.errors import WeftError
from hw.npu.interface.isa import Opcode
from tests.machine_checks import assert_exact
from tests.resizes import ALIGNMENTS, graph_of, resized
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.graph import Quantization, Tensor
from weft.compiler.select import select
from weft.compiler.steps import Extent, Positions, Step

SMALL = PRESETS["small"]


def opcodes_of(graph, config) -> set[Opcode]:
    return {step.opcode for step in select(graph, config).steps}


def test_a_band_reads_the_rows_that_its_outputs_lie_between(seed):
    """No fewer than the reference's two taps of each output, and at most a row more on either side, of no weight."""
    rng = np.random.default_rng(seed)
    for case in range(300):
        size, count, (corners, half) = int(rng.integers(1, 40)), int(rng.integers(1, 90)), list(ALIGNMENTS.values())[case % 3]
        positions = Positions(*bilinear_positions(size, count, corners, half))
        image, result = Extent(size, 1, 1), Extent(count, 1, 1)
        step = Step("", "", "", Opcode.INTERPOLATE, "", "", image, result, kernel=(2, 1), between=(positions, Positions(0, 0)))
        lower, upper, _ = bilinear_taps(size, count, corners, half)
        first = int(rng.integers(count))
        rows = int(rng.integers(1, count - first + 1))
        low, high = step.rows_read(first, rows)
        wanted = lower[first], upper[first + rows - 1] + 1
        assert low == wanted[0] and wanted[1] <= high <= min(wanted[1] + 1, size), (case, size, count, first, rows)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_any_ratio_is_exact(alignment, seed):
    """Up and down, one axis or both, on arrays with more channels than an image has and with fewer, with a batch now and then."""
    rng = np.random.default_rng([seed, *alignment.encode()])
    for case in range(8):
        config = (SMALL, NpuConfig(rows=4, cols=8, act_kib=16, weight_kib=8, interpolation=True))[case % 2]
        size, count = rng.integers(1, 14, 2).tolist(), rng.integers(1, 40, 2).tolist()
        shape = (1 + int(case == 3), *size, int(rng.integers(1, 40)))
        assert_exact(graph_of(shape, count, alignment, seed=case), config, seed=case)


def test_an_image_larger_than_the_scratchpad_runs_in_bands(seed):
    """What DeepLab does at its end, on a scratchpad that holds a twentieth of it; a table and the next resize go along in the cascade."""
    maker = resized((1, 17, 17, 21), (64, 61), "corners", seed=seed)
    maker.tensors["back"] = Tensor("back", (2,), "int32", None, np.array((40, 51), np.int32))
    table = maker._operator("LOGISTIC", (maker.result,), (1, 64, 61, 21), {})
    maker.tensors[table] = replace(maker.tensors[table], quantization=Quantization((1 / 256,), (-128,)))
    options = {"align_corners": False, "half_pixel_centers": True}
    back = maker._operator("RESIZE_BILINEAR", (table, "back"), (1, 40, 51, 21), options, like=maker.tensors[table])
    compiled = assert_exact(maker.graph(back), SMALL.replace(act_kib=32), seed=seed)
    assert [step.op for step in compiled.network.steps] == ["RESIZE_BILINEAR+LOGISTIC", "RESIZE_BILINEAR"]
    assert len(compiled.plan.segments[0].bands) > 2


@pytest.mark.slow
def test_the_last_resize_of_deeplab_runs_in_bands(seed):
    assert_exact(graph_of((1, 33, 33, 21), (257, 257), "corners", seed=seed), SMALL)


def test_rows_and_pixels_too_far_apart_for_a_field_are_steps_of_their_own(seed):
    graph = graph_of((1, 1100, 3, 2), (4, 2), "half pixels", seed=seed)
    assert len(select(graph, SMALL).steps) == 4
    assert_exact(graph, SMALL, seed=seed)


@pytest.mark.parametrize("factor", [2, 4])
def test_filters_do_what_they_do_faster(factor):
    large, tiny = graph_of((1, 20, 20, 16), [20 * factor] * 2), graph_of((1, 2, 2, 16), [2 * factor] * 2)
    assert opcodes_of(large, SMALL) == {Opcode.DEPTHWISE} and opcodes_of(tiny, SMALL) == {Opcode.INTERPOLATE}
    assert opcodes_of(tiny, SMALL.replace(interpolation=False)) == {Opcode.DEPTHWISE}
    assert opcodes_of(tiny, SMALL.replace(accumulator_bits=27)) == {Opcode.DEPTHWISE}


def test_an_axis_that_keeps_its_pixels_has_one_tap():
    (step,) = select(graph_of((1, 7, 9, 4), (7, 23)), SMALL).steps
    assert step.kernel == (1, 2)


@pytest.mark.parametrize(("bits", "sentence"), [(28, None), (27, "its sums need 28 bits, accumulator_bits is 27")])
def test_sums_take_28_bits(bits, sentence):
    graph, config = graph_of((1, 5, 5, 3), (13, 13)), SMALL.replace(accumulator_bits=bits)
    values = {"input": np.full((1, 5, 5, 3), -128, np.int8)}
    if sentence is None:
        assert_exact(graph, config, inputs=values)
    else:
        with pytest.raises(WeftError, match=sentence):
            compile_graph(graph, config)


@pytest.mark.parametrize("name", ["c06_up3_bilinear", "b07c_bilinear_ac"])
def test_resizes_of_the_field_are_exact(cases, name, seed):
    compiled = assert_exact(read_tflite(cases / f"{name}.tflite"), SMALL, seed=seed)
    assert Opcode.INTERPOLATE in {step.opcode for step in compiled.network.steps}
