"""A survey as one HTML file that needs nothing else: an interactive plot and a table that sorts by the heading that is clicked."""

from html import escape

import plotly.graph_objects as go

from weft.explore.columns import all_columns, shown_marks
from weft.explore.survey import Survey
from weft.explore.words import summary

AXES = {
    "latency, ms": lambda survey, point: survey.latency_ms(point.cycles),
    "energy, uJ": lambda survey, point: point.energy_uj,
    "area, relative": lambda survey, point: survey.relative_area(point),
}
"""What the plot's axes can be."""
VIEWS = (("area, relative", "latency, ms"), ("area, relative", "energy, uJ"), ("energy, uJ", "latency, ms"))
"""Horizontal and vertical axis of each view that a button shows; the third figure is in the text at the point."""
STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th { cursor: pointer; position: sticky; top: 0; background: #fff; border-bottom: 1px solid #888 }
th, td { padding: 2px 10px; text-align: right; white-space: nowrap }
th.up::after { content: " ▲" }
th.down::after { content: " ▼" }
tr.front td { background: #fff3d6 }
"""
SORT = """
for (const head of document.querySelectorAll("th")) head.onclick = () => {
  const body = head.closest("table").tBodies[0], up = !head.classList.contains("up"), key = row => row.cells[head.cellIndex].dataset.value;
  const compare = (a, b) => (a === "") - (b === "") || (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b) * (up ? 1 : -1);
  for (const other of head.parentNode.cells) other.className = "";
  head.className = up ? "up" : "down";
  body.append(...[...body.rows].sort((a, b) => compare(key(a), key(b))));
};
"""
"""Sorts by what a cell's ``data-value`` holds, numbers as numbers, empty cells last."""


def page(survey: Survey, version: str) -> str:
    """The text of the file, with Weft's version; plotly's script, 4.8 MB, is in it."""
    title = escape(f"weft explore: {', '.join(survey.networks)} at {survey.clock_mhz:g} MHz")
    plot = figure(survey).to_html(full_html=False, include_plotlyjs=True, div_id="plot")
    failed = [point for point in survey.points if survey.reason(point)]
    reasons = "".join(f"<li>{escape(point.candidate.label)}: {escape(survey.reason(point))}</li>\n" for point in failed)
    heading = "Configurations that do not work" + (", or leave more to the host" if survey.has_partial else "")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n'
        f"<body>\n<h1>{title}</h1>\n{plot}\n{_table(survey)}\n"
        + (f"<h2>{heading}</h2>\n<ul>\n{reasons}</ul>\n" if failed else "")
        + "".join(f"<p>{escape(line)}</p>\n" for line in summary(survey))
        + f"<p>weft {escape(version)}</p>\n<script>{SORT}</script>\n</body>\n</html>\n"
    )


def figure(survey: Survey) -> go.Figure:
    """The plot: the front's members as labelled diamonds over the others, a button for each of `VIEWS`."""
    sets = [[point for point in survey.working if not point.front], survey.front]
    first_x, first_y = VIEWS[0]
    texts = [[_hover(survey, point) for point in points] for points in sets]
    traces = [
        go.Scatter(
            name=name,
            mode=mode,
            x=_values(survey, points, first_x),
            y=_values(survey, points, first_y),
            text=[point.candidate.label for point in points],
            hovertext=hover,
            hoverinfo="text",
            textposition="top center",
            marker=marker,
        )
        for name, mode, points, hover, marker in zip(
            ("swept", "front"),
            ("markers", "markers+text"),
            sets,
            texts,
            ({"color": "#8899aa", "size": 8}, {"color": "#d97706", "size": 11, "symbol": "diamond"}),
        )
    ]
    buttons = [
        {
            "label": f"{vertical.split(',')[0]} / {horizontal.split(',')[0]}",
            "method": "update",
            "args": [
                {axis: [_values(survey, points, what) for points in sets] for axis, what in (("x", horizontal), ("y", vertical))},
                {"xaxis.title.text": horizontal, "yaxis.title.text": vertical},
            ],
        }
        for horizontal, vertical in VIEWS
    ]
    layout = go.Layout(
        xaxis={"title": first_x, "type": "log"},
        yaxis={"title": first_y, "type": "log"},
        height=600,
        template="plotly_white",
        updatemenus=[{"type": "buttons", "direction": "right", "x": 0, "y": 1.12, "xanchor": "left", "buttons": buttons}],
    )
    return go.Figure(traces, layout)


def _values(survey, points, what):
    return [AXES[what](survey, point) for point in points]


def _hover(survey, point):
    return "<br>".join([escape(point.candidate.label), *(f"{escape(c.key)}: {escape(c.text(point))}" for c in all_columns(survey))])


def _table(survey):
    columns, letters = all_columns(survey), shown_marks(survey)
    heads = "".join(f"<th>{escape(head)}</th>" for head in ("front", "config", *(column.key.replace("_", " ") for column in columns)))
    rows = []
    for point in survey.working:
        label = point.candidate.label
        cells = [(letters[label], letters[label]), (label, label)]
        cells += [(column.value(point), column.text(point)) for column in columns]
        body = "".join(f'<td data-value="{escape(str(value))}">{escape(text)}</td>' for value, text in cells)
        rows.append(f'<tr class="front">{body}</tr>' if point.front else f"<tr>{body}</tr>")
    return f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody>\n</table>"
