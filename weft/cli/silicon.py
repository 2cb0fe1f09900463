"""What ``weft synth`` does and prints on a library of cells."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from hw.npu.config import KIB, NpuConfig
from hw.npu.files import write_whole
from weft.analysis.synthesis.figures import BlockFigures, Synthesis
from weft.run.outputs import check_writable, show_then_write
from weft.run.progress import Steps

DEFAULT_PERIOD_PS = 900.0
PATHS_WORDS = {
    "OpenSTA": "by OpenSTA: without wires, ideal clock, no derate",
    "abc": "by abc, which names no paths: install OpenSTA (sta) for them",
}


def synth_silicon(
    names: Sequence[str],
    libraries: Sequence[str],
    config: NpuConfig,
    *,
    pdk: Path | None,
    period_ps: float,
    report: Path | None,
    record: bool,
    quiet: bool,
) -> None:
    """Synthesize an NPU or blocks of it, print what each takes and which clock it reaches, and put it on record where that is asked for."""
    from hw.emit.verilog import npu_verilog
    from weft.analysis.synthesis.blocks import read_blocks
    from weft.analysis.synthesis.liberty import read_library
    from weft.analysis.synthesis.measure import synthesize
    from weft.analysis.synthesis.recorded import put_on_record
    from weft.analysis.synthesis.technology import find_library
    from weft.analysis.synthesis.tools import find_yosys

    library = find_library(libraries, pdk)  # mistakes show before the slow part
    for path in library.cells:
        read_library(path)
    find_yosys()
    check_writable(report, "the report")
    steps = Steps(quiet)
    verilog = npu_verilog(config, stage=steps.stage)
    blocks = read_blocks(verilog)
    tops = dict.fromkeys(top for name in names for top in blocks.tops(name))
    found = [synthesize(verilog, config.name, top, library, period_ps, stage=steps.stage) for top in tops]
    written = json.dumps([each.to_json() for each in found], indent=1) + "\n"
    show_then_write(lambda: [_print(each, config) for each in found], (report, lambda path: write_whole(path, written, "the report")))
    if record:
        for each in found:
            put_on_record(each)
        print("on record; make docs writes docs/silicon.md")


def _print(found: Synthesis, config: NpuConfig):
    from weft.report.tables import default_console

    console = default_console()
    console.print(f"{found.top} of {found.config} on {found.library}, mapped for {found.period_ps:g} ps", highlight=False, soft_wrap=True)
    _print_areas(found, console)
    _print_memories(found, console)
    _print_paths(found, console)
    if found.top == "npu_systolic_array":
        element = found.area / config.macs_per_cycle
        int4 = f", {element / 2:.3g} in INT4" if config.int4 else ""
        console.print(f"um2 for a MAC a cycle: {element:.3g} in INT8{int4}", highlight=False)
    console.print()


def plain_columns(*headings, title=""):
    """A plain table with its columns: heading, and how it is justified."""
    from weft.explore.tables import plain_table

    table = plain_table(title)
    for heading, how in headings:
        table.add_column(heading, justify=how, no_wrap=how == "right", overflow="fold")
    return table


def _print_areas(found: Synthesis, console: Console):
    figures = ("um2", "kGE", "%", "registers %", "flip-flops", "memory Kibit", "inside ps", "into ps")
    table = plain_columns(("block", "left"), *((each, "right") for each in figures))
    rooms: dict[str, list[BlockFigures]] = {}
    for block in found.blocks:
        rooms.setdefault(block.room, []).append(block)
    for room, blocks in sorted(rooms.items(), key=lambda each: -sum(block.area for block in each[1])):
        if len(blocks) > 1:
            table.add_row(room, *_cells(found, blocks))
        for block in blocks:
            table.add_row(f"  {block.component}" if len(blocks) > 1 else f"{room}: {block.component}", *_cells(found, [block]))
    table.add_row("all", *_cells(found, found.blocks))
    console.print(table)
    share = found.gated / found.flip_flops if found.flip_flops else 0
    console.print(
        f"flip-flops   {found.flip_flops:,}, {100 * share:.0f} % of them behind {found.clock_gates:,} clock gates".replace(",", " ", 1),
        highlight=False,
    )


def _cells(found, blocks):
    """Figures of a row: sums of areas, the slowest of the paths."""
    area, registers = sum(block.area for block in blocks), sum(block.registers for block in blocks)
    periods = [[path.period_ps for block in blocks if (path := getattr(block, way))] for way in ("inside", "into")]
    return (
        f"{area:.0f}",
        f"{area / found.gate_equivalent / 1000:.1f}" if found.gate_equivalent else "-",
        f"{100 * area / found.area:.1f}" if found.area else "-",
        f"{100 * registers / area:.0f}" if area else "-",
        str(sum(block.flip_flops for block in blocks)),
        f"{sum(block.memory_bits for block in blocks) / 1024:.0f}",
        *(f"{max(each):.0f}" if each else "-" for each in periods),
    )


def _print_memories(found: Synthesis, console: Console):
    if not found.memories:
        return
    table = plain_columns(
        ("memories", "left"), *((each, "right") for each in ("number", "rows", "bits", "KiB")), ("macros", "left"), ("um2", "right")
    )
    for each in found.memories:
        macros = f"{each.macros} {each.macro}" if each.macro else "none"
        size = f"{each.count * each.rows * each.bits / 8 / KIB:.1f}"
        table.add_row(each.where, str(each.count), str(each.rows), str(each.bits), size, macros, f"{each.area:.0f}" if each.macro else "-")
    console.print(table)
    console.print(
        f"memories     not in the areas above, cut at their ports; access and set-up {found.memory_source}", highlight=False, soft_wrap=True
    )


def _print_paths(found: Synthesis, console: Console):
    """The clock, and the ends of the slowest path into each block."""
    paths = {block.component: block.into for block in found.blocks if block.into and block.into.start}
    if paths:
        table = plain_columns(("slowest path into", "left"), ("ps", "right"), ("from", "left"), ("to", "left"))
        for name, path in sorted(paths.items(), key=lambda each: -each[1].period_ps):
            table.add_row(name, f"{path.period_ps:.0f}", path.start, path.end)
        console.print(table)
    if not found.worst:
        console.print("clock        nothing is clocked", highlight=False)
        return
    period = found.worst.period_ps
    ends = f", from {found.worst.start} to {found.worst.end}" if found.worst.start else ""
    reached = "reached" if period <= found.period_ps else "not reached"
    console.print(
        f"clock        {1e6 / period:.0f} MHz: {period:.0f} ps{ends}; {found.period_ps:g} ps {reached}", highlight=False, soft_wrap=True
    )
    console.print(f"timing       {PATHS_WORDS[found.timed_by]}; gates by {found.mapped_by}", highlight=False, soft_wrap=True)
