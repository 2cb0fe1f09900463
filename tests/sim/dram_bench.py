"""Builds `dram_main.cpp` and runs it: class Dram of the harness under scripted and random traffic, without any RTL."""

import hashlib
import subprocess
from collections import namedtuple
from pathlib import Path

from sim import build
from sim.dram import FIELDS, DramConfig, Span

HERE = Path(__file__).parent
BUS_PS = 1250
"""800 MHz."""
Command = namedtuple("Command", "clock op bank row column")
Transaction = namedtuple("Transaction", "accepted first last resp")
"""Cycles of the bus: address taken, first beat of a read, last beat or answer; AXI response."""
ACT, PRE, PREA, RD, WR, WRM, REF = range(7)


class Request(namedtuple("Request", "cycle way address length id qos", defaults=(256, 0, 0))):
    """A transaction of a script: `length` bytes, read (``R``) or write (``W``), not before `cycle`."""


class Outcome:
    """What a run printed.

    Attributes
    ----------
    commands : list of Command
    transactions : list of Transaction
        One a request, in the script's order.
    statistics : dict of str to int
    masters : dict of int to tuple of int
        Bytes read and written.
    bins : dict of tuple of int to tuple of int
        The same by ``(bin, master)``.
    """

    def __init__(self, text):
        rows = [line.split() for line in text.splitlines()]
        numbers = {tag: [tuple(map(int, row[1:])) for row in rows if row[0] == tag] for tag in "CTMB"}
        self.commands = [Command(*row) for row in numbers["C"]]
        self.transactions = [Transaction(*row) for row in numbers["T"]]
        self.masters = {row[0]: row[1:] for row in numbers["M"]}
        self.bins = {row[:2]: row[2:] for row in numbers["B"]}
        (statistics,) = (row[1:] for row in rows if row[0] == "S")
        self.statistics = dict(zip(statistics[::2], map(int, statistics[1::2])))
        self.words = {row[0]: row[1:] for row in rows}

    def clocks(self, *ops) -> list[int]:
        """Clocks of the commands of some kinds, in order."""
        return [command.clock for command in self.commands if command.op in ops]


def compile_main(harness=build.HARNESS, optimize="-O2") -> Path:
    """The executable of `dram_main.cpp` around the headers of a folder; kept by content, as the bench's are."""
    flags = [optimize, *build.COMPILE, "-Wall", "-Wextra", "-Werror"]
    sources = [*sorted(harness.glob("*.h")), *sorted(HERE.glob("dram_*.[ch]*"))]
    recipe = repr(flags).encode() + b"".join(path.read_bytes() for path in sources)
    folder = build.cache_folder() / "dram" / hashlib.sha256(recipe).hexdigest()[:20]
    executable = folder / "dram_main"
    with build.locked(folder):
        if not executable.exists():
            folder.mkdir(parents=True, exist_ok=True)
            objects = build._compile([(HERE / "dram_main.cpp", folder / "dram_main.o", [*flags, f"-I{harness}"])])
            build._run([build._compiler(), *objects, "-o", str(folder / "new")])
            (folder / "new").rename(executable)
    return executable


def limits(config: DramConfig) -> dict:
    """What the checker goes by: ``{name: (picoseconds, clocks)}``, as the data sheet has them."""
    found = {"masked_writes": (0, int(config.ccd_masked != Span()))}
    for name in FIELDS:
        value = getattr(config, name)
        if isinstance(value, Span):
            found[name] = (round(value.ns * 1000), value.ck)
        elif isinstance(value, int):
            found[name] = (0, int(value))
    return found


class DramBench:
    """An executable and a folder for its files."""

    def __init__(self, executable, folder):
        self.executable, self.folder = executable, folder

    def start(self, config, mode, *arguments, beat=16, memory=4 << 20, changed=()) -> subprocess.CompletedProcess:
        """Run; `changed` replaces limits of the checker."""
        (self.folder / "config").write_bytes(config.pack(BUS_PS))
        lines = [f"{name} {ps} {ck}\n" for name, (ps, ck) in (limits(config) | dict(changed)).items()]
        (self.folder / "limits").write_text("".join(lines))
        command = [self.executable, self.folder / "config", self.folder / "limits", memory, beat, mode, *arguments]
        return subprocess.run([str(word) for word in command], capture_output=True, text=True)

    def run(self, config, mode, *arguments, **more) -> Outcome:
        """Run and read what it printed; an error is an assertion."""
        done = self.start(config, mode, *arguments, **more)
        assert done.returncode == 0, f"{config.name} {mode} {arguments}: {done.stdout[-500:]}{done.stderr}"
        return Outcome(done.stdout)

    def script(self, config, requests, *, beat=16, **more) -> Outcome:
        """Run transactions; their commands are checked too."""
        path = self.folder / "script"
        path.write_text("".join(f"{r.cycle} {r.way} {r.address:x} {r.length // beat - 1} {r.id} {r.qos}\n" for r in requests))
        return self.run(config, "script", path, beat=beat, **more)
