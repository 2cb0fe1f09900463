"""A plot of plotext as lines of text."""

import plotext

FRAME = str.maketrans("┌┐└┘─│├┤┬┴┼", "++++-|+++++")
"""The frame for a terminal that knows ASCII only."""


def framed(*, ascii_only: bool = False) -> list[str]:
    """The lines of the figure that was drawn, without colours; its frame in ASCII where that is asked for."""
    lines = plotext.uncolorize(plotext.build()).splitlines()
    return [line.translate(FRAME).rstrip() if ascii_only else line.rstrip() for line in lines]
