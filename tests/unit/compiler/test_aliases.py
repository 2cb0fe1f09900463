"""A step that reads a tensor through an alias sees the rows of the alias, whatever rows the tensor has in memory."""

import numpy as np
import pytest

from hw.npu.config import PRESETS, NpuConfig
from tests.machine_checks import assert_exact
from tests.random_mixtures import MixtureMaker
from weft.compiler.frontends.tflite import read_tflite

TINY = NpuConfig(rows=4, cols=4, act_kib=16, weight_kib=16)
CASES = ("reshape_grouped_shuffle_8", "reshape_grouped_flat_7", "reshape_grouped_dw2_8", "alias_139", "alias_14")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("config", [PRESETS["small"], TINY], ids=["small", "tiny"])
@pytest.mark.parametrize("keep_tensors", [False, True])
def test_groups_behind_an_alias_read_its_rows(cases, name, config, keep_tensors):
    graph, given = read_tflite(cases / f"{name}.tflite"), cases / f"{name}.npz"
    assert_exact(graph, config, keep_tensors=keep_tensors, inputs=dict(np.load(given)) if given.exists() else None)


@pytest.mark.parametrize("shape", [(1, 1024), (64, 16), (64, 1, 16), (1, 4, 16, 16), (1, 16, 4, 16), (2, 4, 8, 16), (1, 2, 4, 8, 16)])
def test_groups_read_the_rows_of_an_alias_of_any_rank(shape, seed):
    """Of an input of the network and of a tensor that it computes; with padding on every side."""
    maker, outputs = MixtureMaker(np.random.default_rng(seed), shape), []
    for source in ("input", maker.function("TANH", "input")):
        image = maker.reshape(maker.reshape(source, (1024,)), (1, 8, 8, 16))
        outputs += [maker.grouped(image, 4, 3, (3, 3)), maker.depthwise(image, 2, (3, 3), stride=(2, 1))]
    assert_exact(maker.graph(*outputs), TINY, seed=seed)
