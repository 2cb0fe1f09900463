"""A mistake of the user on standard error: one line, and below it a table where a file has several kinds of faults."""

import os
import sys

from rich.box import ASCII_DOUBLE_HEAD, SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hw.npu.errors import Finding, WeftError

UNLIMITED = 100_000
"""Columns where nobody looks at a terminal: a fault stays on its line, for grep."""
FOUR_COLUMNS = 100
"""Columns of text from which on a table has four columns of its own."""
LONGEST_OPERATOR = 28
"""UNIDIRECTIONAL_SEQUENCE_LSTM; names of custom operators may be longer and are folded."""


def refusal_console() -> Console:
    """Standard error, as wide as the terminal, or as COLUMNS says, or without a limit."""
    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = UNLIMITED
    return console


def print_refusal(error: WeftError | str, console: Console | None = None):
    """Print it; every name and value in full, folded where a column is too narrow."""
    findings = error.findings if isinstance(error, WeftError) else ()
    if isinstance(error, WeftError) and findings:
        where = f"{error.file}: " if error.file else ""
        print(f"weft: error: {where}is refused for {len(findings)} reasons", file=sys.stderr)
        _print_findings(findings, console or refusal_console())
    else:
        print("weft: error: " + " ".join(str(error).split()), file=sys.stderr)


def _print_findings(findings: tuple[Finding, ...], console: Console):
    with console.capture() as capture:
        console.print(_table(findings, console))
        for remedy in dict.fromkeys(finding.remedy for finding in findings if finding.remedy):
            subjects = dict.fromkeys(finding.subject for finding in findings if finding.remedy == remedy)
            console.print(f"{', '.join(subjects)}: {remedy}")
    for line in capture.get().splitlines():  # rich fills a table's lines with blanks
        print(line.rstrip(), file=sys.stderr)


def _table(findings: tuple[Finding, ...], console: Console) -> Table:
    """The findings, in three columns where four would be too narrow to read."""
    box = None if not console.is_terminal else ASCII_DOUBLE_HEAD if console.options.ascii_only else SIMPLE_HEAD
    table = Table(box=box, header_style="", pad_edge=False, padding=(0, 2, 0, 0))
    wide = console.width >= FOUR_COLUMNS
    longest = max(len(finding.subject) for finding in findings)
    table.add_column("what", overflow="fold", min_width=min(longest, LONGEST_OPERATOR))
    table.add_column("count", justify="right", no_wrap=True)
    for heading in ("first layer", "fault") if wide else ("fault",):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        fault, layer = finding.sentence.removeprefix(f"{finding.subject}: "), finding.layer or ""
        table.add_row(
            finding.subject, str(finding.count), *((layer, fault) if wide else (f"{fault}; first in {layer}" if layer else fault,))
        )
    return table
