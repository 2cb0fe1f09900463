"""Every operator that the frontend reads becomes commands whose results equal the golden operator's, whatever shapes and configuration."""

import numpy as np
import pytest

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from tests.machine_checks import assert_exact
from tests.random_graphs import GraphMaker
from tests.random_operators import OPERATORS
from tests.random_operators.refused import ALWAYS_REFUSED, MOST_REFUSED, assert_refused_for_its_reason
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.graph import Graph, Operator, Tensor

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
        interpolation=bool(rng.integers(2)),
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


SCALARS = {
    "MAXIMUM": ((), (), {}),
    "MINIMUM": ((), (), {}),
    "PACK": ((), (2,), {"axis": 0}),
    "STRIDED_SLICE": ((5,), (), {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 1}),
    "UNPACK": ((2,), (), {"axis": 0}),
}
"""Operators on tensors without a dimension: shapes of inputs and outputs, options."""


@pytest.mark.parametrize("op", SCALARS)
def test_scalars_are_found_where_they_lie(op, seed):
    given, result, options = SCALARS[op]
    maker = GraphMaker(np.random.default_rng([seed, *op.encode()]), (2,))
    for name, shape in (("a", given), ("b", given), ("c", result), ("d", result)):
        maker.tensor(name, shape, scale=(0.1,), zero_point=(3,))
    for name, number in (("begin", 3), ("end", 4), ("stride", 1)):
        maker.tensors[name] = Tensor(name, (1,), "int32", None, np.array([number], np.int32))
    sources = {"UNPACK": ("a",), "STRIDED_SLICE": ("a", "begin", "end", "stride")}.get(op, ("a", "b"))
    inputs = tuple(name for name in sources if name in "ab")
    outputs = ("c", "d") if op == "UNPACK" else ("c",)
    graph = Graph("scalars", "scalars.tflite", maker.tensors, (Operator("it", op, sources, outputs, options),), inputs, outputs)
    for number in range(8):
        assert_exact(graph, NpuConfig(), seed=seed + number)


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
    with pytest.raises(
        WeftError, match=r"layer resize_bilinear_0: RESIZE_BILINEAR: a resize from 5x5 to 13x13 needs weights of .* has no interpolation"
    ):
        compile_graph(maker.graph(output), NpuConfig())


def test_two_axes_are_reversed_one_after_the_other(seed, tmp_path):
    """Rows and columns as one run would be 1 200 positions, more than the steps that an operator may take; apart they are 70."""
    image = {"shape": (1, 40, 30, 3), "scale": 0.5}
    tensors = [BuilderTensor("x", **image), BuilderTensor("axes", (2,), "int32", data=np.array([2, -3])), BuilderTensor("y", **image)]
    path = tmp_path / "net.tflite"
    path.write_bytes(build_model(tensors, [BuilderOperator("REVERSE_V2", ("x", "axes"), ("y",))], ["x"], ["y"]))
    assert len(assert_exact(read_tflite(path), random_config(np.random.default_rng(seed)), seed=seed).network.steps) == 70
