"""Many components in one design, each behind its own bits of two wide ports, so that one emission and one simulation serve them all."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Fragment, Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.emit.amaranth_private import FragmentTransformer, MemoryInstance, PortDirection, StatementList, StatementTransformer
from hw.emit.units import signature_ports
from tests.component_table import make


@dataclass(frozen=True)
class Case:
    """One component of a batch.

    Attributes
    ----------
    name : str
        Of its instance.
    component : class
    example : dict or tuple
        Its constructor arguments, as in `tests/component_table.py`.
    """

    name: str
    component: Any
    example: Any

    def made(self):
        """``(component, inputs, outputs)``: a new one, with its ports by flat name."""
        component = make(self.component, self.example)
        ports = signature_ports(component).items()
        inputs = {name: signal for name, (signal, direction) in ports if direction is PortDirection.Input}
        return component, inputs, {name: signal for name, (signal, _) in ports if name not in inputs}


def placed(component, stop):
    """A component in a plain module, held in reset while `stop`, a signal that neither of them has as a port."""
    group = Module()
    group.submodules.dut = ResetInserter(stop)(component)
    return group


class Batch(wiring.Component):
    """Components side by side; bit 0 of each one's inputs is the `stop` of `placed`, the others are its ports in order.

    Members
    -------
    inputs : In(n)
        The inputs of all.
    outputs : Out(n)
        The outputs of all.
    """

    def __init__(self, cases):
        self.made = {case.name: case.made() for case in cases}
        widths = [(1 + width(inputs), width(outputs)) for _, inputs, outputs in self.made.values()]
        super().__init__({"inputs": In(sum(into for into, _ in widths)), "outputs": Out(sum(out for _, out in widths))})

    def elaborate(self, platform):
        m = Module()
        first, first_out = 0, 0
        for name, (component, inputs, outputs) in self.made.items():
            stop = Signal(name=f"stop_{name}")
            m.submodules[name] = placed(component, stop)
            into, out = Cat(stop, *inputs.values()), Cat(*outputs.values())
            m.d.comb += [into.eq(self.inputs[first : first + len(into)]), self.outputs[first_out : first_out + len(out)].eq(out)]
            first, first_out = first + len(into), first_out + len(out)
        return m


def width(signals):
    """Bits of all signals of a dictionary."""
    return sum(map(len, signals.values()))


def simulated(component, stop, domain):
    """What Amaranth simulates: the component as `Batch` places it, in a clock domain whose reset can be set."""
    m = Module()
    m.domains += domain
    m.submodules.group = placed(component, stop)
    fragment = _WithoutAssertions()(Fragment.get(m, None))
    _leave_read_data(fragment)
    return fragment


def _leave_read_data(fragment):
    """Let reset leave what a memory has read, as the Verilog and a RAM do; Amaranth's simulator alone would clear it."""
    if isinstance(fragment, MemoryInstance):
        for port in fragment._read_ports:
            for signal in port._data._lhs_signals():
                signal._reset_less = True
    for sub, _, _ in fragment.subfragments:
        _leave_read_data(sub)


class _WithoutAssertions(FragmentTransformer, StatementTransformer):
    """A design without its assertions: random inputs keep none of the promises that they ask for, and the Verilog has none either."""

    def on_Property(self, stmt):
        return StatementList()
