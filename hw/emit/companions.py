"""What is written beside the Verilog for the tools that read it: waivers for lint, a list of the files, constraints of timing."""

import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from hw.npu.errors import WeftError

WAIVERS = (
    ("DECLFILENAME", "One file holds all modules, since it is one product."),
    (
        "WIDTHEXPAND, WIDTHTRUNC",
        "Yosys writes operators at their own widths and leaves the extension to the language (IEEE 1800, 11.6). Widths were checked in "
        "Amaranth, where the result of an operator is as wide as its values need.",
    ),
    ("UNUSEDSIGNAL", "Parts of a wide result or of a command's fields that a block does not need. Amaranth has no way to declare less."),
    ("CASEOVERLAP", "Priority among the inputs of a multiplexer is a casez whose patterns overlap on purpose."),
    (
        "UNOPTFLAT",
        "The fields of a structure are parts of one vector, and one field may follow from another: no loop of bits. Yosys' `check` finds "
        "none in the flattened design.",
    ),
)
"""Rules of Verilator's lint that the Verilog breaks on purpose, each with the reason."""
CLOCK = "clk"
"""Name of the clock's port."""
OUTSIDE = 0.4
"""Of a period, what is left in front of the inputs and behind the outputs."""


def waivers(verilog_name) -> str:
    """A configuration file of Verilator that switches off what it would say of a file of Verilog without need, and of no other file.

    Parameters
    ----------
    verilog_name : str
        The file's name, without its folder.
    """
    lines = [f"// What Verilator's lint says of {verilog_name} and why it need not.", "`verilator_config"]
    for rules, reason in WAIVERS:
        lines += ["", *(f"// {line}" for line in textwrap.wrap(reason, 118))]
        lines += [f'lint_off -rule {rule} -file "*{verilog_name}"' for rule in rules.split(", ")]
    return "\n".join(lines) + "\n"


def file_list(verilog_name, top) -> str:
    """Arguments of ``verilator -f`` in the folder of the files, or ``verilator -F`` from anywhere: the waivers, the Verilog, the top.

    Parameters
    ----------
    verilog_name : str
        The file's name, without its folder.
    top : str
        Name of the module on top.
    """
    return f"{companion(verilog_name, '.vlt')}\n{verilog_name}\n--top-module {top}\n"


def constraints(verilog_name, *, inputs: Sequence[str], outputs: Sequence[str], clock_mhz: float, source: str) -> str:
    """Constraints in SDC for synthesis and timing analysis: the clock, and what stands outside the ports.

    Parameters
    ----------
    verilog_name : str
        The file's name, without its folder.
    inputs, outputs : sequence of str
        Ports beside the clock.
    clock_mhz : float
        Frequency to reach.
    source : str
        Where it is from.
    """
    period = 1000 / clock_mhz
    ports = {"input": inputs, "output": outputs}
    lines = [
        f"# Timing constraints of {verilog_name}: one clock, to which all ports belong; the reset is synchronous.",
        f"# Clock: {source}.",
        "# Times are nanoseconds: set ns to 1000 where your library counts in picoseconds, as ASAP7 does.",
        "set ns 1",
        f"create_clock -name {CLOCK} -period [expr {{{period:.3f} * $ns}}] [get_ports {CLOCK}]",
        f"# {OUTSIDE:.0%} of the period is for what stands outside the ports: make it what your bus needs.",
        *(
            f"set_{side}_delay [expr {{{OUTSIDE * period:.3f} * $ns}}] -clock {CLOCK} [get_ports {{{' '.join(names)}}}]"
            for side, names in ports.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def companions(path: Path, top, sdc: Callable[[str], str] | None = None) -> dict[Path, str]:
    """The files beside a file of Verilog, with their text; none where the Verilog goes to no regular file, as to ``/dev/stdout``.

    Parameters
    ----------
    path : Path
        The file of Verilog.
    top : str
        Name of the module on top.
    sdc : function, optional
        Gives the constraints of timing for a file's name.

    Raises
    ------
    WeftError
        If the Verilog's own name is that of one of them, or has a character with which no file list can name it.
    """
    if str(path.absolute().parent) in ("/dev", "/dev/fd") or (path.exists() and not path.is_file()):
        return {}  # standard output may lead to a regular file, and nothing is to lie beside /dev/stdout
    if path.suffix in (".vlt", ".f", ".sdc"):
        raise WeftError(f"{path.suffix} is the ending of a file beside the Verilog", file=path, remedy="give the Verilog the ending .v")
    if not re.fullmatch(r"[\w.+-]+", path.name):
        raise WeftError("a list of files cannot hold this name", file=path, remedy="use letters, digits and . _ + - in the file's name")
    name = path.name
    texts = {".vlt": waivers(name), ".f": file_list(name, top)} | ({".sdc": sdc(name)} if sdc else {})
    return {path.with_name(companion(name, suffix)): text for suffix, text in texts.items()}


def companion(verilog_name, suffix) -> str:
    """The name of a file beside the Verilog: ``npu.v`` -> ``npu.vlt``."""
    return str(Path(verilog_name).with_suffix(suffix))
