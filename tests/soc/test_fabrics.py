"""Fabrics: what the settings do at the port, the corners of the parameters, and the Verilog. Whole traffic: `test_scoreboard.py`."""

import itertools

import pytest

from hw.emit.emit import emit_verilog
from hw.soc.axi import QOS_HIGHEST
from hw.soc.read_fabric import ReadFabric
from hw.soc.write_fabric import WriteFabric
from tests.sim.test_emit import lint
from tests.streams import simulate

WIDTHS = {"address_bits": 32, "data_bits": 64}
LEN = 3


def granted(masters, cycles, *, classes=None, rates=(), urgent=0, age_limit=0, depth=0):
    """``(master, qos)`` of the bursts that leave a read fabric whose masters all ask always, for bursts of ``LEN + 1`` beats."""
    dut, seen = ReadFabric(masters=masters, **WIDTHS), []

    async def ask(ctx):
        settings = [
            {"klass": k, "rate": r, "depth": depth} for k, r, _ in itertools.zip_longest(classes, rates, range(masters), fillvalue=0)
        ]
        ctx.set(dut.settings, {"age_limit": age_limit, "master": settings})
        ctx.set(dut.urgent, urgent)
        ctx.set(dut.port.ar.ready, 1)
        for number, master in enumerate(dut.master):
            ctx.set(master.ar.payload, {"id": number % 4, "addr": 4096 * number, "len": LEN, "size": 3, "burst": 1})
            ctx.set(master.ar.valid, 1)
        for _ in range(cycles):
            *_, valid, payload = await ctx.tick().sample(dut.port.ar.valid, dut.port.ar.payload)
            if valid:
                assert (payload.id.id, payload.addr, payload.len) == (payload.id.master % 4, 4096 * payload.id.master, LEN)
                seen.append((payload.id.master, payload.qos))

    simulate(dut, ask)
    return seen


def test_one_class_takes_turns_and_a_burst_goes_every_four_cycles():
    """Three cycles from the first request to the port; bursts of four beats keep it busy."""
    seen = granted(3, 3 + 4 * 30, classes=[1, 1, 1])
    assert seen == [(number % 3, QOS_HIGHEST - 2) for number in range(30)]


def test_the_highest_class_goes_first_and_its_quality_of_service_says_so():
    assert granted(3, 3 + 4 * 10, classes=[2, 0, 1]) == [(1, QOS_HIGHEST - 1)] * 10


def test_urgent_goes_before_every_class():
    assert granted(3, 3 + 4 * 10, classes=[3, 0, 0], urgent=0b001) == [(0, QOS_HIGHEST)] * 10


def test_an_aged_master_goes_once_and_waits_again():
    aged = [master for master, _ in granted(2, 4 * 41, classes=[1, 2], age_limit=4)]
    assert [number for number, master in enumerate(aged) if master == 1] == list(range(4, len(aged), 5))


def test_a_regulated_master_has_its_rate_and_the_rest_is_for_others():
    """A burst of four beats in 32 cycles; what flows in while it waits for its turn is kept, up to ``depth``."""
    seen = [master for master, _ in granted(2, 643, classes=[0, 3], rates=[1 << 13], depth=4)]
    assert seen.count(0) in (20, 21, 22) and len(seen) == 160


@pytest.mark.parametrize(("masters", "depth"), [(2, 1), (3, 64), (4, 4), (16, 2)])
def test_any_number_of_masters_makes_clean_verilog(masters, depth, tmp_path):
    for dut, name in (
        (ReadFabric(masters=masters, **WIDTHS), "read_fabric"),
        (WriteFabric(masters=masters, **WIDTHS, depth=depth), "write_fabric"),
    ):
        assert lint(emit_verilog(dut, name), name, tmp_path) == "", f"{name}, {masters} masters, depth {depth}"


@pytest.mark.parametrize(
    ("fabric", "arguments", "message"),
    [
        (ReadFabric, {"masters": 1}, "masters must be 2 to 16, not 1"),
        (ReadFabric, {"masters": 17}, "masters must be 2 to 16, not 17"),
        (WriteFabric, {"masters": 17, "depth": 4}, "masters must be 2 to 16, not 17"),
        (WriteFabric, {"masters": 2, "depth": 0}, "depth must be 1 to 64, not 0"),
        (WriteFabric, {"masters": 2, "depth": 65}, "depth must be 1 to 64, not 65"),
    ],
)
def test_wrong_parameters_are_refused(fabric, arguments, message):
    with pytest.raises(ValueError, match=message):
        fabric(**WIDTHS, **arguments)
