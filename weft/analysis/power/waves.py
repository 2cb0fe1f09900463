"""Windows of a run: what each named bit of the RTL was in 64 consecutive cycles, a window a word, out of the bench's VCD file."""

import re
from array import array
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

WINDOW = 64
"""Cycles of a window: the bits of a word, the first cycle lowest."""
WINDOWS = 64
"""Of each program of a network."""
VARIABLE = re.compile(rb"\$var +\w+ +(\d+) +(\S+) +(\S+)(?: +\[(\d+)(?::(\d+))?\])? +\$end")


@dataclass(frozen=True)
class Windows:
    """Where the windows of a job lie: one in the middle of every period.

    Attributes
    ----------
    cycles : int
        Of the job.
    period : int
    """

    cycles: int
    period: int

    @classmethod
    def spread(cls, cycles: int, count: int) -> "Windows":
        """So many windows, or fewer where that many would overlap."""
        return cls(cycles, max(WINDOW, -(-cycles // count)))

    @property
    def starts(self) -> np.ndarray:
        """The first cycle of each whole window; int64[windows]."""
        return np.arange((self.period - WINDOW) // 2, self.cycles - WINDOW + 1, self.period)


@dataclass
class _Variable:
    """A variable of the file, and its changes."""

    names: list[str]
    width: int
    low: int
    times: array = field(default_factory=lambda: array("Q"))
    values: list[int] = field(default_factory=list)


def read_waves(path: Path, windows: Windows, wanted: Collection[str], top: str) -> dict[str, np.ndarray]:
    """The words of bits by name.

    Parameters
    ----------
    path : Path
        A VCD file whose times are cycles of the job; only those in windows count.
    windows : Windows
    wanted : collection of str
        Names of bits as a flat netlist has them: path below the top, name, and index where the variable has several bits.
    top : str
        The module whose inside the names are of.

    Returns
    -------
    dict of str to uint64[windows]
        Of the bits that the file has.
    """
    with path.open("rb") as file:
        variables = _header(file, {re.sub(r"\[\d+\]$", "", name) for name in wanted} | set(wanted), f"{top}.{top}.")
        now = 0
        for line in file:
            mark = line[0]
            if mark == 35:  # '#'
                now = int(line[1:])
            elif mark == 98:  # 'b'
                value, _, code = line[1:].partition(b" ")
                if found := variables.get(code.rstrip()):
                    found.times.append(now)
                    found.values.append(int(value, 2))
            elif mark in (48, 49) and (found := variables.get(line[1:].rstrip())):
                found.times.append(now)
                found.values.append(mark - 48)
    samples = (windows.starts[:, None] + np.arange(WINDOW)).ravel()
    words = {}
    for found in variables.values():
        words.update(_words(found, samples, wanted))
    return words


def _header(file, names, prefix):
    """Variables with one of the names, by the file's code; the file stands behind its header then."""
    scopes, found = [], {}
    for line in file:
        words = line.split()
        if words[:1] == [b"$scope"]:
            scopes.append(words[2].decode())
        elif words[:1] == [b"$upscope"]:
            scopes.pop()
        elif words[:1] == [b"$enddefinitions"]:
            break
        elif match := VARIABLE.search(line):
            width, code, name, _, low = match.groups()
            path = ".".join([*scopes, name.decode()])
            if path.startswith(prefix) and path.removeprefix(prefix) in names:
                variable = found.setdefault(code, _Variable([], int(width), int(low or 0)))
                variable.names.append(path.removeprefix(prefix))
    return found


def _words(variable, samples, wanted):
    """Each wanted bit of a variable, and its words."""
    if not variable.values:
        return
    bits = {}
    for name in variable.names:
        for index in range(variable.width):
            full = f"{name}[{index + variable.low}]"
            if full in wanted:
                bits.setdefault(index, []).append(full)
        if variable.width == 1 and name in wanted:
            bits.setdefault(0, []).append(name)
    if not bits:
        return
    at = np.maximum(np.searchsorted(np.array(variable.times), samples, side="right") - 1, 0)
    for first in range(0, variable.width, 64):
        part = np.array([value >> first & 0xFFFF_FFFF_FFFF_FFFF for value in variable.values], np.uint64)[at]
        for index in range(first, min(first + 64, variable.width)):
            if index in bits:
                ones = (part >> np.uint64(index - first) & np.uint64(1)).astype(np.uint8)
                word = np.packbits(ones, bitorder="little").view(np.uint64)
                yield from ((name, word) for name in bits[index])
