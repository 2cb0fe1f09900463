"""Configurations that the campaigns of errors, resets and random streams run on: few, since each is built once, and far apart.

A campaign asks whether the NPU can be left dead or wrong. Whatever a switch changes in its control can break just that, so each
value of a switch stands beside several values of the others, of `int4` above all. `tests/rtl/test_switches.py` says what
the table must cover.
"""

import pytest

from hw.npu.config import NpuConfig
from sim.ddr import DdrConfig
from tests.rtl.jobs import TINY, TINY_INT4

ALL_ON = TINY.replace(
    name="all_on",
    rows=4,
    cols=8,
    axi_bits=32,
    lane_divisor=4,
    broadcast=2,
    accumulator_bits=28,
    outstanding=1,
    max_burst=8,
    address_bits=40,
    int4=True,
    interpolation=True,
    memory_registers=1,
    stream_registers=1,
    multiplier_registers=1,
)
"""What `make test` runs beside `TINY`: 4-bit weights, interpolation, and all else that is not short already away from there."""

SWITCHED = {
    config.name: config
    for config in (
        TINY,
        TINY_INT4,
        ALL_ON,
        # 256-bit bus, deep queues, long bursts, every lane and no divisor
        NpuConfig("wide", 16, 16, 32, 16, 256, 1, 16, 32, 16, 256, 4, 64, int4=True, interpolation=True, memory_registers=1),
        # the textbook array, bursts of a beat
        NpuConfig("textbook", 4, 4, 16, 8, 128, 1, 1, 22, 2, 1, 16, 33, interpolation=True, memory_registers=1, multiplier_registers=1),
        # more channels than twice the rows; one burst of one beat at a time
        NpuConfig("narrow", 4, 16, 16, 8, 32, 4, 1, 28, 1, 1, 2, 48, int4=True, interpolation=True, stream_registers=1),
        # an AXI word wider than 2R bytes
        NpuConfig("square", 4, 4, 16, 8, 256, 1, 16, 20, 4, 16, 2, int4=True, multiplier_registers=1),
        # many rows, an AXI word of R bytes
        NpuConfig("tall", 16, 8, 24, 16, 128, 2, 1, 24, 16, 64, 8, 64, stream_registers=1, multiplier_registers=1),
        # the most rows, in words of 128 bytes
        NpuConfig("r64", 64, 4, 17, 8, 64, 2, 2, 28, 4, 16, 2, int4=True, memory_registers=1),
    )
}
"""By name. `TINY` and `ALL_ON` are for `make test`, all for `make test-all`."""

IN_TEST = (TINY, ALL_ON)
EVERY_SWITCH = pytest.mark.parametrize(
    "config",
    [pytest.param(config, id=name, marks=() if config in IN_TEST else pytest.mark.slow) for name, config in SWITCHED.items()],
)
"""A campaign of each configuration, argument ``config``; two of them in `make test`."""
MANY_IN_FLIGHT = 256
"""Bytes."""


def latencies(config) -> tuple[int, ...]:
    """Latencies of a DDR, cycles, at which jobs of a configuration take no more than some hundred thousand cycles."""
    in_flight = config.outstanding * config.max_burst * config.axi_bytes
    return (1, 2, 7, 64, 300) if in_flight >= MANY_IN_FLIGHT else (1, 2, 7)


def near_ddr(config) -> DdrConfig:
    """The reference DDR, or one at hand for a configuration that would wait for every few bytes."""
    longest = max(latencies(config))
    return DdrConfig() if longest >= DdrConfig.read_latency else DdrConfig(read_latency=longest, write_latency=2)
