"""A campaign of random networks on all cores: can be stopped at any time and goes on where it was.

    python -m tests.random_networks.campaign --seed 1 --count 20000

Each batch that is done is one line of the progress file. A batch that was interrupted is not in it, and is run again.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import count as numbers
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tests.random_networks.adders import SUPPORTED_IN_NETWORKS
from tests.random_networks.batch import Batch, BatchResult
from tests.random_networks.check import Tally
from tests.random_networks.reference_process import ReferenceProcess

FOLDER = Path("build/campaign")
BATCH = 45
SEEDS_APART = 1_000_000
"""Numbers of batches between two seeds."""
SHRUNK = 2
"""Faults of one kind that are shrunk; of the others the whole networks are saved."""
LIFE = 20
"""Batches of a worker process. Its memory grows to what the largest networks needed, 1.5 GB were seen; a new process begins anew."""
LOST = "the worker process ended"

_reference: ReferenceProcess | None = None


def _start_worker():
    """Ctrl-C is for the main process, without which no worker goes on; each has an interpreter's process of its own."""
    global _reference
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _reference = ReferenceProcess()


def _end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)


def _run(number: int, known: frozenset[str], folder: Path) -> BatchResult:
    return Batch(number, _reference, folder, known).run(BATCH)


class Progressed:
    """The batches that are done, in a file and added up.

    Parameters
    ----------
    path : Path
        A line of JSON for each batch; a last line that was cut off counts for nothing.
    """

    def __init__(self, path: Path):
        self.path, self.done, self.total = path, set(), BatchResult()
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            path.write_bytes(whole)
        for line in whole.splitlines():
            self._count(json.loads(line))

    def add(self, number: int, result: BatchResult):
        """One more batch: in the file before it is counted."""
        tally = result.tally
        line = {
            "batch": number, "networks": tally.networks, "exact": tally.exact, "operators": tally.operators,
            "refusals": tally.refusals, "reference": tally.reference, "faults": result.faults, "saved": result.saved,
        }  # fmt: skip
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._count(line)

    def _count(self, line):
        if line["batch"] in self.done:
            return
        self.done.add(line["batch"])
        counters = (Counter(line[name]) for name in ("operators", "refusals", "reference"))
        self.total.tally += Tally(line["networks"], line["exact"], *counters)
        self.total.faults += Counter(line["faults"])
        self.total.saved += line["saved"]


def run(progressed: Progressed, seed: int, count: int, jobs: int, folder: Path) -> Iterator[int]:
    """Run batches until so many networks are done; yields how many are, after each batch. A worker that ends is replaced."""
    open_numbers = (n for n in numbers(seed * SEEDS_APART) if n not in progressed.done)
    while progressed.total.tally.networks < count:
        context = multiprocessing.get_context("forkserver")
        pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, max_tasks_per_child=LIFE)
        running = {}
        try:
            while progressed.total.tally.networks < count:
                while len(running) < jobs:
                    number = next(open_numbers)
                    known = frozenset(kind for kind, times in progressed.total.faults.items() if times >= SHRUNK)
                    running[pool.submit(_run, number, known, folder)] = number
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    result = future.result()
                    progressed.add(running.pop(future), result)
                    yield progressed.total.tally.networks
        except BrokenProcessPool:
            for number in running.values():
                progressed.add(number, BatchResult(faults=Counter({f"{LOST} in one of the batches {sorted(running.values())}": 1})))
        finally:
            for process in list((pool._processes or {}).values()):
                process.kill()
            pool.shutdown(wait=True, cancel_futures=True)


def summary(progressed: Progressed) -> list[Table]:
    """The result as tables."""
    total, tally = progressed.total, progressed.total.tally
    overview = Table(title="Random networks", show_header=False)
    for name, value in (
        ("networks", tally.networks),
        ("exact on the golden machine", tally.exact),
        ("refused", sum(tally.refusals.values())),
        ("with a fault", sum(total.faults.values())),
        *((f"reference: {name}", number) for name, number in tally.reference.most_common()),
    ):
        overview.add_row(name, str(value))
    operators = Table("operator", "times", "operator", "times", "operator", "times", title="Operators in the networks that ran")
    rows = [(op, str(tally.operators[op])) for op in sorted(SUPPORTED_IN_NETWORKS)]
    for i in range(0, len(rows), 3):
        operators.add_row(*(text for row in rows[i : i + 3] for text in row))
    tables = [overview, operators]
    for title, counts in (("Refused because", tally.refusals), ("Faults", total.faults)):
        if counts:
            table = Table("networks", "what", title=title)
            for what, times in counts.most_common():
                table.add_row(str(times), what)
            tables.append(table)
    return tables


def main() -> int:
    """The campaign; the exit code is 1 where a fault was found, 130 where it was interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="which networks (default 1)")
    parser.add_argument("--count", type=int, default=20_000, help="how many (default 20000), those of earlier runs among them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: one a core)")
    given = parser.parse_args()
    for stop in (signal.SIGINT, signal.SIGTERM):  # a shell lets what it starts in the background ignore the first
        signal.signal(stop, signal.default_int_handler)
    console, progressed = Console(), Progressed(FOLDER / f"seed-{given.seed}.jsonl")
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    interrupted = False
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(f"seed {given.seed}", total=given.count, completed=progressed.total.tally.networks)
        try:
            for done in run(progressed, given.seed, given.count, given.jobs, FOLDER / "failures"):
                found = f"seed {given.seed}, {sum(progressed.total.faults.values())} faults"
                bar.update(task, completed=done, description=found)
                if not bar.console.is_terminal:
                    print(f"{found}, {done} of {given.count} networks", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            interrupted = True
    for table in summary(progressed):
        console.print(table)
    for path in progressed.total.saved:
        console.print(path, markup=False, highlight=False)
    if interrupted:
        print(f"interrupted; the same command goes on from {progressed.total.tally.networks} networks", file=sys.stderr)
        return 130
    return int(bool(progressed.total.faults))


if __name__ == "__main__":
    sys.exit(main())
