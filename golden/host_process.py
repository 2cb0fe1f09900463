"""What the host runs of a network: sub-models in the reference interpreter, in a process of its own, one instance each.

    with HostProcess(submodels) as host:      # it loads them at once
        outputs = host.run(0, inputs)         # as often as there are frames: a state of the operators lives on

The interpreter can abort, and its process with it; then, or where a kernel refuses, the sub-model's operators are run one by one to find
the one to blame, and the error names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from golden.child_process import ChildProcess, answers, next_message
from golden.reference import load_reference, operator_count, operator_tensors, single_operator
from golden.reference_process import REFUSALS, one_line
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
        self._child: ChildProcess | None = None
        self._start()
        for number, submodel in enumerate(self._submodels):
            self._ask(number, None, "load", submodel.content)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self._stop()

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
        self._child.send(*message)
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
        assert self._child is not None
        return self._child.receive() or ("died", self._child.death())

    def _start(self):
        self._stop()
        remedy = "is ai-edge-litert installed? --no-host runs without it where the whole network is for the NPU"
        self._child = ChildProcess(MODULE, what="the process of the host's operators", file=self._file, remedy=remedy)

    def _stop(self):
        if self._child is not None:
            self._child.close()
            self._child = None


def _serve():
    """The child: answers each message on standard output."""
    say = answers()
    interpreters: list = []
    while True:
        try:
            kind, *content = next_message()
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
