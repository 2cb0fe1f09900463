"""What an earlier compilation left in a folder: its files by name, and how they go when they are none of the new image's.

Only what a map or a manifest of this format speaks for is an image's. Whatever else lies in the folder stays.
"""

import json
import re
from contextlib import suppress
from pathlib import Path

from hw.npu.errors import WeftError
from weft.compiler.image import IMAGE_FILES

MANIFEST = "manifest.json"
"""The file that is there where the host has steps of its own."""
STEP = re.compile(r"(npu|host)(_[0-9]+)?")
"""Names of steps."""
MAP_KEYS = {"network", "config", "identity", "areas", "registers"}
MANIFEST_KEYS = {"network", "config", "inputs", "outputs", "steps"}
"""Keys by which a map and a manifest of this format are known."""


def files_of_image(folder: Path) -> set[Path]:
    """The files of the images that a folder holds: of one program, and of the steps of a manifest."""
    found = _image(folder)
    manifest = _read(folder / MANIFEST, MANIFEST_KEYS)
    if manifest is None:
        return found
    found.add(folder / MANIFEST)
    for name in _steps(manifest):
        found |= _image(folder / name)
        found |= _present([folder / f"{name}.tflite"])
    return found


def remove_stale(folder: Path, stale: set[Path]):
    """Remove files, and the folders of programs in which nothing is left.

    Raises
    ------
    WeftError
        If one cannot be removed.
    """
    for path in sorted(stale):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise WeftError(f"is of an earlier image and cannot be removed: {error.strerror}", file=path) from None
    for parent in {path.parent for path in stale} - {folder}:
        with suppress(OSError):  # somebody else's file is in it
            parent.rmdir()


def _image(folder: Path) -> set[Path]:
    """The files of a program, if its map is there."""
    return set() if _read(folder / "map.json", MAP_KEYS) is None else _present([folder / name for name in IMAGE_FILES])


def _present(paths) -> set[Path]:
    return {path for path in paths if path.is_file()}


def _read(path: Path, keys: set[str]) -> dict | None:
    """What a JSON file holds, if it has these keys."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and keys <= content.keys() else None


def _steps(manifest: dict) -> list[str]:
    """Names of its steps that this format can have given: none of them leaves the folder."""
    steps = manifest["steps"] if isinstance(manifest["steps"], list) else []
    names = [step.get("name") for step in steps if isinstance(step, dict)]
    return [name for name in names if isinstance(name, str) and STEP.fullmatch(name)]
