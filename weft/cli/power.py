"""What ``weft synth npu --power MODEL`` does and prints."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from hw.npu.config import KIB, NpuConfig
from hw.npu.files import write_whole
from weft.analysis.power.figures import BlockPower, Power
from weft.cli.silicon import plain_columns
from weft.run.outputs import check_writable, show_then_write
from weft.run.progress import Steps

LEFT_OUT = "wires, glitches, loads of input ports, leakage of memories, DDR and its interface"


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a power: at which clock (MHz; None for the netlist's own), at how many inferences a second, and in which file."""

    clock_mhz: float | None
    fps: float | None
    report: Path | None


def power_silicon(
    network: Path,
    libraries: Sequence[str],
    config: NpuConfig,
    wanted: Wanted,
    *,
    pdk: Path | None,
    period_ps: float,
    quiet: bool,
) -> None:
    """Synthesize an NPU, run a network on its Verilog, and print the power of its gates."""
    from hw.emit.verilog import npu_verilog
    from weft.analysis.power.cells import check_energies
    from weft.analysis.power.measure import MappedNpu, measure_power
    from weft.analysis.synthesis.blocks import TOP
    from weft.analysis.synthesis.measure import synthesize_netlist
    from weft.analysis.synthesis.technology import find_library
    from weft.analysis.synthesis.tools import find_yosys
    from weft.run.activity import record_activity
    from weft.run.network import compile_file

    library = find_library(libraries, pdk)  # mistakes show before the slow part
    check_energies(library.cells)
    find_yosys()
    check_writable(wanted.report, "the report")
    steps = Steps(quiet)
    whole = compile_file(network, config, steps=steps)
    verilog = npu_verilog(config, stage=steps.stage)
    found, netlist = synthesize_netlist(verilog, config.name, TOP, library, period_ps, stage=steps.stage)
    with steps.stage("reading gates and energies"):
        npu = MappedNpu.of(found, netlist, verilog, library)
    activity = record_activity(whole, config, npu.bits, steps)
    own = (1e6 / found.worst.period_ps, f"the netlist's own, {found.worst.period_ps:.0f} ps by {found.timed_by}")
    measured = measure_power(npu, activity, (wanted.clock_mhz, "stated") if wanted.clock_mhz else own, stage=steps.stage)
    content = measured.to_json() | ({"fps": wanted.fps, "average_mw": measured.average(wanted.fps)} if wanted.fps else {})
    written = json.dumps(content, indent=1) + "\n"
    show_then_write(lambda: _print(measured, wanted.fps), (wanted.report, lambda path: write_whole(path, written, "the report")))


def _print(found: Power, fps: float | None):
    from weft.report.tables import default_console

    console = default_console()
    title = f"power of {found.config} on {found.library}, running {found.network}, at {found.clock_mhz:.0f} MHz"
    console.print(title, highlight=False, soft_wrap=True)
    _print_blocks(found, console)
    _print_memories(found, console)
    _print_layers(found, console)
    for name, words in _lines(found, fps):
        console.print(f"{name:<12} {words}", highlight=False, soft_wrap=True)
    console.print()


def _print_blocks(found: Power, console: Console):
    figures = ("internal pJ/cycle", "switching", "clock pins", "all", "leakage mW", "mW", "%")
    table = plain_columns(("block", "left"), *((each, "right") for each in figures))
    rooms: dict[str, list[BlockPower]] = {}
    for block in found.blocks:
        rooms.setdefault(block.room, []).append(block)
    for room, blocks in sorted(rooms.items(), key=lambda each: -_energy(each[1])):
        if len(blocks) > 1:
            table.add_row(room, *_cells(found, blocks))
        for block in sorted(blocks, key=lambda each: -_energy([each])):
            table.add_row(f"  {block.component}" if len(blocks) > 1 else f"{room}: {block.component}", *_cells(found, [block]))
    table.add_row("gates", *_cells(found, found.blocks))
    table.add_row("clock tree, estimated", "", "", "", *_rest(found, found.tree))
    memories = sum(each.energy for each in found.memories)
    table.add_row("memories, by a table", "", "", "", *_rest(found, memories))
    table.add_row("all", "", "", "", *_rest(found, found.energy, found.leakage))
    console.print(table)


def _energy(blocks):
    return sum(block.dynamic + block.clock for block in blocks)


def _cells(found, blocks):
    """Figures of a row."""
    parts = [sum(getattr(block, part) for block in blocks) for part in ("internal", "switching", "clock")]
    return (*(f"{part:.3f}" for part in parts), *_rest(found, sum(parts), sum(block.leakage for block in blocks)))


def _rest(found, energy, leakage=0.0):
    """Energy, leakage, power, and its part of the whole."""
    milliwatts = energy * found.clock_mhz * 1e-3 + leakage
    return f"{energy:.3f}", f"{leakage:.4f}", f"{milliwatts:.3f}", f"{100 * milliwatts / found.milliwatts:.1f}"


def _print_memories(found: Power, console: Console):
    if not found.memories:
        return
    headings = ("number", "rows", "bits", "KiB", "reads/cycle", "writes/cycle", "pJ/cycle")
    table = plain_columns(("memories", "left"), *((each, "right") for each in headings))
    for each in found.memories:
        size = f"{each.count * each.rows * each.bits / 8 / KIB:.1f}"
        accesses = (f"{each.reads:.3f}", f"{each.writes:.3f}", f"{each.energy:.3f}")
        table.add_row(each.where, str(each.count), str(each.rows), str(each.bits), size, *accesses)
    console.print(table)


def _print_layers(found: Power, console: Console):
    table = plain_columns(("layer", "left"), ("windows", "right"), ("pJ/cycle", "right"), ("mW", "right"))
    for each in found.layers:
        milliwatts = each.energy * found.clock_mhz * 1e-3 + found.leakage
        table.add_row(each.name or "(transfers alone)", str(each.windows), f"{each.energy:.3f}", f"{milliwatts:.3f}")
    console.print(table)


def _lines(found: Power, fps: float | None):
    """What stands below the tables: name and words of each line."""
    yield "clock", f"{found.clock_mhz:.0f} MHz, {found.clock_source}"
    yield "power", f"{found.milliwatts:.3f} mW while it runs, {found.leakage:.4f} of it leakage; {found.energy:.3f} pJ a cycle"
    microseconds = found.cycles / found.clock_mhz
    yield "inference", f"{found.cycles} cycles, {microseconds:.1f} us, {found.inference_uj:.4g} uJ"
    if fps:
        rest = "the clock stands between inferences, and leakage goes on"
        reached = "" if microseconds * fps <= 1e6 else ": more than this clock does"
        yield "average", f"{found.average(fps):.4g} mW at {fps:g} inferences a second{reached}; {rest}"
    yield "clock tree", found.tree_source
    yield "memories", f"energy of an access: {found.memory_source}; not scaled to the library's process"
    seen = f"{found.windows} windows of {found.window_cycles} cycles, {found.note}"
    clocked = f"flip-flops have a clock in {100 * found.gates_clocked:.1f} % of the cycles"
    followed = f"{100 * (1 - found.disagreement):.2f} % of their bits are what the gates make of the cycle before"
    yield "activity", f"{seen}; {clocked}; {followed}"
    yield "source", f"Liberty tables of each cell, at loads of pins and slews without wires; left out: {LEFT_OUT}"
