"""Who reads and who drives each signal of a design, and whether that survives when the design is cut into units.

A signal that no logic of a fragment drives is no undriven wire to Amaranth: it is a constant, its initial value. So a driver that
was lost at a unit's border leaves Verilog that every tool accepts. Only here, where the whole design is still known, does it show.
"""

from collections import Counter

from amaranth.hdl import ClockSignal, Const, Instance, ResetSignal
from amaranth.hdl._ast import Property, SignalDict, SignalKey, SignalSet
from amaranth.hdl._ir import IOBufferInstance, PortDirection
from amaranth.hdl._mem import MemoryInstance
from amaranth.hdl._xfrm import LHSMaskCollector, ValueTransformer

OUTSIDE = "an input of the top"
"""Stands for a unit where a signal comes from beyond the design."""


class Signals:
    """The readers and drivers of a design before it is cut; a part is one fragment's own logic, a unit a component's parts.

    Parameters
    ----------
    design : Fragment
        The whole design, uncut.
    name : str
        Of its top.
    ports : dict
        Of its top: ``{name: (signal, PortDirection)}``.
    component_of : function of a Fragment
        The component that becomes a unit, or None where a fragment stays inside its parent's unit.

    Raises
    ------
    ValueError
        If two units drive one signal, or a unit below the top makes a clock domain that others see.
    """

    def __init__(self, design, name, ports, component_of):
        self._usages = {}
        self._drivers = SignalDict()
        self._component_of = component_of
        for signal, direction in ports.values():
            if direction is PortDirection.Input:
                self._drive(signal, (1 << len(signal)) - 1, OUTSIDE)
        self._collect(design, name, name)
        _refuse_domains_below(design, name, component_of)

    def usage(self, fragment):
        """``(readers, drivers)`` of the fragment and all that is below it: Counters of parts by `SignalKey`."""
        return self._usages[id(fragment)]

    def check_unit(self, unit, fragment, ports):
        """Refuse a unit in which a signal lacks the driver that it has in the design.

        Parameters
        ----------
        unit : str
            Where it stands in the design: names joined by dots.
        fragment : Fragment
            With an instance in the place of each component below it.
        ports : dict
            All that it will have: ``{name: (signal, PortDirection)}``.

        Raises
        ------
        ValueError
            If it reads, or has as an output, a signal (or bits of one) that other logic drives and no port brings in, or one that nothing
            drives at all, or if it drives one of its inputs.
        """
        read, driven = SignalSet(), SignalDict()
        _gather(fragment, read, driven)
        inputs = SignalSet(signal for signal, direction in ports.values() if direction is PortDirection.Input)
        outputs = [signal for signal, direction in ports.values() if direction is not PortDirection.Input]
        for signal in inputs:
            if driven.get(signal, 0):
                raise ValueError(f"module {unit}: net {signal.name} is driven twice: by an input port and inside")
        for signal in [*read, *outputs]:
            by, bits = self._drivers.get(signal, (None, 0))
            lost = bits & ~driven.get(signal, 0)
            if signal in inputs or (not lost and (by or signal.init)):
                continue  # with an initial value and no driver it is a constant that somebody chose: a memory port's enable
            reason = f"{by} drives it, and no port brings it in ({_bits(lost, len(signal))})" if by else "nothing in the design drives it"
            raise ValueError(f"module {unit}: net {signal.name} is read and not driven; {reason}")

    def _collect(self, fragment, unit, path):
        read, driven = own_logic(fragment)
        for signal, mask in driven.items():
            self._drive(signal, mask, unit)
        readers, drivers = Counter(map(SignalKey, read)), Counter(map(SignalKey, driven.keys()))
        for index, (sub, name, _) in enumerate(fragment.subfragments):
            below = path_below(path, name, index)
            found = self._collect(sub, below if self._component_of(sub) else unit, below)
            readers.update(found[0])
            drivers.update(found[1])
        self._usages[id(fragment)] = readers, drivers
        return readers, drivers

    def _drive(self, signal, mask, unit):
        before, bits = self._drivers.get(signal, (unit, 0))
        if before != unit:
            raise ValueError(f"net {signal.name} is driven twice: in {before} and in {unit}; a signal has one unit that drives it")
        self._drivers[signal] = unit, bits | mask


def path_below(path, name, index):
    """The place of a subfragment; Amaranth names those without a name by their number."""
    return f"{path}.{name or f'U${index}'}"


def own_logic(fragment):
    """Signals that a fragment's own logic reads, a SignalSet, and those that it drives, a SignalDict of their driven bits as a mask."""
    read, driven = SignalSet(), LHSMaskCollector()
    if isinstance(fragment, Instance):
        for value, kind in fragment.ports.values():
            if isinstance(value, ClockSignal | ResetSignal):
                continue  # a unit's domains become ports by themselves
            if kind == "i":
                read.update(value._rhs_signals())
            else:
                driven.visit_value(value, ~0)
    elif isinstance(fragment, MemoryInstance):
        for port in fragment._read_ports:
            read.update(port._en._rhs_signals())
            read.update(port._addr._rhs_signals())
            driven.visit_value(port._data, ~0)
        for port in fragment._write_ports:
            for value in (port._en, port._addr, port._data):
                read.update(value._rhs_signals())
    elif isinstance(fragment, IOBufferInstance):
        raise TypeError("an I/O buffer inside a component; Verilog is emitted for what stands behind the pads")
    else:
        for statements in fragment.statements.values():
            for statement in statements:
                read.update(_read_by(statement))
            driven.visit_stmt(statements)
    return read, driven.lhs


def _read_by(statement):
    """The signals that a statement reads; of an assertion without the reset of its clock domain, which becomes a port by itself."""
    if not isinstance(statement, Property):
        return statement._rhs_signals()
    told = statement.message._rhs_signals() if statement.message else set()
    return told | _Resets().on_value(statement.test)._rhs_signals()


class _Resets(ValueTransformer):
    """Replaces the resets of clock domains."""

    def on_ResetSignal(self, value):
        return Const(0)


def _gather(fragment, read, driven):
    """Add what a unit's parts read and drive."""
    own_read, own_driven = own_logic(fragment)
    read.update(own_read)
    for signal, mask in own_driven.items():
        driven[signal] = driven.get(signal, 0) | mask
    for sub, _, _ in fragment.subfragments:
        _gather(sub, read, driven)


def _bits(mask, width):
    """The bits of a mask, for a message: ``bits 3, 4 of 8``."""
    missing = [str(bit) for bit in range(width) if mask >> bit & 1]
    return "all of it" if len(missing) == width else f"bits {', '.join(missing)} of {width}"


def _refuse_domains_below(fragment, path, component_of, inside=False):
    """A clock domain made inside a unit would reach neither its parent nor its neighbours: they would take a new clock port instead."""
    for domain in fragment.domains.values():
        if inside and not domain.local:
            raise ValueError(f"module {path} makes the clock domain {domain.name}; emission takes clocks from the top, or local ones")
    for index, (sub, name, _) in enumerate(fragment.subfragments):
        _refuse_domains_below(sub, path_below(path, name, index), component_of, inside or component_of(sub) is not None)
