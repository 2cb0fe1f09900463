"""Networks of several programs on the generated Verilog: the host's operators get what the RTL left in DDR, and the other way round."""

import numpy as np
import pytest

from golden.reference import invoke_reference, load_reference
from hw.npu.config import PRESETS
from tests.host_networks import random_whole
from weft.compiler.frontends.tflite import read_file
from weft.run.inputs import random_sample
from weft.run.network import Prepared, run_samples
from weft.run.whole import compile_whole

SMALL = PRESETS["small"]


def check(path, simulator, seed, programs):
    """Two inputs: each tensor exact, and the outputs those of the interpreter."""
    whole = compile_whole(read_file(path), SMALL)
    assert len(whole.npu_steps) >= programs
    samples = [random_sample(whole.graph, seed + number) for number in range(2)]
    interpreter = load_reference(path.read_bytes())
    for sample, outcome in zip(samples, run_samples(Prepared(whole, simulator(SMALL)), samples), strict=True):
        assert outcome.mismatch is None, f"seed {seed}: {outcome.mismatch}"
        expected = {name: value for _, name, value in invoke_reference(interpreter, list(sample.values()))}
        assert outcome.outputs.keys() == set(whole.graph.outputs)
        assert all(np.array_equal(value, expected[name]) for name, value in outcome.outputs.items()), f"seed {seed}"


def test_random_networks_of_several_programs_are_exact(tmp_path, simulator, seed):
    rng = np.random.default_rng(seed)
    for number in range(2):
        path = tmp_path / f"{number}.tflite"
        path.write_bytes(random_whole(rng))
        check(path, simulator, seed, 1)


FILES = {"cases/c25b_unet_argmax": 1, "cases/c10_conv3d": 1, "models/tflm_dtln_lstm_int8": 1}
"""Files that the NPU runs in part, and how many programs they are."""


@pytest.mark.parametrize("name", FILES)
def test_files_from_the_field_are_exact(name, cases, simulator, seed):
    check(cases.parent / f"{name}.tflite", simulator, seed, FILES[name])


@pytest.mark.slow
def test_a_transformer_is_exact_with_its_products_on_the_host(models, simulator, seed):
    check(models / "synth_kwt1_int8.tflite", simulator, seed, 25)


@pytest.mark.slow
def test_a_segmenter_of_uint8_is_exact_up_to_its_last_operators(models, simulator, seed):
    check(models / "coral_deeplab_dm05_uint8.tflite", simulator, seed, 1)
