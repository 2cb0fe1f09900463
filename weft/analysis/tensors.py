"""Bytes of a network's tensors: those between its layers, the largest of them, and the most that are needed at a time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from weft.compiler.graph import Graph, Operator, Tensor
from weft.compiler.select import ALIASES


@dataclass(frozen=True)
class Tensors:
    """The tensors that operators hand to each other, in the order of the file, nothing fused.

    Attributes
    ----------
    intermediates : int
        How many: made by an operator, read by another, no output of the network. Aliases (RESHAPE and its kin) are the tensor that
        they rename.
    intermediate_bytes : int
        Of all of them.
    largest, largest_bytes : str, int
        Name of the largest one, the first of several; empty where there is none.
    largest_of : str
        Name of the operator that makes it.
    peak_bytes : int
        Most bytes of tensors that live at a time, inputs and outputs of the network among them: from the operator that makes a tensor
        to the last that reads it, both included. No place is used twice within an operator.
    peak_at : str
        Name of the operator at which it is, the first of several.
    """

    intermediates: int
    intermediate_bytes: int
    largest: str
    largest_bytes: int
    largest_of: str
    peak_bytes: int
    peak_at: str


def tensor_bytes(tensor: Tensor) -> int:
    """Bytes of a tensor in memory; of 4 bits two elements a byte."""
    if tensor.dtype == "int4":
        return (tensor.size + 1) // 2
    return tensor.size * np.dtype(tensor.dtype).itemsize


def computed_inputs(graph: Graph, operator: Operator) -> list[str]:
    """Tensors that an operator reads and that are no constants, each once."""
    return [name for name in dict.fromkeys(operator.inputs) if name is not None and not graph.tensors[name].constant]


def merged(programs: Sequence[Tensors]) -> Tensors:
    """Of programs that run one after another: what one hands to the next is an output of it, and no intermediate tensor."""
    largest, peak = max(programs, key=lambda each: each.largest_bytes), max(programs, key=lambda each: each.peak_bytes)
    return Tensors(
        intermediates=sum(each.intermediates for each in programs),
        intermediate_bytes=sum(each.intermediate_bytes for each in programs),
        largest=largest.largest,
        largest_bytes=largest.largest_bytes,
        largest_of=largest.largest_of,
        peak_bytes=peak.peak_bytes,
        peak_at=peak.peak_at,
    )


def tensors_of(graph: Graph, operators: Sequence[Operator], inputs: Collection[str], outputs: Collection[str]) -> Tensors:
    """Measure the tensors of a network.

    Parameters
    ----------
    graph : Graph
    operators : sequence of Operator
        Those that count, in the order of execution.
    inputs, outputs : collection of str
        Tensors that come from elsewhere, and those that others need afterwards.
    """
    owner = {name: name for name in inputs}
    first, last = dict.fromkeys(owner, 0), dict.fromkeys(owner, 0)
    for place, operator in enumerate(operators):
        for name in computed_inputs(graph, operator):
            last[owner[name]] = place
        for name in operator.outputs:
            owner[name] = owner[operator.inputs[0]] if operator.op in ALIASES else name
            first.setdefault(owner[name], place)
            last.setdefault(owner[name], place)
    leaving = {owner[name] for name in outputs}
    last |= dict.fromkeys(leaving, len(operators) - 1)
    size = {name: tensor_bytes(graph.tensors[name]) for name in first}
    live = [sum(size[name] for name in size if first[name] <= place <= last[name]) for place in range(len(operators))]
    between = [name for name in size if name not in leaving and name not in inputs]
    largest = max(between, key=size.__getitem__, default="")
    peak = max(live)
    return Tensors(
        intermediates=len(between),
        intermediate_bytes=sum(size[name] for name in between),
        largest=largest,
        largest_bytes=size.get(largest, 0),
        largest_of=operators[first[largest]].name if largest else "",
        peak_bytes=peak,
        peak_at=operators[live.index(peak)].name,
    )
