"""Pass, right after reading: variables become states of the graph.

A variable is a place that VAR_HANDLE names, READ_VARIABLE reads and ASSIGN_VARIABLE writes, while operators run in their order. Here it
becomes plain data flow. What is read before the first assignment is the state's old value, a tensor that is there before the run; what
is read later is what was assigned last; and what the last assignment leaves is the state's new value, a tensor that the run makes. The
NPU has both at the same address, so that nobody copies anything between two runs.

Reads and assignments become RESHAPEs: they rename bytes. A variable stores nothing else: scales and shapes may differ between its reads
and its assignments, types and sizes may not. One that cannot be such a state keeps its operators, each with the reason (`REASON` among
its options), and `unsupported` refuses them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from weft.compiler.graph import BYTES, Graph, Operator, State, Tensor

REASON = "reason"
"""The option of an operator that is left as it stands, with why; empty where there is nothing more to say."""


@dataclass(frozen=True)
class Variables:
    """The variables of a network, as its file has them.

    Attributes
    ----------
    handles : dict of str to str
        Name of the variable for each tensor that VAR_HANDLE makes.
    initial : dict of str to Tensor
        Constants that CALL_ONCE assigns, by the variable's name.
    refused : dict of str to str
        Why a variable cannot be a state, by its name.
    once : dict of str to frozenset of str
        The variables that each CALL_ONCE assigns, by the operator's name; a CALL_ONCE that does anything else is not there.
    """

    handles: dict[str, str] = field(default_factory=dict)
    initial: dict[str, Tensor] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    once: dict[str, frozenset[str]] = field(default_factory=dict)


class _NoState(Exception):
    """A variable cannot be a state; the message says why."""


@dataclass
class _Flow:
    """A variable as data flow: operators in the places of its reads, and its state where it has one.

    `reads` has for each READ_VARIABLE, by its name, what it becomes, or None where its result is a constant of `constants`.
    """

    reads: dict[str, Operator | None] = field(default_factory=dict)
    constants: list[Tensor] = field(default_factory=list)
    tensors: tuple[Tensor, ...] = ()
    state: State | None = None
    assign: Operator | None = None


def with_states(graph: Graph, broken: frozenset[str], variables: Variables) -> tuple[Graph, frozenset[str]]:
    """The graph with states in the place of the variables that can be such, and those of the broken tensors that are left."""
    touching: dict[str, list[Operator]] = {name: [] for name in variables.handles.values()}
    for operator in graph.operators:
        for name in dict.fromkeys(variables.handles[each] for each in operator.inputs if each in variables.handles):
            touching[name].append(operator)
    flows, reasons, taken = {}, dict(variables.refused), set(graph.tensors)
    for name, operators in touching.items():
        try:
            flows[name] = _flow(graph, broken, variables, name, operators, taken)
        except _NoState as error:
            reasons[name] = str(error)
    operators = _operators(graph, variables, flows, reasons)
    tensors = {name: tensor for name, tensor in graph.tensors.items() if variables.handles.get(name) not in flows}
    for flow in flows.values():
        tensors |= {tensor.name: tensor for tensor in (*flow.constants, *flow.tensors)}
    states = tuple(flow.state for flow in flows.values() if flow.state is not None)
    return replace(graph, tensors=tensors, operators=operators, states=states), broken & tensors.keys()


def _operators(graph, variables, flows, reasons) -> tuple[Operator, ...]:
    """The graph's operators with those of the flows in place of their variables'; assignments stand at the end."""
    kept: list[Operator] = []
    for operator in graph.operators:
        name = _variable(variables, operator)
        if operator.op == "CALL_ONCE" and operator.name in variables.once:
            left = variables.once[operator.name] - flows.keys()
            if left & reasons.keys():
                kept.append(_unresolved(operator, reasons[min(left & reasons.keys())]))
        elif name in flows:
            if operator.op == "READ_VARIABLE" and (read := flows[name].reads[operator.name]) is not None:
                kept.append(read)
        elif operator.op in ("ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE"):
            kept.append(_unresolved(operator, reasons.get(name, "")))
        else:
            kept.append(operator)
    return (*kept, *_assignments(kept, [flow for flow in flows.values() if flow.state is not None]))


def _variable(variables: Variables, operator: Operator) -> str | None:
    """The variable of a VAR_HANDLE, READ_VARIABLE or ASSIGN_VARIABLE."""
    handle = operator.outputs[:1] if operator.op == "VAR_HANDLE" else operator.inputs[:1]
    return variables.handles.get(handle[0]) if handle and handle[0] is not None else None


def _renamed(operator: Operator, source: str, result: str) -> Operator:
    """A read or an assignment as what it is without a variable."""
    return replace(operator, op="RESHAPE", inputs=(source,), outputs=(result,), options={})


def _unresolved(operator: Operator, reason: str) -> Operator:
    return replace(operator, options={**operator.options, REASON: reason})


def _assignments(operators: Iterable[Operator], flows: list[_Flow]) -> list[Operator]:
    """The assignments in such an order that one which takes another state's old value comes before that state is assigned.

    The other's old bytes are then read before its new ones are stored. Where states change places in a ring there is no such order.
    """
    source = {name: operator.inputs[0] for operator in operators if operator.op == "RESHAPE" for name in operator.outputs}
    waiting, ordered = list(flows), []
    while waiting:
        wanted = {source.get(flow.assign.inputs[0]): flow for flow in waiting}
        free = (flow for flow in waiting if wanted.get(flow.state.old, flow) is flow)
        chosen = next(free, waiting[0])
        waiting.remove(chosen)
        ordered.append(chosen.assign)
    return ordered


def _flow(graph, broken, variables, name, operators, taken) -> _Flow:
    """A variable's reads and its state.

    Raises
    ------
    _NoState
        If it cannot be one.
    """
    _check(graph, broken, variables, name, operators)
    initial, flow = variables.initial.get(name), _Flow()
    old, current, last = None, None, None
    for operator in operators:
        if operator.op == "ASSIGN_VARIABLE":
            current, last = graph.tensors[operator.inputs[1]], operator
            continue
        result = graph.output(operator)
        if current is None:
            if initial is None:
                raise _NoState("it is read before anything is assigned to it")
            old = old or Tensor(_unique(name, taken), result.shape, result.dtype, result.quantization)
        given = current or old
        _check_alike(given, result)
        flow.reads[operator.name] = _renamed(operator, given.name, result.name)
    if initial is None or old is None:
        return flow  # nobody sees what a run before this one left
    _check_alike(initial, old)
    value = initial.data.reshape(old.shape)
    if current is None or current.name in _read_alone(flow, old):
        _make_constant(graph, flow, value)
        return flow
    _check_alike(current, old)
    if old.dtype not in BYTES:
        raise _NoState(f"it holds {old.dtype} values")
    new = Tensor(_unique(f"{name}#next", taken), old.shape, old.dtype, current.quantization)
    flow.tensors, flow.state = (old, new), State(name, old.name, new.name, value)
    flow.assign = _renamed(last, current.name, new.name)
    return flow


def _check(graph, broken, variables, name, operators):
    """Only plain reads and assignments of supported tensors use the variable."""
    handles = {handle for handle, variable in variables.handles.items() if variable == name}
    if name in variables.refused:
        raise _NoState(variables.refused[name])
    if handles.intersection((*graph.inputs, *graph.outputs)):
        raise _NoState("its handle is an input or output of the network")
    for operator in operators:
        counts = {"READ_VARIABLE": (1, 1), "ASSIGN_VARIABLE": (2, 0)}.get(operator.op)
        if counts is None or handles.intersection(operator.inputs[1:]):
            raise _NoState(f"{operator.name} uses its handle, which is neither a read nor an assignment")
        if (len(operator.inputs), len(operator.outputs)) != counts or None in operator.inputs:
            raise _NoState(f"{operator.name} has {len(operator.inputs)} inputs and {len(operator.outputs)} outputs")
        bad = broken.intersection((*operator.inputs[1:], *operator.outputs))
        if bad:
            raise _NoState(f"it holds {graph.tensors[min(bad)].dtype} values or a shape that is not supported")


def _check_alike(given: Tensor, taken: Tensor):
    """What is stored can be read: TFLite's kernels compare the types, and read behind the end where there are fewer bytes."""
    kinds = [f"{tensor.dtype} {list(tensor.shape)}" for tensor in (given, taken)]
    if given.dtype != taken.dtype or given.size != taken.size:
        raise _NoState(f"it is assigned {kinds[0]} and read as {kinds[1]}")


def _read_alone(flow: _Flow, old: Tensor) -> set[str]:
    """Results of reads of the old value: who assigns one of them changes nothing."""
    return {read.outputs[0] for read in flow.reads.values() if read is not None and read.inputs == (old.name,)}


def _make_constant(graph, flow: _Flow, value: np.ndarray):
    """A variable that nothing assigns keeps its initial value: what reads it is a constant."""
    for name in list(flow.reads):
        (result,) = flow.reads[name].outputs
        tensor = graph.tensors[result]
        flow.constants.append(replace(tensor, data=value.reshape(tensor.shape)))
        flow.reads[name] = None


def _unique(name: str, taken: set[str]) -> str:
    """A tensor's name that no other has."""
    while name in taken:
        name += "#state"
    taken.add(name)
    return name
