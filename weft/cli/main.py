"""The command line: ``weft generate``, ``weft compile``, ``weft run``, ``weft explore``, ``weft quantize``, ``weft operators``.

What a user can cause ends in one line on standard error and exit code 2; whatever else goes wrong is a fault of
Weft: one line that says so, and exit code 1 (`weft.cli.faults`).
"""

import io
import signal
import sys
import threading
import warnings
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from amaranth.hdl import UnusedElaboratable
from amaranth.lib.wiring import In, Out
from typer._click.exceptions import ClickException, UsageError  # Typer carries its own copy of Click and exports no name for these

from hw.npu.config import load_config
from hw.npu.errors import WeftError
from hw.npu.files import write_whole
from hw.soc.config import BUS_BITS, SIZES, load_soc_config
from hw.version import VERSION
from weft.cli.explore import explore
from weft.cli.faults import fault_message, show_traceback
from weft.cli.operators import operators
from weft.cli.options import FAULT, FIELDS, INTERRUPTED, USER_ERROR, Config, KeepTensors, Model, NoHost, Overrides, Quiet, Signature
from weft.cli.quantize import quantize
from weft.cli.refusals import print_refusal
from weft.cli.run import run
from weft.cli.synth import synth
from weft.cli.traffic import traffic
from weft.run.outputs import check_folder, check_writable, show_then_write
from weft.run.progress import Steps

EXIT_CODES = (
    "Exit code: 0 done; 1 results differ from the reference, or a fault of Weft; 2 a mistake that you can mend, in one line; "
    "130 interrupted."
)
app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Generates an NPU, compiles quantized networks for it, runs them on its Verilog bit for bit, and says what they cost.",
    epilog=EXIT_CODES,
)

app.command(short_help="Run a network on the Verilog, alone or in a SoC, and report its cost.")(run)
app.command(short_help="Sweep configurations on the timing model: who is fast, thrifty, small?")(explore)
app.command(short_help="Write a network with weights of 4 bits, and say what that costs and saves.")(quantize)
app.command(short_help="Area and clock at the gates of a cell library, or on an FPGA board.")(synth)
app.command(short_help="Bytes on DDR and bandwidth at a frame rate, by part, with and without on-chip memory.")(traffic)
app.command(short_help="Which operators a network may have, and the limits of each.")(operators)


@app.callback(invoke_without_command=True)
def options(context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False):
    if version:
        print(f"weft {VERSION}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        raise UsageError("no command; use generate, compile, run, explore, quantize, synth, traffic or operators (weft --help)")


@app.command()
def generate(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The Verilog file to write; beside it go NAME.vlt, Verilator's waivers, NAME.f, the list of both, and NAME.sdc.",
        ),
    ],
    config: Config = "small",
    overrides: Overrides = None,
    soc: Annotated[
        bool,
        typer.Option(
            "--soc",
            help=f"The SoC around it too: camera, display, CPU port, DDR port. Its bus has {BUS_BITS} bits unless axi_bits is set; "
            f"--set takes its fields as well: {', '.join(field.name for field in SIZES)}.",
        ),
    ] = False,
    clock: Annotated[
        float | None,
        typer.Option(
            "--clock", metavar="MHZ", min=1, max=100_000, help="Clock of NAME.sdc, MHz; without it that of the synthesis on record."
        ),
    ] = None,
    quiet: Quiet = False,
):
    """Write the Verilog of an NPU, or of a SoC with one.

    Beside NAME.v: in its folder `verilator --cc -f NAME.f` builds it, and `verilator --lint-only -Wall -f NAME.f` finds nothing.
    NAME.sdc has the clock and the delays of the ports, for synthesis and timing analysis.
    """
    from hw.emit.companions import companions, constraints
    from hw.emit.verilog import npu_verilog, soc_verilog
    from hw.npu.npu import Npu
    from hw.soc.soc import Soc
    from weft.report.clock import choose_clock

    whole = load_soc_config(config, overrides or ()) if soc else None
    chosen = whole.npu if whole else load_config(config, overrides or ())
    check_writable(output, "the Verilog")
    ports = (Soc(whole) if whole else Npu(chosen)).signature.members
    inputs, outputs = ([name for name, port in ports.items() if port.flow == flow] for flow in (In, Out))
    period = choose_clock(chosen, clock)
    sdc = partial(constraints, inputs=["rst", *inputs], outputs=outputs, clock_mhz=period.mhz, source=period.source)
    beside = companions(output, "soc" if whole else "npu", sdc)
    for path in beside:
        check_writable(path, "what is beside the Verilog")
    stage = Steps(quiet).stage
    verilog = soc_verilog(whole, stage=stage) if whole else npu_verilog(chosen, stage=stage)
    write_whole(output, verilog, "the Verilog")
    for path, text in beside.items():
        write_whole(path, text, "what is beside the Verilog")
    kind = f"SoC on a bus of {chosen.axi_bits} bits with a " if whole else ""
    print(f"{output}: {kind}{chosen.rows}x{chosen.cols} NPU, {verilog.count(chr(10))} lines")


@app.command(name="compile", short_help="Compile a network to the image that a driver loads.")
def compile_(
    model: Model,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="The folder to write: commands.bin, constants.bin, map.json.")
    ],
    config: Config = "small",
    overrides: Overrides = None,
    signature: Signature = None,
    disassemble: Annotated[bool, typer.Option("--disassemble", help="List the commands.")] = False,
    keep_tensors: KeepTensors = False,
    no_host: NoHost = False,
    quiet: Quiet = False,
):
    """Compile a network to the binary image and the map that a driver would load.

    Where the host has operators of its own, to an image for each program, a .tflite file for each step of the host, and manifest.json.
    """
    from golden.reference_process import ReferenceProcess
    from weft.compiler.frontends.tflite import read_file, read_tflite
    from weft.run.manifest import image_files, write_images
    from weft.run.network import check_loads, compile_file, try_host

    chosen = load_config(config, overrides or ())
    check_folder(output, "the image")
    graph = read_tflite(model, signature) if no_host else read_file(model, signature).graph
    with ReferenceProcess(model, subgraph=graph.subgraph) as reference:
        whole = compile_file(model, chosen, keep_tensors=keep_tensors, steps=Steps(quiet), signature=signature, host=not no_host)
        check_loads(reference, whole)
    try_host(whole)
    show_then_write(lambda: print_compiled(whole, disassemble), (output, lambda folder: write_images(whole, folder)))
    print(f"{output}: {', '.join(image_files(whole))}")


def print_compiled(whole, disassemble: bool):
    """What a compilation made: each step in order."""
    from weft.run.whole import HostStep

    for step in whole.steps:
        name = f"{step.name}: " if whole.host_steps else ""
        if isinstance(step, HostStep):
            print(f"{name}{', '.join(f'{operator.op} ({operator.title})' for operator in step.part.operators)}")
            continue
        program, host = step.compiled.program, ", ".join(f"{each.operator.op} ({each.operator.title})" for each in step.compiled.host_ops)
        print(f"{name}{len(program.commands)} commands, {len(program.constants)} bytes of constants, {program.arena_bytes} bytes of arena")
        edges = f"; on the host: {host or 'nothing'}" if host or not whole.host_steps else ""
        print(f"{name}{step.searched.cycles} cycles by the timing model{edges}")
        for state in program.states:
            copied = ", where the NPU copies it at the end of each job" if state.copied else ""
            print(f"{name}state {state.name}: {state.initial.nbytes} bytes at {state.old.address} of the arena{copied}")
        if disassemble:
            print(program.disassemble())


def main(arguments: list[str] | None = None) -> int:
    """The entry point: runs a command and gives its exit code. Without `arguments` it is the whole process and handles its signals."""
    if arguments is None:
        _own_the_process()
    try:
        result = typer.main.get_command(app).main(args=arguments, prog_name="weft", standalone_mode=False)
        sys.stdout.flush()
    except WeftError as error:
        return _refuse(error)
    except ClickException as error:
        return _refuse(error.format_message() + _field_hint(error))
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or error)
    except (typer.Abort, KeyboardInterrupt):
        result = INTERRUPTED
    except Exception as error:
        show_traceback(error)
        return _refuse(fault_message(error, sys.argv[1:] if arguments is None else arguments), FAULT)
    if result == INTERRUPTED:  # Typer makes this of a KeyboardInterrupt
        return _refuse("interrupted", INTERRUPTED)
    return result if isinstance(result, int) else 0


def _field_hint(error: ClickException) -> str:
    """What to write instead where an option is no option, but a field of the configuration."""
    field = str(getattr(error, "option_name", "")).lstrip("-").replace("-", "_")
    return f"; {field} is a field of the configuration: --set {field}=VALUE" if field in FIELDS.split(", ") and field != "name" else ""


def _own_the_process():
    """Ends quietly when nobody reads standard output, loses no Ctrl-C, and prints any file's name in any locale."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.unraisablehook = _raise_lost_interrupts(sys.unraisablehook)
    warnings.simplefilter("ignore", UnusedElaboratable)  # of components that are made for their signature or latency only
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _raise_lost_interrupts(show):
    """A hook for what is raised where nothing can be raised: Ctrl-C in a ``__del__`` (Amaranth has many) comes again a moment later."""

    def hook(lost):
        if issubclass(lost.exc_type, KeyboardInterrupt):
            threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
        else:
            show(lost)

    return hook


def _refuse(error, code=USER_ERROR):
    print_refusal(error if isinstance(error, WeftError) else str(error))
    return code


if __name__ == "__main__":
    sys.exit(main())
