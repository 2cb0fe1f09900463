"""Where what is slow to make is kept, who makes it, and how the user is told."""

import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

Stage = Callable[[str], contextlib.AbstractContextManager]
"""What shows the user a slow stage, while it lasts; the text says what is being done."""


def cache_folder() -> Path:
    """Where builds are kept: the environment's ``WEFT_CACHE``, else ``build`` beside the sources."""
    chosen = os.environ.get("WEFT_CACHE")
    return Path(chosen) if chosen else Path(__file__).resolve().parents[2] / "build"


def no_stage(text) -> contextlib.AbstractContextManager:
    """Shows nothing."""
    return contextlib.nullcontext()


@contextlib.contextmanager
def locked(folder):
    """One process at a time; the lock lives beside the folder and goes with its holder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
