"""4-bit weights on the generated Verilog: whole networks, layer by layer or mixed, every tensor exact, in exactly so many cycles."""

import numpy as np
import pytest

from tests.int4_graphs import with_int4_weights
from tests.int4_networks import int4_copy
from tests.random_graphs import GraphMaker
from tests.random_operators import INT4_OPERATORS, OPERATORS
from tests.rtl.configurations import OTHERS_INT4, SMALL, SMALL_INT4
from tests.rtl.cycles import assert_recorded, recorded
from tests.rtl.measure import measure
from tests.rtl.network_cycles import FILES, LARGE, SMALL_SIX
from tests.rtl.test_every_operator import assert_enough, campaign
from tests.rtl.test_random_configurations import campaign as run_networks
from weft.compiler.frontends.tflite import read_tflite

RESNET8_SHARE, WEIGHT_BOUND_SHARE = 0.60, 0.55
"""Cycles with 4-bit weights, at most, as a part of those with 8-bit weights."""
MODEL_MISSES = {("person", "32x32"): 0.052, ("kws", "a quarter of the lanes"): 0.072}
"""Where the timing model was further off than `error_of` says when it was last measured, and how far: it said too few cycles there.
Everywhere else it is not."""


@pytest.fixture
def network(models, tmp_path):
    """``network(name, layers)``: a file of the set with its weights rounded to int4, read; `layers` as in `int4_copy`."""

    def get(name, layers=None):
        path = tmp_path / FILES[name]
        int4_copy(models / FILES[name], path, layers)
        return read_tflite(path)

    return get


@pytest.mark.cycles
@pytest.mark.parametrize("name", SMALL_SIX)
def test_the_small_six_of_int4_weights_take_the_stated_cycles(name, network, simulator):
    assert_recorded(f"int4/{name}", measure(network(name), simulator(SMALL_INT4)))
    assert recorded(f"int4/{name}") < recorded(f"small/{name}")


@pytest.mark.cycles
@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_the_large_three_of_int4_weights_take_the_stated_cycles(name, network, simulator):
    assert_recorded(f"int4/{name}", measure(network(name), simulator(SMALL_INT4, "fast"), inputs=1))
    assert recorded(f"int4/{name}") < recorded(f"small/{name}")


@pytest.mark.cycles
def test_the_inner_layers_of_resnet8_in_int4_save_two_fifths_of_the_cycles(models, tmp_path, simulator):
    path = tmp_path / "inner.tflite"
    int4_copy(models / FILES["resnet8"], path, int4_copy(models / FILES["resnet8"], path)[1:-1])
    assert_recorded("int4/resnet8 inner layers", measure(read_tflite(path), simulator(SMALL_INT4)))
    assert recorded("int4/resnet8 inner layers") <= RESNET8_SHARE * recorded("small/resnet8")


@pytest.mark.cycles
def test_a_layer_that_waits_for_its_weights_takes_half_the_cycles_in_int4(simulator):
    """1024 inputs, 256 outputs: 262 144 weights, 8 of 8 bits a cycle of the reference DDR."""
    maker = GraphMaker(np.random.default_rng(0), (1, 1, 1, 1024))
    wide = maker.graph(maker.fully_connected("input", 256))
    cycles = measure(wide, simulator(SMALL)), measure(with_int4_weights(wide), simulator(SMALL_INT4))
    for width, measured in zip((8, 4), cycles):
        assert_recorded(f"layer/bound by {width}-bit weights", measured)
    assert cycles[1] <= WEIGHT_BOUND_SHARE * cycles[0]


@pytest.mark.cycles
@pytest.mark.parametrize("name", SMALL_SIX)
def test_int8_weights_take_the_stated_cycles_beside_int4(name, models, simulator):
    """Weights of 8 bits on an array that could take 4."""
    assert_recorded(f"small+int4/{name}", measure(read_tflite(models / FILES[name]), simulator(SMALL_INT4)))


@pytest.mark.cycles
@pytest.mark.parametrize("name", SMALL_SIX)
def test_int4_weights_take_the_cycles_of_int8_where_there_is_no_int4(name, network, simulator):
    assert_recorded(f"small/{name}", measure(network(name), simulator(SMALL)))


def run_mixed(names, number, seed, network, simulator, tmp_path, models):
    """A network some of whose layers are int4, chosen at random: neither none nor all."""
    rng = np.random.default_rng([seed, number])
    name = str(rng.choice(names))
    layers = int4_copy(models / FILES[name], tmp_path / "all.tflite")
    chosen = sorted(rng.choice(layers, int(rng.integers(1, len(layers))), replace=False))
    print(f"{name}, {len(chosen)} of {len(layers)} layers: {', '.join(chosen)}")
    measure(network(name, chosen), simulator(SMALL_INT4), inputs=1)


@pytest.mark.parametrize("number", range(2))
def test_networks_of_both_widths_are_exact(number, seed, network, simulator, tmp_path, models):
    run_mixed(SMALL_SIX, number, seed, network, simulator, tmp_path, models)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(100, 110))
def test_more_networks_of_both_widths_are_exact(number, seed, network, simulator, tmp_path, models):
    run_mixed(SMALL_SIX, number, seed, network, simulator, tmp_path, models)


@pytest.mark.slow
def test_the_large_three_of_both_widths_are_exact(seed, network, simulator, tmp_path, models):
    for number, name in enumerate(LARGE):
        run_mixed([name], 200 + number, seed, network, simulator, tmp_path, models)


def either_width(op):
    """A generator of random networks of one operator with weights of 4 or of 8 bits."""
    return lambda rng: (OPERATORS, INT4_OPERATORS)[int(rng.integers(2))][op](rng)


@pytest.mark.parametrize("op", INT4_OPERATORS)
def test_random_shapes_of_either_width_are_exact(op, simulator, seed, tmp_path):
    assert_enough(op, *campaign(op, (SMALL_INT4,), 2, seed, tmp_path / "net.tflite", simulator, make=either_width(op)))


@pytest.mark.slow
@pytest.mark.parametrize("op", INT4_OPERATORS)
def test_many_random_shapes_of_either_width_are_exact(op, simulator, seed, tmp_path):
    configs = (SMALL_INT4, *OTHERS_INT4.values())
    assert_enough(op, *campaign(op, configs, 24, seed, tmp_path / "net.tflite", simulator, make=either_width(op)))


def test_random_networks_of_random_widths_are_exact(simulator, seed):
    run_networks(SMALL_INT4, 1000 * seed, 3, simulator)


@pytest.mark.slow
@pytest.mark.parametrize("config", OTHERS_INT4)
def test_more_random_networks_of_random_widths_are_exact(config, simulator, seed):
    run_networks(OTHERS_INT4[config], 1000 * seed + 100, 4, simulator)


@pytest.mark.slow
@pytest.mark.parametrize("config", OTHERS_INT4)
@pytest.mark.parametrize("name", SMALL_SIX)
def test_the_small_six_of_int4_weights_are_exact_on_other_configurations(name, config, network, simulator):
    measure(network(name), simulator(OTHERS_INT4[config]), inputs=1, model_error=MODEL_MISSES.get((name, config)))
