"""Files that a command writes: checked before the work that they are to hold, and written after it has been shown.

A place can become unwritable between the check and the end: a disk fills up, a folder goes. What was computed is shown all the same.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hw.npu.errors import WeftError


def check_writable(path: Path | None, what: str) -> None:
    """Make the folders above a file that is to be written; a mistake shows at once, not after minutes.

    Parameters
    ----------
    path : Path or None
        None is no file, and well.
    what : str
        What the file is to hold, for the message.

    Raises
    ------
    WeftError
        If the file cannot be written.
    """
    if path is None:
        return
    if path.is_dir():
        raise WeftError(f"is a folder; {what} is written to a file", file=path, remedy="give the name of a file in it")
    check_folder(path.parent, what)
    if path.exists() and not os.access(path, os.W_OK):
        raise WeftError(f"{what} cannot be written: no permission", file=path)


def check_folder(folder: Path, what: str) -> None:
    """Make a folder that files are to be written to.

    Raises
    ------
    WeftError
        If it cannot be made or nothing can be written to it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "a file stands where a folder must be" if isinstance(error, (FileExistsError, NotADirectoryError)) else error.strerror
        raise WeftError(f"{what} cannot be written here: {reason}", file=folder, remedy="choose another place") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WeftError(f"{what} cannot be written here: no permission", file=folder, remedy="choose another place")


def show_then_write(show: Callable[[], object], *files: tuple[Path | None, Callable[[Path], object]]):
    """Print a result, then write its files, each even where something before it failed.

    A reader of standard output may stop reading: the files are written, and then the process ends as it does without files.

    Parameters
    ----------
    show : callable
        Prints to standard output.
    files : (Path or None, callable)
        A place, None where nobody wants the file, and what writes it there.

    Raises
    ------
    WeftError
        If a file cannot be written; of several files one line names all.
    OSError
        If standard output cannot be written.
    """
    failure: BaseException | None = None
    with _broken_pipes_as_errors() as default:
        try:
            show()
            sys.stdout.flush()
        except (OSError, SystemExit) as error:  # rich makes the latter of a broken pipe
            failure = error
        errors = [error for path, write in files if path is not None and (error := _attempt(write, path)) is not None]
    if errors:
        raise errors[0] if len(errors) == 1 else WeftError("; ".join(map(str, errors)))
    if default and isinstance(failure, (BrokenPipeError, SystemExit)):
        signal.raise_signal(signal.SIGPIPE)
    if failure is not None:
        raise failure


def _attempt(write, path) -> WeftError | None:
    try:
        write(path)
    except WeftError as error:
        return error
    return None


@contextmanager
def _broken_pipes_as_errors() -> Iterator[bool]:
    """A reader that is gone raises `BrokenPipeError`; gives whether it would have ended the process."""
    default = signal.getsignal(signal.SIGPIPE) == signal.SIG_DFL and threading.current_thread() is threading.main_thread()
    if default:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        yield default
    finally:
        if default:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
