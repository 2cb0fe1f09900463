"""Back-pressure and latency change when things happen, and nothing else."""

import numpy as np
import pytest

from hw.npu.interface.isa import EXECUTE, INT4_TWIN, Opcode, opcodes
from sim.ddr import PROBABILITIES, DdrConfig
from tests.rtl.jobs import TINY, Session, assert_right
from tests.rtl.networks import fitting, mixed_stream, random_stream, small_network
from tests.rtl.switches import ALL_ON, EVERY_SWITCH, latencies

NETWORKS = {
    **{f"random network {number}": (random_stream, number) for number in (0, 1, 2, 5, 8, 9)},
    **{f"random network {number} of all operators": (mixed_stream, number) for number in (23, 27)},
}
"""Random networks that fit; those of all operators filter, read aliases, pad, move and add; one begins with a SOFTMAX."""


@pytest.mark.parametrize("config", [TINY, ALL_ON], ids=["tiny", "all_on"])
def test_the_small_network_has_commands_of_every_kind(config):
    commands = small_network(config).commands
    missing = {Opcode.DEPTHWISE} if config.int4 else set()  # its twin is there
    assert {command.opcode for command in commands} | {Opcode.SUM} == opcodes(config.int4, config.interpolation) - missing
    multiplying = {Opcode.MATMUL, INT4_TWIN[Opcode.MATMUL]}
    packed = [command["loops"]["span"] > 1 for command in commands if command.opcode in multiplying]
    assert any(packed) and not all(packed)
    assert any(command["second"]["operation"] for command in commands if command.opcode in EXECUTE)


def assert_nothing_changes(simulator, stream, ddrs, what):
    """The stream's results are right with every DDR; gives the cycles of each."""
    session = Session(simulator(stream.config), limit=3_000_000)
    for number, ddr in enumerate(ddrs):
        session.job.tune(ddr)
        session.add(stream, records=number % 3 != 2)
    outcomes = session.run()
    for ddr, outcome in zip(ddrs, outcomes, strict=True):
        assert_right(stream, outcome, f"{what} on {ddr}")
    return [outcome.cycles for outcome in outcomes]


def random_ddrs(rng, count, longest=300):
    return [
        DdrConfig.stalling(
            float(rng.choice([0, 0.1, 0.4, 0.8])),
            seed=int(rng.integers(1 << 30)),
            bytes_per_cycle=int(rng.choice([1, 2, 3, 8, 16, 64])),
            read_latency=int(rng.integers(1, longest + 1)),
            write_latency=int(rng.integers(1, longest + 1)),
            outstanding=int(rng.integers(1, 9)),
            latency_jitter=int(rng.choice([0, 5, 100])),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("network", NETWORKS)
def test_stalls_and_latency_change_no_result(simulator, seed, network):
    make, number = NETWORKS[network]
    ddrs = [DdrConfig(), *random_ddrs(np.random.default_rng([seed, number]), 8)]
    cycles = assert_nothing_changes(simulator, make(number), ddrs, f"seed {seed}, {network}")
    assert len(set(cycles)) > 6, "the memories differ"


@pytest.mark.parametrize("channel", PROBABILITIES)
def test_one_slow_channel_changes_no_result(simulator, channel):
    ddrs = [DdrConfig(**{channel: probability}, seed=seed) for seed in range(3) for probability in (0.0, 0.5, 0.95)]
    cycles = assert_nothing_changes(simulator, small_network(), ddrs, channel)
    assert max(cycles) > cycles[0], f"{channel} makes a difference"


@pytest.mark.parametrize("latency", [1, 2, 3, 10, 64, 300])
def test_every_width_of_memory_and_latency_gives_the_same_result(simulator, latency):
    ddrs = [
        DdrConfig(read_latency=latency, write_latency=latency, bytes_per_cycle=width, outstanding=outstanding)
        for width in (1, 4, 8, 64)
        for outstanding in (1, 3, 16)
    ]
    cycles = assert_nothing_changes(simulator, small_network(), ddrs, f"latency {latency}")
    assert cycles[0] == max(cycles), "the slowest memory takes longest"


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_stalls_and_latency_change_no_result_often(simulator, seed, network):
    make, number = NETWORKS[network]
    assert_nothing_changes(simulator, make(number), random_ddrs(np.random.default_rng([seed, number, 1]), 100), f"seed {seed}, {network}")


@EVERY_SWITCH
def test_stalls_and_latency_change_no_result_whatever_the_configuration(simulator, seed, config):
    """Few runs of each of some networks: how they meet a bus differs from configuration to configuration."""
    for number, stream in enumerate((small_network(config), *fitting(config)[:3])):
        ddrs = random_ddrs(np.random.default_rng([seed, number, 2]), 5, longest=max(latencies(config)))
        cycles = assert_nothing_changes(simulator, stream, ddrs, f"seed {seed}, {config.name}, network {number}")
        assert len(set(cycles)) > 3, "the memories differ"
