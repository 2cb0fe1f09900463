"""The command ``weft synth``: its options, and the tables that it prints."""

from pathlib import Path
from typing import Annotated

import typer

from hw.npu.config import PRESETS, load_config
from hw.npu.errors import WeftError
from hw.soc.config import SIZES, load_soc_config
from weft.cli.board import BOARD_BUS_BITS, DEFAULT_BOARD_CLOCK_MHZ, synth_board
from weft.cli.options import Overrides, Quiet
from weft.run.progress import Steps


def synth(
    blocks: Annotated[
        list[str] | None,
        typer.Argument(metavar="[BLOCK...]", help="array, loader, feeder, interpolator, activations, weights; without any, the array."),
    ] = None,
    library: Annotated[
        list[Path] | None,
        typer.Option("--library", metavar="FILE", help="Liberty file (.lib, .lib.gz); several times where one library is several files."),
    ] = None,
    board: Annotated[
        str | None, typer.Option("--board", metavar="NAME", help="Place and route the NPU on a board instead: ulx3s-85f, ecpix5-85f.")
    ] = None,
    soc: Annotated[
        bool,
        typer.Option(
            "--soc",
            help=f"With --board: the SoC around the NPU too. Its bus has {BOARD_BUS_BITS} bits unless axi_bits is set; "
            f"--set takes its fields as well: {', '.join(field.name for field in SIZES)}.",
        ),
    ] = False,
    clock: Annotated[int, typer.Option("--clock", metavar="MHZ", help="With --board: clock to aim at.")] = DEFAULT_BOARD_CLOCK_MHZ,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=1, help="With --board: seed of the placement.")] = 1,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="With --board: keep all files of the build here, with the bitstream."),
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE", help="With --board: write the report as JSON.")] = None,
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="NAME|FILE", help=f"Preset ({', '.join(PRESETS)}) or a TOML file; else small, nano on a board."),
    ] = None,
    overrides: Overrides = None,
    quiet: Quiet = False,
):
    """Area of the array and of the blocks around it, by Yosys on a library of standard cells, module by module.

    Before placement, without timing; the banks of the scratchpads are macros and not counted. With --board the whole NPU, with
    --soc the whole SoC, is placed and routed on an FPGA instead: resources, the clock reached, and the path that limits it.
    """
    if board is not None:
        if blocks or library:
            raise WeftError(
                f"--board {board} builds the whole {'SoC' if soc else 'NPU'} on an FPGA", remedy="leave out blocks and --library"
            )
        source, sets = config or "nano", overrides or ()
        chosen = load_soc_config(source, sets, bus_bits=BOARD_BUS_BITS) if soc else load_config(source, sets)
        synth_board(chosen, board, clock_mhz=clock, seed=seed, output=output, report=report, quiet=quiet)
        return
    if soc:
        raise WeftError("--soc is for a build on a board", remedy="add --board NAME")
    from sim.run import npu_verilog
    from weft.analysis.synthesis import BLOCKS, read_library, synthesize

    chosen, names = load_config(config or "small", overrides or ()), list(dict.fromkeys(blocks or ["array"]))
    for name in names:
        if name not in BLOCKS:
            raise WeftError(f"no block is called {name!r}", remedy=f"the blocks are {', '.join(BLOCKS)}")
        if name == "interpolator" and not chosen.interpolation:
            raise WeftError(f"{chosen.name} has no interpolator", remedy="--set interpolation=true")
    if not library:
        raise WeftError("no library of cells is given", remedy="--library FILE names a Liberty file of your process")
    for path in library:  # a mistake shows before the slow part
        read_library(path)
    steps = Steps(quiet)
    verilog = npu_verilog(chosen, stage=steps.stage)
    for name in names:
        with steps.stage(f"synthesizing {BLOCKS[name]} of {chosen.name}"):
            found = synthesize(verilog, name, library)
        _print(found, chosen)


def _print(found, config):
    from weft.explore.tables import plain_table
    from weft.report.tables import default_console

    console = default_console()
    console.print(f"{found.block} of {config.name}", highlight=False)
    table = plain_table("")
    for heading in ("module", "instances", "um2", "% of it", "registers %"):
        table.add_column(heading, justify="left" if heading == "module" else "right", no_wrap=True)
    for module in found.modules:
        shares = (100 * module.area / found.area, 100 * module.registers / module.area if module.area else 0.0)
        table.add_row(module.name, str(module.instances), f"{module.area:.0f}", *(f"{share:.1f}" for share in shares))
    table.add_row("total", "", f"{found.area:.0f}", "100.0", f"{100 * found.registers / found.area:.1f}")
    console.print(table)
    if found.block == "array":
        element = found.area / config.macs_per_cycle
        int4 = f", {element / 2:.0f} in INT4" if config.int4 else ""
        console.print(f"um2 for a MAC a cycle: {element:.0f} in INT8{int4}\n", highlight=False)
