"""What the plan of a network chose, and what the runner-up would have cost: ``weft run --explain``."""

from rich.table import Table

from golden.program import Program
from hw.npu.config import KIB
from weft.analysis.search import Searched
from weft.compiler.plan import Plan, Segment
from weft.report.tables import default_console

LONGEST_LIST = 3
"""Layers of a cascade that are named; of a longer one the first and the last."""


def explain_lines(plan: Plan, program: Program) -> list[tuple[str, ...]]:
    """A row for each segment: layers, what was chosen, cycles, KiB of DDR traffic, the runner-up and what it would have cost more."""
    rows: list[tuple[str, ...]] = []
    for segment, other in zip(plan.segments, plan.runners_up):
        runner = ("", "") if other is None else (_difference(segment, other.segment, program), f"+{other.cycles}")
        figures = str(segment.cycles), f"{segment.traffic / KIB:.1f}"
        rows.append((_layers(segment, program), _choice(segment), *figures, *runner))
    return rows


def _layers(segment: Segment, program: Program) -> str:
    names = [layer.name for layer in program.layers[segment.first : segment.end]]
    return ", ".join(names) if len(names) <= LONGEST_LIST else f"{names[0]} .. {names[-1]}"


def _choice(segment: Segment) -> str:
    """A segment in words."""
    words = []
    if segment.end - segment.first > 1:
        words.append(f"cascade of {segment.end - segment.first}")
    if segment.window_rows:
        words.append(f"windows in parts of {segment.window_rows} row{'s' if segment.window_rows > 1 else ''}")
    elif segment.whole:
        words.append("whole")
    else:
        bands = [band for band in segment.bands if band.step == segment.end - 1]
        words.append(f"{len(bands)} bands of {bands[0].rows} row{'s' if bands[0].rows > 1 else ''}")
        if not segment.kept:
            words.append("weights again for each")
    if segment.loaded:
        words.append(f"{len(segment.loaded)} from DDR")
    if segment.stored:
        words.append(f"{len(segment.stored)} to DDR")
    if segment.overwritten:
        words.append("in place")
    return ", ".join(words)


def _difference(segment: Segment, other: Segment, program: Program) -> str:
    choice = _choice(other)
    return choice if (segment.first, segment.end) == (other.first, other.end) else f"{_layers(other, program)}: {choice}"


def print_explanation(searched: Searched):
    """Print the table of segments, and the tunings that were tried."""
    console, plan, program = default_console(), searched.compiled.plan, searched.compiled.program
    table = Table(title=f"{program.network} on {program.config.name}: the plan, by estimated cycles", title_justify="left", box=None)
    for heading, right in (("layers", 0), ("chosen", 0), ("cycles", 1), ("DDR KiB", 1), ("runner-up", 0), ("would cost", 1)):
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in explain_lines(plan, program):
        table.add_row(*row)
    console.print(table, highlight=False, markup=False)
    spilled = ", ".join(sorted(plan.spilled - {place.tensor for place in program.outputs})) or "none"
    console.print(f"tensors kept in DDR between layers: {spilled}\n", highlight=False, markup=False, soft_wrap=True)
    trials = Table(title="tunings tried on the timing model", title_justify="left", box=None)
    trials.add_column("cycles", justify="right")
    trials.add_column("tuning")
    for trial in sorted(searched.trials, key=lambda trial: trial.cycles):
        trials.add_row(str(trial.cycles), str(trial.tuning) + (" *" if trial.tuning == searched.compiled.tuning else ""))
    console.print(trials, highlight=False, markup=False)
