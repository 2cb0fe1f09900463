"""Every operator that the frontend reads becomes commands whose results equal the golden operator's, whatever shapes and configuration."""

import numpy as np
import pytest

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from tests.machine_checks import assert_exact
from tests.random_graphs import GraphMaker
from tests.random_operators import OPERATORS
from tests.random_operators.refused import ALWAYS_REFUSED, MOST_REFUSED, assert_refused_for_its_reason
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.graph import Tensor

COUNT = 12
SIDES = (4, 8, 16, 32)


def random_config(rng) -> NpuConfig:
    """Any array, a scratchpad that holds everything or hardly a few rows."""
    rows, cols, act_kib = (int(rng.choice(values)) for values in (SIDES, SIDES, (16, 32, 1024)))
    return NpuConfig(
        rows=rows,
        cols=cols,
        act_kib=act_kib,
        weight_kib=int(rng.choice((8, 64))),
        axi_bits=int(rng.choice((32, 64, 128))),
        lane_divisor=int(rng.choice((1, 2, 4))),
    )


@pytest.mark.parametrize("keep_tensors", [False, True])
@pytest.mark.parametrize("op", OPERATORS)
def test_random_operators_are_exact_or_refused_in_one_line(op, keep_tensors, seed, tmp_path):
    rng, path, exact = np.random.default_rng([seed, keep_tensors, *op.encode()]), tmp_path / "net.tflite", 0
    for _ in range(COUNT):
        path.write_bytes(OPERATORS[op](rng))
        graph, config = read_tflite(path), random_config(rng)
        try:
            assert_exact(graph, config, keep_tensors=keep_tensors, seed=seed)
            exact += 1
        except WeftError as error:
            assert_refused_for_its_reason(op, str(error))
    assert COUNT - exact <= MOST_REFUSED * COUNT or op in ALWAYS_REFUSED


@pytest.mark.parametrize("alignment", ["edges", "half_pixel_centers", "align_corners"])
@pytest.mark.parametrize("factor", [2, 4])
def test_bilinear_enlargement_by_a_power_of_two_is_exact(factor, alignment, seed):
    maker = GraphMaker(np.random.default_rng([seed, factor]), (1, 5, 9, 3))
    size = [factor * (n - 1) + 1 if alignment == "align_corners" else factor * n for n in (5, 9)]
    maker.tensors["size"] = Tensor("size", (2,), "int32", None, np.array(size, np.int32))
    options = {name: name == alignment for name in ("align_corners", "half_pixel_centers")}
    output = maker._operator("RESIZE_BILINEAR", ("input", "size"), (1, *size, 3), options, like=maker.tensors["input"])
    assert_exact(maker.graph(output), NpuConfig(), seed=seed)


def test_a_resize_that_the_npu_does_not_do_names_the_ratio():
    maker = GraphMaker(np.random.default_rng(0), (1, 5, 5, 3))
    maker.tensors["size"] = Tensor("size", (2,), "int32", None, np.array((13, 13), np.int32))
    options = {"align_corners": False, "half_pixel_centers": True}
    output = maker._operator("RESIZE_BILINEAR", ("input", "size"), (1, 13, 13, 3), options, like=maker.tensors["input"])
    with pytest.raises(WeftError, match="layer resize_bilinear_0: RESIZE_BILINEAR: a resize from 5x5 to 13x13 needs weights"):
        compile_graph(maker.graph(output), NpuConfig())
