"""Proof of `BankArbiter`: no two ports on one bank, no grant without a request, a bounded wait."""

import pytest
from amaranth.hdl import Assert, Assume, Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.npu.scratchpad.bank_arbiter import BankArbiter
from tests.formal.prove import prove, refute

PORTS, BANKS = 3, 4


class BankArbiterProof(wiring.Component):
    """Any requests; a port that was refused asks again for the same banks.

    A refused port waits for at most ``PATIENCE + PORTS - 1`` cycles: then it is aged, and every other port that goes before it
    by age goes once and is not old again so soon. The induction is longer than that wait.
    """

    def __init__(self, bound=BankArbiter.PATIENCE + PORTS - 1):
        self.bound = bound
        super().__init__({"request": In(unsigned(BANKS)).array(PORTS)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = BankArbiter(ports=PORTS, banks=BANKS)
        used = 0
        for port in range(PORTS):
            request, grant = self.request[port], dut.grant[port]
            m.d.comb += dut.request[port].eq(request)
            m.d.comb += Assert(~grant | (request != 0), "a grant answers a request")
            for other in range(port):
                m.d.comb += Assert(~(grant & dut.grant[other]) | ((request & self.request[other]) == 0), "no bank serves two ports")
            waited, last = Signal(8, name=f"waited_{port}"), Signal(BANKS, name=f"last_{port}")
            m.d.sync += last.eq(request)
            with m.If(grant | (request == 0)):
                m.d.sync += waited.eq(0)
            with m.Else():
                m.d.sync += waited.eq(waited + 1)
            m.d.comb += Assume((waited == 0) | (request == last))
            m.d.comb += Assert(waited <= self.bound, "no port waits longer than the bound")
            used = used | request
        return m


def test_banks_are_exclusive_and_waits_are_bounded(tmp_path):
    prove(BankArbiterProof(), tmp_path, depth=BankArbiter.PATIENCE + PORTS + 6, kept=True)


def test_a_bound_that_is_too_small_is_noticed(tmp_path):
    """There are requests that wait until they are aged."""
    refute(BankArbiterProof(bound=BankArbiter.PATIENCE - 1), tmp_path, depth=BankArbiter.PATIENCE + PORTS + 6)


@pytest.mark.parametrize(("ports", "banks"), [(0, 1), (1, 0)])
def test_nothing_to_arbitrate_is_refused(ports, banks):
    with pytest.raises(ValueError, match="at least one port and one bank"):
        BankArbiter(ports=ports, banks=banks)
