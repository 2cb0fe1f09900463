"""Cuts an elaborated design into units: one RTLIL module a kind of component, named for its class.

Amaranth makes one module per instance, and the ports of a module follow from what its neighbours happen to use, so that two
equal components rarely become equal text. Here every `wiring.Component` below the top is replaced, from the leaves up, by an
instance whose ports are its signature; each is converted alone, and those with equal text share one module.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, ClockSignal, Fragment, Instance, ResetSignal, Value
from amaranth.lib.wiring import Component, In

from hw.emit.amaranth_private import PortDirection, SignalKey, registers
from hw.emit.identifiers import plain, plain_rtlil, unique
from hw.emit.module_names import Place, module_names, snake
from hw.emit.signals import Signals, path_below

OWN = "$unit"
"""Stands for a module's own name while texts are compared."""
TOKEN = "$module"
"""Stands, with a number, for the name of a module in the texts around it, until all modules are known."""


@dataclass
class Units:
    """The modules of one design, leaves first.

    Attributes
    ----------
    prefix : str
        Goes in front of every module's name but the top's.
    modules : dict of str to str
        RTLIL text by module name.
    components : dict of str to list of Component
        Those that share each module.
    """

    prefix: str
    modules: dict = field(default_factory=dict)
    components: dict = field(default_factory=dict)
    _tokens: dict = field(default_factory=dict)
    _places: dict = field(default_factory=dict)

    def add(self, text, component, place) -> str:
        """What stands for the name of the module with this text until all modules are known."""
        token = self._tokens.setdefault(text, f"{TOKEN}{len(self._tokens)}")
        self.modules.setdefault(token, text)
        self.components.setdefault(token, []).append(component)
        self._places.setdefault(token, (snake(type(component).__name__), []))[1].append(place)
        return token

    def finish(self, text, component, name):
        """Add the top, and give all modules their names."""
        names = module_names(self._places, self.prefix) | {name: name}
        self.modules[name] = text
        self.components[name] = [component]

        def named(token):
            text = self.modules[token].replace(OWN, names[token])
            return re.sub(r"^( *cell \\)(\S+)", lambda found: found[1] + names.get(found[2], found[2]), text, flags=re.MULTILINE)

        self.modules = {names[token]: named(token) for token in self.modules}
        self.components = {names[token]: users for token, users in self.components.items()}


def split(component, name, prefix) -> Units:
    """Elaborate a component and cut it into units; the last is the top, called `name`.

    Raises
    ------
    ValueError
        If a register has no name, or counts on a power-up value that reset does not give it, if a signal is driven in two units, or if
        one that a unit reads has a driver in the design that the unit does not see.
    """
    units = Units(prefix)
    fragment = Fragment.get(component, None)
    _refuse_bad_registers(fragment)
    ports = signature_ports(component)
    design = Signals(fragment, name, ports, _component_of)
    outside = _Outside(design.usage(fragment)).within(ports)
    _cut(fragment, units, design, outside, name, ((name, snake(type(component).__name__)),))
    design.check_unit(name, fragment, ports)
    text, _ = _convert(fragment, ports)
    units.finish(text, component, name)
    return units


def signature_ports(component) -> dict:
    """Signals of a component's signature by flat name, with their direction: ``{name: (signal, PortDirection)}``."""
    ports = {}
    for path, member, value in component.signature.flatten(component):
        direction = PortDirection.Input if member.flow == In else PortDirection.Output
        signal = Value.cast(value)
        if len(signal):
            ports[unique(plain("__".join(map(str, path))), ports)] = (signal, direction)
    return ports


def _component_of(fragment):
    """The component that a fragment came from, if it is one of ours: amaranth's own stay inside their user."""
    for origin in getattr(fragment, "origins", None) or ():
        if isinstance(origin, Component):
            return None if type(origin).__module__.startswith("amaranth.") else origin
    return None


def _cut(fragment, units, design, outside, path, around):
    """Replace each component below a fragment by an instance of its unit.

    Parameters
    ----------
    fragment : Fragment
    units : Units
    design : Signals
        Of the design as it was before anything was replaced.
    outside : _Outside
        The whole design, and the ports of the units around this fragment.
    path : str
        Where the fragment stands: names joined by dots.
    around : tuple
        As in `Place`, of the components in the fragment.
    """
    for index, (sub, name, src_loc) in enumerate(fragment.subfragments):
        origin, below = _component_of(sub), path_below(path, name, index)
        if origin is None:
            if type(sub) is Fragment:
                _cut(sub, units, design, outside, below, around)
            continue
        ports = signature_ports(origin)
        _add_loose_signals(ports, design.usage(sub), outside)
        _cut(sub, units, design, outside.within(ports), below, ((name or "", snake(type(origin).__name__)), *around))
        design.check_unit(below, sub, ports)
        text, domains = _convert(sub, ports)
        connections = [("i" if way is PortDirection.Input else "o", port, signal) for port, (signal, way) in ports.items()]
        for domain, clock, reset in domains:
            connections.append(("i", clock, ClockSignal(domain)))
            if reset:
                connections.append(("i", reset, ResetSignal(domain)))
        instance = Instance(units.add(text, origin, Place(name or "", around)), *connections)
        fragment.subfragments[index] = (instance, name, src_loc)


def _convert(fragment, ports):
    """RTLIL of one unit under the name `OWN`, and its clock domains ``(name, clock port, reset port or None)``."""
    domains = []

    def missing(name):
        domains.append(ClockDomain(name))
        return domains[-1]

    text, _ = rtlil.convert_fragment(fragment, ports, name=OWN, emit_src=False, missing_domain=missing)
    text = plain_rtlil(text[text.index("module") :])
    used = []
    for domain in domains:
        reset = domain.rst.name
        if len(re.findall(rf"\\{re.escape(reset)}(?=[\s\]])", text)) == 1:  # declared and never used: no port
            text = re.sub(rf"wire width 1 input \d+ +(\\{re.escape(reset)})\n", r"wire width 1 \1\n", text)
            reset = None
        used.append((domain.name, domain.clk.name, reset))
    return text, used


class _Outside:
    """What a unit's signals may meet beyond its border: the logic of the whole design, and the ports of the units around it."""

    def __init__(self, usage):
        self.readers, self.drivers = usage

    def within(self, ports):
        """The same, seen from inside a unit with these ports: it is driven by its inputs and read by its outputs."""
        readers, drivers = Counter(self.readers), Counter(self.drivers)
        for signal, direction in ports.values():
            (drivers if direction is PortDirection.Input else readers)[SignalKey(signal)] += 1
        return _Outside((readers, drivers))


def _add_loose_signals(ports, inside, outside):
    """Give a port to each signal that crosses a component's border without being in its signature.

    Our style has none, but a `ResetInserter` makes one: its signal may be driven by any fragment of the design, the component's
    parent, a plain `Module` around it or a unit further up.
    """
    known = {SignalKey(signal) for signal, _ in ports.values()}
    readers, drivers = inside
    crossing = [(key.signal, PortDirection.Input) for key in readers if key not in known and not drivers[key] and outside.drivers[key]]
    crossing += [(key.signal, PortDirection.Output) for key in drivers if key not in known and outside.readers[key] > readers[key]]
    for signal, direction in crossing:
        ports[unique(plain(signal.name), ports)] = (signal, direction)


def _refuse_bad_registers(fragment):
    """Refuse a register that has no name, which nobody would find in a waveform, or that counts on a power-up value.

    The Verilog has no `initial`, and reset does not reach a reset_less register.
    """
    for signal in registers(fragment):
        if signal.name.startswith("$"):
            file, line = signal.src_loc
            raise ValueError(f"a register has no name: {file}, line {line}; give it a line of its own, or name=")
        if signal.reset_less and signal.init:
            raise ValueError(f"register {signal.name} is reset_less and has the initial value {signal.init}, which no reset gives it")
    for sub, _, _ in fragment.subfragments:
        _refuse_bad_registers(sub)
