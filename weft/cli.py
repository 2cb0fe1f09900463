"""The command line: ``weft generate``, ``weft compile``, ``weft run``.

What a user can cause ends in one line on standard error and exit code 2; whatever else goes wrong is a defect and shows its traceback.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer._click.exceptions import ClickException, UsageError  # Typer carries its own copy of Click and exports no name for these

from hw.npu.config import PRESETS, load_config
from hw.npu.errors import WeftError
from weft import __version__
from weft.analysis.report import DEFAULT_CLOCK_MHZ
from weft.progress import Steps

USER_ERROR = 2
"""Exit code of a mistake that the user can mend."""
MISMATCH = 1
"""Exit code of a run whose results differ from the reference."""

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Generates an NPU, compiles quantized networks for it, runs them on its Verilog bit for bit, and says what they cost.",
)

Config = Annotated[
    str,
    typer.Option("--config", metavar="NAME|FILE", help=f"Preset ({', '.join(PRESETS)}) or a TOML file with fields of the configuration."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Override a field of the configuration; may be given several times."),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A quantized network: a .tflite file.")]
KeepTensors = Annotated[
    bool, typer.Option("--keep-tensors", help="No fusion: every tensor of the network is written to memory and compared.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on standard error.")]


@app.callback(invoke_without_command=True)
def options(context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False):
    """Generates an NPU, compiles quantized networks for it, runs them on its Verilog bit for bit, and says what they cost."""
    if version:
        print(f"weft {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        raise UsageError("no command; use generate, compile or run (weft --help)")


@app.command()
def generate(
    output: Annotated[Path, typer.Option("--output", "-o", help="The Verilog file to write.")],
    config: Config = "small",
    overrides: Overrides = None,
    quiet: Quiet = False,
):
    """Write the Verilog of an NPU."""
    from sim.run import npu_verilog

    chosen = load_config(config, overrides or ())
    with Steps(quiet).stage(f"generating Verilog of {chosen.name}"):
        verilog = npu_verilog(chosen)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(verilog)
    print(f"{output}: {chosen.rows}x{chosen.cols} NPU, {verilog.count(chr(10))} lines")


@app.command(name="compile")
def compile_(
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write: commands.bin, constants.bin, map.json.")],
    config: Config = "small",
    overrides: Overrides = None,
    disassemble: Annotated[bool, typer.Option("--disassemble", help="List the commands.")] = False,
    keep_tensors: KeepTensors = False,
    quiet: Quiet = False,
):
    """Compile a network to the binary image and the map that a driver would load."""
    from weft.compiler.image import write_image
    from weft.job import compile_model

    chosen = load_config(config, overrides or ())
    compiled = compile_model(model, chosen, keep_tensors=keep_tensors, steps=Steps(quiet))
    program = compiled.program
    folder = write_image(program, output)
    host = ", ".join(f"{host.operator.op} ({host.operator.title})" for host in compiled.host_ops)
    print(f"{folder}: {len(program.commands)} commands, {len(program.constants)} bytes of constants, {program.arena_bytes} bytes of arena")
    print(f"estimated {compiled.estimated_cycles} cycles; on the host: {host or 'nothing'}")
    if disassemble:
        print(program.disassemble())


@app.command()
def run(
    model: Model,
    config: Config = "small",
    overrides: Overrides = None,
    input: Annotated[
        Path | None, typer.Option("--input", metavar="FILE", help=".npy, .npz or an image; without it the input is random.")
    ] = None,
    sample: Annotated[int, typer.Option("--sample", min=0, help="Which sample of a file that holds several.")] = 0,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write the report as JSON.")] = None,
    trace: Annotated[Path | None, typer.Option("--trace", metavar="FILE", help="Write a waveform (.fst or .vcd).")] = None,
    keep_tensors: KeepTensors = False,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of the random input.")] = None,
    clock: Annotated[
        float, typer.Option("--clock", metavar="MHZ", min=0.001, help="Clock for latency and power, MHz.")
    ] = DEFAULT_CLOCK_MHZ,
    quiet: Quiet = False,
):
    """Run a network on the generated Verilog, compare every tensor with the reference, and report what each layer cost."""
    from weft.analysis.tables import print_report
    from weft.job import run_model, write_json

    chosen = load_config(config, overrides or ())
    job = run_model(
        model,
        chosen,
        input_path=input,
        sample=sample,
        seed=seed,
        keep_tensors=keep_tensors,
        trace=trace,
        clock_mhz=clock,
        steps=Steps(quiet),
    )
    for note in job.notes:
        print(f"input        {note}")
    print_report(job.report)
    if job.outcome.mismatch:
        print(f"weft: {job.outcome.mismatch}", file=sys.stderr)
    if report:
        write_json(job, report)
    if not job.report.bit_exact:
        raise typer.Exit(MISMATCH)


def main(arguments: list[str] | None = None) -> int:
    """The entry point: runs a command and gives its exit code."""
    try:
        result = typer.main.get_command(app).main(args=arguments, prog_name="weft", standalone_mode=False)
    except WeftError as error:
        return _refuse(error)
    except ClickException as error:
        return _refuse(error.format_message())
    except OSError as error:
        if error.filename is None:
            raise
        return _refuse(f"{error.filename}: {error.strerror}")
    except (typer.Abort, KeyboardInterrupt):
        return _refuse("interrupted", 130)
    return result if isinstance(result, int) else 0


def _refuse(message, code=USER_ERROR):
    print("weft: error: " + " ".join(str(message).split()), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
