"""The command ``weft run``: a network on the NPU alone, or on a SoC whose DDR it shares with camera, display and CPU."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from hw.npu.config import load_config
from hw.npu.errors import WeftError
from hw.npu.files import write_whole
from hw.soc.config import load_soc_config
from hw.version import VERSION
from weft.cli.options import MISMATCH, Config, KeepTensors, Model, NoHost, Overrides, Quiet, Signature
from weft.run.outputs import check_writable, show_then_write
from weft.run.progress import Steps

Input = Annotated[Path | None, typer.Option("--input", metavar="FILE", help=".npy, .npz or an image; without it the input is random.")]
Sample = Annotated[
    int | None,
    typer.Option("--sample", metavar="N", min=0, help="Which sample of a file with several, from 0; with --steps the first."),
]
StepCount = Annotated[
    int | None,
    typer.Option(
        "--steps",
        metavar="N",
        min=1,
        help="Run N inputs in a row, and compare each: random ones, or samples of the file. A network with states keeps them from step "
        "to step, and runs all samples of a file if neither --steps nor --sample is given.",
    ),
]
ReportFile = Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write the report as JSON.")]
Trace = Annotated[
    Path | None,
    typer.Option("--trace", metavar="FILE", help="Write a waveform (.fst or .vcd); of several programs one each: NAME-npu_0.fst."),
]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", min=0, help="Seed of the random input; a run without one prints its own.")]
RunClock = Annotated[
    float | None,
    typer.Option(
        "--clock",
        metavar="MHZ",
        min=0.001,
        max=100_000,
        help="Clock for latency and power, MHz; without it that of the NPU's synthesis on record (docs/silicon.md). In a SoC that of NPU "
        "and interconnect: 800, or the scenario's.",
        show_default=False,
    ),
]
Explain = Annotated[bool, typer.Option("--explain", help="Print what was chosen for each layer, and what the runner-up would have cost.")]
SocFile = Annotated[
    Path | None,
    typer.Option("--soc", metavar="FILE", help="A scenario (TOML): the NPU in a SoC, with the traffic, DDR and priorities that it names."),
]
Camera = Annotated[
    str | None, typer.Option("--camera", metavar="MODE", help="In a SoC: a camera, for example 1920x1080@60, 2 bytes a pixel.")
]
Display = Annotated[
    str | None, typer.Option("--display", metavar="MODE", help="In a SoC: a display, for example 1920x1080@60, 4 bytes a pixel.")
]
CpuTraffic = Annotated[
    float | None, typer.Option("--cpu", metavar="GB/S", min=0, help="In a SoC: random reads and writes of a CPU, gigabytes a second.")
]
Ddr = Annotated[
    str | None,
    typer.Option("--ddr", metavar="NAME|FILE", help="In a SoC: the DDR, a preset (lpddr4-3200-x16 if none is named) or a TOML file."),
]
Fps = Annotated[
    float | None,
    typer.Option("--fps", metavar="N", min=0.001, help="In a SoC: inferences a second that must be reached; the report says whether."),
]
Frames = Annotated[
    int | None, typer.Option("--frames", metavar="N", min=1, help="In a SoC: pictures that camera and display make at least; 10.")
]
NoReference = Annotated[
    bool, typer.Option("--no-reference", help="Compare with the golden operators only, not with the TFLite reference interpreter.")
]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="In a SoC: write plots and tables as a page.")]


def run(
    model: Model,
    config: Config = "small",
    overrides: Overrides = None,
    input: Input = None,
    sample: Sample = None,
    steps: StepCount = None,
    signature: Signature = None,
    report: ReportFile = None,
    trace: Trace = None,
    keep_tensors: KeepTensors = False,
    seed: Seed = None,
    clock: RunClock = None,
    explain: Explain = False,
    no_reference: NoReference = False,
    no_host: NoHost = False,
    quiet: Quiet = False,
    soc: SocFile = None,
    camera: Camera = None,
    display: Display = None,
    cpu: CpuTraffic = None,
    ddr: Ddr = None,
    fps: Fps = None,
    frames: Frames = None,
    html: Html = None,
):
    """Run a network on the generated Verilog, compare every tensor with the reference, and report what each layer cost.

    Operators that the NPU does not run are the host's: the reference interpreter computes them, and the report names them.

    With --soc, --camera, --display, --cpu or --ddr it runs on the Verilog of a whole SoC, on a bus of 128 bits unless axi_bits is set: once
    alone, then again and again while the others use the DDR too. The report then shows what that cost, and who lost data.
    """
    from weft.run.job import run_model, write_json

    for path, what in ((report, "the report"), (html, "the page")):
        check_writable(path, what)
    common: dict[str, Any] = {"input_path": input, "sample": sample, "seed": seed, "keep_tensors": keep_tensors, "trace": trace}
    common["signature"] = signature
    common["reference"], common["host"] = not no_reference, not no_host
    common["count"] = steps
    common["steps"] = Steps(quiet)
    masters = {"camera": camera, "display": display, "cpu": cpu, "ddr": ddr}
    if soc or any(value is not None for value in masters.values()):
        job = _on_soc(model, config, overrides, soc, masters, {"clock_mhz": clock, "fps": fps, "frames": frames}, common)
    else:
        for option, value in (("--fps", fps), ("--frames", frames), ("--html", html)):
            if value is not None:
                raise WeftError(f"{option} is for a run in a SoC", remedy="add --soc, --camera, --display, --cpu or --ddr")
        job = run_model(model, load_config(config, overrides or ()), clock_mhz=clock, **common)
    show_then_write(lambda: _print(job, explain), (report, lambda path: write_json(job, path)), (html, lambda path: _write_page(job, path)))
    if job.trace_error:
        raise job.trace_error
    if not job.report.bit_exact:
        raise typer.Exit(MISMATCH)


def _write_page(job, path):
    from weft.report.contention_page import page

    write_whole(path, page(job.report, VERSION), "the page")


def _on_soc(model, config, overrides, file, masters, options, common):
    """A run in a SoC: the file's scenario, with what the options change of it."""
    from sim.dram import load_dram
    from sim.scenario import Cpu, Scenario, camera_of, display_of, load_scenario
    from weft.run.soc import run_on_soc, with_options

    scenario = load_scenario(file) if file else Scenario(name="command line")
    makers: dict[str, Callable[[Any], Any]] = {"camera": camera_of, "display": display_of, "cpu": Cpu, "ddr": load_dram}
    made = {name: None if value is None else makers[name](value) for name, value in masters.items()}
    scenario = with_options(scenario, dram=made.pop("ddr"), **made, **options)
    sizes = [f"{name}={value}" for name, value in scenario.sizes.items()]
    return run_on_soc(model, load_soc_config(config, [*sizes, *(overrides or ())]), scenario, **common)


def _print(job, explain):
    from weft.report.tables import print_report

    for note in job.notes:
        print(f"input        {note}")
    if explain:
        from weft.report.explain import print_explanation

        for searched in job.searched:
            print_explanation(searched)
    print_report(job.report)
    if job.outcome.mismatch:
        step = f"step {job.step} of 0 to {job.report.steps - 1}: " if job.report.steps > 1 else ""
        print(f"weft: {step}{job.outcome.mismatch}", file=sys.stderr)
