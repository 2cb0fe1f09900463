"""Small files that once failed, on the generated Verilog: every tensor exact to golden operators and interpreter, cycles asserted."""

import numpy as np
import pytest

from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from tests.rtl.cycles import assert_recorded, recorded_under
from weft.compiler.frontends.tflite import read_file
from weft.run.network import Prepared, judged, run_samples, start_reference
from weft.run.progress import Steps
from weft.run.stream import choose_samples
from weft.run.whole import compile_whole

SMALL = PRESETS["small"]
LONG = ("q_softmax", "q_transpose")
"""Those that take a while."""
SHORT = tuple(name for name in recorded_under("case") if name not in LONG)
"""All others; cycles are those of all programs on `small`, and do not depend on the values."""
HOST = {"c10_conv3d": ("DEQUANTIZE", "CONV_3D", "QUANTIZE"), "c25b_unet_argmax": ("ARG_MAX",)}
"""Operators that the host runs; of other files none."""
REFUSED = {
    "b15_batch_matmul": "the NPU can run none of its 1 operators: layer batch_matmul_0 (Identity): BATCH_MATMUL: not supported",
    "num_small_1202": "FULLY_CONNECTED: the largest sum that weights and bias allow, times its factor, must be below 2^31",
}
"""Files of one operator that is the host's: what is said."""


def check(path, simulator):
    whole = compile_whole(read_file(path), SMALL)
    assert tuple(operator.op for step in whole.host_steps for operator in step.part.operators) == HOST.get(path.stem, ())
    inputs = path.with_suffix(".npz")
    samples, _, _ = choose_samples(whole.graph, inputs if inputs.is_file() else None, None, None if inputs.is_file() else 1, None)
    with start_reference(whole.graph, samples) as interpreter:
        outcomes = run_samples(Prepared(whole, simulator(SMALL)), samples)
        (outcome,) = judged(whole.on_npu, outcomes, interpreter, Steps(quiet=True))
    assert outcome.mismatch is None
    assert outcome.reference.stopped_at is None and outcome.reference.tensors >= 1
    assert_recorded(f"case/{path.stem}", outcome.cycles)
    assert all(np.array_equal(outcome.outputs[name], outcome.computed[name]) for name in outcome.outputs if name in outcome.computed)


@pytest.mark.cycles
@pytest.mark.parametrize("name", SHORT)
def test_a_reported_file_is_exact(name, cases, simulator):
    check(cases / f"{name}.tflite", simulator)


@pytest.mark.cycles
@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_a_long_reported_file_is_exact(name, cases, simulator):
    check(cases / f"{name}.tflite", simulator)


@pytest.mark.parametrize("name", REFUSED)
def test_a_reported_file_of_one_host_operator_is_refused(name, cases):
    with pytest.raises(WeftError) as caught:
        compile_whole(read_file(cases / f"{name}.tflite"), SMALL)
    assert REFUSED[name] in str(caught.value)


def test_every_reported_file_is_in_a_table(cases):
    assert {path.stem for path in cases.glob("*.tflite")} == set(SHORT) | set(LONG) | REFUSED.keys()
