"""Progress on standard error for what takes longer than a few seconds; plain lines where that is no terminal."""

import sys
import time
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

QUIET_SECONDS = 2.0
"""Without a terminal, a stage is announced at once but its end only if it took longer."""


class Steps:
    """Shows stages one after another, and how far a counted stage is.

    Parameters
    ----------
    quiet : bool
        Show nothing at all.
    """

    def __init__(self, quiet=False):
        self._quiet = quiet
        self._console = Console(stderr=True)

    @contextmanager
    def stage(self, text, total=None):
        """A stage; gives a function ``advance(count=1)``.

        Parameters
        ----------
        text : str
            What is going on.
        total : int, optional
            How many items there are.
        """
        if self._quiet:
            yield lambda count=1: None
        elif self._console.is_terminal:
            columns = [SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()]
            if total:
                columns[2:2] = [BarColumn(), MofNCompleteColumn()]
            with Progress(*columns, console=self._console, transient=True) as progress:
                task = progress.add_task(text, total=total)
                yield lambda count=1: progress.advance(task, count)
        else:
            yield from _plain(text)


def _plain(text):
    start = time.monotonic()
    print(f"weft: {text} ...", file=sys.stderr, flush=True)
    yield lambda count=1: None
    took = time.monotonic() - start
    if took > QUIET_SECONDS:
        print(f"weft: {text}: {took:.0f} s", file=sys.stderr, flush=True)
