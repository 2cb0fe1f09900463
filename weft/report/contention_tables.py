"""A SoC's report on a terminal: the masters, the faults, and a plot of bandwidth over time."""

import plotext

from weft.report.frame import framed
from weft.report.soc import MasterReport, SocReport

HEIGHT = 16
"""Lines of the plot."""
WIDTHS = (60, 110)
"""Columns of the plot, at least and at most."""
SHOWN_FAULTS = 5
"""Pictures with faults that are listed."""
HEADINGS = ("", "class", "MB read", "MB written", "GB/s", "bursts took p50", "p99", "max cycles")


def contention_lines(soc: SocReport, width: int, *, ascii_only: bool = False) -> list[str]:
    """Masters and plot, for the place between the layers' tables and the summary.

    Parameters
    ----------
    soc : SocReport
    width : int
        Columns of the terminal.
    ascii_only : bool
        The plot's frame in ASCII too.
    """
    title = f"masters on the DDR port, {soc.bus_bits} bits at {soc.clock_mhz:g} MHz, {soc.ddr}"
    return [title, *_table([_row(master) for master in soc.masters]), "", *bandwidth_plot(soc, width, ascii_only=ascii_only), ""]


def contention_summary(soc: SocReport) -> list[str]:
    """Lines for the summary below the tables."""
    seen = ", ".join(f"{count} pictures of the {name}" for name, count in soc.pictures.items())
    shortened = f"; pictures of 1/{soc.scale} of the lines, at the real byte rates" if soc.scale > 1 and soc.pictures else ""
    lines = [f"{name:12} {words}" for name, words in soc.traffic.items()]
    lines.append(f"traffic      {seen or 'none of camera or display'}, {len(soc.inferences)} inferences, {soc.cycles} cycles{shortened}")
    if soc.pictures:
        lines.append(f"faults       camera overflows {soc.overflows}, display underruns {soc.underruns} beats")
    lines += _fault_lines(soc)
    lines.append(
        f"slowdown     {soc.cycles_alone} cycles alone, {max(soc.inferences)} under traffic (slowest of {len(soc.inferences)}): "
        f"{100 * (soc.slowdown - 1):+.1f} %"
    )
    held = ""
    if soc.fps_required is not None:
        held = f"; the stated {soc.fps_required:g} a second {'hold' if soc.fps_holds else 'do NOT hold'}"
    lines.append(f"rate         {_rate(soc.fps)} inferences a second under traffic, {_rate(soc.fps_alone)} alone{held}")
    lines.append(
        f"DDR          {soc.ddr_gbs:.2f} of {soc.ddr_peak_gbs:.2f} GB/s, data on its bus in {100 * soc.ddr_utilization:.1f} % of the time, "
        f"efficiency {100 * soc.ddr_efficiency:.1f} % while there was work"
    )
    return lines


def bandwidth_plot(soc: SocReport, width: int, *, ascii_only: bool = False) -> list[str]:
    """Bandwidth of each master over time, a letter each; nothing where the run was too short to show any."""
    if len(soc.bandwidth.us) < 2:
        return []
    plotext.clear_figure()
    plotext.theme("clear")
    letters = {name: name[0] for name in soc.bandwidth.gbs} | ({"cpu": "u"} if "cpu" in soc.bandwidth.gbs else {})
    for name in reversed(soc.bandwidth.gbs):  # camera and display over the others
        plotext.plot(list(soc.bandwidth.us), list(soc.bandwidth.gbs[name]), marker=letters[name])
    low, high = WIDTHS
    plotext.plot_size(max(low, min(width, high)), HEIGHT)
    plotext.ylim(0, None)
    plotext.title(f"GB/s over us: {', '.join(f'{letter} {name}' for name, letter in letters.items())}")
    return framed(ascii_only=ascii_only)


def _fault_lines(soc):
    lines = []
    for name, faults in soc.faults.items():
        for fault in faults[:SHOWN_FAULTS]:
            lines.append(f"fault        {name}, picture {fault['picture']}, from {fault['us']:.1f} us on: {fault['beats']} beats lost")
        if len(faults) > SHOWN_FAULTS:
            lines.append(f"fault        {name}: {len(faults) - SHOWN_FAULTS} more pictures; --report lists them")
    return lines


def _rate(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _row(master: MasterReport):
    latencies = (master.latency_p50, master.latency_p99, master.latency_max)
    moved = (f"{count / 1e6:.2f}" if count else "" for count in (master.read_bytes, master.written_bytes))
    return (master.name, str(master.klass), *moved, f"{master.bandwidth_gbs:.3f}", *("" if n is None else str(n) for n in latencies))


def _table(rows):
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]) for row in (HEADINGS, *rows)
    ]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]
