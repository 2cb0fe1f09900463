"""Liberty files: the texts, and the few facts of cells that areas and netlists need."""

import gzip
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hw.npu.errors import WeftError

TOKEN = re.compile(
    r'\b(?P<group>cell|pin|bus|ff|ff_bank|latch|statetable)\s*\(\s*"?(?P<name>[^")]*?)"?\s*\)\s*\{|(?P<open>\{)|(?P<close>\})'
    r'|\barea\s*:\s*"?(?P<area>[\d.eE+-]+)|\bdirection\s*:\s*"?(?P<direction>\w+)|(?P<gate>\bclock_gating_integrated_cell\s*:)'
    r'|\bnext_state\s*:\s*"(?P<next>[^"]*)"|\bfunction\s*:\s*"(?P<function>[^"]*)"'
)
"""What is read of a Liberty file; everything else is skipped, brace by brace."""


@dataclass
class Cell:
    """A cell of a library.

    Attributes
    ----------
    name : str
    area : float
        In the library's unit (um2).
    outputs : set of str
        Pins that the cell drives.
    registers : bool
        Whether it holds a bit: flip-flops, latches, clock gates.
    clock_gate : bool
    states : tuple of str
        Of a flip-flop: names of its bit, and of the bit the other way round.
    next_state : str
        Of a flip-flop: what its bit becomes.
    functions : dict of str to str
        What stands at each output.
    """

    name: str
    area: float = 0.0
    outputs: set[str] = field(default_factory=set)
    registers: bool = False
    clock_gate: bool = False
    states: tuple[str, ...] = field(default=(), compare=False)
    next_state: str = field(default="", compare=False)
    functions: dict[str, str] = field(default_factory=dict, compare=False)

    def inverts(self, pin: str) -> bool:
        """Whether a flip-flop's bit stands at an output the other way round than it came in."""
        other = self.functions.get(pin, "") in {*self.states[1:2], *(f"!{state}" for state in self.states[:1])}
        return other != self.next_state.startswith("!")


def read_library(path: Path) -> str:
    """The text of a Liberty file (``.lib`` or ``.lib.gz``).

    Raises
    ------
    WeftError
        Where it is missing or something else.
    """
    if not path.is_file():
        raise WeftError("no such Liberty file", file=path, remedy="name the .lib files of your process' standard cells")
    data = path.read_bytes()
    try:
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")
    except (OSError, EOFError) as error:
        raise WeftError(f"cannot be unpacked: {error}", file=path) from None
    if not re.search(r"^\s*library\s*\(", text, re.MULTILINE):
        raise WeftError("is no Liberty file: it has no group library", file=path)
    return text


def read_cells(texts: Iterable[str]) -> dict[str, Cell]:
    """The cells of Liberty texts, by name."""
    cells: dict[str, Cell] = {}
    for text in texts:
        path: list[tuple[str, str]] = []  # the groups around the token, outermost first
        for token in TOKEN.finditer(re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)):
            if token["close"]:
                path.pop()
                continue
            cell = next((cells[name] for group, name in path if group == "cell"), None)
            if token["open"]:
                path.append(("", ""))
            elif token["group"]:
                if token["group"] == "cell":
                    cells[token["name"]] = Cell(token["name"])
                elif cell and token["group"] not in {"pin", "bus"}:
                    cell.registers = True
                    if token["group"] == "ff":
                        cell.states = tuple(token["name"].replace(" ", "").split(","))
                path.append((token["group"], token["name"]))
            elif cell:
                _add_attribute(cell, path, token)
    return cells


def _add_attribute(cell, path, token):
    """Area and clock gating stand in the cell itself, direction and function in one of its pins."""
    inside = path[-1][0]
    if token["gate"]:
        cell.clock_gate = cell.registers = True
    elif token["area"] and inside == "cell":
        cell.area = float(token["area"])
    elif token["next"]:
        cell.next_state = token["next"].strip("() ")
    elif token["function"] and inside == "pin":
        cell.functions[path[-1][1]] = token["function"].strip("() ")
    elif token["direction"] == "output" and inside in {"pin", "bus"}:
        cell.outputs.add(path[-1][1])
