"""Proof of `SpareArbiter`: no bank serves two, none that is used, a bounded wait where the cycle that it asks for is kept free."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.npu.parts.delay import delayed
from hw.npu.scratchpad.spare_arbiter import SpareArbiter
from tests.formal.prove import prove, refute

PORTS, BANKS = 2, 3
AHEAD = pytest.mark.parametrize("ahead", [0, 2])


class Impatient(SpareArbiter):
    """The same with a shorter wait, that the induction need not be as long."""

    PATIENCE = 6


def bound_of(ahead):
    """Cycles that a port waits at most."""
    return Impatient.PATIENCE + PORTS * (ahead + SpareArbiter.SERVICE)


class SpareArbiterProof(wiring.Component):
    """Any requests; a port that was refused asks again for the same banks. Anything may be used, but in the cycle that is kept free."""

    def __init__(self, ahead, *, bound=None, holds=True):
        self.ahead, self.bound, self.holds = ahead, bound or bound_of(ahead), holds
        super().__init__({"request": In(unsigned(BANKS)).array(PORTS), "used": In(unsigned(BANKS))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = Impatient(ports=PORTS, banks=BANKS, ahead=self.ahead)
        m.d.comb += dut.used.eq(self.used)
        if self.holds:
            m.d.comb += Assume(~delayed(m, dut.hold, self.ahead, name="hold", reset_less=False) | (self.used == 0))
        alone = Cat(dut.eligible == 1 << port for port in range(PORTS)).any()
        m.d.comb += Assert(Mux(dut.serving, alone, dut.eligible == dut.eligible.init), "all ports are eligible, or one is served")
        for port in range(PORTS):
            request, grant = self.request[port], dut.grant[port]
            m.d.comb += dut.request[port].eq(request)
            m.d.comb += Assert(~grant | (request != 0), "a grant answers a request")
            m.d.comb += Assert(~grant | ((request & self.used) == 0), "no used bank is granted")
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
        return m


@AHEAD
def test_banks_are_exclusive_and_waits_are_bounded(ahead, tmp_path):
    prove(SpareArbiterProof(ahead), tmp_path, depth=bound_of(ahead) + 6)


def test_a_bound_that_is_too_small_is_noticed(tmp_path):
    refute(SpareArbiterProof(2, bound=Impatient.PATIENCE), tmp_path, depth=bound_of(2) + 6)


def test_a_feeder_that_holds_nothing_back_is_noticed(tmp_path):
    refute(SpareArbiterProof(0, holds=False), tmp_path, depth=bound_of(0) + 6)


@pytest.mark.parametrize(("ports", "banks", "message"), [(0, 1, "at least one port"), (1, 0, "one bank"), (5, 8, "at most 4 ports")])
def test_numbers_that_cannot_be_are_refused(ports, banks, message):
    with pytest.raises(ValueError, match=message):
        SpareArbiter(ports=ports, banks=banks, ahead=2)
