"""What a synthesis reads of Yosys, abc and OpenSTA: on texts that they wrote."""

import pytest

from weft.analysis.synthesis.blocks import Block, Blocks, Module
from weft.analysis.synthesis.liberty import Cell
from weft.analysis.synthesis.memories import Macro, Memory, choose_macro, read_dump
from weft.analysis.synthesis.netlist import read_blif, sta_verilog
from weft.analysis.synthesis.shares import owners, shares
from weft.analysis.synthesis.technology import ASAP7, SG13G2
from weft.analysis.synthesis.timing import ANY, Path, read_abc, read_sta

BLIF = r"""
.model npu
.inputs clk in[0] in[1]
.outputs out same
.names $false
.names out same
1 1
.gate ICG CLK=clk ENA=e GCLK=gated
.cname $auto$clockgate.cc:374:execute$13093
.gate NAND A=in[0] B=in[1] Y=shared
.cname $abc$14469$blif$14469$0
.gate NAND A=shared B=in[0] Y=d0
.cname $abc$1
.gate FLOP CLK=gated D=d0 QN=q0
.cname core.loader.address[3]$_DFF_P_
.gate FLOP CLK=clk D=shared QN=q1
.cname $flatten\core.\loader.\queue.$auto$ff.cc:337:slice$6437
.gate FLOP CLK=clk D=shared QN=q2
.cname $flatten\core.\feeder.$auto$ff.cc:337:slice$6437
.gate NAND A=q0 B=q1 Y=out
.cname $abc$2
.gate NAND A=q0 B=q2 Y=e
.cname $abc$3
.gate WEFT_READ CK=clk Q=q3
.cname core.feeder.mem.q[7].cut
"""
CELLS = {
    "NAND": Cell("NAND", 1.0, {"Y"}),
    "FLOP": Cell("FLOP", 3.0, {"QN"}, registers=True),
    "ICG": Cell("ICG", 4.0, {"GCLK"}, registers=True, clock_gate=True),
    "WEFT_READ": Cell("WEFT_READ", 0.0, {"Q"}),
}
BLOCKS = Blocks({
    "npu": Module("npu", {"core": "npu_core"}),
    "npu_core": Module("npu_core", {"loader": "npu_weight_loader", "feeder": "npu_feed_gate"}),
    "npu_weight_loader": Module("npu_weight_loader", {"queue": "npu_stream_fifo_12"}),
    "npu_stream_fifo_12": Module("npu_stream_fifo_12"),
    "npu_feed_gate": Module("npu_feed_gate"),
})
LOADER, FEEDER, TOP = Block("weights", "weight_loader"), Block("feed", "feed_gate"), Block("top", "npu")


def test_what_holds_bits_belongs_to_its_component_and_logic_to_what_it_leads_to():
    netlist = read_blif(BLIF)
    held = owners(netlist, BLOCKS, "npu", CELLS)
    assert {netlist.gates[number].name: block for number, block in held.items()} == {
        "clock gate of core.loader.address[3]": LOADER,
        "core.loader.address[3]": LOADER,
        "core.loader.queue.register": LOADER,  # a FIFO is its user's, and this register has no name
        "core.feeder.register": FEEDER,
        "core.feeder.mem.q[7]": FEEDER,
    }
    parts = dict(zip((gate.pins.get("Y") for gate in netlist.gates), shares(netlist, held, TOP, CELLS)))
    # `shared` leads to d0, which is the loader's, to a register of the loader and to one of the feeder
    assert parts["shared"] == {LOADER: pytest.approx(2 / 3), FEEDER: pytest.approx(1 / 3)}
    assert parts["d0"] == parts["e"] == {LOADER: 1.0} and parts["out"] == {TOP: 1.0}


def test_opensta_gets_plain_names_and_one_name_a_net():
    netlist = read_blif(BLIF)
    text = sta_verilog(netlist, "npu", [f"g{number}" for number in range(len(netlist.gates))])
    assert text.startswith("module npu (clk, i1, i2, o0, o1);\n  input clk;\n  input i1;\n")
    out = next(line for line in text.splitlines() if line.startswith("  NAND g6")).partition(".Y(")[2].partition(")")[0]
    assert f"  assign o0 = {out};\n  assign o1 = {out};\n" in text and "[" not in text and "$" not in text
    assert netlist.plain_ports()["i2"] == "in[1]" and netlist.plain_ports()["o1"] == "same"


STA = """\
Warning: cells/0.lib, line 3 default_max_transition is 0.0.
worst any:any 49.828088 b2_412/CLK b1_77/ENA
worst b0:b0 656.231567 b0_3/CLK b0_4/D
worst any:b0 -12.500000 b2_9/CLK b0_4/D
"""


def test_paths_of_opensta_are_periods_by_group():
    found = read_sta(STA, ASAP7, 900)
    assert found[ANY, ANY] == Path(pytest.approx(850.171912), "b2_412/CLK", "b1_77/ENA")
    assert found["b0", "b0"].period_ps == pytest.approx(243.768433)
    assert found[ANY, "b0"] == Path(912.5, "b2_9/CLK", "b0_4/D")
    assert read_sta("worst any:any 1.250000 a/CLK b/D\n", SG13G2, 10_000)[ANY, ANY].period_ps == 8750  # nanoseconds


def test_the_delay_of_abc_gets_a_flip_flop():
    line = 'ABC: WireLoad = "none"  Gates =   1657 ( 17.2 %)   Cap =  1.5 ff (  3.1 %)   '
    line += "Area =      155.63 ( 92.9 %)   Delay =   778.31 ps  (  4.5 %)"
    assert read_abc(f"{line.replace('778.31', '990.00')}\n{line}\n", ASAP7).period_ps == pytest.approx(778.31 + ASAP7.flop_ps)
    assert read_abc("nothing", ASAP7) is None


def dumped(name, rows, bits, clocked, read, write):
    """A memory as Yosys dumps it."""
    facts = {
        "MEMID": f'"\\\\{name}"',
        "WIDTH": bits,
        "SIZE": rows,
        "RD_PORTS": 1,
        "RD_EN": "\\en",
        "RD_CLK_ENABLE": f"1'{clocked}",
        "WR_PORTS": 1,
    }
    lines = [f"    parameter \\{key} {value}" for key, value in facts.items()]
    lines += [f"    connect \\RD_ADDR {read}", f"    connect \\WR_ADDR {write}"]
    return "\n".join([f"  cell $mem_v2 \\{name}", *lines, "  end", ""])


def test_memories_of_a_dump_are_those_that_are_cut():
    text = (
        "module \\npu_bank\n"
        + dumped("lane", 512, 64, 1, "\\row", "\\row")
        + dumped("late", 512, 64, 0, "\\row", "\\row")
        + dumped("lane_2", 512, 8, 1, "\\row", "\\row")
        + "end\n"
    )
    text += "module \\npu_table\n" + dumped("few", 16, 256, 1, "\\a", "\\a") + dumped("two", 64, 32, 1, "\\a [5:0]", "\\b") + "end\n"
    assert read_dump(text) == [Memory("npu_bank", "lane", 512, 72, True), Memory("npu_table", "two", 64, 32, False)]


def test_a_memory_takes_the_macros_of_least_area():
    macros = [Macro("wide", 1024, 64, 100.0), Macro("deep", 4096, 16, 130.0), Macro("small", 256, 64, 40.0)]
    assert choose_macro(Memory("m", "n", 1536, 64, True), macros) == (macros[0], 2)
    assert choose_macro(Memory("m", "n", 512, 64, True), macros) == (macros[2], 2)
    assert choose_macro(Memory("m", "n", 512, 64, False), macros) is None and choose_macro(Memory("m", "n", 512, 64, True), []) is None
