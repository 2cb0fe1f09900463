"""Checks that a file or folder can be written, before the work that it is to hold."""

import os
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
