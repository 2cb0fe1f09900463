"""Networks on the NPU that is placed and routed for a board: every tensor exact, in exactly so many cycles."""

import numpy as np
import pytest

from hw.npu.config import FPGA_REGISTERS, load_config
from tests.random_graphs import random_network
from tests.rtl.cycles import assert_recorded, recorded
from tests.rtl.measure import measure
from tests.rtl.network_cycles import FILES
from tests.rtl.test_random_operators import check, check_networks, random_convolution
from weft.compiler.frontends.tflite import read_tflite

PLAIN = load_config("nano", ("lane_divisor=4",))
BOARD = PLAIN.replace(**dict.fromkeys(FPGA_REGISTERS, 1))
"""What `weft synth --board ecpix5-85f` places and routes for the highest clock."""


NETWORKS = ("kws", "resnet8", "vww", "person")
MOST = 1.03
"""Cycles with the registers of an FPGA, as a part of those without."""


@pytest.mark.cycles
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_take_the_stated_cycles(name, models, simulator):
    assert_recorded(f"board/{name}", measure(read_tflite(models / FILES[name]), simulator(BOARD), inputs=1))
    assert recorded(f"board/{name}") <= MOST * recorded(f"plain/{name}")


@pytest.mark.slow
@pytest.mark.cycles
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_take_the_stated_cycles_without_the_registers(name, models, simulator):
    assert_recorded(f"plain/{name}", measure(read_tflite(models / FILES[name]), simulator(PLAIN), inputs=1))


RANDOM = {
    "convolutions": lambda seed: (random_convolution(rng) for rng in np.random.default_rng([seed, 77]).spawn(8)),
    "networks": lambda seed: (random_network(10_000 * seed + 7_700 + number) for number in range(5)),
}


@pytest.mark.parametrize("kind", RANDOM)
def test_random_graphs_are_exact_on_it(kind, simulator, seed):
    check(RANDOM[kind](seed), BOARD, simulator)


def test_random_networks_of_all_operators_are_exact_on_it(simulator, seed, tmp_path):
    check_networks(10_000 * seed + 7_700, 6, BOARD, simulator, tmp_path)
