"""The networks that people deploy, on the generated Verilog: every tensor exact, in exactly so many cycles, nothing left to the host."""

import numpy as np
import pytest

from tests.machine_checks import random_inputs
from tests.random_graphs import GraphMaker
from tests.rtl.configurations import SIZES, SMALL, VARIANTS
from tests.rtl.cycles import assert_recorded, recorded
from tests.rtl.measure import measure
from tests.rtl.network_cycles import FILES, LARGE, LIMITS, SMALL_SIX, UNSIGNED
from weft.analysis.search import search
from weft.compiler.frontends.tflite import read_tflite
from weft.run.inputs import load_samples
from weft.run.network import Prepared, report_of, run_samples
from weft.run.whole import whole_of

KEYWORDS_ON_RTL = 100


def check(name, config, models, simulator, profile="quick"):
    """Runs a network on two inputs; gives its cycles on RTL, after every tensor was compared."""
    graph = read_tflite(models / FILES[name])
    return measure(graph, simulator(config, profile), inputs=1 if name in LARGE else 2)


@pytest.mark.cycles
@pytest.mark.parametrize("name", [*SMALL_SIX, UNSIGNED])
def test_the_small_networks_take_the_stated_cycles(name, models, simulator):
    assert_recorded(f"small/{name}", check(name, SMALL, models, simulator))
    assert recorded(f"small/{name}") <= LIMITS[name]


@pytest.mark.cycles
@pytest.mark.slow
@pytest.mark.parametrize("size", [(8, 8), (32, 32)], ids=["8x8", "32x32"])
@pytest.mark.parametrize("name", SMALL_SIX)
def test_the_small_six_take_the_stated_cycles_on_other_arrays(name, size, models, simulator):
    assert_recorded("{}x{}/".format(*size) + name, check(name, SIZES[size], models, simulator))


@pytest.mark.slow
@pytest.mark.parametrize("variant", list(VARIANTS))
@pytest.mark.parametrize("name", SMALL_SIX)
def test_the_small_six_are_exact_on_other_configurations(name, variant, models, simulator):
    check(name, VARIANTS[variant], models, simulator)


@pytest.mark.cycles
@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_the_large_three_take_the_stated_cycles(name, models, simulator):
    assert_recorded(f"small/{name}", check(name, SMALL, models, simulator, "fast"))
    assert recorded(f"small/{name}") <= LIMITS[name]


def test_a_hundred_keywords_are_exact(models, simulator):
    graph = read_tflite(models / FILES["kws"])
    found = search(graph, SMALL)
    samples, _ = load_samples(graph, models / "inputs" / "mlperf_kws_1000.npz")
    outcomes = run_samples(Prepared(whole_of(found.compiled, found), simulator(SMALL)), samples[:KEYWORDS_ON_RTL])
    assert [str(outcome.mismatch) for outcome in outcomes if outcome.mismatch] == []
    labels = np.load(models / "inputs" / "mlperf_kws_1000.npz")["y"][:KEYWORDS_ON_RTL]
    right = [np.argmax(next(iter(outcome.outputs.values()))) == label for outcome, label in zip(outcomes, labels)]
    assert sum(right) >= KEYWORDS_ON_RTL * 85 // 100  # 901 of all 1000


@pytest.mark.cycles
def test_a_depthwise_layer_keeps_half_of_the_multipliers_at_work(simulator):
    """28x28x64, 3x3, stride 1: 9 of 16 rows are the bound. The layer before makes its input, so that its cycles are its own."""
    maker = GraphMaker(np.random.default_rng(0), (1, 28, 28, 16))
    filtered = maker.depthwise(maker.conv("input", 64, (1, 1)), (3, 3))
    graph = maker.graph(maker.pool("AVERAGE_POOL_2D", filtered, (28, 28), stride=(28, 28), padding="VALID"))
    found = search(graph, SMALL)
    prepared = Prepared(whole_of(found.compiled, found), simulator(SMALL))
    (outcome,) = run_samples(prepared, [random_inputs(graph, 1)])
    assert outcome.mismatch is None, str(outcome.mismatch)
    (layer,) = (layer for layer in report_of(prepared, outcome).layers if layer.op == "DEPTHWISE_CONV_2D")
    assert layer.macs == 28 * 28 * 64 * 9
    assert_recorded("layer/depthwise 28x28x64", layer.cycles)
    assert layer.utilization >= 0.5
