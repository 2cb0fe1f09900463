"""The command ``weft explore``: its options, and what it prints and writes."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from hw.npu.config import SWITCHES, load_config
from hw.npu.errors import WeftError
from hw.npu.files import write_whole
from hw.version import VERSION
from weft.cli.options import MISMATCH, Clock, Config, NoHost, Overrides, Quiet, Signature
from weft.report.clock import choose_clock
from weft.run.outputs import check_writable, show_then_write
from weft.run.progress import Steps

SEED = 0
"""Of the random input of ``--verify``: the same at each call."""


def _values(field, meaning):
    return typer.Option(f"--{field.replace('_', '-')}", metavar="N,N,...", help=f"Values of {field}: {meaning}.")


def explore(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Quantized networks: .tflite files.")],
    rows: Annotated[str | None, _values("rows", "rows of the array")] = None,
    cols: Annotated[str | None, _values("cols", "columns of the array")] = None,
    act_kib: Annotated[str | None, _values("act_kib", "activation scratchpad")] = None,
    weight_kib: Annotated[str | None, _values("weight_kib", "weight scratchpad")] = None,
    axi_bits: Annotated[str | None, _values("axi_bits", "width of the bus")] = None,
    lane_divisor: Annotated[str | None, _values("lane_divisor", "columns to an output lane")] = None,
    accumulator_bits: Annotated[str | None, _values("accumulator_bits", "width of an accumulator")] = None,
    int4: Annotated[
        str | None, typer.Option("--int4", metavar="off|on|both", help="Arrays for 8-bit weights, for 4-bit weights too, or one of each.")
    ] = None,
    signature: Signature = None,
    config: Config = "small",
    overrides: Overrides = None,
    clock: Clock = None,
    fps: Annotated[
        float | None, typer.Option("--fps", metavar="N", min=0.001, max=1e9, help="Frames a second that are asked for: who reaches them?")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write every figure as CSV.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with an interactive plot and table.")] = None,
    verify: Annotated[
        str | None,
        typer.Option("--verify", metavar="best|N|front|CONFIG,...", help="Run the best, the N best, the front or these on the Verilog."),
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", metavar="N", min=1, help="Processes; as many as there are cores.")] = None,
    no_host: NoHost = False,
    quiet: Quiet = False,
):
    """Compile networks for every combination of the listed values and show what each costs; without a list, arrays of 4x4 to 32x32.

    What a configuration cannot run is the host's and in none of its figures; the tables say how much that is.
    Cycles are the timing model's; --verify runs chosen configurations on their Verilog, exit code 1 if a tensor differs from the reference.
    """
    from weft.explore.grid import candidates

    texts = {
        "rows": rows,
        "cols": cols,
        "act_kib": act_kib,
        "weight_kib": weight_kib,
        "axi_bits": axi_bits,
        "lane_divisor": lane_divisor,
        "accumulator_bits": accumulator_bits,
        "int4": int4,
    }
    base = load_config(config, overrides or ())
    check_writable(csv, "the CSV file")
    check_writable(html, "the page")
    chosen = candidates(base, _lists(texts, overrides or ()))
    _check_verify(verify, chosen)
    steps = Steps(quiet)
    survey = _survey(_networks(models, signature, no_host), base, chosen, choose_clock(base, clock), fps, jobs, steps)
    show_then_write(lambda: _print(survey), (csv, lambda path: _write_csv(survey, path)), (html, lambda path: _write_page(survey, path)))
    if verify and not _verified(models, survey.choose(verify), steps, signature=signature, host=not no_host):
        raise typer.Exit(MISMATCH)


def _check_verify(verify, chosen):
    """Refuses what --verify cannot do before the sweep."""
    if verify is not None:
        from sim.build import check_tools
        from weft.explore.survey import check_choice

        check_choice(verify, [candidate.label for candidate in chosen])
        check_tools()


def _lists(texts, overrides):
    from weft.explore.grid import parse_switch, parse_values

    fixed = {override.partition("=")[0].strip() for override in overrides}
    lists = {}
    for field, text in texts.items():
        if text is not None:
            option = f"--{field.replace('_', '-')}"
            if field in fixed:
                raise WeftError(f"{option} {text} and --set {field}: both choose it", remedy="leave one out")
            lists[field] = (parse_switch if field in SWITCHES else parse_values)(option, text)
    return lists


def _networks(models, signature, no_host):
    from weft.compiler.frontends.tflite import read_file, read_tflite
    from weft.explore.whole_cost import CostedFile
    from weft.run.whole import check_whole

    if no_host:
        return [read_tflite(model, signature) for model in models]
    files = [read_file(model, signature) for model in models]
    for file in files:
        check_whole(file)
    return [CostedFile(file) for file in files]


def _survey(networks, base, chosen, clock, fps, jobs, steps):
    from weft.explore.survey import Survey
    from weft.explore.sweep import sweep
    from weft.explore.workers import usable_cores

    names = tuple(network.name for network in networks)
    if len(set(names)) < len(names):
        raise WeftError(f"two networks are called alike: {', '.join(names)}", remedy="give each model once, or rename a file")
    points = sweep(networks, chosen, jobs=jobs or usable_cores(), stage=steps.stage)
    if not any(point.works for point in points):
        reasons = dict.fromkeys(point.reason for point in points)
        raise WeftError(f"none of {len(points)} configurations works: {next(iter(reasons))}" + (", and others" if len(reasons) > 1 else ""))
    return Survey(names, base, points, clock.mhz, fps, clock.source)


def _write_csv(survey, path):
    from weft.explore.tables import csv_text

    write_whole(path, csv_text(survey), "the CSV file")


def _write_page(survey, path):
    from weft.explore.page import page

    write_whole(path, page(survey, VERSION), "the page")


def _print(survey):
    from weft.explore.plot import plot_lines
    from weft.explore.tables import print_tables
    from weft.explore.words import summary
    from weft.report.tables import default_console

    console = default_console()
    print_tables(survey, console)
    for line in plot_lines(survey, console.width, ascii_only=console.options.ascii_only):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print()
    for line in summary(survey):
        console.print(line, highlight=False, markup=False)


def _verified(models, points, steps, **options):
    """Runs points on the RTL and prints what it took; whether all tensors were right."""
    from weft.explore.verify import verified_table, verify
    from weft.report.tables import default_console
    from weft.run.job import run_model

    verified = list(verify(models, points, seed=SEED, steps=steps, run=partial(run_model, **options)))
    default_console().print(verified_table(verified))
    for one in verified:
        if one.mismatch:
            print(f"weft: {one.label}, {one.network}: {one.mismatch}", file=sys.stderr)
    return not any(one.mismatch for one in verified)
