"""The reference interpreter in a process of its own: its tensors, or the operator at which it died.

    with ReferenceProcess(path, inputs) as reference:   # it starts at once and runs beside whatever else there is to do
        reference.check_loads()
        run = reference.result()

The interpreter runs the file as it is, and keeps the variables of the network from one frame of inputs to the next. Where it dies on the
way, or a kernel refuses the values, nothing of that frame's run is left; a second process then runs the file's operators one by one, each
on what the ones before it computed, up to the one that cannot be run.
"""

import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from golden.child_process import ChildProcess, answers, next_message
from golden.reference import (
    constant_tensors,
    invoke_reference,
    load_reference,
    operator_count,
    operator_tensors,
    reference_version,
    single_operator,
)
from hw.npu.errors import WeftError

MODULE = "golden.reference_process"
"""What the child runs: this file."""
NO_TENSOR = -1
ALONE = "it keeps its state outside of its tensors, and cannot be run alone"
"""What stops the run of single operators at one that reads a variable."""
REFUSALS = (ValueError, RuntimeError)
"""What the interpreter raises where it does not die."""
JOINED = re.compile(r"(?<=[^\s.])\.?(?=Node number \d)")
"""Where the interpreter's last sentence, which names the operator, begins right behind the one before."""


@dataclass(frozen=True)
class Stop:
    """Where the interpreter could not go on.

    Attributes
    ----------
    operator : int
        Its number in the file, from 0.
    tensor : int
        Index of the first tensor that it writes; `NO_TENSOR` where there is none.
    reason : str
        The interpreter's words, or the signal that ended it.
    step : int
        In which frame of inputs, from 0.
    """

    operator: int
    tensor: int
    reason: str
    step: int = 0


@dataclass(frozen=True)
class ReferenceRun:
    """What the interpreter computed.

    Attributes
    ----------
    version : str
        Of the interpreter.
    tensors : dict of int to ndarray
        By their index in the file; constants of the file for the first frame only.
    stop : Stop or None
        None where it ran to the end.
    """

    version: str
    tensors: dict[int, np.ndarray]
    stop: Stop | None


class ReferenceProcess:
    """Runs a file in the reference interpreter, in another process, from the moment on that it is made.

    Parameters
    ----------
    model : Path
        A TFLite file.
    inputs : sequence of ndarray, optional
        In the order of the file; without them it is only loaded.
    subgraph : int
        Which of the file's subgraphs is run.
    further : sequence of sequence of ndarray
        Frames of inputs that follow the first, one after another in the same interpreter.
    """

    def __init__(
        self,
        model: Path,
        inputs: Sequence[np.ndarray] | None = None,
        subgraph: int = 0,
        *,
        further: Sequence[Sequence[np.ndarray]] = (),
    ):
        self._model = Path(model)
        self._frames = None if inputs is None else [inputs, *further]
        self._subgraph = subgraph
        self._child: ChildProcess | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._known = threading.Event()  # whether the file loads
        self._loaded = False
        self._refusal: str | None = None
        self._pool = ThreadPoolExecutor(1)
        self._future = self._pool.submit(self._run)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        with self._lock:
            self._closed = True
            if self._child is not None:
                self._child.kill()
        self._pool.shutdown(wait=True)

    def check_loads(self):
        """Wait until the interpreter has loaded the file.

        Raises
        ------
        WeftError
            If the interpreter refuses the file, with its reason, or if there is no interpreter.
        """
        self._known.wait()
        if not self._loaded:
            self._future.result()  # why
        if self._refusal is not None:
            raise WeftError(f"the reference interpreter {reference_version()} refuses it: {self._refusal}", file=self._model)

    def result(self) -> ReferenceRun:
        """Wait for the end; what it computed for the first frame.

        Raises
        ------
        WeftError
            As `check_loads`.
        """
        return self.results()[0]

    def results(self) -> list[ReferenceRun]:
        """Wait for the end; what it computed for each frame up to the one in which it stopped.

        Raises
        ------
        WeftError
            As `check_loads`.
        """
        runs = self._future.result()
        self.check_loads()
        return runs

    def _run(self) -> list[ReferenceRun]:
        version = reference_version()
        try:
            frames, end = self._listen("whole", self._frames, lambda message: None)
            if end is None or self._refusal is not None or self._frames is None:
                return [ReferenceRun(version, tensors, None) for tensors in frames]
            self._load()  # or it died of loading; which operator is to blame is found below
            *whole, _ = frames
            begun = [(0, NO_TENSOR)]
            (tensors, *_), reason = self._listen("operators", [self._frames[len(whole)]], begun.append)
            if reason == ALONE:
                reason = f"{end}, here or behind it: {ALONE}"
            stop = None if reason is None else Stop(*begun[-1], reason, len(whole))
            if whole:
                stop = stop or Stop(*begun[-1], end, len(whole))
                tensors = {}  # an operator alone does not know what the frames before left
            return [*(ReferenceRun(version, before, None) for before in whole), ReferenceRun(version, tensors, stop)]
        finally:
            self._known.set()

    def _load(self):
        self._loaded = True
        self._known.set()

    def _listen(self, way, given, at_operator) -> tuple[list[dict[int, np.ndarray]], str | None]:
        """Run a child; what it computed for each frame, and why it stopped before its end, None where it did not."""
        child = self._started()
        try:
            child.send(str(self._model), given, way, self._subgraph)
            return self._heard(child, at_operator)
        finally:
            child.close()

    def _heard(self, child: ChildProcess, at_operator) -> tuple[list[dict[int, np.ndarray]], str | None]:
        frames: list[dict[int, np.ndarray]] = [{}]
        while message := child.receive():
            kind, *content = message
            if kind == "tensor":
                frames[-1][content[0]] = content[1]
            elif kind == "frame":
                frames.append({})
            elif kind == "operator":
                at_operator((content[0], content[1]))
            elif kind == "loaded":
                self._load()
            elif kind == "refused":
                self._refusal = content[0]
                return [{}], content[0]
            elif kind == "failed":
                return frames, content[0]
            elif kind == "end":
                return frames, None
        return frames, child.death()

    def _started(self) -> ChildProcess:
        remedy = "is ai-edge-litert installed? --no-reference runs without it"
        with self._lock:
            self._child = ChildProcess(MODULE, what="the process of the reference interpreter", file=self._model, remedy=remedy)
            if self._closed:
                self._child.kill()
            return self._child


def _serve():
    """The child: reads a request from standard input and answers on standard output."""
    say = answers()
    from golden.submodel import with_subgraph_first  # needs the interpreter's package, which the parent may do without

    path, frames, way, subgraph = next_message()
    try:
        model = with_subgraph_first(Path(path).read_bytes(), subgraph)
        (_run_whole if way == "whole" else _run_operators)(model, frames, say)
    except REFUSALS as error:
        say("failed", one_line(error))
    else:
        say("end")


def one_line(error) -> str:
    """What the interpreter says, as a part of a line of ours: it joins its sentences without a space, and ends the last one."""
    return JOINED.sub(". ", " ".join(str(error).split())).rstrip(".")


def _run_whole(model, frames, say):
    try:
        interpreter = load_reference(model)
    except REFUSALS as error:
        say("refused", one_line(error))
        return
    say("loaded")
    constants: frozenset[int] = frozenset()
    for number, inputs in enumerate(frames or ()):
        if number:
            say("frame")
            constants = constants or constant_tensors(model)
        for index, _, value in invoke_reference(interpreter, inputs):
            if index not in constants:
                say("tensor", index, value)


def _run_operators(model, frames, say):
    """Each operator alone, on what is known when it is its turn."""
    (inputs,) = frames
    known = dict(zip((detail["index"] for detail in load_reference(model).get_input_details()), inputs, strict=True))
    for index, value in known.items():
        say("tensor", index, value)
    for number in range(operator_count(model)):
        read, written = operator_tensors(model, number)
        say("operator", number, written[0] if written else NO_TENSOR)
        if not known.keys() >= set(read):  # a variable's handle, made by another subgraph
            raise RuntimeError(ALONE)
        interpreter = load_reference(single_operator(model, number))
        results = {index: value for index, _, value in invoke_reference(interpreter, [known[index] for index in read]) if index in written}
        known |= results
        for index, value in results.items():
            say("tensor", index, value)


if __name__ == "__main__":
    _serve()
