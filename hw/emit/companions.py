"""What is written beside the Verilog for the tools that read it: waivers for lint, and a list of the files."""

import re
import textwrap
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


def companions(path: Path, top) -> dict[Path, str]:
    """The files beside a file of Verilog, with their text; none where the Verilog goes to no regular file, as to ``/dev/stdout``.

    Raises
    ------
    WeftError
        If the Verilog's own name is that of one of them, or has a character with which no file list can name it.
    """
    if str(path.absolute().parent) in ("/dev", "/dev/fd") or (path.exists() and not path.is_file()):
        return {}  # standard output may lead to a regular file, and nothing is to lie beside /dev/stdout
    if path.suffix in (".vlt", ".f"):
        raise WeftError(f"{path.suffix} is the ending of a file beside the Verilog", file=path, remedy="give the Verilog the ending .v")
    if not re.fullmatch(r"[\w.+-]+", path.name):
        raise WeftError("a list of files cannot hold this name", file=path, remedy="use letters, digits and . _ + - in the file's name")
    name = path.name
    return {path.with_name(companion(name, ".vlt")): waivers(name), path.with_name(companion(name, ".f")): file_list(name, top)}


def companion(verilog_name, suffix) -> str:
    """The name of a file beside the Verilog: ``npu.v`` -> ``npu.vlt``."""
    return str(Path(verilog_name).with_suffix(suffix))
