"""Memories in a synthesis: cut at their ports, with stated times; and the library's macros that they would be made of."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weft.analysis.synthesis.liberty import read_cells, read_library
from weft.analysis.synthesis.technology import Technology

LEAST_ROWS, LEAST_BITS = 32, 2048
"""From this size on a memory with a clocked read port is cut; smaller ones become flip-flops."""
READ_CELL, WRITE_CELL = "WEFT_READ", "WEFT_WRITE"
"""Cells of one bit in a memory's place: what it answers, and what enters it."""
CELLS = f"""\
(* blackbox *) module {READ_CELL}(input CK, output Q); endmodule
(* blackbox, keep *) module {WRITE_CELL}(input CK, input D); endmodule
"""
PORTS = {
    "q": ("RD_PORTS * WIDTH", 1, f"{READ_CELL} cut (.CK(RD_CLK[0]), .Q(RD_DATA[i]))"),
    "ra": ("RD_PORTS * ABITS", 1, f"{WRITE_CELL} cut (.CK(RD_CLK[0]), .D(RD_ADDR[i]))"),
    "re": ("RD_PORTS", 1, f"{WRITE_CELL} cut (.CK(RD_CLK[0]), .D(RD_EN[i]))"),
    "wd": ("WR_PORTS * WIDTH", 1, f"{WRITE_CELL} cut (.CK(WR_CLK[0]), .D(WR_DATA[i]))"),
    "wa": ("WR_PORTS * ABITS", 1, f"{WRITE_CELL} cut (.CK(WR_CLK[0]), .D(WR_ADDR[i]))"),
    "we": ("WR_PORTS * WIDTH", 8, f"{WRITE_CELL} cut (.CK(WR_CLK[0]), .D(WR_EN[i]))"),
}
"""Bits of a memory's ports: how many, every which has a cell (write enables are for bytes), and the cell."""
PARAMETERS = (
    *("MEMID", "SIZE", "OFFSET", "ABITS", "WIDTH", "INIT"),
    *("RD_PORTS", "RD_CLK_ENABLE", "RD_CLK_POLARITY", "RD_TRANSPARENCY_MASK", "RD_COLLISION_X_MASK", "RD_WIDE_CONTINUATION"),
    *("RD_CE_OVER_SRST", "RD_ARST_VALUE", "RD_SRST_VALUE", "RD_INIT_VALUE"),
    *("WR_PORTS", "WR_CLK_ENABLE", "WR_CLK_POLARITY", "WR_PRIORITY_MASK", "WR_WIDE_CONTINUATION"),
)
"""Of Yosys' cell ``$mem_v2``."""


@dataclass(frozen=True)
class Memory:
    """A memory that was cut.

    Attributes
    ----------
    module, name : str
        Where it stands in the Verilog, once for each instance of the module.
    rows, bits : int
        Words, and bits of a word.
    single_port : bool
        Whether reads and writes have the same address, so that a macro of one port does.
    """

    module: str
    name: str
    rows: int
    bits: int
    single_port: bool


@dataclass(frozen=True)
class Macro:
    """An SRAM macro of the library, of one port."""

    name: str
    rows: int
    bits: int
    area: float


def cut_verilog() -> str:
    """A map for Yosys' ``techmap`` that puts cells of one bit in the place of each large memory."""
    loops = (
        f"  for (i = 0; i < {count}; i = i + {every}) begin : {name} {'(* keep *) ' if WRITE_CELL in cell else ''}{cell}; end"
        for name, (count, every, cell) in PORTS.items()
    )
    return "\n".join([
        '(* techmap_celltype = "$mem_v2" *)',
        "module weft_cut(RD_CLK, RD_EN, RD_ARST, RD_SRST, RD_ADDR, RD_DATA, WR_CLK, WR_EN, WR_ADDR, WR_DATA);",
        *(f"  parameter {name} = 1;" for name in PARAMETERS),
        "  input [RD_PORTS-1:0] RD_CLK, RD_EN, RD_ARST, RD_SRST;",
        "  input [RD_PORTS*ABITS-1:0] RD_ADDR;",
        "  output [RD_PORTS*WIDTH-1:0] RD_DATA;",
        "  input [WR_PORTS-1:0] WR_CLK;",
        "  input [WR_PORTS*WIDTH-1:0] WR_EN, WR_DATA;",
        "  input [WR_PORTS*ABITS-1:0] WR_ADDR;",
        f"  wire _TECHMAP_FAIL_ = SIZE * WIDTH < {LEAST_BITS} || SIZE < {LEAST_ROWS} || !RD_CLK_ENABLE[0];",
        "  genvar i;",
        "  generate",
        *loops,
        "  endgenerate",
        "endmodule\n",
    ])  # fmt: skip


def cut_liberty(technology: Technology) -> str:
    """A library with the two cells, which have the technology's times; its loads and slews do not matter to them."""
    access, setup, slew = (value / technology.unit_ps for value in (technology.access_ps, technology.setup_ps, technology.flop_ps / 2))
    time, load = ("1ps", "1,ff") if technology.unit_ps == 1 else ("1ns", "1,pf")
    edges = "".join(
        f'{kind}_rise (scalar) {{ values ("{value:g}"); }} {kind}_fall (scalar) {{ values ("{value:g}"); }} '
        for kind, value in (("cell", access),)
    )
    edges += "".join(f'{way}_transition (scalar) {{ values ("{slew:g}"); }} ' for way in ("rise", "fall"))
    thresholds = "".join(f"{side}_threshold_pct_{way} : 50; " for side in ("input", "output") for way in ("rise", "fall")) + "".join(
        f"slew_{end}_threshold_pct_{way} : {value}; " for end, value in (("lower", 20), ("upper", 80)) for way in ("rise", "fall")
    )
    clock = "pin (CK) { direction : input; clock : true; capacitance : 0; }"
    return (
        f'library (weft_memories) {{ delay_model : table_lookup; time_unit : "{time}"; voltage_unit : "1V"; current_unit : "1mA";\n'
        f'  capacitive_load_unit ({load}); pulling_resistance_unit : "1kohm"; leakage_power_unit : "1pW"; {thresholds}\n'
        f"  cell ({READ_CELL}) {{ area : 0; {clock}\n"
        f'    pin (Q) {{ direction : output; timing () {{ related_pin : "CK"; timing_type : rising_edge; {edges}}} }} }}\n'
        f"  cell ({WRITE_CELL}) {{ area : 0; {clock}\n"
        f'    pin (D) {{ direction : input; capacitance : 0; timing () {{ related_pin : "CK"; timing_type : setup_rising;\n'
        f'      rise_constraint (scalar) {{ values ("{setup:g}"); }} fall_constraint (scalar) {{ values ("{setup:g}"); }} }} }} }}\n'
        "}\n"
    )


def read_dump(text: str) -> list[Memory]:
    """The memories that are cut, out of Yosys' ``dump -m`` of all cells ``$mem_v2``.

    Those of one port that a module always reads at one address are one memory: the bytes of a word.
    """
    found, joined, module = [], {}, ""
    for name, body in re.findall(r"^(?:module \\(\S+)| *cell \$mem_v2 \S+)\n?((?: +(?:parameter|connect) .*\n)*)", text, re.MULTILINE):
        if name:
            module = name
            continue
        values = dict(re.findall(r"^ *(?:parameter|connect) \\(\S+) (.*)$", body, re.MULTILINE))
        rows, bits = int(values["SIZE"]), int(values["WIDTH"])
        clocked = values["RD_CLK_ENABLE"].endswith("1")
        if clocked and rows >= LEAST_ROWS and rows * bits >= LEAST_BITS:
            where, name = (values["RD_ADDR"], values["RD_EN"]), values["MEMID"].strip('"').lstrip("\\")
            if values["RD_PORTS"] == values["WR_PORTS"] == "1" and values["RD_ADDR"] == values["WR_ADDR"]:
                joined.setdefault((module, rows, where), []).append((name, bits))
            else:
                found.append(Memory(module, name, rows, bits, single_port=False))
    return [
        *(Memory(key[0], group[0][0], key[1], sum(bits for _, bits in group), single_port=True) for key, group in joined.items()),
        *found,
    ]


def read_macros(paths: Sequence[Path]) -> list[Macro]:
    """The macros of the library's files; rows and bits stand in their names, as in ``RM_IHPSG13_1P_1024x64``."""
    macros = []
    for path in paths:
        for cell in read_cells([read_library(path)]).values():
            if size := re.search(r"_(\d+)x(\d+)_", cell.name):
                macros.append(Macro(cell.name, int(size[1]), int(size[2]), cell.area))
    return macros


def choose_macro(memory: Memory, macros: Sequence[Macro]) -> tuple[Macro, int] | None:
    """The macro of which a memory takes the least area, and how many of it; None where no macro has its ports."""
    if not memory.single_port or not macros:
        return None
    counts = ((macro, -(-memory.rows // macro.rows) * -(-memory.bits // macro.bits)) for macro in macros)
    return min(counts, key=lambda each: each[0].area * each[1])
