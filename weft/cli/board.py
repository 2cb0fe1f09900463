"""What ``weft synth --board`` does and prints."""

import json
import tempfile
from pathlib import Path

from hw.npu.config import KIB
from hw.npu.files import write_whole
from hw.soc.config import SIZES, SocConfig
from weft.run.outputs import check_folder, check_writable, show_then_write
from weft.run.progress import Steps

DEFAULT_BOARD_CLOCK_MHZ = 100
BOARD_BUS_BITS = 64
"""Width of a SoC's bus on a board where nobody chooses another: half as many block RAMs as on 128 bits."""


def synth_board(config, board: str, *, clock_mhz: int, seed: int, output: Path | None, report: Path | None, quiet: bool) -> None:
    """Build an NPU or a SoC for a board, and print resources, clock and the path that limits it."""
    from weft.board.build import build

    check_writable(report, "the report")
    if output:
        check_folder(output, "the build")
    steps = Steps(quiet)
    with tempfile.TemporaryDirectory() as scratch:
        found = build(config, board, output or Path(scratch), clock_mhz=clock_mhz, seed=seed, stage=steps.stage)
    written = json.dumps(to_json(found), indent=1) + "\n"
    show_then_write(lambda: _print(found), (report, lambda path: write_whole(path, written, "the report")))
    if output:
        print(f"{output}: Verilog, scripts, netlist, logs and bitstream")


def to_json(found) -> dict:
    """A build as JSON."""
    from weft.board.build import NAME

    config = found.config
    npu = config.npu if isinstance(config, SocConfig) else config
    soc = {"axi_bits": npu.axi_bits} | {field.name: getattr(config, field.name) for field in SIZES} if npu is not config else None
    return {
        "board": found.board,
        "config": {"name": config.name, "rows": npu.rows, "cols": npu.cols, "lanes": npu.lanes} | ({"soc": soc} if soc else {}),
        "memory_bytes": memories(config),
        "asked_mhz": found.asked_mhz,
        "seed": found.seed,
        "top": NAME,
        **found.report.to_json(),
    }


def memories(config) -> dict[str, int]:
    """Bytes of the memories that the configuration sizes; with a SoC those of its FIFOs and gates, each gate for reads and for writes."""
    if isinstance(config, SocConfig):
        beat = config.npu.axi_bytes
        return memories(config.npu) | {
            "npu_gates": 2 * config.npu_gate * beat,
            "cpu_gates": 2 * config.cpu_gate * beat,
            "camera_fifo": config.camera_fifo * beat,
            "display_fifo": config.display_fifo * beat,
        }
    return {
        "activations": config.act_bytes,
        "weights": config.weight_bytes,
        "accumulators": 2 * config.ACCUMULATOR_DEPTH * config.cols * config.accumulator_bits // 8,
    }


def _print(found):
    from weft.explore.tables import plain_table
    from weft.report.tables import default_console

    console, config, report = default_console(), found.config, found.report
    npu = config.npu if isinstance(config, SocConfig) else config
    what = f"SoC on a bus of {npu.axi_bits} bits with {config.name}" if npu is not config else config.name
    console.print(f"{what} on {found.board}: {npu.rows}x{npu.cols}, {npu.lanes} output lanes", highlight=False, soft_wrap=True)
    sizes = ", ".join(f"{name.replace('_', ' ')} {size / KIB:g} KiB" for name, size in memories(config).items())
    console.print(f"memories: {sizes}", highlight=False, soft_wrap=True)
    table = plain_table("")
    for heading in ("resource", "used", "of", "%"):
        table.add_column(heading, justify="left" if heading == "resource" else "right", no_wrap=True)
    for name, (used, available) in report.resources.items():
        table.add_row(name, str(used), str(available), f"{100 * used / available:.1f}")
    console.print(table)
    reached = "reached" if report.clock_mhz >= found.asked_mhz else "not reached"
    console.print(f"clock {report.clock_mhz:.1f} MHz; {found.asked_mhz} MHz {reached}", highlight=False)
    console.print(f"limited by the path {report.path.words}", highlight=False, soft_wrap=True)
