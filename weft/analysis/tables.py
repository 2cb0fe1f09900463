"""The report on a terminal: two tables of layers and the totals, from 80 columns up."""

import os

from rich import box
from rich.console import Console
from rich.table import Table

from weft.analysis.report import CAUSES, LayerReport, Report

PLAIN_WIDTH = 110
"""Columns where the output is not a terminal and nobody said otherwise."""
WIDE = 100
"""From so many columns on, the shape is shown."""


def print_report(report: Report, console: Console | None = None):
    """Print the whole report."""
    console = console or default_console()
    console.print(cycle_table(report, wide=console.width >= WIDE))
    console.print(energy_table(report))
    for line in summary(report):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def default_console() -> Console:
    """Standard output; as wide as the terminal, or `PLAIN_WIDTH` where it is none."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PLAIN_WIDTH
    return console


def cycle_table(report: Report, *, wide: bool = True) -> Table:
    """Where the cycles of each layer went: a column for each cause of stalls that occurred."""
    causes = [cause for cause in CAUSES if report.stalls.get(cause)]
    table = _table(f"{report.network} on {report.config}: cycles")
    if wide:
        table.add_column("shape", no_wrap=True)
    for name in ("MACs", "cycles", "util", "active"):
        table.add_column(name, justify="right", no_wrap=True)
    for cause in causes:
        table.add_column(cause.replace("_", "\n"), justify="right", no_wrap=True)
    for layer in report.layers:
        shape = ["x".join(map(str, layer.shape))] if wide else []
        table.add_row(
            layer.name,
            layer.op,
            *shape,
            _count(layer.macs),
            str(layer.cycles),
            _percent(layer.utilization),
            str(layer.active),
            *(str(layer.stalls[cause] or "") for cause in causes),
        )
    table.add_section()
    table.add_row(
        "total",
        "",
        *([""] if wide else []),
        _count(report.macs),
        str(report.cycles),
        _percent(report.utilization),
        str(sum(layer.active for layer in report.layers)),
        *(str(report.stalls[cause]) for cause in causes),
    )
    return table


def energy_table(report: Report) -> Table:
    """Bytes, energy by part and power of each layer."""
    table = _table(f"{report.network} on {report.config}: KiB moved, energy in uJ by part, average power")
    parts = list(report.energy_parts_uj)
    short = {"accumulators": "accum.", "activations": "act.", "weights": "wgt.", "output": "out"}
    for name in ("DDR\nread", "DDR\nwrite", "SRAM\nread", "SRAM\nwrite", *(short.get(part, part) for part in parts), "uJ", "mW"):
        table.add_column(name, justify="right", no_wrap=True)

    def row(name, op, figures: Report | LayerReport):
        moved = (figures.ddr_bytes["read"], figures.ddr_bytes["write"], figures.sram_bytes["read"], figures.sram_bytes["write"])
        table.add_row(
            name,
            op,
            *(_kib(value) for value in moved),
            *(_energy(figures.energy_parts_uj[part]) for part in parts),
            _energy(figures.energy_uj),
            f"{figures.power_mw:.0f}",
        )

    for layer in report.layers:
        row(layer.name, layer.op, layer)
    table.add_section()
    row("total", "", report)
    return table


def summary(report: Report) -> list[str]:
    """The lines below the tables."""
    if report.bit_exact is None:
        verdict = "not compared"
    elif report.bit_exact:
        verdict = f"yes, in {report.compared_tensors} tensors"
    else:
        verdict = "NO"
    return [
        f"bit-exact    {verdict}",
        f"cycles       {report.cycles} of the NPU, utilization {_percent(report.utilization)} %, {report.macs} MACs",
        f"latency      {report.latency_ms:.4g} ms at {report.clock_mhz:g} MHz",
        f"energy       {report.energy_uj:.4g} uJ, {report.power_mw:.4g} mW on average",
        f"on the host  {', '.join(report.host_ops) if report.host_ops else 'nothing'}{' (not in the cycles)' if report.host_ops else ''}",
        *(f"source       {figure}: {source}" for figure, source in report.sources.items()),
    ]


def _table(title):
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("layer", no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column("operator", no_wrap=True, overflow="ellipsis", max_width=20)
    return table


def _count(value):
    return f"{value / 1e6:.2f}M" if value >= 1e6 else f"{value / 1e3:.1f}k" if value >= 1e3 else str(value)


def _percent(share):
    return f"{100 * share:.1f}"


def _kib(value):
    return f"{value / 1024:.1f}" if value else ""


def _energy(value):
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
