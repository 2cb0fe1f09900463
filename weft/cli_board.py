"""What ``weft synth --board`` does and prints."""

import json
import tempfile
from pathlib import Path

from hw.npu.config import KIB
from weft.outputs import check_folder, check_writable
from weft.progress import Steps

DEFAULT_BOARD_CLOCK_MHZ = 100


def synth_board(config, board: str, *, clock_mhz: int, seed: int, output: Path | None, report: Path | None, quiet: bool) -> None:
    """Build an NPU for a board, and print resources, clock and the path that limits it."""
    from weft.board_build import build

    check_writable(report, "the report")
    if output:
        check_folder(output, "the build")
    steps = Steps(quiet)
    with tempfile.TemporaryDirectory() as scratch:
        found = build(config, board, output or Path(scratch), clock_mhz=clock_mhz, seed=seed, stage=steps.stage)
    if report:
        report.write_text(json.dumps(to_json(found), indent=1) + "\n")
    _print(found)
    if output:
        print(f"{output}: Verilog, scripts, netlist, logs and bitstream")


def to_json(found) -> dict:
    """A build as JSON."""
    from weft.board_build import NAME

    config = found.config
    return {
        "board": found.board,
        "config": {"name": config.name, "rows": config.rows, "cols": config.cols, "lanes": config.lanes},
        "memory_bytes": memories(config),
        "asked_mhz": found.asked_mhz,
        "seed": found.seed,
        "top": NAME,
        **found.report.to_json(),
    }


def memories(config) -> dict[str, int]:
    """Bytes of the memories that the configuration sizes."""
    return {
        "activations": config.act_bytes,
        "weights": config.weight_bytes,
        "accumulators": 2 * config.ACCUMULATOR_DEPTH * config.cols * config.accumulator_bits // 8,
    }


def _print(found):
    from weft.analysis.tables import default_console
    from weft.explore.tables import plain_table

    console, config, report = default_console(), found.config, found.report
    console.print(f"{config.name} on {found.board}: {config.rows}x{config.cols}, {config.lanes} output lanes", highlight=False)
    sizes = ", ".join(f"{name} {size / KIB:g} KiB" for name, size in memories(config).items())
    console.print(f"memories: {sizes}", highlight=False)
    table = plain_table("")
    for heading in ("resource", "used", "of", "%"):
        table.add_column(heading, justify="left" if heading == "resource" else "right", no_wrap=True)
    for name, (used, available) in report.resources.items():
        table.add_row(name, str(used), str(available), f"{100 * used / available:.1f}")
    console.print(table)
    reached = "reached" if report.clock_mhz >= found.asked_mhz else "not reached"
    console.print(f"clock {report.clock_mhz:.1f} MHz; {found.asked_mhz} MHz {reached}", highlight=False)
    console.print(f"limited by the path {report.path.words}", highlight=False, soft_wrap=True)
