"""Decides which ports of a banked memory get their banks in a cycle."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.parts.promise import promise_apart


class BankArbiter(wiring.Component):
    """Fixed priority with ageing: a port gets all the banks that it asks for, or waits.

    Port 0 goes first. A port that was refused `PATIENCE` times in a row goes before all others once, so that none waits
    for ever as long as the others hold no bank for longer than a cycle (the lowest port first where several are that old).

    Parameters
    ----------
    ports, banks : int
        At least 1 each.

    Members
    -------
    request : In(unsigned(banks)).array(ports)
        Banks that a port asks for in this cycle; 0 asks for nothing.
    grant : Out(1).array(ports)
        The port has all its banks in this cycle. Two granted ports never share a bank.
    """

    PATIENCE = 16

    def __init__(self, *, ports, banks):
        if ports < 1 or banks < 1:
            raise ValueError(f"BankArbiter needs at least one port and one bank, not {ports} and {banks}")
        self.ports, self.banks = ports, banks
        super().__init__({"request": In(unsigned(banks)).array(ports), "grant": Out(1).array(ports)})

    def elaborate(self, platform):
        m = Module()
        first = Signal(self.ports)  # one-hot: the aged port that goes first
        reserved = Signal(self.banks)
        refused = [Signal(range(self.PATIENCE + 1), name=f"refused_{port}") for port in range(self.ports)]
        for port in reversed(range(self.ports)):
            with m.If((refused[port] == self.PATIENCE) & (self.request[port] != 0)):
                m.d.comb += [first.eq(1 << port), reserved.eq(self.request[port])]
        used = Mux(first != 0, reserved, 0)
        for port in range(self.ports):
            asks = self.request[port] != 0
            free = Signal(name=f"free_{port}")
            m.d.comb += [
                free.eq((self.request[port] & used) == 0),
                self.grant[port].eq(asks & (free | first[port])),
            ]
            taken = Signal(self.banks, name=f"taken_{port}")
            m.d.comb += taken.eq(used | Mux(self.grant[port], self.request[port], 0))
            used = taken
            with m.If(self.grant[port] | ~asks):
                m.d.sync += refused[port].eq(0)
            with m.Elif(refused[port] != self.PATIENCE):
                m.d.sync += refused[port].eq(refused[port] + 1)
        granted = [Mux(grant, request, 0) for grant, request in zip(self.grant, self.request, strict=True)]
        promise_apart(m, self, granted, "two ports that are granted never share a bank")
        return m
