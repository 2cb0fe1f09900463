"""The command ``weft traffic``: its options, the tables that it prints, and its JSON file."""

import dataclasses
import json
import textwrap
from pathlib import Path
from typing import Annotated

import typer

from hw.npu.config import load_config
from hw.npu.files import write_whole
from hw.version import VERSION
from weft.cli.options import Config, Model, NoHost, Overrides, Quiet, Signature
from weft.report.host_report import in_words
from weft.run.outputs import check_writable, show_then_write
from weft.run.progress import Steps

CASES = {
    "no_reuse": "no reuse: each MAC from DDR",
    "once": "no on-chip memory between layers",
    "ideal": "ideal on-chip memory",
    "program": "this configuration",
}
"""The four cases in words."""
HEADINGS = {
    "weights": "weights",
    "activations_in": "act. in",
    "activations_out": "act. out",
    "partial_sums": "sums",
    "commands": "commands",
}
SOURCES = {
    "no_reuse, once, ideal": "counted on the network, operator by operator, nothing fused",
    "program": "counted on the commands of the compiled program",
    "cycles": "computed by the timing model (weft.analysis.timing)",
}
"""Where figures come from."""


def traffic(
    model: Model,
    signature: Signature = None,
    fps: Annotated[float, typer.Option("--fps", metavar="N", min=0.001, max=1e9, help="Frames a second, for the bandwidth.")] = 30.0,
    config: Config = "small",
    overrides: Overrides = None,
    ddr: Annotated[
        str | None,
        typer.Option("--ddr", metavar="NAME|FILE", help="Preset of sim/dram, as lpddr4-3200-x16, or a TOML file: share of its peak."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write every figure as JSON.")] = None,
    no_host: NoHost = False,
    quiet: Quiet = False,
):
    """Bytes between chip and DDR for one inference, and the bandwidth at a frame rate, by part: weights, activations in, activations out.

    Without on-chip memory, with an ideal one, and with this configuration's. kB, MB and GB are powers of ten.

    What the host runs is not counted.
    """
    from sim.dram import load_dram
    from weft.analysis.traffic import summed
    from weft.analysis.traffic import traffic as count
    from weft.run.host_rows import host_ops, shares_of
    from weft.run.network import compile_file

    chosen = load_config(config, overrides or ())
    dram = load_dram(ddr) if ddr else None
    check_writable(output, "the JSON file")
    whole = compile_file(model, chosen, steps=Steps(quiet), signature=signature, host=not no_host)
    found = summed([count(step.compiled) for step in whole.npu_steps])
    cycles, hosts = sum(searched.cycles for searched in whole.searched), host_ops(whole)
    share = shares_of(whole).macs
    host = {"programs": len(whole.npu_steps), "host_ops": hosts, "npu_mac_share": share}
    written = json.dumps(to_json(found, fps, cycles, dram) | host, indent=2) + "\n"
    show_then_write(
        lambda: _print(found, fps, cycles, dram, in_words(hosts, share)),
        (output, lambda path: write_whole(path, written, "the JSON file")),
    )


def to_json(found, fps: float, cycles: int, dram=None) -> dict:
    """Plain values; bytes an inference, and GB/s at the frame rate for each part of each case, and what a DDR has at its peak."""
    from weft.analysis.traffic import PARTS, intensity

    gbs = {
        case: {part: getattr(parts, part) * fps / 1e9 for part in PARTS} | {"total": parts.total * fps / 1e9}
        for case, parts in found.cases.items()
    }
    intensities = {case: intensity(found.macs, parts) for case, parts in found.cases.items()}
    peak = dram and {"name": dram.name, "peak_gbs": dram.peak_bytes_per_second / 1e9}
    more = {"ddr": peak, "macs": found.macs, "fps": fps, "bandwidth_gbs": gbs, "macs_per_byte": intensities, "cycles": cycles}
    return dataclasses.asdict(found) | more | {"sources": SOURCES, "weft": VERSION}


def _print(found, fps, cycles, dram, host):
    from weft.report.tables import default_console

    console = default_console()
    lines = _layers(found, console.width)
    lines += _cases(found, f"{found.network} on {found.config}: MB an inference", 1e6, 1)
    lines += _cases(found, f"{found.network} on {found.config}: GB/s at {fps:g} frames a second", 1e9, fps, dram)
    for line in lines + _summary(found, fps, cycles, host, console.width):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _layers(found, width) -> list[str]:
    """A row an operator: what it moves if each operand comes once, and what the program moves for it, side by side where that fits."""
    from weft.analysis.traffic import intensity

    three = ("weights", "activations_in", "activations_out")
    headings = [HEADINGS[part] for part in three]
    once, program = [["", "shape", "MACs", *headings, "MACs/B"]], [["", *headings]]
    for name, shape, figures in [*((layer.name, "x".join(map(str, layer.shape)), layer) for layer in found.layers), ("total", "", found)]:
        macs, dense = figures.macs, intensity(figures.macs, figures.once)
        cells = [
            f"{macs / 1e6:.2f}M" if macs else "",
            *(_kb(getattr(figures.once, part)) for part in three),
            f"{dense:.1f}" if dense else "",
        ]
        once.append([name, shape, *cells])
        program.append([name, *(_kb(getattr(figures.program, part)) for part in three)])
    titles = "each operand once", f"by the program of {found.config}"
    lines = _table(f"{found.network}: kB by operator, {'; '.join(titles)}", [left + right[1:] for left, right in zip(once, program)])
    if max(map(len, lines)) <= width:
        return lines
    return [line for title, rows in zip(titles, (once, program)) for line in _table(f"{found.network}: kB by operator, {title}", rows)]


def _cases(found, title, unit, times, dram=None) -> list[str]:
    """A row a case, a column a part; of a bandwidth also the share of a DDR's peak."""
    from weft.analysis.traffic import PARTS, intensity

    share = (f"% of {dram.name}",) if dram else ()
    rows = [("", *(HEADINGS[part] for part in PARTS), "total", "MACs/B", *share)]
    for case, parts in found.cases.items():
        cells = [_figure(getattr(parts, part) * times / unit) for part in (*PARTS, "total")]
        shares = (f"{100 * parts.total * times / dram.peak_bytes_per_second:.1f}",) if dram else ()
        rows.append((CASES[case], *cells, _figure(intensity(found.macs, parts)), *shares))
    return _table(title, rows)


def _table(title, rows) -> list[str]:
    """A title, the first row as headings, the others; columns as wide as they must be, so that no figure is cut."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    return [title, lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:], ""]


def _summary(found, fps, cycles, host, width):
    """The lines below the tables."""
    tensors = found.tensors
    largest = f"; the largest has {tensors.largest_bytes}, made by {tensors.largest_of}" if tensors.largest else ""
    of_once, of_ideal = (found.program.total / other.total for other in (found.once, found.ideal))
    lines = [
        f"between      {tensors.intermediate_bytes} bytes of {tensors.intermediates} intermediate tensors, each counted once{largest}",
        f"alive        at most {tensors.peak_bytes} bytes of tensors at a time, at {tensors.peak_at}, in the order of the file",
        f"spilled      {found.spilled_out} bytes of intermediates to DDR by the program, {found.spilled_in} from there",
        f"in all       {of_once:.2f} of the bytes without on-chip memory, {of_ideal:.2f} of those with an ideal one",
        f"clock        {cycles * fps / 1e6:.4g} MHz at least for {fps:g} frames a second, {cycles} cycles each",
        f"on the host  {host}",
        *(f"source       {figure}: {source}" for figure, source in SOURCES.items()),
    ]
    return [piece for line in lines for piece in textwrap.wrap(line, width, subsequent_indent=" " * 13)]


def _kb(value):
    return f"{value / 1e3:.1f}" if value else ""


def _figure(value):
    """Three digits behind the point, fewer where there are many before it; nothing for 0, and never 0 for a little."""
    if not value:
        return ""
    return "<0.001" if value < 0.0005 else f"{value:.3f}" if value < 100 else f"{value:.1f}"
