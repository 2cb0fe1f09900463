"""Arbiter of banks: whose turn it is where several ports are as old."""

from hw.npu.scratchpad.spare_arbiter import SpareArbiter
from tests.streams import simulate


def test_aged_ports_go_from_the_first_to_the_last():
    """All ask for one bank in every cycle: the later ones are refused, grow old in the same cycle, and get their turns in their order."""
    ports = 4
    dut, granted = SpareArbiter(ports=ports, banks=2, ahead=0), []

    async def check(ctx):
        for request in dut.request:
            ctx.set(request, 1)
        for _ in range(3 * SpareArbiter.PATIENCE):
            *_, one, two, three, four = await ctx.tick().sample(*dut.grant)
            granted.extend(port for port, grant in enumerate((one, two, three, four)) if grant)

    simulate(dut, check)
    assert granted[: SpareArbiter.PATIENCE] == [0] * SpareArbiter.PATIENCE
    assert list(dict.fromkeys(granted)) == [0, 1, 2, 3]
