"""All that this project takes of Amaranth which Amaranth does not promise to keep: here, and nowhere else, look after an update of it.

Emission needs to know which signals a fragment reads and drives, before the design is cut into modules. Amaranth knows it while it
builds a netlist, and tells nobody: its own functions for that are private. `pyproject.toml` pins the version for which this file is right.
"""

from collections.abc import Iterator
from inspect import signature

from amaranth.hdl import ClockSignal, Const, Instance, ResetSignal, Signal
from amaranth.hdl._ast import Property, SignalDict, SignalKey, SignalSet
from amaranth.hdl._ast import _StatementList as StatementList
from amaranth.hdl._ir import IOBufferInstance, PortDirection
from amaranth.hdl._mem import MemoryInstance
from amaranth.hdl._xfrm import FragmentTransformer, LHSMaskCollector, StatementTransformer, ValueTransformer
from amaranth.lib.wiring import Component

__all__ = [
    "FragmentTransformer",
    "MemoryInstance",
    "PortDirection",
    "SignalDict",
    "SignalKey",
    "SignalSet",
    "StatementList",
    "StatementTransformer",
    "arguments",
    "own_logic",
    "registers",
]


def own_logic(fragment) -> tuple[SignalSet, SignalDict]:
    """What a fragment's own logic touches, without that of the fragments below it.

    Parameters
    ----------
    fragment : Fragment

    Returns
    -------
    SignalSet
        The signals that it reads.
    SignalDict
        Those that it drives, each with its driven bits as a mask.

    Raises
    ------
    TypeError
        If it is an I/O buffer.
    """
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


def registers(fragment) -> Iterator[Signal]:
    """The registers of a fragment's own logic: signals that a clock domain drives."""
    for domain, statements in fragment.statements.items():
        if domain != "comb":
            yield from statements._lhs_signals()


def _remember(cls, *args, **kwargs):
    """Makes a component that knows what it was made with."""
    made = object.__new__(cls)
    made._made_with = (args, kwargs)
    return made


Component.__new__ = _remember  # no class of Amaranth says what its objects were made with


def arguments(component) -> dict:
    """The constructor's arguments by name, those left out with their default; none where it was made before this module was imported."""
    if not hasattr(component, "_made_with"):
        return {}
    args, kwargs = component._made_with
    bound = signature(type(component).__init__).bind(component, *args, **kwargs)
    bound.apply_defaults()
    return dict(list(bound.arguments.items())[1:])
