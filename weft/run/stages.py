"""Runs the steps of a whole file on some inputs, step by step: all inputs go through one step before the next begins.

What a program of the NPU computed is what the host's operators get, and the other way round. Where a program's results are wrong, the
right ones go on, so that what follows is judged for itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from golden.host_process import HostProcess
from hw.npu.errors import WeftError
from sim.compare import Mismatch
from weft.compiler.graph import Tensor
from weft.run.whole import HostStep, NpuStep, Whole


@dataclass(frozen=True)
class Compared:
    """One input's run of a program.

    Attributes
    ----------
    run : RunResult
    outputs : dict of str to ndarray
        Of the program's graph, after its own host operators.
    expected : dict of str to ndarray
        Every tensor by the golden operators.
    compared : int
        Tensors of the NPU that were compared with them.
    mismatch : Mismatch or None
    """

    run: Any
    outputs: dict
    expected: dict
    compared: int
    mismatch: Mismatch | None


@dataclass
class Frame:
    """One input on its way through the steps.

    Attributes
    ----------
    values : dict of str to ndarray
        The network's inputs, and what the steps handed on.
    programs : list of Compared
        One for each program that ran.
    computed : dict of str to ndarray
        Every tensor of the programs by the golden operators.
    moved : list of (int, int)
        Bytes in and out of each host step that ran.
    """

    values: dict
    programs: list[Compared] = field(default_factory=list)
    computed: dict = field(default_factory=dict)
    moved: list[tuple[int, int]] = field(default_factory=list)

    def outputs(self, whole: Whole) -> dict[str, np.ndarray]:
        """The network's outputs: as the last program to make them left them, right or wrong."""
        made = {name: value for each in self.programs for name, value in each.outputs.items()}
        return {name: made.get(name, self.values[name]) for name in whole.graph.outputs}


def run_stages(
    whole: Whole,
    samples: Sequence[dict[str, np.ndarray]],
    program: Callable[[NpuStep, list[dict]], list[Compared]],
) -> list[Frame]:
    """Run all steps. What the host's operators keep goes from one sample to the next, as the states of the programs do.

    Parameters
    ----------
    whole : Whole
    samples : sequence of dict of str to ndarray
        A value for each input of the network.
    program : callable
        Runs a program on values for each of its graph's inputs, one dict a sample.

    Raises
    ------
    WeftError
        If a host step fails; it names the operator.
    """
    frames = [Frame(dict(sample)) for sample in samples]
    hosts = list(whole.host_steps)
    if not hosts:
        for step in whole.npu_steps:
            _run_program(step, frames, program)
        return frames
    with HostProcess([step.submodel for step in hosts], whole.graph.file) as host:
        for step in whole.steps:
            if isinstance(step, NpuStep):
                _run_program(step, frames, program)
                continue
            for frame in frames:
                _run_host(step, hosts.index(step), frame, host, whole)
    constants = {name: tensor.data for name in whole.graph.outputs if (tensor := whole.graph.tensors[name]).constant}
    for frame in frames:
        frame.values |= constants
        frame.computed |= constants
    return frames


def _run_program(step, frames, program):
    inputs = [{name: frame.values[name] for name in step.compiled.graph.inputs} for frame in frames]
    for frame, result in zip(frames, program(step, inputs), strict=True):
        frame.programs.append(result)
        frame.computed |= result.expected
        exact = result.mismatch is None
        frame.values |= result.outputs if exact else {name: result.expected[name] for name in result.outputs}


def _run_host(step: HostStep, number: int, frame: Frame, host: HostProcess, whole: Whole):
    given = [frame.values[name] for name in step.submodel.inputs]
    results = host.run(number, given)
    for name, value in zip(step.submodel.outputs, results):
        _check_shape(step, whole.graph.tensors[name], value, whole)
        frame.values[name] = value
    frame.moved.append((sum(value.nbytes for value in given), sum(value.nbytes for value in results)))


def _check_shape(step: HostStep, tensor: Tensor, value: np.ndarray, whole: Whole):
    """What a program of the NPU reads must have the shape for which it was compiled."""
    readers = [each for each in whole.npu_steps if tensor.name in each.compiled.graph.inputs]
    if readers and value.shape != tensor.shape:
        makers = [operator.title for operator in step.part.operators if tensor.name in operator.outputs]
        raise WeftError(
            f"its output has the shape {list(value.shape)}, but the file says {list(tensor.shape)}",
            file=whole.graph.file, layer=next(iter(makers), None), remedy="convert the network again with fixed shapes",
        )  # fmt: skip
