"""Plants faults on purpose, one at a time, in a copy of the tree, and sees that `make test` notices each: ``make faults``.

A test that has never failed may not be able to. The table of faults is `tests.faults.table`; ``tests/unit/test_faults.py``
checks in every run that the table still fits the sources.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.faults.table import FAULTS, Fault

ROOT = Path(__file__).parents[2]
LONGEST = 900
"""Seconds that the tests of one fault may take."""


def copy_of_the_tree(folder: Path) -> Path:
    """The files that git tracks, copied; ``../shared`` is where the tests look for it."""
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    shared = folder / "shared"
    if (ROOT.parent / "shared").is_dir() and not shared.exists():
        shared.symlink_to(ROOT.parent / "shared")
    return tree


def planted(source: str, fault: Fault) -> str:
    """A file's text with the fault in it.

    Raises
    ------
    ValueError
        If the text that it replaces does not stand in the file exactly once.
    """
    count = source.count(fault.right)
    if count != 1:
        raise ValueError(f"{fault.name}: {fault.file} has {count} times the text that is to be replaced")
    return source.replace(fault.right, fault.wrong)


def run_tests(tree: Path, tests, seconds=LONGEST) -> subprocess.CompletedProcess:
    """The tests in the copy, those that `make test` runs; the simulators of the project's own cache serve both."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-m", "not slow", "-p", "no:cacheprovider", *tests]
    env = {"WEFT_CACHE": str(ROOT / "build"), **os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=seconds)


def verdict(tree: Path, fault: Fault) -> tuple[bool, str]:
    """Whether a test notices the fault, and which, or what the tests said instead."""
    file = tree / fault.file
    right = file.read_text()
    file.write_text(planted(right, fault))
    try:
        done = run_tests(tree, fault.tests)
    finally:
        file.write_text(right)
    failed = [line.removeprefix("FAILED ").split(" - ")[0] for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    return done.returncode == 1 and bool(failed), failed[0] if failed else done.stdout.strip()[-300:]


def main(names) -> int:
    """Plant the named faults, or all; the exit code says whether each was noticed."""
    chosen = [fault for fault in FAULTS if not names or fault.name in names]
    tree = copy_of_the_tree(ROOT / "build" / "faults")
    sound = run_tests(tree, sorted({test for fault in chosen for test in fault.tests}), LONGEST * len(chosen))
    if sound.returncode:
        print(f"without a fault the tests do not pass:\n{sound.stdout[-2000:]}")
        return 1
    missed = 0
    for fault in chosen:
        noticed, what = verdict(tree, fault)
        missed += not noticed
        print(f"{'noticed' if noticed else 'MISSED '}  {fault.name}: {what}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} planted faults were noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
