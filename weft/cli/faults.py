"""What the command line says of a fault of Weft's own: one line that a user can pass on, instead of a traceback."""

import os
import traceback
from collections.abc import Sequence
from pathlib import Path

SHOWN = "WEFT_TRACEBACK"
"""Environment variable: where it is set, the traceback comes in front of the line, for who mends the fault."""
ROOMS = frozenset({"weft", "sim", "golden", "hw"})


def fault_message(error: Exception, arguments: Sequence[str]) -> str:
    """The line: the file, what went wrong and where in the source, and what to do.

    Parameters
    ----------
    error : Exception
        Of any kind but those that a user can mend.
    arguments : sequence of str
        Of the command line: the model stands there.
    """
    models = [argument for argument in arguments if Path(argument).suffix == ".tflite"]
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    place, remedy = (f"{models[0]}: ", f"with the file {models[0]}") if models else ("", "with the command line")
    return f"{place}{what} ({_origin(error)}); this is a fault of Weft, please report it {remedy}"


def show_traceback(error: Exception):
    """The traceback on standard error, where the environment asks for it."""
    if os.environ.get(SHOWN):
        traceback.print_exception(error)


def _origin(error: Exception) -> str:
    """The innermost line of Weft's own source: ``weft/compiler/checks.py:37``."""
    frames = [(Path(frame.filename).parts, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [(parts, line) for parts, line in frames if not ROOMS.isdisjoint(parts) and "site-packages" not in parts]
    if not own:
        return "outside of its source"
    parts, line = own[-1]
    first = max(index for index, part in enumerate(parts) if part in ROOMS)
    return f"{'/'.join(parts[first:])}:{line}"
