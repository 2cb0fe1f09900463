"""Files that are written whole or not at all.

It lives on the ground floor beside `WeftError`, so that every room that writes a file for the user can use it.
"""

import os
import secrets
from pathlib import Path

from hw.npu.errors import WeftError


def write_whole(path, content: str | bytes, what: str):
    """Write a file beside its place and move it there: what stood there before stays until the new content is complete.

    Folders above it are made. What is no regular file, as ``/dev/stdout``, is written to directly, and a link stays a link.

    Parameters
    ----------
    path : str or Path
    content : str or bytes
        Text is written as UTF-8, its ends of lines as they are.
    what : str
        What the file holds, for the message.

    Raises
    ------
    WeftError
        If it cannot be written: it names the path and the reason.
    """
    data = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    place = Path(path)
    try:
        if place.exists() and not place.is_file():
            place.write_bytes(data)
        else:
            _replace(Path(os.path.realpath(place)), data)
    except OSError as error:
        raise WeftError(f"{what} cannot be written: {error.strerror or error}", file=path) from None


def _replace(target: Path, data: bytes):
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".weft-{secrets.token_hex(8)}")
    try:
        with new.open("xb") as file:
            file.write(data)
        if target.exists():
            new.chmod(target.stat().st_mode & 0o7777)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
