"""Every operator that the frontend reads becomes commands whose results equal the golden operator's, whatever shapes and configuration."""

import numpy as np
import pytest

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from tests.machine_checks import assert_exact
from tests.random_operators import OPERATORS
from weft.compiler.frontends.tflite import read_tflite

COUNT = 12
SIDES = (4, 8, 16, 32)
REFUSED = {
    "DEQUANTIZE": "the NPU computes none of its operators",
    "QUANTIZE": "the NPU computes none of its operators",
    "MEAN": "does not sum dimensions",
    "RESIZE_BILINEAR": "which are not bytes",
    "MUL": "is above 2^14",
    "PRELU": "is above 2^14",
}
"""What an operator may be refused for, by a part of the message."""


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
    refused = []
    for _ in range(COUNT):
        path.write_bytes(OPERATORS[op](rng))
        graph, config = read_tflite(path), random_config(rng)
        try:
            assert_exact(graph, config, keep_tensors=keep_tensors, seed=seed)
            exact += 1
        except WeftError as error:
            refused.append(str(error))
    assert all(REFUSED.get(op, "never") in message and "\n" not in message for message in refused), refused
    assert exact > COUNT // 4 or op == "DEQUANTIZE"
