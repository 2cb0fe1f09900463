"""Steps: inputs that follow each other on one NPU, which keeps the states of the network from one to the next."""

import dataclasses
import secrets
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hw.npu.errors import WeftError
from weft.compiler.graph import Graph
from weft.report.report import ReferenceVerdict
from weft.run.inputs import load_samples, random_samples

SEEDS = 1 << 32
"""A seed that nobody gave is below it."""


def choose_samples(
    graph: Graph, path: Path | None, sample: int | None, seed: int | None, count: int | None
) -> tuple[list[dict[str, np.ndarray]], int | None, list[str]]:
    """The inputs to run, one a step; the seed if they are random; and notes for the user.

    Parameters
    ----------
    graph : Graph
    path : Path or None
        A file of inputs; without it they are random.
    sample : int or None
        The first of the file to run. Without it that is number 0, and a network with states runs all of them.
    seed : int or None
        Of the random inputs.
    count : int or None
        How many steps.

    Raises
    ------
    WeftError
        If the file cannot be read or does not hold so many, or an option is for the other kind of input.
    """
    if path is None:
        seed = secrets.randbelow(SEEDS) if seed is None else seed
        steps = "" if count is None else f", {_steps(count)}, each on another input"
        return random_samples(graph, seed, count or 1), seed, [f"random, --seed {seed}{steps}"]
    if seed is not None:
        raise WeftError("--seed is for the random input", remedy="leave out --input or --seed")
    samples, notes = load_samples(graph, path)
    first, held = sample or 0, f"it holds {len(samples)}, counted from 0"
    if first >= len(samples):
        raise WeftError(f"--sample {first} is not in the file", file=path, remedy=held)
    if count is None:
        count = len(samples) if graph.states and sample is None else 1
    if first + count > len(samples):
        raise WeftError(f"the file has no {_steps(count)} from sample {first} on", file=path, remedy=held)
    if len(samples) > 1:
        which = f"sample {first}" if count == 1 else f"samples {first} to {first + count - 1}"
        notes.append(f"{which} of {len(samples)}")
    return samples[first : first + count], None, [str(path), *notes]


def _steps(count: int) -> str:
    return f"{count} step{'s' if count != 1 else ''}"


def reset_note(graph: Graph, steps: int) -> list[str]:
    """A line for a network with states that ran once only: it did not leave its initial values."""
    if not graph.states or steps > 1:
        return []
    count = len(graph.states)
    kept = "a state" if count == 1 else f"{count} states"
    return [f"the network keeps {kept} from run to run, and this is the first one: --steps N runs more"]


def joined(verdicts: Sequence[ReferenceVerdict | None]) -> ReferenceVerdict | None:
    """What the interpreter said of all steps: how many tensors it was compared in, and where it stopped."""
    known = [verdict for verdict in verdicts if verdict is not None]
    return dataclasses.replace(known[-1], tensors=sum(verdict.tensors for verdict in known)) if known else None
