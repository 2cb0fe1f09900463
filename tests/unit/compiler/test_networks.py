"""Whole networks on the golden machine: nothing left to the host, no hazard, every tensor as the golden operators make it."""

import time

import pytest

from hw.npu.config import PRESETS, NpuConfig
from tests.machine_checks import assert_exact
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite

SMALL = PRESETS["small"]
NETWORKS = {
    "mlperf_ad_fcae_int8": 0.26, "mlperf_ic_resnet8_int8": 12.50, "mlperf_kws_dscnn_int8": 2.66, "mlperf_sww_int8": 0.83,
    "mlperf_vww_mbv1_025_96_int8": 7.49, "tflm_person_detect_int8": 7.16,
}  # fmt: skip
"""Networks and their millions of multiply-accumulates, as the models' own README counts them."""
LARGE_NETWORKS = {"coral_mbv2_224_ptq_int8": 300.8, "synth_mobilenet_v1_224_int8": 568.7, "synth_resnet50_224_int8": 3858.0}
CONFIGURATIONS = {
    "small": SMALL,
    "96 KiB": SMALL.replace(act_kib=96),
    "8x8": NpuConfig(rows=8, cols=8, act_kib=128, weight_kib=32),
    "32x32": NpuConfig(rows=32, cols=32, act_kib=384, weight_kib=64, axi_bits=128),
}
SECONDS_TO_COMPILE = 60
"""For the largest network. It takes about three on one core."""


def millions_of_macs(compiled):
    return sum(layer.macs for layer in compiled.program.layers) / 1e6


@pytest.mark.parametrize("shape", CONFIGURATIONS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_exact(models, name, shape, seed):
    compiled = assert_exact(read_tflite(models / f"{name}.tflite"), CONFIGURATIONS[shape], seed=seed)
    assert compiled.host_ops == ()
    assert millions_of_macs(compiled) == pytest.approx(NETWORKS[name], abs=0.005)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_of_a_network_is_exact(models, name, seed):
    assert_exact(read_tflite(models / f"{name}.tflite"), SMALL, keep_tensors=True, seed=seed)


@pytest.mark.parametrize("name", LARGE_NETWORKS)
def test_a_large_network_compiles_soon(models, name):
    start = time.monotonic()
    compiled = compile_graph(read_tflite(models / f"{name}.tflite"), SMALL)
    assert time.monotonic() - start < SECONDS_TO_COMPILE
    assert compiled.host_ops == ()
    assert millions_of_macs(compiled) == pytest.approx(LARGE_NETWORKS[name], abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE_NETWORKS)
def test_a_large_network_is_exact(models, name, seed):
    assert_exact(read_tflite(models / f"{name}.tflite"), SMALL, seed=seed)
