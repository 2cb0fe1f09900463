"""Where the cycles of a job go, by cause: each cycle of the feeder counts once, so that the table sums to the job.

``python -m weft.analysis.causes MODEL ...`` prints the tables of ``docs/cycles.md``.
"""

import argparse
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from golden.program import Program
from hw.npu.array.accumulators import Accumulators
from hw.npu.config import load_config
from hw.npu.errors import WeftError
from hw.npu.interface.isa import EXECUTE, Command, Opcode
from weft.analysis.search import search
from weft.analysis.timing import replay
from weft.analysis.timing.work import Work, work_of
from weft.compiler.frontends.tflite import read_tflite

CAUSES = {
    "products": "multiplying: products / (rows x columns)",
    "zeros": "weights of zero between windows or groups side by side",
    "rows": "array rows that hold no weight of the tile",
    "columns": "array columns without a channel",
    "steps": "filter steps that end no output",
    "vectors": "waves around the array: pools, sums, copies",
    "fillers": "a filter's sums leave the array",
    "banks": "kernel rows meet in a bank",
    "loading": "a tile's rows take longer to load than its waves",
    "weights": "weights on their way from DDR",
    "handover": "hand-over of a plane of weights",
    "half": "no free half of the accumulators, or their pipeline",
    "results": "results of an earlier command",
    "input": "activations on their way from DDR",
    "stores": "room that a store has yet to free",
    "command": "no command in the feeder",
    "end": "from the last wave to the interrupt",
}
"""Each cause, in words. The first six are cycles with a wave, the others cycles without one."""


def causes(program: Program, records: np.ndarray, cycles: int) -> dict[int, dict[str, Fraction]]:
    """Cycles of each layer, by cause.

    Parameters
    ----------
    program : Program
    records : structured array
        One for each command, measured or predicted.
    cycles : int
        From start to interrupt.

    Returns
    -------
    dict of int to dict of str to Fraction
        For each layer with an execute command the `CAUSES`; all of them sum to ``cycles``. What lies behind the last wave belongs to the
        last layer.
    """
    found: dict[int, dict[str, Fraction]] = {}
    loaded = _load_ends(program, records)
    until, last = 0, 0
    for number, planned in enumerate(program.commands):
        command = planned.command
        if command.opcode not in EXECUTE:
            continue
        last, record = planned.layer, records[number]
        layer = found.setdefault(last, dict.fromkeys(CAUSES, Fraction()))
        work = work_of(command, program.config, Accumulators.MIN_PERIOD)
        arrived = loaded[work.weights_wait % len(loaded)] if work.stream_rows else 0
        parts = dict(_waves(command, work, program.config)) | dict(_stalls(work, record, arrived))
        window = int(record["end"]) - until
        for cause, part in parts.items():
            layer[cause] += part
        layer["command"] += window - sum(parts.values())  # nobody's: no command was in the stage
        until = int(record["end"])
    for number, layer in found.items():
        _set_zeros_apart(layer, Fraction(program.layers[number].macs, program.config.rows * program.config.cols))
    found.setdefault(last, dict.fromkeys(CAUSES, Fraction()))["end"] += cycles - until
    return found


def _set_zeros_apart(layer, least: Fraction):
    """Takes what the network does not count from the products; ``least`` are the cycles that its multiplications would take."""
    zeros = max(Fraction(), layer["products"] - least)
    layer["products"] -= zeros
    layer["zeros"] += zeros


def _load_ends(program, records) -> list[int]:
    """Cycle in which so many loads are complete."""
    ends = [0]
    for planned, record in zip(program.commands, records):
        if planned.command.opcode == Opcode.LOAD:
            ends.append(max(ends[-1], int(record["end"])))
    return ends


def _waves(command: Command, work: Work, config) -> Iterator[tuple[str, Fraction]]:
    """What the cycles with a wave do."""
    tiles = len(work.tile_rows)
    active = work.jobs * work.waves * tiles
    if not work.array:
        yield "vectors", Fraction(active)
        return
    depth = config.tile_depth(command.opcode.int4) if work.operation == Opcode.MATMUL else config.rows
    loops = command.fields["loops"]
    terms = sum(work.tile_terms) if work.operation == Opcode.MATMUL else loops["taps_x"] * loops["taps_y"]
    channels = (work.jobs - 1) * work.cols + work.last_cols
    cells = depth * work.cols
    products = Fraction(work.pixels * channels * terms, cells)
    columns = Fraction((work.jobs * work.cols - channels) * work.waves * tiles, work.cols)
    steps = Fraction((work.waves - work.pixels) * tiles * channels, work.cols)
    yield "products", products
    yield "columns", columns
    yield "steps", steps
    yield "rows", active - products - columns - steps


def _stalls(work: Work, record, arrived: int) -> Iterator[tuple[str, Fraction]]:
    """What the cycles without a wave wait for; ``arrived`` is when the command's weights were in the scratchpad."""
    stall = {cause: int(record[f"stall_{cause}"]) for cause in ("weights", "activations", "bank", "output", "ddr_read", "ddr_write")}
    fillers = min(work.filler, stall["output"])
    waiting = stall["weights"]
    late = min(waiting, max(0, arrived - int(record["start"])))
    loading = min(waiting - late, work.jobs * sum(max(0, rows - work.waves) for rows in work.tile_rows))
    yield "weights", Fraction(late)
    yield "loading", Fraction(loading)
    yield "handover", Fraction(waiting - late - loading)
    yield "fillers", Fraction(fillers)
    yield "half", Fraction(stall["output"] - fillers)
    yield "banks", Fraction(stall["bank"])
    yield "results", Fraction(stall["activations"])
    yield "input", Fraction(stall["ddr_read"])
    yield "stores", Fraction(stall["ddr_write"])


def rounded(parts: dict[str, Fraction]) -> dict[str, int]:
    """Whole cycles with the same sum: what is cut off one part is given to the next."""
    whole, before, total = {}, 0, Fraction()
    for cause, part in parts.items():
        total += part
        whole[cause] = round(total) - before
        before = round(total)
    return whole


def summed(layers: dict[int, dict[str, Fraction]]) -> dict[str, int]:
    """Cycles of the whole job, by cause."""
    return rounded({cause: sum((parts[cause] for parts in layers.values()), Fraction()) for cause in CAUSES})


def cause_table(title: str, columns: dict[str, dict[str, int]]) -> Table:
    """A row for each cause that any column has, and their sum."""
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("cycles", overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", overflow="fold")
    for cause, words in CAUSES.items():
        if any(column[cause] for column in columns.values()):
            table.add_row(words, *(str(column[cause]) for column in columns.values()))
    table.add_row("sum", *(str(sum(column.values())) for column in columns.values()))
    return table


def layer_table(program: Program, layers: dict[int, dict[str, Fraction]]) -> Table:
    """A row for each layer, with the causes that any of them has as columns."""
    whole = {number: rounded(parts) for number, parts in layers.items()}
    seen = [cause for cause in CAUSES if any(parts[cause] for parts in whole.values())]
    table = Table(title=f"{program.network}: cycles of each layer, by cause", title_justify="left", box=None)
    table.add_column("layer", overflow="fold")
    for cause in (*seen, "sum"):
        table.add_column(cause, justify="right")
    for number, parts in whole.items():
        table.add_row(program.layers[number].name, *(str(parts[cause]) for cause in seen), str(sum(parts.values())))
    return table


def main() -> int:
    """Predict the models that the command line names; exit code 2 where one cannot be compiled."""
    parser = argparse.ArgumentParser(prog="python -m weft.analysis.causes", description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help=".tflite files")
    parser.add_argument("--config", default="small", help="preset or TOML file")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="FIELD=VALUE", help="change a field")
    parser.add_argument("--layers", action="store_true", help="a table of layers for each network, too")
    arguments = parser.parse_args()
    console, columns = Console(width=None if sys.stdout.isatty() else 240), {}
    try:
        config = load_config(arguments.config, arguments.overrides)
        for model in arguments.models:
            program = search(read_tflite(model), config).compiled.program
            timing = replay(program)
            layers = causes(program, timing.records, timing.cycles)
            columns[program.network] = summed(layers)
            if arguments.layers:
                console.print(layer_table(program, layers), highlight=False, markup=False)
    except WeftError as error:
        print(f"weft: {error}", file=sys.stderr)
        return 2
    console.print(cause_table(f"where the cycles go on {config.name}, by the timing model", columns), highlight=False, markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
