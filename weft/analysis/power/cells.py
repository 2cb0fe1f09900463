"""What Liberty says of the power of cells: capacitances, leakage, energies of transitions, and what stands at outputs."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hw.npu.errors import WeftError
from weft.analysis.power.functions import Function, compiled
from weft.analysis.synthesis.liberty import read_library

TOKEN = re.compile(
    r'(?P<group>\w+)\s*\(\s*(?P<argument>[^()]*?)\s*\)\s*\{|(?P<close>\})|(?P<name>\w+)\s*:\s*(?:"(?P<text>[^"]*)"|(?P<word>[^;\s]+))'
    r"|(?P<list>\w+)\s*\((?P<items>[^()]*)\)"
)
UNITS = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0}
"""Of a Liberty file, by the letter in front of the unit."""
LOADS = "total_output_net_capacitance"


@dataclass
class Group:
    """A group of a Liberty file: its attributes, lists of numbers, and the groups in it."""

    kind: str
    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[float]] = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)

    def all(self, kind: str) -> list["Group"]:
        """The groups of a kind."""
        return [group for group in self.groups if group.kind == kind]


@dataclass(frozen=True)
class Table:
    """Values over the input's slew and the output's load, in SI units."""

    slews: np.ndarray
    loads: np.ndarray
    values: np.ndarray

    def at(self, slew: np.ndarray, load: np.ndarray) -> np.ndarray:
        """Between the points linear, outside them the nearest one."""
        row, below = _place(self.slews, slew)
        column, left = _place(self.loads, load)
        above, right = np.minimum(row + 1, len(self.slews) - 1), np.minimum(column + 1, len(self.loads) - 1)
        values = self.values
        first = values[row, column] * (1 - left) + values[row, right] * left
        second = values[above, column] * (1 - left) + values[above, right] * left
        return first * (1 - below) + second * below


def _place(points, at):
    """The point at or below, and the part of the way to the next one."""
    number = np.clip(np.searchsorted(points, at, side="right") - 1, 0, max(0, len(points) - 2))
    if len(points) == 1:
        return number, np.zeros_like(at)
    return number, np.clip((at - points[number]) / (points[number + 1] - points[number]), 0.0, 1.0)


@dataclass(frozen=True)
class Spent:
    """Joules of a transition: of the input that makes it, in a state of the other pins, rising and falling."""

    related: str
    when: str
    rise: tuple[Table, ...]
    fall: tuple[Table, ...]


@dataclass(frozen=True)
class PowerCell:
    """A cell.

    Attributes
    ----------
    name : str
    leakage : float
        Watts, the mean of its states.
    loads : dict of str to float
        Farads of its inputs.
    functions : dict of str to Function
        Words of an output of words of the inputs, where logic makes it.
    clock : str
        Its pin; empty where there is none.
    transitions : dict of str to tuple of Table
        Slews of each output.
    outputs, inputs : dict of str to tuple of Spent
        By pin: of a transition of an output, and of an input that no output follows.
    """

    name: str
    leakage: float
    loads: dict[str, float]
    functions: dict[str, Function]
    clock: str
    transitions: dict[str, tuple[Table, ...]]
    outputs: dict[str, tuple[Spent, ...]]
    inputs: dict[str, tuple[Spent, ...]]


def check_energies(files: Sequence[Path]) -> None:
    """Refuse a library that states no energies, before anything slow.

    Raises
    ------
    WeftError
        Where no file has groups internal_power, or one states no voltage.
    """
    texts = [read_library(path) for path in files]
    silent = [path for path, text in zip(files, texts) if "nom_voltage" not in text]
    if silent or not any("internal_power" in text for text in texts):
        raise WeftError(
            "states no energies of its cells, from which power would follow",
            file=(silent or list(files))[0],
            remedy="give Liberty files with internal_power and nom_voltage",
        )


def read_power_cells(texts: Sequence[str], wanted: Collection[str]) -> tuple[dict[str, PowerCell], float]:
    """The wanted cells of Liberty texts, and the voltage."""
    found, voltages = {}, []
    for text in texts:
        pieces = re.split(r"^(?=\s*cell\s*\()", text, flags=re.MULTILINE)
        header = _parse(pieces[0])[0]
        scale = _Scale.of(header)
        voltages.append(float(header.attributes["nom_voltage"]))
        for piece in pieces[1:]:
            name = re.match(r'\s*cell\s*\(\s*"?(\w+)', piece)
            if name and name[1] in wanted:
                found[name[1]] = _cell(_parse(piece)[0], scale)
    return found, voltages[0]


def _parse(text):
    """The groups of a text; what is open at its end is closed."""
    root = Group("", "")
    open_groups = [root]
    for token in TOKEN.finditer(re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)):
        inside = open_groups[-1]
        if token["group"]:
            group = Group(token["group"], token["argument"].strip('" '))
            inside.groups.append(group)
            open_groups.append(group)
        elif token["close"]:
            if len(open_groups) > 1:
                open_groups.pop()
        elif token["name"]:
            inside.attributes[token["name"]] = (token["text"] or token["word"] or "").strip()
        elif token["list"] in {"index_1", "index_2", "values"}:
            inside.lists[token["list"]] = [float(each) for each in re.findall(r"[-+\d.eE]+", token["items"])]
        else:
            inside.attributes[token["list"]] = token["items"]
    return root.groups


@dataclass(frozen=True)
class _Scale:
    """Units of a file in SI, and the axes of its tables."""

    time: float
    load: float
    leakage: float
    energy: float
    templates: dict[str, Group]

    @classmethod
    def of(cls, header):
        def unit(text):
            number, letter, rest = re.match(r"([\d.]*)\s*,?\s*([a-zA-Z])([a-zA-Z]*)", text.replace('"', "")).groups()
            return float(number or 1) * (UNITS[letter.lower()] if rest else 1.0)

        attributes = header.attributes
        load = unit(attributes["capacitive_load_unit"])
        volts = unit(attributes["voltage_unit"])
        templates = {each.name: each for each in header.groups if each.kind in {"lu_table_template", "power_lut_template"}}
        leakage = unit(attributes.get("leakage_power_unit", "1nW"))
        return cls(unit(attributes["time_unit"]), load, leakage, load * volts**2, templates)

    def table(self, group, unit):
        """A table with its axes, which may stand in its template."""
        template = self.templates.get(group.name, Group("", ""))
        lists = template.lists | group.lists
        axes = [lists[name] for name in ("index_1", "index_2") if name in lists and group.name != "scalar"]
        values = np.array(lists["values"]).reshape([len(axis) for axis in axes] or [1]) * unit
        first_is_load = template.attributes.get("variable_1") == LOADS
        axes = [np.array(axis) for axis in axes]
        if len(axes) < 2:
            axis = axes[0] if axes else np.zeros(1)
            one = np.zeros(1)
            return Table(one, axis * self.load, values[None, :]) if first_is_load else Table(axis * self.time, one, values[:, None])
        slews, loads = reversed(axes) if first_is_load else axes
        return Table(slews * self.time, loads * self.load, values.T if first_is_load else values)


def _cell(group, scale):
    pins = {pin.name: pin for pin in group.all("pin")}
    outputs = {name: pin for name, pin in pins.items() if pin.attributes.get("direction") == "output"}
    inputs = {name: pin for name, pin in pins.items() if pin.attributes.get("direction") == "input"}
    states = {state.strip() for each in group.groups if each.kind in {"ff", "latch"} for state in each.name.split(",")}

    def pin_with(attribute):
        return next((name for name, pin in inputs.items() if pin.attributes.get(attribute) == "true"), "")

    functions = {name: pin.attributes["function"] for name, pin in outputs.items() if "function" in pin.attributes}
    return PowerCell(
        name=group.name,
        leakage=_leakage(group) * scale.leakage,
        loads={name: float(pin.attributes.get("capacitance", 0)) * scale.load for name, pin in inputs.items()},
        functions={name: compiled(text) for name, text in functions.items() if text.strip("!() ") not in states},
        clock=pin_with("clock") or pin_with("clock_gate_clock_pin"),
        transitions={name: tuple(_transitions(pin, scale)) for name, pin in outputs.items()},
        outputs={name: _spent(pin, scale) for name, pin in outputs.items()},
        inputs={name: found for name, pin in inputs.items() if (found := _spent(pin, scale))},
    )


def _leakage(group):
    """That of all states where it is stated, else their mean; rails add up."""
    whole, rails = 0.0, {}
    for each in group.all("leakage_power"):
        value, rail = float(each.attributes["value"]), each.attributes.get("related_pg_pin", "")
        if "when" in each.attributes:
            rails.setdefault(rail, []).append(value)
        else:
            whole += value
    return whole or float(group.attributes.get("cell_leakage_power", 0)) or sum(sum(each) / len(each) for each in rails.values())


def _transitions(pin, scale):
    for arc in pin.all("timing"):
        for group in arc.groups:
            if group.kind in {"rise_transition", "fall_transition"}:
                yield scale.table(group, scale.time)


def _spent(pin, scale):
    """Energies of a pin; those of several rails in one state are of one transition."""
    found: dict[tuple[str, str], tuple[list, list]] = {}
    for each in pin.all("internal_power"):
        rise, fall = found.setdefault((each.attributes.get("related_pin", ""), each.attributes.get("when", "")), ([], []))
        for group in each.groups:
            tables = {"rise_power": (rise,), "fall_power": (fall,), "power": (rise, fall)}.get(group.kind, ())
            for place in tables:
                place.append(scale.table(group, scale.energy))
    stated = any(when for _, when in found)  # what has no state is for the states that are not listed: none of a cell of standard kind
    return tuple(Spent(*key, tuple(rise), tuple(fall)) for key, (rise, fall) in found.items() if key[1] or key[0] or not stated)
