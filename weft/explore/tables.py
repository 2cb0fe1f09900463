"""A survey on a terminal and in a CSV file: tables of the points that work, and the others with the reason."""

import csv
import io

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hw.npu.config import written
from weft.explore.columns import Column, all_columns, area_columns, marks, network_columns, shown_marks, speed_columns
from weft.explore.grid import SWEPT
from weft.explore.survey import Survey
from weft.explore.sweep import Point

UNLIMITED = 100_000
"""Columns that no table has."""


def print_tables(survey: Survey, console: Console):
    """Print the tables, and why configurations do not work or leave more to the host than others."""
    groups = [(f"{', '.join(survey.networks)} at {survey.clock_mhz:g} MHz", speed_columns(survey))]
    groups += list(zip(survey.networks, network_columns(survey)))
    groups.append(("area: multipliers of 8x8, Kibit of SRAM, their weighted sum", area_columns(survey)))
    for title, columns in groups:
        for part in _parts(survey, title, columns, console):
            console.print(part)
    reasons = [f"{point.candidate.label}: {reason}" for point in survey.points if (reason := survey.reason(point))]
    for line in reasons:
        console.print(line, highlight=False, markup=False)
    if reasons:
        console.print()


def _parts(survey, title, columns, console):
    """The table, or several where it is wider than the console: none of its figures is cut."""
    part: list[Column] = []
    for column in columns:
        wide = _table(survey, title, [*part, column])
        if part and console.measure(wide, options=console.options.update(max_width=UNLIMITED)).maximum > console.width:
            yield _table(survey, title, part)
            part = []
        part.append(column)
    yield _table(survey, title, part)


def plain_table(title: str) -> Table:
    """A table as the explorer prints them: no frame, a line below the headings."""
    return Table(title=title, title_justify="left", title_style="", header_style="", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))


def _table(survey, title, columns):
    letters = shown_marks(survey)
    table = plain_table(title)
    table.add_column("", no_wrap=True)
    table.add_column("config", no_wrap=True)
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True)
    for point in survey.working:
        label = point.candidate.label
        table.add_row(letters[label], label, *(column.text(point) for column in columns), style="bold" if point.front else None)
    return table


def csv_rows(survey: Survey) -> list[dict]:
    """A row a configuration, those that do not work too; numbers are not rounded."""
    columns, letters = all_columns(survey), marks(survey)
    return [_csv_row(survey, point, columns, letters) for point in survey.points]


def _csv_row(survey, point: Point, columns: list[Column], letters):
    listed = dict(point.candidate.changes)
    fields = {field: written(listed.get(field, getattr(survey.base, field))) for field in SWEPT}
    cells = {column.key: column.value(point) if point.works else "" for column in columns}
    ends = {"front": letters.get(point.candidate.label, ""), "searched": int(point.searched)}
    if survey.has_host_steps:
        ends["partial"] = int(survey.partial(point)) if point.works else ""
    ends["reason"] = survey.reason(point)
    return {"config": point.candidate.label, **fields, "clock_mhz": survey.clock_mhz, **cells, **ends}


def csv_text(survey: Survey) -> str:
    """The text of the CSV file."""
    rows, file = csv_rows(survey), io.StringIO(newline="")
    writer = csv.DictWriter(file, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
