"""The report on a terminal: groups of columns, as many side by side as its width holds, and the totals below."""

import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console

from weft.report.contention import slowdown_of
from weft.report.contention_tables import contention_lines, contention_summary
from weft.report.host_report import HostStepReport, counted
from weft.report.report import CAUSES, LayerReport, Report

PLAIN_WIDTH = 110
"""Columns where the output is not a terminal and nobody said otherwise."""
LONGEST_NAME = 20
"""A longer layer or operator is cut."""
GAP = "  "
SHORT = {"accumulators": "accum.", "activations": "act.", "weights": "wgt."}
"""Headings of parts whose names are too long for a column of figures."""


@dataclass(frozen=True)
class Column:
    """A column: its heading, the cell of a layer or of the whole report, whether it is text, and the cell of a step of the host."""

    heading: str
    cell: Callable[[LayerReport | Report], str]
    text: bool = False
    host: Callable[[HostStepReport], str] = lambda step: ""


def print_report(report: Report, console: Console | None = None):
    """Print the whole report."""
    console = console or default_console()
    for line in report_lines(report, console.width, ascii_only=console.options.ascii_only):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def report_lines(report: Report, width: int, *, ascii_only: bool = False) -> list[str]:
    """The whole report as lines of text: the tables of the layers, on a SoC the masters and their bandwidth, and the summary."""
    shared = contention_lines(report.soc, width, ascii_only=ascii_only) if report.soc else []
    return table_lines(report, width) + shared + summary(report, width)


def default_console() -> Console:
    """Standard output; as wide as the terminal, or `PLAIN_WIDTH` where it is none."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PLAIN_WIDTH
    return console


def column_groups(report: Report) -> list[tuple[str, list[Column]]]:
    """Columns that belong together, each group with the words for its title."""
    causes = [cause for cause in CAUSES if report.stalls.get(cause)]
    precisions = [Column("weights", lambda f: getattr(f, "precision", ""), text=True)] if report.configuration["int4"] else []
    work = [
        Column(
            "operator", lambda f: _cut(getattr(f, "op", "")), text=True, host=lambda step: _cut("+".join(dict.fromkeys(step.operators)))
        ),
        Column("shape", lambda f: "x".join(map(str, getattr(f, "shape", ()))), text=True),
        Column("MACs", lambda f: _count(f.macs), host=lambda step: _count(step.macs)),
        *precisions,
        Column("cycles", lambda f: str(f.cycles), host=lambda step: "host"),
        Column("util %", lambda f: f"{100 * f.utilization:.1f}"),
    ]
    stalls = [Column("active", lambda f: str(f.active))]
    stalls += [Column(cause, lambda f, cause=cause: str(f.stalls[cause] or "")) for cause in causes]  # type: ignore[misc]
    moved = [
        Column(f"{name} {short}", lambda f, name=name, way=way: _kib(getattr(f, f"{name.lower()}_bytes")[way]))  # type: ignore[misc]
        for name in ("DDR", "SRAM")
        for way, short in (("read", "rd"), ("write", "wr"))
    ]
    if report.host_steps:
        moved.append(Column("host in", lambda f: _kib(_host_bytes(f, "bytes_in")), host=lambda step: _kib(step.bytes_in)))
        moved.append(Column("host out", lambda f: _kib(_host_bytes(f, "bytes_out")), host=lambda step: _kib(step.bytes_out)))
    energy = [
        Column(SHORT.get(part, part), lambda f, part=part: _energy(f.energy_parts_uj[part]))  # type: ignore[misc]
        for part in report.energy_parts_uj
    ]
    energy += [Column("total", lambda f: _energy(f.energy_uj)), Column("mW", lambda f: f"{f.power_mw:.0f}")]
    traffic = [
        Column("alone", lambda f: str(f.soc.cycles_alone if isinstance(f, Report) else f.cycles_alone)),
        Column("traffic", lambda f: str(f.cycles)),
        Column("slower %", lambda f: "" if (ratio := slowdown_of(f)) is None else f"{100 * (ratio - 1):.1f}"),
    ]
    return [
        ("work", work),
        *([("cycles alone and under traffic", traffic)] if report.soc else []),
        ("KiB moved", moved),
        ("cycles active and stalled, by cause", stalls),
        ("energy in uJ by part, average power", energy),
    ]


def table_lines(report: Report, width: int) -> list[str]:
    """The tables: a group begins a new one where the width does not hold it; one that is wider than the width is divided."""
    names = ["", *(_cut(row.name) for row in _rows(report)), "total"]
    first = [name.ljust(max(map(len, names))) for name in names]
    lines: list[str] = []
    titles: list[str] = []
    body = first
    for title, columns in _divided(column_groups(report), report, width - len(first[0])):
        block = _beside([_cells(column, report) for column in columns])
        if titles and len(body[0]) + len(GAP) + len(block[0]) > width:
            lines += _table(report, titles, body)
            titles, body = [], first
        titles, body = [*titles, title], _beside([body, block])
    return lines + _table(report, titles, body)


def _divided(groups, report, width):
    """The groups, each that is wider than the width as several of one title."""
    for title, columns in groups:
        part: list[Column] = []
        for column in columns:
            if part and len(_beside([_cells(each, report) for each in (*part, column)])[0]) + len(GAP) > width:
                yield title, part
                part = []
            part.append(column)
        yield title, part


def _table(report, titles, body):
    rule = "-" * len(body[0])
    rows = [body[0], rule, *body[1:-1], rule, body[-1], ""]
    return [f"{report.network} on {report.config}: {'; '.join(titles)}", *(row.rstrip() for row in rows)]


def _cells(column, report):
    rows = [column.host(row) if isinstance(row, HostStepReport) else column.cell(row) for row in _rows(report)]
    cells = [column.heading.replace("_", " "), *rows, column.cell(report)]
    width = max(map(len, cells))
    return [cell.ljust(width) if column.text else cell.rjust(width) for cell in cells]


def _rows(report) -> list[LayerReport | HostStepReport]:
    """Layers and steps of the host, in the order in which they ran."""
    rows: list[LayerReport | HostStepReport] = []
    for position in range(len(report.layers) + 1):
        rows += [step for step in report.host_steps if step.position == position]
        rows += report.layers[position : position + 1]
    return rows


def _host_bytes(figures, way):
    """Of the whole report the sum over the host's steps; a layer has none."""
    return sum(getattr(step, way) for step in getattr(figures, "host_steps", ()))


def _beside(blocks):
    return [GAP.join(parts) for parts in zip(*blocks)]


def summary(report: Report, width: int) -> list[str]:
    """The lines below the tables, wrapped to the width."""
    host = f"{counted(report.host_ops)} (not in the cycles)" if report.host_ops else "nothing"
    rate = f", {report.macs / report.cycles:.1f} MACs a cycle" if report.configuration["int4"] else ""
    lines = [
        *_verdict(report),
        f"cycles       {report.cycles} of the NPU, utilization {100 * report.utilization:.1f} %, {report.macs} MACs{rate}",
        *_steps(report),
        f"latency      {report.latency_ms:.4g} ms at {report.clock_mhz:g} MHz",
        f"energy       {report.energy_uj:.4g} uJ, {report.power_mw:.4g} mW on average",
        f"on the host  {host}",
        *_host_lines(report),
        *(contention_summary(report.soc) if report.soc else ()),
        *(f"note         {note}" for note in report.notes),
        *(f"source       {figure}: {source}" for figure, source in report.sources.items()),
    ]
    return [piece for line in lines for piece in textwrap.wrap(line, width, subsequent_indent=" " * 13)]


def _host_lines(report) -> list[str]:
    """Why the host has what it has, and how much the NPU has."""
    if not report.host_steps:
        return []
    reasons: dict[str, str] = {}
    for reason in (reason for step in report.host_steps for reason in step.reasons):
        reasons.setdefault(reason.split("; here ")[0], reason)  # one value of each kind is enough
    macs = report.macs + sum(step.macs for step in report.host_steps)
    shares = [(report.npu_mac_share, "MACs")] * (macs > 0)
    shares += [(report.npu_operator_share, "operators"), (report.npu_byte_share, "bytes")]
    return [
        *(f"why          {reason}" for reason in reasons.values()),
        f"on the NPU   {', '.join(f'{100 * share:.1f} % of the {what}' for share, what in shares)}; what the host computes is the "
        "reference's own, not compared",
    ]


def _steps(report: Report) -> list[str]:
    """Cycles of all steps, where there were several."""
    if report.steps == 1:
        return []
    low, high = min(report.step_cycles), max(report.step_cycles)
    each = f"{low} cycles each" if low == high else f"{low} to {high} cycles, the tables are of one of the slowest"
    return [f"steps        {report.steps}, {each}"]


def _verdict(report) -> list[str]:
    """Whether the run is exact, and who says so: the golden operators of the run, the reference interpreter of the golden operators."""
    if report.bit_exact is None:
        return ["bit-exact    not compared"]
    reference = report.reference
    if reference is None:
        asked = "the TFLite reference interpreter was not asked"
    else:
        asked = f"{_tensors(reference.tensors)} of the golden operators compared with the TFLite interpreter {reference.version}"
        if reference.stopped_at is not None:
            asked += f", up to {reference.stopped_at}, where it ended: {reference.reason}"
    each = f" in each of {report.steps} steps" if report.steps > 1 else ""
    verdict = f"yes, {_tensors(report.compared_tensors)} equal to the golden operators{each}" if report.bit_exact else "NO"
    return [f"bit-exact    {verdict}", f"reference    {asked}"]


def _tensors(count):
    return f"{count} tensor{'s' if count != 1 else ''}"


def _cut(name):
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "~"


def _count(value):
    return f"{value / 1e6:.2f}M" if value >= 1e6 else f"{value / 1e3:.1f}k" if value >= 1e3 else str(value)


def _kib(value):
    return f"{value / 1024:.1f}" if value else ""


def _energy(value):
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"
