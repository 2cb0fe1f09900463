"""The command ``weft synth``: its options."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from hw.npu.config import FPGA_REGISTERS, PRESETS, load_config
from hw.npu.errors import WeftError
from hw.soc.config import SIZES, SocConfig, load_soc_config
from weft.cli.board import BOARD_BUS_BITS, DEFAULT_BOARD_CLOCK_MHZ, synth_board
from weft.cli.options import Overrides, Quiet
from weft.cli.power import Wanted, power_silicon
from weft.cli.silicon import DEFAULT_PERIOD_PS, synth_silicon

LibraryNames = Annotated[
    list[str] | None,
    typer.Option(
        "--library",
        metavar="NAME|FILE",
        help="Cells: asap7, sg13g2, or a Liberty file (.lib, .lib.gz), several times where one library is several files.",
    ),
]
Pdk = Annotated[
    Path | None,
    typer.Option(
        "--pdk",
        metavar="FOLDER",
        envvar="WEFT_PDK",
        help="Where the named libraries are; ../shared/pdk beside the repository if not given.",
    ),
]
Clock = Annotated[
    int | None,
    typer.Option(
        "--clock",
        metavar="MHZ",
        min=1,
        help=f"With --board: clock to aim at, {DEFAULT_BOARD_CLOCK_MHZ} if none is given. With --power: clock of the power, without "
        "one the netlist's own.",
    ),
]
Power = Annotated[
    Path | None,
    typer.Option(
        "--power", metavar="MODEL", help="With --library: run this network on the Verilog, and show the power of the gates, by block."
    ),
]
Fps = Annotated[
    float | None,
    typer.Option("--fps", metavar="N", min=0.001, max=1e6, help="With --power: average power at so many inferences a second."),
]


def synth(
    blocks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[BLOCK...]",
            help="npu for the whole, or its blocks: folders of hw/npu, or components (feed, accumulators); npu if none.",
        ),
    ] = None,
    library: LibraryNames = None,
    pdk: Pdk = None,
    period: Annotated[
        float, typer.Option("--period", metavar="PS", min=1, max=1e6, help="With --library: clock period that the mapping aims at, ps.")
    ] = DEFAULT_PERIOD_PS,
    record: Annotated[
        bool, typer.Option("--record", help="With --library: put the figures on record, for docs/silicon.md and the clock of reports.")
    ] = False,
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
    power: Power = None,
    fps: Fps = None,
    clock: Clock = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=1, help="With --board: seed of the placement.")] = 1,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="With --board: keep all files of the build here, with the bitstream."),
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write the figures as JSON.")] = None,
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="NAME|FILE", help=f"Preset ({', '.join(PRESETS)}) or a TOML file; else small, nano on a board."),
    ] = None,
    overrides: Overrides = None,
    quiet: Quiet = False,
):
    """Area and clock of the NPU, or of blocks of it, at the gates of a library of cells; both are of one netlist.

    Before placement: no wires, ideal clock. Clock gates are mapped, and large memories cut at their ports. With --board the whole NPU,
    with --soc the whole SoC, is placed and routed on an FPGA instead: resources, the clock reached, and the path that limits it.
    There memory_registers, stream_registers and multiplier_registers are 1 unless --set says otherwise.
    """
    if board is not None:
        if blocks or library or power:
            whole = f"--board {board} builds the whole {'SoC' if soc else 'NPU'} on an FPGA"
            raise WeftError(whole, remedy="leave out blocks, --library and --power")
        source, sets = config or "nano", overrides or ()
        chosen = load_soc_config(source, sets, bus_bits=BOARD_BUS_BITS) if soc else load_config(source, sets)
        mhz = clock or DEFAULT_BOARD_CLOCK_MHZ
        synth_board(_with_registers(chosen, sets), board, clock_mhz=mhz, seed=seed, output=output, report=report, quiet=quiet)
        return
    if soc:
        raise WeftError("--soc is for a build on a board", remedy="add --board NAME")
    chosen = load_config(config or "small", overrides or ())
    if power is not None:
        if blocks not in (None, [], ["npu"]) or record:
            raise WeftError("--power is of the whole NPU, and goes on no record", remedy="leave out other blocks and --record")
        more = Wanted(clock, fps, report)
        power_silicon(power, library or (), chosen, more, pdk=pdk, period_ps=period, quiet=quiet)
        return
    if fps or clock:
        raise WeftError(f"{'--fps' if fps else '--clock'} is not for a synthesis alone", remedy="add --power MODEL, or --board NAME")
    synth_silicon(blocks or ["npu"], library or (), chosen, pdk=pdk, period_ps=period, report=report, record=record, quiet=quiet)


def _with_registers(chosen, sets):
    """The NPU, or the SoC around it, with the registers that an FPGA wants, but for fields that the user has set."""
    named = {text.partition("=")[0].strip() for text in sets}
    registers = {field: 1 for field in FPGA_REGISTERS if field not in named}
    if isinstance(chosen, SocConfig):
        return dataclasses.replace(chosen, npu=chosen.npu.replace(**registers))
    return chosen.replace(**registers)
