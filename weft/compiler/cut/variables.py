"""Operators that share a state outside of their tensors: one interpreter must run all of them."""

from collections.abc import Container

from weft.compiler.frontends.unsupported import CONTROL_FLOW, VARIABLES
from weft.compiler.graph import HANDLES, Graph


def bound_together(graph: Graph, host: Container[str]) -> frozenset[str]:
    """Names of the operators of a graph's states, and of what lies between them.

    Control flow counts as one of them where the graph has a state at all: what it calls may touch it.

    Parameters
    ----------
    graph : Graph
    host : container of str
        Operators that the host runs.
    """

    def stateful(operator):
        return operator.op in VARIABLES or any(graph.tensors[n].dtype in HANDLES for n in (*operator.inputs, *operator.outputs) if n)

    bound = {operator.name for operator in graph.operators if operator.name in host and stateful(operator)}
    if not bound:
        return frozenset()
    bound |= {operator.name for operator in graph.operators if operator.op in CONTROL_FLOW}
    return frozenset(bound | _after(graph, bound) & _before(graph, bound))


def _after(graph, names) -> set[str]:
    made, found = set(), set()
    for operator in graph.operators:
        if made.intersection(operator.inputs):
            found.add(operator.name)
        if operator.name in names or operator.name in found:
            made.update(operator.outputs)
    return found


def _before(graph, names) -> set[str]:
    read, found = set(), set()
    for operator in reversed(graph.operators):
        if read.intersection(operator.outputs):
            found.add(operator.name)
        if operator.name in names or operator.name in found:
            read.update(name for name in operator.inputs if name is not None)
    return found
