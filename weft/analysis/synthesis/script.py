"""The Yosys script: Verilog to the gates of a library, flat, with clock gates, cut memories, and names of the design on what holds bits."""

from collections.abc import Sequence

from weft.analysis.synthesis.technology import Technology

FRONT = """\
read_verilog npu.v
read_verilog cells.v
hierarchy -check -top {top}
proc
setattr -unset src w:* c:*
opt_expr
opt_clean
opt -nosdff
wreduce
opt_clean
booth
alumacc
opt -nosdff
opt_expr -mux_undef
opt_clean
memory -nomap
opt_clean
dump -m -o memories.il t:$mem_v2
techmap -map cut.v
memory_map
opt -nosdff
simplemap t:$dff t:$dffe t:$sdff t:$sdffe t:$sdffce
opt_clean
techmap
opt -nodffe -nosdff
flatten
opt_expr
opt_merge
opt_dff -nodffe -nosdff
opt_clean
"""
"""Logic of Yosys' own gates. Each kind of module is worked on once, and all are flattened behind that.

Booth multipliers make the array smaller by 25 %. The places in the source, which nobody reads here, would take gigabytes.
Synchronous resets stay logic, as few libraries have flip-flops with them.
"""
GATES = "clockgate -pos {gate} -min_net_size 4\n"
"""A clock gate pays from four flip-flops on: without it each held bit takes a multiplexer."""
REGISTERS = """\
dffunmap
simplemap
opt_expr
opt_clean
rename -wire t:$_DFF*
dfflibmap {cells} {avoid}
opt_clean
write_rtlil front.il
"""
MAP = """\
read_rtlil front.il
abc {cells} {avoid} -script abc.script -constr abc.constr
clean -purge
"""
CONSTANTS = "hilomap -singleton -hicell {high} -locell {low}\n"
WRITE = "write_blif -blackbox -cname -gates netlist.blif\n"
EFFORTS = {"for area": "", "for speed": "&if -g -K 6\n"}
"""How abc maps, the smallest first. Balanced for depth (``&if -g``), a counter of 64 bits or the adders of a DMA are faster by a third,
but an array is larger by a sixth: that is for designs which miss their period without it.
"""
ABC = """\
strash
&get -n
&st
{balance}&dch
&nf -R 10
&put
{buffers}
topo
upsize -c
dnsize -c -D {target:.0f}
stime -p
"""
"""Cells grow until nothing gets faster, and shrink where a path has time. The last tenth of the delay that a choice of cells could
bring (``-R``) costs more area than growing them.
"""


def front_script(top: str, technology: Technology, libraries: Sequence[str]) -> str:
    """Verilog to ``front.il``: logic of Yosys' gates, and the library's registers; for a folder with ``npu.v``, ``cells.v``, ``cut.v``.

    Parameters
    ----------
    top : str
        The module that is mapped, with all below it.
    technology : Technology
    libraries : sequence of str
        Names of the Liberty files in the folder.
    """
    text = "".join([FRONT, GATES if technology.gate else "", REGISTERS])
    return text.format(top=top, gate=technology.gate, **_libraries(technology, libraries))


def map_script(technology: Technology, libraries: Sequence[str]) -> str:
    """``front.il`` to ``netlist.blif``; for a folder with the two files of abc."""
    text = "".join([MAP, CONSTANTS if technology.high else "", WRITE])
    return text.format(high=technology.high, low=technology.low, **_libraries(technology, libraries))


def _libraries(technology, libraries):
    """What names the library to Yosys' passes."""
    cells = " ".join(f"-liberty {name}" for name in libraries)
    return {"cells": cells, "avoid": " ".join(f"-dont_use {pattern}" for pattern in technology.avoid)}


def abc_script(technology: Technology, period_ps: float, effort: str) -> str:
    """What abc does: it is asked for the period without what the flip-flops at both ends take.

    Parameters
    ----------
    technology : Technology
    period_ps : float
    effort : str
        Of `EFFORTS`.
    """
    target = max(1.0, period_ps - technology.flop_ps)
    return ABC.format(balance=EFFORTS[effort], buffers=technology.buffers, target=target)


def abc_constraints(technology: Technology) -> str:
    """Driver and load of the logic between registers."""
    return f"set_driving_cell {technology.driver}\nset_load {technology.load}\n" if technology.driver else ""
