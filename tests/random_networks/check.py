"""What must hold for a random network: golden operators as the interpreter, the machine as the operators, tensors and outputs alike."""

import re
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from golden.machine import Machine, MachineError
from hw.npu.errors import WeftError
from tests.random_networks.network import Network
from tests.random_networks.reference_process import Died, ReferenceProcess, Refused
from weft.analysis.search import search
from weft.compiler.driver import Compiled, compile_graph
from weft.compiler.evaluate import evaluate
from weft.compiler.graph import Graph
from weft.compiler.host import host_after, host_before

MACHINE_FILL = 0xA5
"""Every byte of the machine's memories before a run: a program must not rely on zeros."""


class Fault(AssertionError):
    """Something is not as it must be.

    Each kind is a class of its own, made by `fault`: a failure is shrunk to a smaller one of the same class.
    """

    kind = ""


_KINDS: dict[str, type[Fault]] = {}


def fault(kind: str, text: str) -> Fault:
    """A fault of a kind, which a table shows, with a text for whoever looks into it."""
    if kind not in _KINDS:
        _KINDS[kind] = type(f"Fault_{len(_KINDS)}", (Fault,), {"kind": kind})
    return _KINDS[kind](f"{kind}: {text}")


@dataclass
class Tally:
    """What a number of networks came to; adding two adds all counts.

    Attributes
    ----------
    networks, exact : int
        How many were tried, and how many ran on the golden machine.
    operators : Counter
        TFLite's names, in networks that ran on the machine.
    refusals : Counter
        Weft's reasons, without names and numbers.
    reference : Counter
        Networks that the interpreter compared, did not take, or died on.
    """

    networks: int = 0
    exact: int = 0
    operators: Counter = field(default_factory=Counter)
    refusals: Counter = field(default_factory=Counter)
    reference: Counter = field(default_factory=Counter)

    def __iadd__(self, other: "Tally") -> "Tally":
        self.networks += other.networks
        self.exact += other.exact
        self.operators += other.operators
        self.refusals += other.refusals
        self.reference += other.reference
        return self


def check(network: Network, reference: ReferenceProcess | None, folder: Path, tally: Tally) -> Compiled | None:
    """Compile a network, run it on the golden machine, compare; None where it is refused.

    Parameters
    ----------
    network : Network
    reference : ReferenceProcess or None
        None compares with the operators only.
    folder : Path
        For the file.
    tally : Tally
        What the network came to is added.

    Raises
    ------
    Fault
        At the first thing that is not as it must be.
    """
    tally.networks += 1
    try:
        graph = _unless_broken("the frontend", network.graph, folder)
        inputs = network.sample(graph)
        expected = _unless_broken("a golden operator", evaluate, graph, inputs)
        if reference is not None:
            tally.reference[compare_with_reference(network, graph, inputs, expected, reference)] += 1
        compiled = _unless_broken("the compiler", _compile, network, graph)
    except WeftError as error:
        tally.refusals[reason(error)] += 1
        return None
    check_machine(compiled, inputs, expected)
    tally.exact += 1
    tally.operators.update(network.ops)
    return compiled


def reason(error: WeftError) -> str:
    """A refusal without names and numbers. One that is not one line is a fault."""
    if "\n" in str(error):
        raise fault("a refusal of several lines", str(error))
    text = re.sub(r"; here .*", "", error.message)
    return re.sub(r"\b\d+x\d+\b", "NxN", re.sub(r"\bt?\d+(_\w+)?\b", "N", text))


def _unless_broken(who, function, *arguments):
    """The function's result; an exception that is no refusal is a fault."""
    try:
        return function(*arguments)
    except WeftError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name} {last.name}"
        raise fault(f"{who} fails: {type(error).__name__} in {place}", f"{error}\n{traceback.format_exc()}") from error


def _compile(network, graph) -> Compiled:
    if network.searched:
        return search(graph, network.config, keep_tensors=network.keep_tensors).compiled
    return compile_graph(graph, network.config, keep_tensors=network.keep_tensors, tuning=network.tuning)


def _first_difference(graph: Graph, found, expected, names) -> tuple[str, str] | None:
    """The operator of the first tensor that differs, in the order of the network, and where."""
    makers = {name: operator.op for operator in graph.operators for name in operator.outputs}
    for name in names:
        value, wanted = np.asarray(found[name]), np.asarray(expected[name])
        if value.shape != wanted.shape or value.dtype != wanted.dtype:
            return makers.get(name, "input"), f"tensor {name} is {value.dtype} {value.shape}, not {wanted.dtype} {wanted.shape}"
        wrong = np.argwhere(value != wanted)
        if len(wrong):
            at = tuple(int(n) for n in wrong[0])
            text = f"tensor {name} {value.shape}: {len(wrong)} wrong, first at {at}: expected {wanted[at]}, got {value[at]}"
            return makers.get(name, "input"), text
    return None


def compare_with_reference(network: Network, graph, inputs, expected, reference) -> str:
    """Every tensor that both know. Where the interpreter dies, those of the operators before the one on which it does."""
    values = [inputs[name] for name in graph.inputs]
    verdict = "compared"
    try:
        found = reference.run(network.content, values)
    except Refused as error:
        return "not taken: " + re.sub(r"\d+", "N", str(error))[:100]
    except Died:
        found, verdict = _before_death(network, inputs, reference)
    names = [name for operator in graph.operators for name in operator.outputs if name in found]
    difference = _first_difference(graph, found, expected, names)
    if difference:
        raise fault(f"golden operator is not the reference: {difference[0]}", f"{difference[1]}\n{graph}")
    return verdict


def _before_death(network, inputs, reference):
    """The tensors of the longest part of the network that the interpreter survives, by bisection, and what is said of it."""
    found, low, high = {}, 0, len(network.ops)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            part = network.part(range(middle))
            found, low = reference.run(part.content, [inputs[name] for name in part.inputs]), middle
        except Died:
            high = middle
    return found, f"compared up to {network.ops[low]}, on which the interpreter dies"


def check_machine(compiled: Compiled, inputs, expected):
    """Each tensor of the program, and each output in DDR, is the operators'. (That it is free of hazards, the compiler proves.)

    Raises
    ------
    Fault
        Tensors and outputs that do not tell the same are one too: then the place or time of a comparison is wrong.
    """
    graph = compiled.graph
    try:
        given = host_before(compiled, inputs)
        result = Machine(compiled.program, fill=MACHINE_FILL).run(given)
    except MachineError as error:
        layer = compiled.program.layers[compiled.program.commands[error.index].layer]
        raise fault(f"machine stops: {error.code.name} in {layer.op}", f"{error}\n{graph}") from None
    order = [*graph.inputs, *(name for operator in graph.operators for name in operator.outputs)]
    outputs = host_after(compiled, result.outputs, inputs)
    wrong_output = _first_difference(graph, outputs, expected, [name for name in graph.outputs if name in outputs])
    wrong_tensor = _first_difference(graph, result.tensors, expected, [name for name in order if name in result.tensors])
    if wrong_tensor and wrong_output:
        raise fault(f"wrong program: {wrong_tensor[0]}", f"{wrong_tensor[1]}\n{graph}")
    if wrong_output:
        raise fault(f"output differs where no tensor does: {wrong_output[0]}", f"{wrong_output[1]}\n{graph}")
    if wrong_tensor:
        raise fault(f"tensor differs where no output does: {wrong_tensor[0]}", f"{wrong_tensor[1]}\n{graph}")
    assert set(outputs) == set(graph.outputs), f"outputs {set(graph.outputs) - set(outputs)} are missing"
