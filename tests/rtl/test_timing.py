"""The timing model against the generated Verilog: cycles within a bound, bytes and waves equal, on configurations far apart."""

import numpy as np
import pytest

from sim.ddr import DdrConfig
from tests.int4_graphs import layers_with_weights, with_int4_weights
from tests.machine_checks import random_inputs
from tests.random_graphs import random_network
from tests.rtl.configurations import CORNERS, SIZES
from tests.rtl.measure import error_of
from weft.analysis.timing import DdrParameters, replay
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.host import host_before
from weft.run.inputs import random_sample

RANDOM_BOUND = 0.05
"""Of the RTL's cycles, for random networks: of few thousand cycles, of which commands that wait for DDR at the start are a large part. For
the networks of the set `error_of` says it. What is met is printed (``pytest -rP``), and mostly below 1 %."""
MODELS = {
    "resnet8": "mlperf_ic_resnet8_int8.tflite",
    "autoencoder": "mlperf_ad_fcae_int8.tflite",
    "visual-wake-words": "mlperf_vww_mbv1_025_96_int8.tflite",
    "keyword": "mlperf_kws_dscnn_int8.tflite",
    "wake-word": "mlperf_sww_int8.tflite",
    "person": "tflm_person_detect_int8.tflite",
}
SIZE_NAMES = {"16x16": SIZES[16, 16], "8x8": SIZES[8, 8], "32x32": SIZES[32, 32]}
DDRS = {"reference": DdrConfig(), "slow": DdrConfig(read_latency=150, bytes_per_cycle=4)}
EQUAL = ("active", "ddr_read_bytes", "ddr_write_bytes", "sram_read_bytes", "sram_write_bytes")
"""Fields of the records that the model must not miss at all."""
RANDOM = range(3)


def assert_close(simulator, graph, inputs, ddr, bound=RANDOM_BOUND):
    """Runs a network on the RTL and in the model."""
    config = simulator.config
    compiled = compile_graph(graph, config)
    program = compiled.program
    run = simulator.run(program, host_before(compiled, inputs), ddr=ddr, log=False)
    parameters = DdrParameters(ddr.read_latency, ddr.bytes_per_cycle, ddr.outstanding, ddr.write_latency)
    timing = replay(program, parameters)
    error = timing.cycles / run.cycles - 1
    print(f"{graph.name} on {config.name} {config.rows}x{config.cols}: RTL {run.cycles}, model {timing.cycles}, error {error:+.2%}")
    for index, (planned, measured, predicted) in enumerate(zip(program.commands, run.records, timing.records)):
        for name in EQUAL:
            assert measured[name] == predicted[name], (
                f"command {index} {planned.command}: {name} is {measured[name]}, the model says {predicted[name]}"
            )
    assert abs(error) <= bound


@pytest.mark.parametrize("size", ["16x16", *(pytest.param(size, marks=pytest.mark.slow) for size in ("8x8", "32x32"))])
@pytest.mark.parametrize("model", MODELS)
def test_networks_take_the_predicted_cycles(model, size, models, simulator):
    graph = read_tflite(models / MODELS[model])
    config = SIZE_NAMES[size]
    assert_close(simulator(config), graph, random_sample(graph, 1), DDRS["reference"], error_of(config))


@pytest.mark.parametrize("number", RANDOM)
@pytest.mark.parametrize("ddr", DDRS)
@pytest.mark.parametrize("config", CORNERS[:1], ids=lambda config: config.name)
def test_random_networks_take_the_predicted_cycles(config, ddr, number, seed, simulator):
    graph = random_network(1000 * seed + number)
    assert_close(simulator(config), graph, random_inputs(graph, number), DDRS[ddr])


@pytest.mark.parametrize("model", MODELS)
def test_networks_of_4_bit_weights_take_the_predicted_cycles(model, models, simulator):
    graph = with_int4_weights(read_tflite(models / MODELS[model]))
    config = SIZES[16, 16].replace(int4=True)
    assert_close(simulator(config), graph, random_sample(graph, 1), DDRS["reference"], error_of(config))


@pytest.mark.parametrize("number", RANDOM)
@pytest.mark.parametrize("ddr", DDRS)
def test_random_networks_of_both_widths_take_the_predicted_cycles(ddr, number, seed, simulator):
    graph = random_network(1000 * seed + number)
    narrow = np.random.default_rng([seed, number]).integers(0, 2, len(layers_with_weights(graph)))
    graph = with_int4_weights(graph, lambda layer: bool(narrow[layer]))
    assert_close(simulator(SIZES[16, 16].replace(int4=True)), graph, random_inputs(graph, number), DDRS[ddr])
