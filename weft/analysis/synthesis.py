"""Area of the array and of the blocks around it, by Yosys on a library of standard cells, before placement and clock tree.

The blocks are synthesized out of the Verilog that ships, each with everything below it. No timing is asked for: Yosys maps for area, and
real constraints cost more of it. Figures compare configurations on one library; they are no floor plan.
"""

import gzip
import json
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hw.emit.emit import run_yosys
from hw.npu.errors import WeftError

BLOCKS = {
    "array": "systolic_array",
    "loader": "weight_loader",
    "feeder": "feeder",
    "interpolator": "interpolator",
    "activations": "activation_scratchpad",
    "weights": "weight_scratchpad",
}
"""Blocks by name, and the modules that they are; of the scratchpads everything but the banks."""
TOP = "npu"
"""Module of the whole, and prefix of the others."""
BANK = re.compile(rf"^module ({TOP}_bank(?:_\d+)?)\(", re.MULTILINE)
"""Modules that are memory: macros of the process, which Yosys would make of flip-flops. (`npu_spare_arbiter` is logic.)"""
MAPPING = "-booth -noshare"
"""Options of Yosys' ``synth``. Booth multipliers make both arrays smaller, the element without INT4 by 25 %, the one with it
by 10 %. Sharing by SAT saves 0.1 % of the array and takes longer than all else.
"""


@dataclass(frozen=True)
class ModuleArea:
    """A module of a block.

    Attributes
    ----------
    name : str
    instances : int
        In the block.
    area : float
        Of all of them together, without the modules below, in the library's unit (um2).
    registers : float
        The part of it that is flip-flops.
    """

    name: str
    instances: int
    area: float
    registers: float


@dataclass(frozen=True)
class BlockArea:
    """A block: its area is the sum of its modules'."""

    block: str
    modules: tuple[ModuleArea, ...]

    @property
    def area(self) -> float:
        """Of the whole block."""
        return sum(module.area for module in self.modules)

    @property
    def registers(self) -> float:
        """The part of it that is flip-flops."""
        return sum(module.registers for module in self.modules)


def synthesize(verilog: str, block: str, libraries: Sequence[Path]) -> BlockArea:
    """Map a block onto a library's cells.

    Parameters
    ----------
    verilog : str
        Of an NPU (`sim.run.npu_verilog`).
    block : str
        Of `BLOCKS`.
    libraries : sequence of Path
        Liberty files (``.lib``, ``.lib.gz``) that together are one library of standard cells.

    Raises
    ------
    WeftError
        Where a file is missing or no library, or the library has no cells for what the block needs.
    """
    texts = [read_library(path) for path in libraries]
    top = f"{TOP}_{BLOCKS[block]}"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "npu.v").write_text(verilog)
        for number, text in enumerate(texts):
            (work / f"{number}.lib").write_text(text)
        liberty = " ".join(f"-liberty {number}.lib" for number in range(len(texts)))
        script = (
            f"read_verilog npu.v; blackbox {' '.join(BANK.findall(verilog))}; hierarchy -check -top {top}; synth -top {top} {MAPPING}; "
            f"dfflibmap {liberty}; abc {liberty}; opt_clean; tee -q -o stat.json stat -json {liberty}"
        )
        try:
            run_yosys(script, work)
        except WeftError as error:
            # where flip-flops are missing Yosys stops without a word, behind warnings of other things
            reasons = [line for line in error.message.splitlines() if "ERROR" in line]
            raise WeftError(f"Yosys cannot map {top} onto it{''.join(f': {reason}' for reason in reasons)}", **_whole(libraries)) from None
        found = json.loads((work / "stat.json").read_text())["modules"]
    modules = {name.removeprefix("\\"): module for name, module in found.items()}
    _check_mapped(modules, libraries)
    return BlockArea(block, tuple(_own_areas(modules, top)))


def read_library(path: Path) -> str:
    """The text of a Liberty file.

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


def _check_mapped(modules, libraries):
    """Cells of Yosys' own that are left would count as nothing."""
    left = sorted({cell for module in modules.values() for cell in module["num_cells_by_type"] if cell.startswith("$")})
    if left:
        raise WeftError(f"has no cells for {', '.join(left)}", **_whole(libraries))


def _whole(libraries):
    """File and remedy of an error for what the library does not have."""
    return {"file": libraries[0], "remedy": "give all Liberty files of one library of standard cells"}


def _own_areas(modules, top):
    """The modules below `top`, itself first, with what is their own; Yosys counts a module with all that is below it."""
    instances: Counter[str] = Counter()

    def count_in(name, times):
        instances[name] += times
        for below, each in _below(modules, name):
            count_in(below, times * each)

    count_in(top, 1)
    for name, count in instances.items():
        own = {
            key: modules[name].get(key, 0.0) - sum(each * modules[below].get(key, 0.0) for below, each in _below(modules, name))
            for key in ("area", "sequential_area")
        }
        yield ModuleArea(name, count, count * own["area"], count * own["sequential_area"])


def _below(modules, name):
    """Modules that a module instantiates, and how often."""
    cells = modules[name]["num_cells_by_type"]
    return [(cell, count) for cell, count in cells.items() if cell in modules]
