"""Pass, before anything is judged: float operators between a DEQUANTIZE and a QUANTIZE become operators of bytes.

Converters leave such islands in quantized networks. Where what comes out depends on one byte, element by element, it is a LOOKUP in a
table of 256 bytes; where it is only moved, it is the same movement of bytes. An island with anything else in it stays as it is.
"""

from dataclasses import replace

import numpy as np

from weft.compiler.graph import Graph, Operator
from weft.compiler.islands.interpreted import values_of
from weft.compiler.islands.walk import Walk, ends_island


def with_islands(graph: Graph, content: bytes, broken: frozenset[str] = frozenset(), kept: frozenset[str] = frozenset()) -> Graph:
    """The graph in which each QUANTIZE of real numbers that come from bytes is an operator of bytes.

    The new operators' `members` say in whose place they stand. Float operators that others read too stay for these.

    Parameters
    ----------
    graph : Graph
        As it stands in the file, each operator at its place.
    content : bytes
        The TFLite file.
    broken : frozenset of str
        Tensors of which shape and value are not known.
    kept : frozenset of str
        Operators by name that stay what they are in the file, and with them the islands that need them.

    Raises
    ------
    WeftError
        If there is no reference interpreter to compute the tables.
    """
    if not any(ends_island(graph, operator) for operator in graph.operators):
        return graph
    walk = Walk(graph, broken, kept)
    operators = without_unread(walk.operators(), graph)
    if operators == list(graph.operators):
        return graph
    tensors = walk.tensors(operators)
    lookups = [operator.name for operator in operators if operator.name in walk.functions]
    constants = [name for name in walk.constants if name in tensors]
    functions = [*((walk.functions[name], None) for name in lookups), *(walk.constants[name] for name in constants)]
    values = values_of(walk.expressions, functions, content, graph.subgraph, graph.file)
    if values is None:
        return graph
    tables = {name: {"table": value.tobytes()} for name, value in zip(lookups, values)}
    for name, value in zip(constants, values[len(lookups) :], strict=True):
        tensors[name] = replace(tensors[name], data=_frozen(value.reshape(tensors[name].shape)))
    return replace(
        graph, tensors=tensors, operators=tuple(replace(each, options=tables.get(each.name, each.options)) for each in operators)
    )


def without_unread(operators: list[Operator], graph: Graph) -> list[Operator]:
    """Some operators of a graph without what nobody reads of the new ones, and of those in whose place new ones stand."""
    read: set[str | None] = set(graph.outputs)
    replaced, kept = set(), []
    for operator in reversed(operators):
        if read.intersection(operator.outputs) or not (operator.members or operator.name in replaced):
            kept.append(operator)
            read.update(operator.inputs)
            replaced.update(operator.members)
    return kept[::-1]


def _frozen(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.flags.writeable = False
    return values


__all__ = ["with_islands"]
