"""A labelled graph as steps: programs for the NPU and sub-models for the host, in the order of execution."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter

from hw.npu.errors import Finding
from weft.compiler.cut.labels import Labels
from weft.compiler.cut.parts import Value, cut, moved_bytes
from weft.compiler.frontends.tflite_file import INT4, ITEM_TYPES, stored_bytes
from weft.compiler.graph import Graph, Operator, Tensor
from weft.compiler.limits.movement import MOVEMENT_LIMITS
from weft.compiler.parameters import EDGES
from weft.compiler.tables import FUNCTIONS

LIGHT = frozenset({*MOVEMENT_LIMITS, *FUNCTIONS, *EDGES})
"""Operators that move or tabulate bytes: alone they are not worth a way to the NPU and back."""
WIDEST = 4
"""Bytes that an element of a type without a size of its own is taken for."""


@dataclass(frozen=True, eq=False)
class Part:
    """Consecutive operators of one kind.

    Attributes
    ----------
    on_npu : bool
    graph : Graph
        Its operators; its inputs and outputs are what it reads of others and makes for them.
    reasons : dict of str to Finding
        Why the host runs each of its operators; empty on the NPU.
    """

    on_npu: bool
    graph: Graph
    reasons: dict[str, Finding]


def divide(labels: Labels) -> list[Part]:
    """The parts of a network: as few as possible.

    What only moves or tabulates bytes on the NPU goes to the host where that makes parts fewer and less is moved, as long as the NPU has
    something else. The labels' `host` tells why then.
    """
    host = dict(labels.host)
    stages, values = _stages(labels, host)
    refused: set[tuple[int, ...]] = set()  # what was tried
    while light := next(_light_parts(labels.graph, host, stages, refused), None):
        refused.add(tuple(light))
        operators = [labels.graph.operators[index] for index in light]
        wider = host | {each.name: absorbed(each) for each in operators}
        merged, _ = _stages(labels, wider)
        fewer = len(set(merged)) < len(set(stages)) and moved_bytes(merged, values) <= moved_bytes(stages, values)
        if fewer and any(each.name not in wider for each in labels.graph.operators):
            host, stages, refused = wider, merged, set()
    return [_part(labels.graph, host, stages, number) for number in sorted(set(stages))]


def absorbed(operator: Operator) -> Finding:
    """Why the host runs an operator that the NPU could run."""
    sentence = f"{operator.op}: it only moves or tabulates what host operators around it hand to each other"
    return Finding(operator.op, sentence, operator.title, kind="absorbed")


def absorbed_islands(graph: Graph, parts: Sequence[Part]) -> list[Operator]:
    """Operators of bytes among the host's that a pass made of the file's float operators: the host runs those instead."""
    host = {operator.name for part in parts if not part.on_npu for operator in part.graph.operators}
    return [operator for operator in graph.operators if operator.name in host and operator.members]


def byte_size(tensor: Tensor) -> int:
    """Bytes of a tensor; an element whose type has no size counts as `WIDEST`."""
    return stored_bytes(tensor.dtype, tensor.size) if tensor.dtype in ITEM_TYPES or tensor.dtype == INT4 else WIDEST * tensor.size


def _light_parts(graph, host, stages, refused):
    """What of the NPU's parts, as lists of operators, does nothing worth going there for, nor hands anything to the rest of its part."""
    for number in sorted(set(stages)):
        part = [index for index, stage in enumerate(stages) if stage == number]
        if graph.operators[part[0]].name in host:
            continue
        light = [group for group in _groups(graph, part) if all(_light(graph, graph.operators[index]) for index in group)]
        together = [sorted(index for group in light for index in group)] if len(light) > 1 else []
        yield from (group for group in (*light, *together) if tuple(group) not in refused)


def _groups(graph, part) -> list[list[int]]:
    """A part's operators by what they hand to each other, in their own order."""
    group = {index: [index] for index in part}
    makers = {name: index for index in part for name in graph.operators[index].outputs}
    for index in part:
        for maker in {makers[name] for name in graph.operators[index].inputs if name in makers}:
            if group[maker] is not group[index]:
                joined = group[maker] + group[index]
                group |= dict.fromkeys(joined, joined)
    return [sorted(each) for index, each in group.items() if index == min(each)]


def _light(graph: Graph, operator: Operator) -> bool:
    return operator.op in LIGHT and not _touches(graph, operator)


def _touches(graph: Graph, operator: Operator) -> bool:
    """Whether an operator reads or makes a state."""
    ends = {name for state in graph.states for name in (state.old, state.new)}
    return not ends.isdisjoint((*operator.inputs, *operator.outputs))


def torn_states(graph: Graph, parts: Sequence[Part]) -> list[str]:
    """Names of the states that are not read and made by one and the same program."""
    torn = []
    for state in graph.states:
        ends = {state.old, state.new}
        touching = [part for part in parts if any(ends.intersection((*each.inputs, *each.outputs)) for each in part.graph.operators)]
        if len(touching) != 1 or not touching[0].on_npu:
            torn.append(state.name)
    return torn


def _stages(labels: Labels, host) -> tuple[list[int], list[Value]]:
    """The part of each operator, and the tensors between them; what is bound together is one operator while the cut is made."""
    operators = labels.graph.operators
    lead = next((index for index, each in enumerate(operators) if each.name in labels.together), 0)
    owner = [lead if each.name in labels.together else index for index, each in enumerate(operators)]
    values = _values(labels.graph)
    needs: dict[int, dict[int, None]] = {index: {} for index in dict.fromkeys(owner)}
    for value in values:
        for reader in value.readers:
            if value.maker is not None and owner[reader] != owner[value.maker]:
                needs[owner[reader]][owner[value.maker]] = None
    order = list(TopologicalSorter(needs).static_order())
    place = {index: number for number, index in enumerate(order)}
    joined = [
        replace(
            value,
            maker=None if value.maker is None else place[owner[value.maker]],
            readers=tuple(dict.fromkeys(place[owner[reader]] for reader in value.readers)),
        )
        for value in values
    ]  # fmt: skip
    inner = [replace(value, readers=tuple(each for each in value.readers if each != value.maker)) for value in joined]
    parts = cut([operators[index].name not in host for index in order], inner)
    of_node = {node: number for number, part in enumerate(parts) for node in part}
    return [of_node[place[index]] for index in owner], values


def _values(graph: Graph) -> list[Value]:
    """Every tensor that is an input of the network or made by an operator."""
    maker: dict[str, int | None] = dict.fromkeys(graph.sources)
    maker |= {name: index for index, operator in enumerate(graph.operators) for name in operator.outputs}
    readers: dict[str, list[int]] = {name: [] for name in maker}
    for index, operator in enumerate(graph.operators):
        for name in dict.fromkeys(operator.inputs):
            if name in readers:
                readers[name].append(index)
    return [Value(byte_size(graph.tensors[n]), maker[n], tuple(readers[n]), n in graph.results) for n in maker]


def _part(graph: Graph, host, stages, number) -> Part:
    operators = tuple(operator for operator, stage in zip(graph.operators, stages) if stage == number)
    names = {operator.name for operator in operators}
    made = dict.fromkeys(name for operator in operators for name in operator.outputs)
    there = {*graph.inputs, *(name for operator in graph.operators for name in operator.outputs)}
    read = dict.fromkeys(name for operator in operators for name in operator.inputs if name in there and name not in made)
    elsewhere = {name for operator in graph.operators if operator.name not in names for name in operator.inputs}
    outputs = tuple(name for name in made if name in elsewhere or name in graph.outputs)
    used = {*read, *made, *(name for operator in operators for name in operator.inputs if name is not None)}
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name in used}
    inputs = (*(name for name in graph.inputs if name in read), *(name for name in read if name not in graph.inputs))
    states = tuple(state for state in graph.states if state.new in made)
    own = replace(graph, tensors=tensors, operators=operators, inputs=inputs, outputs=outputs, states=states)
    return Part(operators[0].name not in host, own, {name: host[name] for name in host if name in names})
