"""The command ``weft quantize``: its options, and what it prints and writes."""

import json
import os
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from hw.npu.config import load_config
from hw.npu.errors import WeftError
from hw.npu.files import write_whole
from hw.version import VERSION
from weft.cli.options import Config, Model, Overrides, Quiet, Signature
from weft.report.host_report import counted
from weft.run.outputs import check_writable, show_then_write
from weft.run.progress import Steps

INT4 = "int4"
LABELS = ("y", "labels")
"""Keys of an ``.npz`` file under which labels are looked for."""
USUAL_LOSS = 1.0
"""Percentage points."""


def quantize(
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The .tflite file to write.")],
    weights: Annotated[str, typer.Option("--weights", metavar="int4", help="What the weights become.")] = INT4,
    layers: Annotated[
        str,
        typer.Option(
            "--layers", metavar="all|inner|NAME,...", help="Which layers, or with --auto among which; inner: not the first and last."
        ),
    ] = "all",
    auto: Annotated[bool, typer.Option("--auto", help="Choose the layers: the most gain for a loss of at most --max-loss.")] = False,
    max_loss: Annotated[
        float | None,
        typer.Option("--max-loss", metavar="X", min=0, max=100, help="For --auto: percentage points of accuracy; 1 without this option."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FILE", help="Inputs, .npz or .npy: x, and labels y if known. Half of them is kept to judge."),
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write the report as JSON.")] = None,
    signature: Signature = None,
    config: Config = "small",
    overrides: Overrides = None,
    quiet: Quiet = False,
):
    """Write an int8 network with the weights of its layers, or of some, in 4 bits; say what that costs in accuracy and saves in cycles.

    Cycles are the timing model's, on the configuration with int4=true; weft run with --set int4=true runs the file.
    """
    from weft.quantize.job import quantize as run
    from weft.quantize.words import print_report
    from weft.report.tables import default_console

    chosen = load_config(config, overrides or ())
    _check_options(model, output, weights, auto, max_loss, data)
    graph = _npu_network(model, signature)
    samples = None if data is None else _samples(graph, data, auto)
    check_writable(output, "the network")
    check_writable(report, "the report")
    steps = Steps(quiet)
    limit = (USUAL_LOSS if max_loss is None else max_loss) if auto else None
    result, content = run(graph, chosen, layers=layers, samples=samples, max_loss=limit, signature=signature, stage=steps.stage)
    written = json.dumps(result.to_json() | {"weft": VERSION}, indent=2) + "\n"
    show_then_write(
        lambda: print_report(result, default_console()),
        (output, lambda path: write_whole(path, content, "the network")),
        (report, lambda path: write_whole(path, written, "the report")),
    )


def _npu_network(model, signature):
    """The network, which the NPU must run as a whole: of one that the host runs in part neither cycles nor results are known here."""
    from weft.compiler.frontends.tflite import read_file, read_tflite
    from weft.run.whole import in_part

    try:
        return read_tflite(model, signature)
    except WeftError as error:
        hosts = in_part(read_file(model, signature))
        if not hosts:
            raise
        first = hosts[0]
        message = (
            f"weft quantize takes networks that the NPU runs as a whole, but the host would run {counted(each.subject for each in hosts)}"
        )
        raise WeftError(f"{message}: {first.sentence}", file=model, layer=first.layer, remedy=first.remedy) from error


def _check_options(model, output, weights, auto, max_loss, data):
    if weights != INT4:
        raise WeftError(f"--weights {weights}: only {INT4} is known")
    if auto and data is None:
        raise WeftError("--auto needs inputs to try the layers on", remedy="give --data inputs.npz")
    if max_loss is not None and not auto:
        raise WeftError(f"--max-loss {max_loss:g} says how --auto chooses", remedy="add --auto, or leave --max-loss out")
    if output.exists() and model.exists() and os.path.samefile(output, model):
        raise WeftError("is the network itself", file=output, remedy="write to another file")


def _samples(graph, path, auto):
    """The inputs and labels of a file."""
    from weft.quantize.job import Samples
    from weft.quantize.judge import classes
    from weft.run.inputs import load_samples

    if graph.states:
        raise WeftError(
            "--data judges each sample for itself, and this network keeps a state from one to the next",
            file=graph.file, remedy="leave --data out: the weights' own error is made small then",
        )  # fmt: skip
    inputs, _ = load_samples(graph, path)
    if len(inputs) < 2:
        raise WeftError("holds one sample; one half chooses, the other judges", file=path, remedy="give two or more")
    if auto and classes(graph) < 2:
        raise WeftError(f"--auto judges by the top class, but {graph.outputs[0]} has one value", file=graph.file, remedy="name --layers")
    return Samples(inputs, _labels(graph, path, len(inputs), classes(graph)))


def _labels(graph, path, samples, classes) -> np.ndarray | None:
    if path.suffix.lower() != ".npz":
        return None
    with np.load(path, allow_pickle=False) as content:
        labels = next((content[key] for key in LABELS if key in content and key not in graph.inputs), None)
    if labels is None:
        return None
    labels = labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim != 1 or labels.size != samples or labels.dtype.kind not in "iu":
        raise WeftError(
            f"labels of type {labels.dtype} and shape {list(labels.shape)} for {samples} samples",
            file=path,
            remedy="give a whole number each",
        )
    if not 0 <= labels.min() <= labels.max() < classes:
        raise WeftError(f"labels from {labels.min()} to {labels.max()}, but the network has {classes} classes", file=path)
    return labels.astype(np.int64)
