"""What the host runs of a network: sub-models in the reference interpreter, in a process of its own, one instance each.

    with HostProcess(submodels) as host:      # it loads them at once
        outputs = host.run(0, inputs)         # as often as there are frames: a state of the operators lives on
        host.reset()                          # until here

The interpreter can abort, and its process with it; then, or where a kernel refuses, the sub-model's operators are run one by one to find
the one to blame, and the error names it.
"""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from golden.reference import load_reference, operator_count, operator_tensors, single_operator
from golden.reference_process import REFUSALS, ROOT, one_line
from hw.npu.errors import WeftError

MODULE = "golden.host_process"
"""What the child runs: this file."""


@dataclass(frozen=True, eq=False)
class SubModel:
    """A part of a network as a file of its own.

    Attributes
    ----------
    content : bytes
        A TFLite file.
    inputs, outputs : tuple of str
        Names of its input and output tensors, in its order.
    titles : tuple of str
        How messages call its operators, in its order.
    """

    content: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    titles: tuple[str, ...]


class HostProcess:
    """Interpreters for some sub-models, in another process.

    Parameters
    ----------
    submodels : sequence of SubModel
    file : str or Path
        The network's file, for messages.

    Raises
    ------
    WeftError
        If the interpreter does not load one of them; it names the operator.
    """

    def __init__(self, submodels: Sequence[SubModel], file):
        self._submodels, self._file = tuple(submodels), file
        self._child: subprocess.Popen | None = None
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - __exit__ closes it
        self.reset()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self._stop()
        self._noise.close()

    def reset(self):
        """Begin anew: every sub-model gets a new interpreter, whose states are the initial ones."""
        self._start()
        for number, submodel in enumerate(self._submodels):
            self._ask(number, None, "load", submodel.content)

    def run(self, number: int, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run a sub-model once.

        Parameters
        ----------
        number : int
            Which one.
        inputs, and what is returned : sequence of ndarray
            In the order of its tensors.

        Raises
        ------
        WeftError
            If the interpreter dies or refuses the values; it names the operator.
        """
        return self._ask(number, inputs, "run", number, list(inputs))

    def _ask(self, number, inputs, *message):
        """Send a message and get the answer."""
        kind, answer = self._exchange(*message)
        if kind != "done":
            self._blame(number, inputs, answer)
        return answer

    def _exchange(self, *message) -> tuple[str, object]:
        assert self._child is not None
        try:
            pickle.dump(message, self._child.stdin)
            self._child.stdin.flush()
        except OSError:
            return "died", self._death()
        return self._answer()

    def _blame(self, number, inputs, reason):
        """Find the operator that failed, by running them one by one in another child."""
        submodel, blamed = self._submodels[number], None
        self._start()
        kind, answer = self._exchange("operators", submodel.content, inputs)
        while kind == "operator":
            blamed = submodel.titles[answer]
            kind, answer = self._answer()
        self._stop()
        if kind == "done" or blamed is None:  # alone each of them does it
            blamed, answer = " to ".join(dict.fromkeys((submodel.titles[0], submodel.titles[-1]))), reason
        raise WeftError(
            f"the host cannot run it, the reference interpreter itself fails: {answer}",
            file=self._file, layer=blamed, remedy="give other input values, or convert the network again",
        )  # fmt: skip

    def _answer(self) -> tuple[str, object]:
        try:
            return pickle.load(self._child.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            return "died", self._death()

    def _start(self):
        self._stop()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
        command = [sys.executable, "-P", "-m", MODULE]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._noise, env=environment)

    def _stop(self):
        if self._child is not None:
            self._child.kill()
            with self._child:
                self._child = None

    def _death(self) -> str:
        """The signal that ended the child.

        Raises
        ------
        WeftError
            If it was none: the interpreter could not even be imported.
        """
        status = self._child.wait()
        if status < 0:
            return signal.Signals(-status).name
        self._noise.seek(0)
        lines = self._noise.read().decode(errors="replace").strip().splitlines()
        raise WeftError(
            f"the process of the host's operators ended: {lines[-1] if lines else f'exit code {status}'}",
            file=self._file, remedy="is ai-edge-litert installed? --no-host runs without it where the whole network is for the NPU",
        )  # fmt: skip


def _serve():
    """The child: answers each message on standard output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a kernel prints

    def say(*message):
        pickle.dump(message, answers)
        answers.flush()

    interpreters: list = []
    while True:
        try:
            kind, *content = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            if kind == "load":
                interpreters.append(load_reference(*content, preserve=False))
                say("done", None)
            elif kind == "run":
                number, inputs = content
                say("done", _invoked(interpreters[number], inputs))
            else:
                model, inputs = content
                _run_operators(model, inputs, say)
                say("done", None)
        except REFUSALS as error:
            say("failed", one_line(error))


def _invoked(interpreter, inputs) -> list[np.ndarray]:
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def _run_operators(model, inputs, say):
    """Each operator alone, on what is known when it is its turn; without inputs each is loaded only."""
    known = None if inputs is None else dict(enumerate(inputs))  # a part's inputs are its first tensors
    for number in range(operator_count(model)):
        say("operator", number)
        interpreter = load_reference(single_operator(model, number), preserve=False)
        if known is not None:
            read, written = operator_tensors(model, number)
            if not known.keys() >= set(read):  # a variable's handle: it cannot be run alone
                return
            known |= dict(zip(written, _invoked(interpreter, [known[index] for index in read]), strict=True))


if __name__ == "__main__":
    _serve()
