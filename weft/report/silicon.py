"""The page ``docs/silicon.md``: area and clock of the presets at gates, from the syntheses on record."""

from collections.abc import Sequence

from weft.analysis.power.tree import FANOUT
from weft.analysis.power.waves import WINDOW, WINDOWS
from weft.analysis.synthesis.figures import BlockFigures, Synthesis
from weft.analysis.synthesis.memories import LEAST_BITS, LEAST_ROWS
from weft.analysis.synthesis.recorded import recorded
from weft.analysis.synthesis.technology import TECHNOLOGIES

INTRODUCTION = f"""\
# Area, clock and power at gates

Generated from `weft/analysis/synthesis/recorded.json` by `make docs`. Do not edit. The command above each table measures it
again, and `--record` puts it on record.

`weft synth npu --config CONFIG --library NAME` maps the Verilog that ships onto the gates of a library. Area, clock and
flip-flops are of one netlist. `weft synth feed` or `weft synth accumulators` does it for the components of a folder of
`hw/npu`, or for one of them.

- **Mapping**: Yosys and abc, flat. Cells grow where that makes the slowest paths faster, and shrink where a path is faster
  than `--period`. What misses the period is mapped once more, balanced for speed; the faster netlist counts. Flip-flops
  are the smallest of the library; those that hold their value stand behind clock gates, from four on.
- **Clock**: OpenSTA, typical corner, no wires, ideal clock, no derate; a chip is slower. Without OpenSTA abc's own figure is
  printed, without paths. `inside` is the slowest path from a block's registers to its registers, `into` the slowest one
  from anywhere to them; the slowest of all `into` is the NPU's.
- **Area**: of gates, in um2 and in thousands of the library's NAND gate of two inputs (kGE). A register belongs to the
  component that describes it; FIFOs, stream registers and walks belong to the component that uses them. Logic belongs to the
  registers that it leads to, in equal parts where it leads to several.
- **Memories** of at least {LEAST_ROWS} words and {LEAST_BITS} bits with a clocked read port are cut at their ports and are in no area.
  They are listed in bits, and as macros where the library has macros with their ports.

| library | process | access of a memory, and set-up |
|---|---|---|
"""
POWER = f"""
## Power

`weft synth npu --config CONFIG --library NAME --power MODEL.tflite` runs a network on the Verilog and shows what the
gates of the netlist spend in it: by block, in pJ a cycle and mW, for an inference, and with `--fps N` on average.
`--clock MHZ` says another clock than the netlist's own.

- **Activity**: the network runs on the RTL with a random input, is compared with the reference, and is seen in
  {WINDOWS} windows of {WINDOW} cycles, spread evenly over the job. Every flip-flop of the netlist has the bits of the
  RTL's register of its name, ports and memories' answers too, and all logic between them is computed gate by gate,
  cycle by cycle. So clock gates open, and gates toggle, exactly as they do in these cycles, and not with a
  probability. As a check each flip-flop must hold what the gates made of the cycle before; the line `activity` says
  for how many bits it does. What is left is behind the few flip-flops that only the netlist has, whose first bit of a
  window is a guess.
- **Energy**: that of the library's tables at the load of the driven pins and the slew that the gates make, with
  states (`when`) at the pins of clocks and as means elsewhere. `internal` is inside the cells, `switching` the loads.
  `clock pins` is what flip-flops, clock gates and the loads of their clock's pins spend; behind a closed gate that is
  nothing. Leakage is the mean of a cell's states.
- **Blocks** share the gates as in the table of areas.
- **Clock tree**: an ideal clock has none. It is estimated, in a row of its own: a buffer of the library for each
  {FANOUT} pins, and one for each {FANOUT} buffers, from the root and from every clock gate.
- **Memories** are cut at their ports. Their row has reads and writes by their enables, each with the energy of an
  access of the table that reports use (`weft/analysis/energy.py`, 45 nm), not scaled to the library's process.
- **Left out**: wires, glitches, the loads of input ports, leakage of memories, DDR and its interface. A placed chip
  takes more; compare blocks, networks and configurations with these figures, do not sign off a chip.

OpenSTA is not asked: that of Debian (2.0.17) sets no activity on pins, lets a clock through closed gates, and states
a flip-flop's leakage four times too high.
"""


TRIED = """
## What was tried for area

Output stage of `nano` with C lanes, on ASAP7 (`weft synth output --config nano --set lane_divisor=1 --library asap7`),
before and after each step:

| multipliers of a lane | all, kGE | flip-flops | clock, ps |
|---|---|---|---|
| two of 32x32 bits, two of 9x32 | 234.9 | 13 143 | 896 |
| one of 32x32 and two of 9x32: requantization and second operand take turns | 171.5 | 11 117 | 892 |
| one of 32x32 and one of 9x32: in ADD and SUB the operand of the larger scale is only shifted | 145.4 | 10 401 | 890 |

The turns cost ResNet-8 27 cycles of 50 902 on `small`, and an ADD alone takes two cycles a vector; networks without a
second operand take the cycles they took.

Half the lanes cost `nano` at most 3.8 % of its cycles by the timing model (person detection), and nothing where the
sums are deep: `lane_divisor = 2` is its preset since. `small` keeps its C lanes.
"""


def silicon_page() -> str:
    """The text of `docs/silicon.md`."""
    rows = [f"| `{each.name}` | {each.words} | {each.memory_source} |\n" for each in TECHNOLOGIES.values()]
    return INTRODUCTION + "".join(rows) + POWER + TRIED + "".join(map(_section, recorded()))


def _section(found: Synthesis):
    name = next((each.name for each in TECHNOLOGIES.values() if each.words == found.library), found.library)
    top = found.top.removeprefix("npu_")
    command = f"weft synth {top} --config {found.config} --library {name} --period {found.period_ps:g} --record"
    share = 100 * found.gated / max(1, found.flip_flops)
    period = found.worst.period_ps
    lines = [
        f"\n## {'NPU' if top == 'npu' else top} of `{found.config}` on {found.library}\n",
        f"`{command}`\n",
        f"**{int(1e6 / period)} MHz**: {period:.0f} ps, from `{found.worst.start}` to `{found.worst.end}`.",
        f"Timed by {found.timed_by}, mapped by {found.mapped_by}.",
        f"{found.flip_flops} flip-flops, {share:.0f} % of them behind {found.clock_gates} clock gates; {found.kilo_gates:.0f} kGE.\n",
        "| block | um2 | kGE | % | flip-flops | memory, Kibit | inside, ps | into, ps |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(found, [block], f"{block.room}: {block.component}") for block in found.blocks),
        _row(found, found.blocks, "all"),
    ]
    if found.memories:
        lines += ["", "| memories of | number | words | bits | macros | um2 |", "|---|---|---|---|---|---|"]
        for each in found.memories:
            macros, area = (f"{each.macros} {each.macro}", f"{each.area:.0f}") if each.macro else ("none", "")
            lines.append(f"| {each.where} | {each.count} | {each.rows} | {each.bits} | {macros} | {area} |")
    return "\n".join(lines) + "\n"


def _row(found: Synthesis, blocks: Sequence[BlockFigures], name):
    area = sum(block.area for block in blocks)
    periods = [[path.period_ps for block in blocks if (path := getattr(block, way))] for way in ("inside", "into")]
    cells = (
        name,
        f"{area:.0f}",
        f"{area / found.gate_equivalent / 1000:.1f}" if found.gate_equivalent else "",
        f"{100 * area / found.area:.1f}",
        str(sum(block.flip_flops for block in blocks)),
        f"{sum(block.memory_bits for block in blocks) / 1024:.0f}",
        *(f"{max(each):.0f}" if each else "" for each in periods),
    )
    return f"| {' | '.join(cells)} |"
