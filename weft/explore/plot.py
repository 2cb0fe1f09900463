"""A scatter plot on a terminal: latency against area, the front's letters of the table."""

import plotext

from weft.explore.columns import PARTIAL, marks
from weft.explore.survey import Survey
from weft.report.frame import framed

HEIGHT = 24
"""Lines of the plot."""
WIDTHS = (60, 100)
"""Columns of the plot, at least and at most."""
OTHER = "."
"""A configuration that is not on the front."""
STEPS = (1, 2, 5)
"""Ticks of a logarithmic axis in each decade."""


def plot_lines(survey: Survey, width: int, *, ascii_only: bool = False) -> list[str]:
    """The plot, both axes logarithmic.

    Parameters
    ----------
    survey : Survey
    width : int
        Columns of the terminal.
    ascii_only : bool
        The frame in ASCII too.
    """
    letters = marks(survey)
    plotext.clear_figure()
    plotext.theme("clear")
    # the front is drawn last, over the others
    for point in sorted(survey.working, key=lambda point: point.front):
        marker = letters.get(point.candidate.label, PARTIAL if survey.partial(point) else OTHER)
        plotext.scatter([survey.relative_area(point)], [survey.latency_ms(point.cycles)], marker=marker)
    for scale, ticks, values in (
        (plotext.xscale, plotext.xticks, [survey.relative_area(point) for point in survey.working]),
        (plotext.yscale, plotext.yticks, [survey.latency_ms(point.cycles) for point in survey.working]),
    ):
        scale("log")
        chosen = ticks_between(min(values), max(values))
        ticks(chosen, [f"{tick:g}" for tick in chosen])
    low, high = WIDTHS
    plotext.plot_size(max(low, min(width, high)), HEIGHT)
    title = f"latency in ms against area; letters: the front, {OTHER}: the others"
    plotext.title(f"ms against area; letters: the front, {PARTIAL}: more on the host, {OTHER}: others" if survey.has_partial else title)
    return framed(ascii_only=ascii_only)


def ticks_between(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis: 1, 2 and 5 of each decade, and the ends where those would be fewer than two."""
    decades = range(-9, 10)
    ticks = [step * 10.0**decade for decade in decades for step in STEPS if low <= step * 10.0**decade <= high]
    return ticks if len(ticks) > 1 else sorted({float(f"{low:.3g}"), float(f"{high:.3g}")})
