"""The variables of a TFLite file: which operators share one, what they hold before the first run, and who else may touch them.

A variable is known by its container and its shared name, wherever in the file a VAR_HANDLE gives them. CALL_ONCE runs a subgraph before
the first run; what that assigns, computed from constants, is the initial value. Subgraphs that control flow calls touch a variable at a
time that no data flow says: those variables are refused.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import tflite

from hw.npu.errors import WeftError
from weft.compiler.fold import fold
from weft.compiler.frontends.tflite_file import Reader, printable
from weft.compiler.frontends.unsupported import CONTROL_FLOW
from weft.compiler.frontends.variables import Variables
from weft.compiler.graph import Graph, Operator, Tensor

CALLS = {
    "CALL": ("CallOptions", ("Subgraph",)),
    "IF": ("IfOptions", ("ThenSubgraphIndex", "ElseSubgraphIndex")),
    "WHILE": ("WhileOptions", ("CondSubgraphIndex", "BodySubgraphIndex")),
}
"""Operators that run other subgraphs: their table in the schema, and its fields with the numbers of these."""
UNNAMED = "a variable without a name"


def read_variables(reader: Reader, subgraph, graph: Graph, once: Callable[[int], Graph]) -> Variables:
    """The variables of one subgraph.

    Parameters
    ----------
    reader : Reader
    subgraph : tflite.SubGraph
    graph : Graph
        The same as it was read; its operators are the subgraph's, in their order.
    once : callable
        The graph of a subgraph that CALL_ONCE runs, by its number.

    Raises
    ------
    Exception
        One of `CORRUPTION` where the file is damaged.
    """
    raws = reader.items(subgraph, "Operators")
    variables = Variables(_handles(graph, raws))
    called = _called(reader, graph, raws)
    if called is None:
        variables.refused.update(dict.fromkeys(variables.handles.values(), "control flow may touch it"))
    for number in called or ():
        for raw in reader.items(_subgraph(reader, number), "Operators"):
            if (name := _name(raw)) is not None:
                variables.refused[name] = "a subgraph that control flow calls touches it"
    seen: set[str] = set()
    for operator, raw in zip(graph.operators, raws):
        if operator.op == "CALL_ONCE":
            _initialize(reader, variables, operator, raw, once, seen)
        elif operator.op in ("READ_VARIABLE", "ASSIGN_VARIABLE"):
            seen.update(variables.handles[name] for name in operator.inputs if name in variables.handles)
    return variables


def _initialize(reader, variables: Variables, operator: Operator, raw, once, seen: set[str]):
    """Note what a CALL_ONCE assigns; `seen` are the variables that were used before it."""
    table = _options(raw, "CallOnceOptions")
    if table is None:
        return
    raws = reader.items(_subgraph(reader, table.InitSubgraphIndex()), "Operators")
    named = frozenset(filter(None, map(_name, raws)))
    values = _assigned(once(table.InitSubgraphIndex()), raws)
    if values is None:
        variables.refused.update(dict.fromkeys(named, f"{operator.name} assigns it more than constants"))
        return
    variables.refused.update(dict.fromkeys(named & seen, f"it is used before {operator.name} gives it its first value"))
    variables.initial.update(values)
    variables.once[operator.name] = named


def _assigned(graph: Graph, raws) -> dict[str, Tensor] | None:
    """The constants that a subgraph assigns, by the variable's name; None where it does anything else."""
    handles, assigned, rest = _handles(graph, raws), {}, []
    for operator in graph.operators:
        if operator.op == "ASSIGN_VARIABLE" and len(operator.inputs) == 2 and operator.inputs[0] in handles:
            assigned[handles[operator.inputs[0]]] = operator.inputs[1]
        elif operator.op != "VAR_HANDLE":
            rest.append(operator)
    if graph.inputs or None in assigned.values():
        return None
    try:
        folded = fold(replace(graph, operators=tuple(rest), outputs=tuple(dict.fromkeys(assigned.values()))))
    except WeftError:
        return None
    known = all(graph_tensor.constant for graph_tensor in (folded.tensors[name] for name in assigned.values()))
    plain = all(operator.outputs for operator in rest)  # one without results has an effect
    return {name: folded.tensors[value] for name, value in assigned.items()} if known and plain else None


def _handles(graph: Graph, raws) -> dict[str, str]:
    """The variable's name for each handle."""
    pairs = zip(graph.operators, map(_name, raws))
    return {operator.outputs[0]: name for operator, name in pairs if operator.op == "VAR_HANDLE" and operator.outputs and name is not None}


def _name(raw) -> str | None:
    """How a VAR_HANDLE calls its variable; None of another operator."""
    table = _options(raw, "VarHandleOptions")
    if table is None:
        return None
    container, shared = (printable(each or b"") for each in (table.Container(), table.SharedName()))
    return (f"{container}/{shared}" if container else shared) or UNNAMED


def _options(raw, name: str):
    """An operator's options, if they are of this table of the schema."""
    union = raw.BuiltinOptions()
    if union is None or raw.BuiltinOptionsType() != getattr(tflite.BuiltinOptions, name):
        return None
    table = getattr(tflite, name)()
    table.Init(union.Bytes, union.Pos)
    return table


def _called(reader: Reader, graph: Graph, raws) -> set[int] | None:
    """Numbers of the subgraphs that control flow runs, directly or not; None where some operator does not say which."""
    if any(operator.op in CONTROL_FLOW and operator.op not in CALLS for operator in graph.operators):
        return None
    called: set[int] = set()
    waiting = list(_calls(raws))
    while waiting:
        number = waiting.pop()
        if number not in called:
            called.add(number)
            waiting += _calls(reader.items(_subgraph(reader, number), "Operators"))
    return called


def _calls(raws) -> Iterator[int]:
    for raw in raws:
        for name, fields in CALLS.values():
            if (table := _options(raw, name)) is not None:
                yield from (getattr(table, field)() for field in fields)


def _subgraph(reader: Reader, number: int):
    subgraphs = reader.items(reader.model, "Subgraphs")
    if not 0 <= number < len(subgraphs):
        raise ValueError(f"there is no subgraph {number}")
    return subgraphs[number]
