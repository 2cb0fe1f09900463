"""What nextpnr reports of a board build: resources, clock, and the path that limits it."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

RESOURCES = {
    "LUT4": "TRELLIS_COMB",
    "FF": "TRELLIS_FF",
    "distributed RAM": "TRELLIS_RAMW",
    "block RAM, 18 Kbit": "DP16KD",
    "multiplier 18x18": "MULT18X18D",
}
"""Resources by the names that designers use, and nextpnr's. LUTs count with carry chains and those that are RAM."""
OVERFULL = re.compile(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", re.MULTILINE)
"""A line of the utilization in nextpnr's log."""


@dataclass(frozen=True)
class Path:
    """A path from register to register.

    Attributes
    ----------
    start, end : str
        Cells, as they are called in the netlist.
    logic_ns, routing_ns : float
        Delay in cells, and between them.
    cells : tuple of str
        Cells on the way, in order, without start and end.
    """

    start: str
    end: str
    logic_ns: float
    routing_ns: float
    cells: tuple[str, ...]

    @property
    def ns(self) -> float:
        """The whole delay."""
        return self.logic_ns + self.routing_ns

    @property
    def words(self) -> str:
        """The path in a sentence: where it leads, what its delay is spent on."""
        kinds: Counter[str] = Counter(kind_of(cell) for cell in self.cells)
        through = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        share = f"{self.logic_ns:.1f} ns in cells, {self.routing_ns:.1f} ns between them"
        return f"from {place_of(self.start)} to {place_of(self.end)}: {self.ns:.1f} ns, {share}{f'; through {through}' if through else ''}"


@dataclass(frozen=True)
class BoardReport:
    """What a build takes, and how fast it is.

    Attributes
    ----------
    resources : dict
        Name of `RESOURCES` to how many are used, and how many the part has.
    clock_mhz : float
        Clock reached, by nextpnr's timing analysis after routing.
    path : Path
        The path that limits it.
    """

    resources: Mapping[str, tuple[int, int]]
    clock_mhz: float
    path: Path

    def to_json(self) -> dict:
        """As in the JSON of ``weft synth``."""
        return {
            "resources": {name: {"used": used, "available": available} for name, (used, available) in self.resources.items()},
            "clock_mhz": self.clock_mhz,
            "critical_path": {
                "start": self.path.start,
                "end": self.path.end,
                "logic_ns": round(self.path.logic_ns, 3),
                "routing_ns": round(self.path.routing_ns, 3),
                "cells": list(self.path.cells),
                "words": self.path.words,
            },
        }


def read_report(report: Mapping, *, domain: str) -> BoardReport:
    """The report of nextpnr (``--report``).

    Parameters
    ----------
    report : dict
        What the JSON file holds.
    domain : str
        Part of the clock net's name; the slowest of the clocks that have it is taken.
    """
    used = {name: report["utilization"][cell] for name, cell in RESOURCES.items()}
    clocks = {net: found["achieved"] for net, found in report["fmax"].items() if domain in net}
    net = min(clocks, key=lambda net: clocks[net])
    (path,) = (path for path in report["critical_paths"] if net in path["from"] and net in path["to"])
    return BoardReport({name: (found["used"], found["available"]) for name, found in used.items()}, clocks[net], read_path(path["path"]))


def read_path(steps) -> Path:
    """A path of the report: a list of steps of kind ``clk-to-q``, ``logic``, ``routing`` and ``setup``, delays in ns."""
    routing = sum(step["delay"] for step in steps if step["type"] == "routing")
    logic = sum(step["delay"] for step in steps if step["type"] != "routing")
    passed = tuple(step["from"]["cell"] for step in steps if step["type"] == "logic")
    return Path(steps[0]["from"]["cell"], steps[-1]["to"]["cell"], logic, routing, passed)


def kind_of(cell: str) -> str:
    """What a cell of the path is, from the name that Yosys and nextpnr give it."""
    for mark, kind in (("MULT18X18D", "multiplier"), ("CCU2", "carry"), ("L6MUX21", "wide multiplexer"), ("PFUMX", "wide multiplexer")):
        if mark in cell.rpartition(".")[2]:
            return kind
    return "LUT"


def place_of(cell: str) -> str:
    """A register as the RTL calls it: the hierarchical name without what the tools have appended."""
    inside = re.sub(r"^shell\.(npu|soc)\.", "", cell).replace("core.", "")
    name = re.sub(r"_(TRELLIS_FF|LUT4|CCU2C|PFUMX|L6MUX21|MULT18X18D|DPR16X4)_.*|\$.*", "", inside)
    return name or cell


def refusal(log: str) -> str | None:
    """Why nextpnr stopped, in a line; None where the log does not say."""
    names = {cell: name for name, cell in RESOURCES.items()}
    for cell, used, available in OVERFULL.findall(log):
        if int(used) > int(available):
            return f"does not fit: it needs {used} of {names.get(cell, cell)}, the part has {available}"
    errors = [line.removeprefix("ERROR: ") for line in log.splitlines() if line.startswith("ERROR: ")]
    return errors[0] if errors else None
