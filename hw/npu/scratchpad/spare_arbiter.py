"""Gives the banks that the feeder leaves to the other ports of a banked memory."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.parts.promise import promise_apart


class SpareArbiter(wiring.Component):
    """A port gets all the banks that it asks for, or waits; what is used already is known, and cannot be taken.

    Port 0 goes first. A port waits for every port in front of it that asks for one of its banks, even if that one has to wait itself:
    so each grant is decided by itself, and none waits for the decision in front of it. A port that was refused `PATIENCE` times in a row
    goes before all others once (the lowest port first where several are that old): it is the only one that is served until it had its
    turn, and ``hold`` makes a cycle in which nothing is used. All ports have had such a turn before one can be as old again, so that none
    waits for ever.

    Parameters
    ----------
    ports, banks : int
        At least 1 each; no more ports than are served within `PATIENCE` cycles.
    ahead : int
        Cycles by which ``hold`` comes before the cycle in which nothing is used.

    Members
    -------
    used : In(unsigned(banks))
        Banks that are not free in this cycle.
    request : In(unsigned(banks)).array(ports)
        Banks that a port asks for in this cycle; 0 asks for nothing.
    grant : Out(1).array(ports)
        The port has all its banks in this cycle. Two granted ports never share a bank, nor one that is used.
    hold : Out(1)
        Use nothing in the cycle ``ahead`` cycles from now. From a register.
    """

    PATIENCE = 16
    SERVICE = 3
    """Cycles that an aged port takes beyond ``ahead``, at most, from the one in which it is chosen to the one in which the next is."""

    def __init__(self, *, ports, banks, ahead):
        if ports < 1 or banks < 1:
            raise ValueError(f"SpareArbiter needs at least one port and one bank, not {ports} and {banks}")
        service = ahead + self.SERVICE
        if (ports - 1) * service >= self.PATIENCE:
            raise ValueError(f"SpareArbiter serves at most {1 + (self.PATIENCE - 1) // service} ports in turn, not {ports}")
        self.ports, self.banks, self.ahead = ports, banks, ahead
        super().__init__({
            "used": In(unsigned(banks)),
            "request": In(unsigned(banks)).array(ports),
            "grant": Out(1).array(ports),
            "hold": Out(1),
        })
        self.eligible = Signal(ports, init=(1 << ports) - 1)
        self.serving = Signal()
        """Ports that may be granted: all, or while one is served the aged port whose turn it is. Seen by proofs."""

    def elaborate(self, platform):
        m = Module()
        eligible, serving = self.eligible, self.serving
        old = Signal(self.ports)
        oldest = Signal(self.ports)
        for port in range(self.ports):
            request, grant = self.request[port], self.grant[port]
            refused = Signal(range(self.PATIENCE + 1), name=f"refused_{port}")
            blocked = [((request & self.request[other]) != 0) & eligible[other] for other in range(port)]
            m.d.comb += [
                grant.eq((request != 0) & eligible[port] & ((request & self.used) == 0) & ~Cat(blocked).any()),
                old[port].eq(refused == self.PATIENCE),
            ]
            with m.If(grant | (request == 0)):
                m.d.sync += refused.eq(0)
            with m.Elif(refused != self.PATIENCE):
                m.d.sync += refused.eq(refused + 1)
        for port in reversed(range(self.ports)):
            with m.If(old[port]):
                m.d.comb += oldest.eq(1 << port)
        m.d.sync += self.hold.eq(~serving & (old != 0))
        with m.If(serving & ((old & eligible) == 0)):  # served in the cycle before
            m.d.sync += [serving.eq(0), eligible.eq(eligible.init)]
        with m.If(~serving & (old != 0)):
            m.d.sync += [serving.eq(1), eligible.eq(oldest)]
        granted = [Mux(grant, request, 0) for grant, request in zip(self.grant, self.request, strict=True)]
        promise_apart(m, self, [self.used, *granted], "ports that are granted share no bank, and none that is used")
        return m
