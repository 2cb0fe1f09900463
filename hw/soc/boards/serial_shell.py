"""An NPU or a SoC behind four pins, so that a board build measures its logic and no pins."""

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class SerialShell(wiring.Component):
    """A design's Verilog between two shift registers: every input is a bit that was shifted in, every output is shifted out.

    ::

        shift_in --> shift register --> inputs --> design --> outputs --> shift register --> shift_out
                                        (exchange)            (exchange)

    Nothing of the design is constant or unused here, so the tools leave nothing of it out, and every path begins and ends in a register. It
    shows resources and clock; it is no way to run a network, for which a memory has to stand at the AXI port.

    Parameters
    ----------
    signature : Signature
        The design's: flat ports, each a plain number of bits.
    module : str
        Its name in the Verilog that ships; the instance has it too.

    Members
    -------
    shift_in, shift_out : In(1), Out(1)
        A bit a cycle.
    exchange : In(1)
        What was shifted in becomes the inputs, and the outputs are taken to be shifted out.
    """

    def __init__(self, signature, *, module):
        self._members, self.module = signature.members, module
        super().__init__({"shift_in": In(1), "exchange": In(1), "shift_out": Out(1)})

    def elaborate(self, platform):
        m = Module()
        members = self._members
        widths = {flow: sum(member.shape for member in members.values() if member.flow is flow) for flow in (In, Out)}
        shifted = Signal(widths[In], reset_less=True)
        inputs = Signal(widths[In], reset_less=True)
        outputs = Signal(widths[Out])
        taken = Signal(widths[Out], reset_less=True)
        place, ports = {In: 0, Out: 0}, {}
        for name, member in members.items():
            flow, start = member.flow, place[member.flow]
            bits = (inputs if flow is In else outputs)[start : start + member.shape]
            ports[f"{'i' if flow is In else 'o'}_{name}"] = bits
            place[flow] += member.shape
        m.submodules[self.module] = Instance(self.module, i_clk=ClockSignal(), i_rst=ResetSignal(), **ports)
        # a register at each pin: pads are far from everything
        pin = Signal(reset_less=True)
        exchange = Signal(reset_less=True)
        m.d.sync += [
            pin.eq(self.shift_in),
            exchange.eq(self.exchange),
            shifted.eq((shifted << 1) | pin),
            taken.eq(taken << 1),
            self.shift_out.eq(taken[-1]),
        ]
        with m.If(exchange):
            m.d.sync += [inputs.eq(shifted), taken.eq(outputs)]
        return m
