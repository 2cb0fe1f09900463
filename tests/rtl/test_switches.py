"""The table of the campaigns' configurations holds every switch, beside others of its kind."""

import dataclasses
import itertools

import pytest

from hw.npu.config import SWITCHES, NpuConfig
from hw.npu.interface.isa import Error
from tests.rtl.jobs import TINY, Session, assert_right, assert_stopped
from tests.rtl.networks import small_network
from tests.rtl.switches import ALL_ON, IN_TEST, SWITCHED, near_ddr

FIELDS = [field.name for field in dataclasses.fields(NpuConfig) if field.name != "name"]
ALL_VALUES = {"axi_bits": {32, 64, 128, 256}, "lane_divisor": {1, 2, 4}} | {switch: {False, True} for switch in SWITCHES}
LEAST = {"queue_depth": 2, "outstanding": 1, "max_burst": 1, "broadcast": 1, "accumulator_bits": 20, "address_bits": 32}
"""The end at which a block's control has the least room."""


def values(field, configs):
    return {getattr(config, field) for config in configs}


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_has_two_values_with_and_without_each_switch(field):
    configs = SWITCHED.values()
    assert ALL_VALUES.get(field, set()) <= values(field, configs)
    assert len(values(field, configs)) > 1, f"{field} has one value only: a campaign would not see what another one breaks"
    for switch, state in itertools.product(SWITCHES, (False, True)):
        if field != switch:
            there = [config for config in configs if getattr(config, switch) is state]
            assert len(values(field, there)) > 1, f"{field} has one value only where {switch} is {state}"


def test_the_table_reaches_the_least_of_every_size():
    for field, least in LEAST.items():
        assert least in values(field, SWITCHED.values()), field


def test_make_test_has_both_states_of_every_switch():
    for switch in SWITCHES:
        assert values(switch, IN_TEST) == {False, True}, switch
    assert ALL_ON.int4 and ALL_ON.interpolation


@pytest.mark.parametrize("config", [TINY, ALL_ON], ids=lambda config: f"{config.address_bits} bits")
def test_addresses_have_as_many_bits_as_the_configuration_says(simulator, config):
    """A base above 4 GiB is behind all memory where an address has more than 32 bits, and the same as below where it has not."""
    network, session = small_network(config), Session(simulator(config), near_ddr(config))
    for base in ("COMMANDS", "MODEL", "ARENA", "RECORD"):
        session.prepare(network)
        session.job.poke(f"{base}_BASE_HI", 1 << (max(config.address_bits, 33) - 33))
        session.job.poke("CONTROL", 1)
        session.finish(network)
        session.add(network, area=1)
    outcomes = session.run()
    for base, outcome, behind in zip(("COMMANDS", "MODEL", "ARENA", "RECORD"), outcomes[::2], outcomes[1::2], strict=True):
        assert_right(network, behind, f"the network behind {base} above 4 GiB")
        if config.address_bits == 32:
            assert_right(network, outcome, f"{base} in 32 bits")
        else:
            code = Error.AXI_WRITE if base == "RECORD" else Error.AXI_READ
            assert_stopped(outcome, code, outcome.index, base)
