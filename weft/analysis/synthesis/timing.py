"""Worst paths, by OpenSTA where it is installed, else one delay by abc: without wires, with an ideal clock, without derates."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from weft.analysis.synthesis.technology import Technology

SETUP = """\
foreach library {{ {libraries} }} {{ read_liberty $library }}
read_verilog netlist.v
link_design {top}
create_clock -name clk -period {period:g} [get_ports clk]
set inputs {{}}
foreach port [all_inputs] {{ if {{[get_property $port full_name] != "clk"}} {{ lappend inputs $port }} }}
if {{[llength $inputs]}} {{ set_input_transition {slew} $inputs; set_input_delay 0 -clock clk $inputs }}
if {{[llength [all_outputs]]}} {{ set_load {load} [all_outputs]; set_output_delay 0 -clock clk [all_outputs] }}
proc worst {{what arguments}} {{
  global cells
  foreach path [eval "find_timing_paths -path_delay max -group_count 1 $arguments"] {{
    set start [get_property [get_property $path startpoint] full_name]
    puts [format "worst %s %.6f %s %s" $what [get_property $path slack] $start [get_property [get_property $path endpoint] full_name]]
  }}
}}
"""
"""Inputs come with the clock edge and outputs may take the whole period: only whole paths of the top count."""
ANY = "any"
"""In the place of a block: wherever it is."""


@dataclass(frozen=True)
class Path:
    """The slowest path of a kind.

    Attributes
    ----------
    period_ps : float
        The shortest period that it allows.
    start, end : str
        As the netlist names them: instance and pin, or a port.
    """

    period_ps: float
    start: str
    end: str


def sta_script(top: str, technology: Technology, libraries: Sequence[str], period_ps: float, groups: Sequence[str]) -> str:
    """A script for OpenSTA, for a folder with ``netlist.v`` and the libraries.

    Parameters
    ----------
    top : str
    technology : Technology
    libraries : sequence of str
    period_ps : float
        Of the clock.
    groups : sequence of str
        Prefixes of instances that hold bits; for each it prints the worst path inside, and the worst one that ends there.
    """
    lines = [
        SETUP.format(
            libraries=" ".join(libraries), top=top, period=period_ps / technology.unit_ps, slew=technology.slew, load=technology.load
        ),
        f'worst {ANY}:{ANY} ""\n',
    ]
    for group in groups:
        lines.append(f"set cells [get_cells {group}_*]\n")
        lines.append(f'worst {group}:{group} "-from \\$cells -to \\$cells"\nworst {ANY}:{group} "-to \\$cells"\n')
    return "".join(lines)


def read_sta(text: str, technology: Technology, period_ps: float) -> dict[tuple[str, str], Path]:
    """The paths that OpenSTA printed: by the groups in which they start and end, `ANY` for all."""
    found = {}
    for start, end, slack, first, last in re.findall(r"^worst (\w+):(\w+) (\S+) (\S+) (\S+)$", text, re.MULTILINE):
        found[start, end] = Path(period_ps - float(slack) * technology.unit_ps, first, last)
    return found


def read_abc(log: str, technology: Technology) -> Path | None:
    """The slowest logic by abc's own figure, with a flip-flop before and behind it; abc names no ends."""
    delays = re.findall(r"^ABC: .*Delay = +([\d.]+) ps", log, re.MULTILINE)
    return Path(float(delays[-1]) + technology.flop_ps, "", "") if delays else None
