"""The rules of the house that a program can check: arrows, sizes, and what a component's docstring owes its reader."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest
from amaranth.lib import wiring

from hw.npu.config import FPGA_REGISTERS, SWITCHES
from tests.component_table import EXAMPLES, make

ROOT = Path(__file__).parent.parent
GROUND = ("errors", "files", "config")
"""Files of hw/npu that every room may import: they import nothing of the house but each other."""
NPU = ("interface", "parts", "walks", "control", "dma", "scratchpad", "weights", "array", "feed", "softmax", "output")
ROOMS = (
    "hw",
    *(f"hw.npu.{file}" for file in GROUND),
    *(f"hw.npu.{folder}" for folder in NPU),
    "hw.npu",
    *("hw.soc", "hw.emit"),
    *("golden", "sim"),
    *("weft.compiler", "weft.analysis", "weft.report", "weft.quantize", "weft.run", "weft.explore", "weft.board", "weft.cli", "weft"),
)
"""From the ground up: a room imports itself and what stands before it, so that there is no circle. The NPU's order is that of its data:
what commands and words look like, the parts, and then from the control to the output."""
LONGEST_FILE = 450
LONGEST_FUNCTION = 60
"""Lines. The style asks for 400 and 50; these are where it stops being a matter of taste."""
PRIVATE_AMARANTH = "hw/emit/amaranth_private.py"
"""The only file that imports what Amaranth does not promise to keep."""
MOST_SWITCHED = 40
"""Places of hw/npu that ask a switch of the configuration: one body serves them all, and a part is there or not."""
SWITCHED = SWITCHES | set(FPGA_REGISTERS)
SOURCES = sorted(path for room in ("hw", "golden", "sim", "weft") for path in (ROOT / room).rglob("*.py"))


def module_name(path):
    """The name under which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module):
    """The room a module stands in; None where it is not ours."""
    inside = [room for room in ROOMS if module == room or module.startswith(room + ".")]
    return max(inside, key=len, default=None)


def imported(path):
    """Modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ids(paths):
    """Test names that say which file is meant."""
    return [str(path.relative_to(ROOT)) for path in paths]


def upward(path):
    """Imports of a file that point up."""
    here = room_of(module_name(path))
    if here is None:  # hw/__init__.py
        return []
    order = ROOMS.index(here)
    return [name for name in imported(path) if (there := room_of(name)) and ROOMS.index(there) > order]


@pytest.mark.parametrize("path", SOURCES, ids=ids(SOURCES))
def test_imports_point_down(path):
    assert upward(path) == [], f"{path.relative_to(ROOT)} imports from a higher room"


def test_an_import_that_points_up_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.test_house.ROOT", tmp_path)
    (tmp_path / "golden").mkdir()
    guilty = tmp_path / "golden" / "guilty.py"
    guilty.write_text("def f():\n    from weft.compiler import graph\n")
    assert upward(guilty) == ["weft.compiler.graph"]


@pytest.mark.parametrize("path", SOURCES, ids=ids(SOURCES))
def test_no_relative_imports(path):
    relative = [node.lineno for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom) and node.level]
    assert relative == [], f"lines {relative}: every import says where to look"


def private_imports(path):
    """What a file imports of Amaranth's private modules and names."""
    return [name for name in imported(path) if re.match(r"amaranth(\.\w+)*\._(?!_)", name)]


def test_the_private_api_of_amaranth_is_in_one_file():
    tests = [path for room in ("tests", "examples") for path in sorted((ROOT / room).rglob("*.py"))]
    users = [path.relative_to(ROOT).as_posix() for path in [*SOURCES, *tests] if private_imports(path)]
    assert users == [PRIVATE_AMARANTH]


@pytest.mark.parametrize("path", SOURCES, ids=ids(SOURCES))
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert text.count("\n") <= LONGEST_FILE
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))
    long = {f.name: lines for f in functions if (lines := f.end_lineno - f.lineno + 1) > LONGEST_FUNCTION}
    assert long == {}


@pytest.mark.parametrize("path", SOURCES, ids=ids(SOURCES))
def test_a_file_says_what_its_room_is_for(path):
    assert path.read_text() == "" or ast.get_docstring(ast.parse(path.read_text())), "no module docstring"


@pytest.mark.parametrize(("layer", "rooms"), [("block", "hw/npu"), ("unit", "weft hw golden sim")])
def test_folders_of_tests_are_those_of_the_house(layer, rooms):
    """A test of a room stands in a folder of the room's name; what crosses rooms stands beside the folders."""
    house = {path.name for room in rooms.split() for path in [ROOT / room, *(ROOT / room).iterdir()] if path.is_dir()}
    folders = {path.parent.name for path in (ROOT / "tests" / layer).glob("*/test_*.py")}
    assert folders and folders <= house, f"folders that no room has: {sorted(folders - house)}"


def asks_a_switch(test):
    """Whether an expression is about a switch of the configuration."""
    return bool(
        SWITCHED
        & {node.id if isinstance(node, ast.Name) else node.attr for node in ast.walk(test) if isinstance(node, ast.Name | ast.Attribute)}
    )


def conditions(path):
    """Every condition of a file: of a statement, an expression, a comprehension."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.If | ast.IfExp):
            yield node.test
        elif isinstance(node, ast.comprehension):
            yield from node.ifs


def test_few_places_ask_a_switch():
    paths = sorted((ROOT / "hw" / "npu").rglob("*.py"))
    asked = [f"{path.relative_to(ROOT)}:{test.lineno}" for path in paths for test in conditions(path) if asks_a_switch(test)]
    assert 10 < len(asked) < MOST_SWITCHED, asked


def components():
    """Every component class of hw/, by its full name."""
    found = {}
    for path in sorted((ROOT / "hw").rglob("*.py")):
        module = importlib.import_module(module_name(path))
        for name, thing in vars(module).items():
            if inspect.isclass(thing) and issubclass(thing, wiring.Component) and thing.__module__ == module.__name__:
                found[f"{module.__name__}.{name}"] = thing
    return found


COMPONENTS = components()


def test_every_component_has_an_example():
    missing, gone = sorted(set(COMPONENTS) - set(EXAMPLES)), sorted(set(EXAMPLES) - set(COMPONENTS))
    assert not missing, f"add constructor arguments to tests/component_table.py for {', '.join(missing)}"
    assert not gone, f"tests/component_table.py names components that do not exist: {', '.join(gone)}"


@pytest.mark.parametrize("name", sorted(COMPONENTS))
def test_a_docstring_names_every_member(name):
    if name not in EXAMPLES:
        pytest.skip("no example; another test fails for it")
    text = inspect.getdoc(COMPONENTS[name]) or ""
    assert "Members\n-------" in text, "no section Members"
    after = text.split("Members\n-------", 1)[1]
    absent = [member for member in make(COMPONENTS[name], EXAMPLES[name]).signature.members if not re.search(rf"\b{member}\b", after)]
    assert absent == [], "members that the docstring does not explain"


def test_committed_files_name_no_machine():
    paths = [path for pattern in ("*.toml", "*.lock", "*.md", "Makefile", ".ci/*") for path in ROOT.glob(pattern)] + SOURCES
    places = ("/" + "work/", "/" + "home/", "/" + "root/", "--index" + "-url", "index" + "-url =")
    guilty = [f"{path.relative_to(ROOT)}: {place}" for path in paths for place in places if place in path.read_text()]
    assert guilty == []
