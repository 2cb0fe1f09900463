"""A run on the SoC as one HTML file that needs nothing else: bandwidth over time, latencies, layers."""

from html import escape

import plotly.graph_objects as go

from weft.report.report import Report
from weft.report.tables import report_lines

WIDTH = 120
"""Columns of the tables below the plots."""


def page(report: Report, version: str) -> str:
    """The text of the file; plotly's script, 4.8 MB, is in it. The report must be one of a run on the SoC."""
    title = escape(f"weft run: {report.network} on {report.config}, {report.soc.ddr}")
    plots = [figure(report) for figure in (bandwidth, latencies, layers)]
    texts = [plot.to_html(full_html=False, include_plotlyjs=number == 0) for number, plot in enumerate(plots)]
    table = escape("\n".join(report_lines(report, WIDTH)))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n'
        + "\n".join(texts)
        + f"\n<pre>{table}</pre>\n<p>weft {escape(version)}</p>\n</body>\n</html>\n"
    )


def bandwidth(report: Report) -> go.Figure:
    """Gigabytes a second of each master over time, one above the other, under what the DDR's bus could carry."""
    figure = go.Figure()
    for name, values in report.soc.bandwidth.gbs.items():
        figure.add_scatter(x=report.soc.bandwidth.us, y=values, name=name, stackgroup="masters", line={"shape": "hv", "width": 1})
    figure.add_hline(y=report.soc.ddr_peak_gbs, line_dash="dot", annotation_text=f"peak of {report.soc.ddr}")
    return figure.update_layout(title="bandwidth over time", xaxis_title="us since traffic set in", yaxis_title="GB/s")


def latencies(report: Report) -> go.Figure:
    """How many of each master's bursts took how long."""
    figure = go.Figure()
    for master in report.soc.masters:
        figure.add_bar(
            x=[str(high) for high, _ in master.latency_histogram], y=[count for _, count in master.latency_histogram], name=master.name
        )
    axes = {"xaxis_title": "cycles of the DDR port, less than", "yaxis_title": "bursts", "yaxis_type": "log"}
    edges = sorted({high for master in report.soc.masters for high, _ in master.latency_histogram})
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=[str(edge) for edge in edges])
    return figure.update_layout(title="latency of bursts, from the request to the last beat or the answer", barmode="group", **axes)


def layers(report: Report) -> go.Figure:
    """Cycles of each layer alone and under traffic."""
    names = [layer.name for layer in report.layers]
    figure = go.Figure()
    figure.add_bar(x=names, y=[layer.cycles_alone for layer in report.layers], name="alone")
    figure.add_bar(x=names, y=[layer.cycles for layer in report.layers], name="under traffic, slowest inference")
    return figure.update_layout(title="cycles of the layers", yaxis_title="cycles", barmode="group")
