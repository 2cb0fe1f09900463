"""``make bench``: CPU time of `weft compile` with its search, for networks of a thousand layers and files that once took long."""

import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hw.npu.config import PRESETS
from tests.cell_networks import cell_network
from weft.analysis.search import search
from weft.compiler.frontends.tflite import read_tflite

SHARED = Path(__file__).resolve().parents[2] / "shared"
FILES = (
    "cases/q_transpose.tflite",
    "models/coral_mbv2_224_ptq_int8.tflite",
    "models/openmv_movenet_singlepose_192.tflite",
    "models/synth_mobilenet_v1_224_int8.tflite",
    "models/synth_resnet50_224_int8.tflite",
)
"""Those that are there are compiled: of all files beside the repository they take longest, or once did."""
CELLS = ((250, 24), (500, 24), (1000, 36))
"""Layers, and channels of a branch, of networks of cells; from 4 000 commands on the search tries less."""


def rows():
    """Name, steps, commands, programs that were tried and seconds of each."""
    graphs = [(f"cells, {layers} layers", cell_network(layers, channels=channels)) for layers, channels in CELLS]
    graphs += [(Path(name).stem, read_tflite(SHARED / name)) for name in FILES if (SHARED / name).is_file()]
    for name, graph in graphs:
        began = time.process_time()
        found = search(graph, PRESETS["small"])
        seconds = time.process_time() - began
        program = found.compiled.program
        yield name, f"{len(program.layers):,}", f"{len(program.commands):,}", str(len(found.trials)), f"{seconds:.1f}"


def main():
    """Measure and print a table."""
    table = Table(title="small: compilation with its search, seconds of CPU", title_justify="left", box=None)
    for heading in ("network", "steps", "commands", "tunings", "s"):
        table.add_column(heading, justify="left" if heading == "network" else "right", no_wrap=True)
    for row in rows():
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
