"""Arbiters of banks: whose turn it is where several ports are as old."""

import pytest

from hw.npu.scratchpad.bank_arbiter import BankArbiter
from hw.npu.scratchpad.spare_arbiter import SpareArbiter
from tests.streams import simulate


@pytest.mark.parametrize("arbiter", [BankArbiter, SpareArbiter])
def test_aged_ports_go_from_the_first_to_the_last(arbiter):
    """All ask for one bank in every cycle: the later ones are refused, grow old in the same cycle, and get their turns in their order."""
    ports = 4
    dut, granted = arbiter(ports=ports, banks=2), []

    async def check(ctx):
        for request in dut.request:
            ctx.set(request, 1)
        for _ in range(3 * arbiter.PATIENCE):
            *_, one, two, three, four = await ctx.tick().sample(*dut.grant)
            granted.extend(port for port, grant in enumerate((one, two, three, four)) if grant)

    simulate(dut, check)
    assert granted[: arbiter.PATIENCE] == [0] * arbiter.PATIENCE
    assert list(dict.fromkeys(granted)) == [0, 1, 2, 3]
