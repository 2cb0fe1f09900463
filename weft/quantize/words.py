"""The report of ``weft quantize`` on a terminal."""

import math
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from weft.quantize.report import LayerRow, QuantizeReport


@dataclass(frozen=True)
class Column:
    """A column: its heading and the cell of a layer."""

    heading: str
    cell: Callable[[LayerRow], str]
    text: bool = False


COLUMNS = (
    Column("layer", lambda row: row.name, text=True),
    Column("weights", lambda row: "int4" if row.int4 else "int8", text=True),
    Column("bytes", lambda row: str(row.bytes_before)),
    Column("new", lambda row: str(row.bytes_after)),
    Column("cycles", lambda row: str(row.cycles_before)),
    Column("new", lambda row: str(row.cycles_after)),
    Column("SQNR dB", lambda row: decibels(row.signal_db)),
    Column("loss %", lambda row: "" if row.loss_alone is None else f"{row.loss_alone:+.1f}"),
    Column("", lambda row: row.note, text=True),
)
"""``loss %``: percentage points that the layer alone in 4 bits costs on the training half; below 0 it gained."""


def print_report(report: QuantizeReport, console: Console):
    """Print the table of the layers, the totals and the notes."""
    table = Table(title=f"{report.network} on {report.config}: weights from int8 to int4", title_justify="left", title_style="",
                  header_style="", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))  # fmt: skip
    columns = [column for column in COLUMNS if any(column.cell(row) for row in report.layers)]
    for column in columns:
        table.add_column(column.heading, justify="left" if column.text else "right", no_wrap=column.heading != "")
    for row in report.layers:
        table.add_row(*(column.cell(row) for column in columns))
    console.print(table, markup=False, highlight=False)
    for line in summary(report):
        for piece in textwrap.wrap(line, console.width, subsequent_indent=" " * 13):
            console.print(piece, highlight=False, markup=False, soft_wrap=True)


def summary(report: QuantizeReport) -> list[str]:
    """The lines below the table."""
    chosen = sum(row.int4 for row in report.layers)
    lines = [
        f"layers       {chosen} of {len(report.layers)} in int4",
        f"weights      {_change(report.weight_bytes)} bytes",
        f"file         {_change(report.file_bytes)} bytes",
        f"cycles       {_change(report.cycles)}",
        f"DDR          {_change(report.ddr_bytes)} bytes an inference",
    ]
    for name, quality in (("training", report.train), ("judging", report.judging)):
        if quality is not None:
            change = quality.after - quality.before
            noise = (
                f"noise {quality.signal_db:.1f} dB below the signal" if math.isfinite(quality.signal_db) else decibels(quality.signal_db)
            )
            lines.append(
                f"{name:<12} {report.measure} {quality.before:.1f} -> {quality.after:.1f} % ({change:+.1f}) on {quality.samples} samples; "
                f"at the output {noise}"
            )
    return lines + [f"note         {note}" for note in report.notes]


def _change(pair) -> str:
    before, after = pair
    return f"{before} -> {after} ({100 * after / before:.1f} %)"


def decibels(value: float | None) -> str:
    """A distance in dB; words where there is no noise, nothing where it was not measured."""
    if value is None:
        return ""
    return f"{value:.1f}" if math.isfinite(value) else "no noise" if value > 0 else "no signal"
