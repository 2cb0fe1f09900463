"""Gives the banks that the feeder leaves to the other ports of a banked memory."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class SpareArbiter(wiring.Component):
    """A port gets all the banks that it asks for, or waits; what is used already is known, and cannot be taken.

    Port 0 goes first. A port waits for every port in front of it that asks for one of its banks, even if that one has to wait itself:
    so each grant is decided by itself, where `BankArbiter` decides one after the other. A port that was refused `PATIENCE` times in a row
    goes before all others once: it is the only one that is served until it had its turn, and ``hold`` makes a cycle in which nothing is
    used. So no port waits for ever.

    Parameters
    ----------
    ports, banks : int
        At least 1 each.

    Members
    -------
    used : In(unsigned(banks))
        Banks that are not free in this cycle.
    request : In(unsigned(banks)).array(ports)
        Banks that a port asks for in this cycle; 0 asks for nothing.
    grant : Out(1).array(ports)
        The port has all its banks in this cycle. Two granted ports never share a bank, nor one that is used.
    hold : Out(1)
        Use nothing in one cycle, at most `HOLD` cycles from now. From a register.
    """

    PATIENCE = 16
    HOLD = 3

    def __init__(self, *, ports, banks):
        if ports < 1 or banks < 1:
            raise ValueError(f"SpareArbiter needs at least one port and one bank, not {ports} and {banks}")
        self.ports, self.banks = ports, banks
        super().__init__({
            "used": In(unsigned(banks)),
            "request": In(unsigned(banks)).array(ports),
            "grant": Out(1).array(ports),
            "hold": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        turn, nobody = Signal(self.ports), Signal(init=1)  # one-hot: the aged port whose turn it is; there is none
        asks, aged, oldest = Signal(self.ports), Signal(self.ports), Signal(self.ports)
        for port in range(self.ports):
            request, grant = self.request[port], self.grant[port]
            refused = Signal(range(self.PATIENCE + 1), name=f"refused_{port}")
            blocked = [((request & self.request[other]) != 0) & asks[other] for other in range(port)]
            m.d.comb += [
                asks[port].eq((request != 0) & (nobody | turn[port])),
                grant.eq(asks[port] & ((request & self.used) == 0) & ~Cat(blocked).any()),
                aged[port].eq((refused == self.PATIENCE) & ~grant),
            ]
            with m.If(grant | (request == 0)):
                m.d.sync += refused.eq(0)
            with m.Elif(refused != self.PATIENCE):
                m.d.sync += refused.eq(refused + 1)
        for port in reversed(range(self.ports)):
            with m.If(aged[port]):
                m.d.comb += oldest.eq(1 << port)
        m.d.sync += self.hold.eq(nobody & (aged != 0))
        served = Cat(chosen & grant for chosen, grant in zip(turn, self.grant, strict=True)).any()
        with m.If(nobody | served):
            m.d.sync += [turn.eq(Mux(nobody, oldest, 0)), nobody.eq(~(nobody & (aged != 0)))]
        return m
