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
MAP = """\
dffunmap
simplemap
opt_expr
opt_clean
rename -wire t:$_DFF*
dfflibmap {cells} {avoid}
opt_clean
abc {cells} {avoid} -script abc.script -constr abc.constr
clean -purge
"""
CONSTANTS = "hilomap -singleton -hicell {high} -locell {low}\n"
WRITE = "write_blif -blackbox -cname -gates netlist.blif\n"
ABC = """\
&get -n
&st
&dch
&nf -R 10
&put
{buffers}
topo
upsize -c -D {target:.0f}
dnsize -c -D {target:.0f}
stime -p
"""
"""Mapped for speed, but for the last tenth of the delay, which costs more area than it brings; then cells grow where a path is
slower than the target, and shrink where it is not.
"""


def yosys_script(top: str, technology: Technology, libraries: Sequence[str]) -> str:
    """The script, for a folder with ``npu.v``, ``cells.v``, ``cut.v``, the libraries and the two files of abc.

    Parameters
    ----------
    top : str
        The module that is mapped, with all below it.
    technology : Technology
    libraries : sequence of str
        Names of the Liberty files in the folder.
    """
    choices = {
        "top": top,
        "cells": " ".join(f"-liberty {name}" for name in libraries),
        "avoid": " ".join(f"-dont_use {pattern}" for pattern in technology.avoid),
        "gate": technology.gate,
        "high": technology.high,
        "low": technology.low,
    }
    parts = [FRONT, GATES if technology.gate else "", MAP, CONSTANTS if technology.high else "", WRITE]
    return "".join(parts).format(**choices)


def abc_script(technology: Technology, period_ps: float) -> str:
    """What abc does: it is asked for the period without what the flip-flops at both ends take."""
    return ABC.format(buffers=technology.buffers, target=max(1.0, period_ps - technology.flop_ps))


def abc_constraints(technology: Technology) -> str:
    """Driver and load of the logic between registers."""
    return f"set_driving_cell {technology.driver}\nset_load {technology.load}\n" if technology.driver else ""
