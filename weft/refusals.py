"""A mistake of the user on standard error: one line, and below it a table where a file has several kinds of faults."""

import os

from rich.box import ASCII_DOUBLE_HEAD, SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hw.npu.errors import Finding, WeftError

UNLIMITED = 100_000
"""Columns where nobody looks at a terminal: a fault stays on its line, for grep."""


def refusal_console() -> Console:
    """Standard error, as wide as the terminal, or as COLUMNS says, or without a limit."""
    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = UNLIMITED
    return console


def print_refusal(error: WeftError | str, console: Console | None = None):
    """Print it; every name and value in full, folded where a column is too narrow."""
    console = console or refusal_console()
    findings = error.findings if isinstance(error, WeftError) else ()
    if not findings:
        _line(console, f"weft: error: {error}")
        return
    where = f"{error.file}: " if isinstance(error, WeftError) and error.file else ""
    _line(console, f"weft: error: {where}is refused for {len(findings)} reasons")
    with console.capture() as capture:
        console.print(_table(findings, console))
    for line in capture.get().splitlines():  # a table fills its lines with blanks
        _line(console, line.rstrip(), keep=True)
    for remedy in dict.fromkeys(finding.remedy for finding in findings if finding.remedy):
        subjects = dict.fromkeys(finding.subject for finding in findings if finding.remedy == remedy)
        _line(console, f"{', '.join(subjects)}: {remedy}")


def _line(console, text, keep=False):
    console.print(text if keep else " ".join(text.split()), soft_wrap=True)


def _table(findings: tuple[Finding, ...], console: Console) -> Table:
    box = None if not console.is_terminal else ASCII_DOUBLE_HEAD if console.options.ascii_only else SIMPLE_HEAD
    table = Table(box=box, header_style="", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("what", overflow="fold")
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("first layer", overflow="fold")
    table.add_column("fault", overflow="fold", ratio=1)
    for finding in findings:
        table.add_row(finding.subject, str(finding.count), finding.layer or "", finding.sentence.removeprefix(f"{finding.subject}: "))
    return table
