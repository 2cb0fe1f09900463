"""Blocks of an NPU: its components, in the rooms of ``hw/npu``, and which of them a path of the flat netlist belongs to."""

import ast
import difflib
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from hw.emit.module_names import snake
from hw.npu.errors import WeftError

TOP = "npu"
"""Module of the whole, and prefix of the others."""
ROOMS = Path(__file__).resolve().parents[3] / "hw" / "npu"
SHARED_ROOMS = ("parts", "walks", "interface")
"""Their components belong to the blocks that use them."""
TOP_ROOM = "top"
"""Of what stands in ``hw/npu`` itself."""


@dataclass(frozen=True)
class Block:
    """A component: all its instances, without the blocks below them."""

    room: str
    component: str

    def __str__(self):
        return f"{self.room}/{self.component}"


@dataclass
class Module:
    """A module of the Verilog: the modules of its instances, by name."""

    name: str
    instances: dict[str, str] = field(default_factory=dict)


@cache
def rooms() -> dict[str, str]:
    """The room of each component of the NPU, by its name in snake case, out of the sources."""
    found = {}
    for path in sorted(ROOMS.rglob("*.py")):
        room = path.parent.relative_to(ROOMS).parts
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                found[snake(node.name)] = room[0] if room else TOP_ROOM
    return found


@dataclass
class Blocks:
    """The modules of an NPU's Verilog, and its blocks."""

    modules: dict[str, Module]

    def component(self, module: str) -> str:
        """The component that a module is of; empty where it is none that the rooms know, or a part of others."""
        if module == TOP:
            return TOP
        names = [*_beginnings(module.removeprefix(f"{TOP}_")), *_beginnings(module)]
        component = next((name for name in names if name in rooms() and name != TOP), "")
        return component if rooms().get(component) not in SHARED_ROOMS else ""

    def block(self, component: str) -> Block:
        """The block of a component."""
        return Block(rooms().get(component, TOP_ROOM), component)

    def at(self, path: str, top: str) -> Block:
        """The block that holds what stands at a path below the module `top`."""
        module, found = top, self.component(top) or self._enclosing(top)
        while path:
            inside = [name for name in self.modules[module].instances if path.startswith(f"{name}.")]
            if not inside:
                break
            name = max(inside, key=len)
            module, path = self.modules[module].instances[name], path[len(name) + 1 :]
            found = self.component(module) or found
        return self.block(found)

    def _enclosing(self, module):
        """A part that is synthesized alone is a block of its own."""
        return module.removeprefix(f"{TOP}_")

    def paths(self, top: str, module: str) -> list[str]:
        """Where a module stands below `top`; the top itself is the empty path."""
        found = [""] if module == top else []
        for name, kind in self.modules[top].instances.items():
            found += [f"{name}.{below}".rstrip(".") for below in self.paths(kind, module)]
        return found

    def tops(self, name: str) -> list[str]:
        """Modules that a name means: ``npu``, a component or a module, or the outermost components of a room.

        Raises
        ------
        WeftError
            Where it means none.
        """
        if name == TOP or f"{TOP}_{name}" in self.modules:
            return [TOP if name == TOP else f"{TOP}_{name}"]
        inside = {module: self.component(module) for module in self.modules}
        found = [module for module, component in inside.items() if component == name]
        members = [module for module, component in inside.items() if component and self.block(component).room == name]
        below = {kind for module in members for kind in self._all_below(module)}
        found = found or [module for module in members if module not in below and name != TOP_ROOM]
        if not found:
            known = sorted({each for component in inside.values() if component for each in (component, self.block(component).room)})
            close = difflib.get_close_matches(name, known, n=1)
            listed = ", ".join(known)
            raise WeftError(
                f"no block is called {name!r}{f'; did you mean {close[0]}' if close else ''}", remedy=f"the blocks are {listed}"
            )
        return found

    def _all_below(self, module):
        for kind in self.modules[module].instances.values():
            yield kind
            yield from self._all_below(kind)


def read_blocks(verilog: str) -> Blocks:
    """The modules of an NPU's Verilog, as `hw.emit` writes it."""
    modules: dict[str, Module] = {}
    for name, body in re.findall(r"^module (\S+?)\((.*?)^endmodule", verilog, re.MULTILINE | re.DOTALL):
        module = modules[name] = Module(name)
        for kind, instance in re.findall(rf"^  ({TOP}_\w+) \\?(\S+) +\(", body, re.MULTILINE):
            module.instances[instance] = kind
    return Blocks(modules)


def _beginnings(name):
    """A name and the beginnings of it, the longest first: a module's says behind the class what tells it from others of the class."""
    words = name.split("_")
    return ["_".join(words[:count]) for count in range(len(words), 0, -1)]
