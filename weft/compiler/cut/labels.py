"""Pass: which operators of a file the NPU can run, and why the host runs each of the others.

One operator's verdict can change another's: without a host operator the graph has other ends. So the passes are repeated on what is
left for the NPU until nothing is found any more; each round leaves the NPU less.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from hw.npu.errors import Finding, WeftError
from weft.compiler.cut.shapes import of_dynamic_shape
from weft.compiler.cut.variables import bound_together
from weft.compiler.fold import FOLDED, fold
from weft.compiler.frontends.network_file import NetworkFile
from weft.compiler.frontends.unsupported import unsupported
from weft.compiler.frontends.verdict import broken_limits, float_type, rewrite, without
from weft.compiler.graph import Graph, Operator
from weft.compiler.limits import SUPPORTED
from weft.compiler.limits.weights import misused_nibbles
from weft.compiler.parameters import EDGES

DAMAGE = ("bytes", "external", "scales", "size")
"""Kinds of a tensor's findings with which no interpreter runs the file either."""


@dataclass(frozen=True, eq=False)
class Labels:
    """Who runs which operator.

    Attributes
    ----------
    graph : Graph
        The file's operators that are left after folding, in its order; what was folded is a constant.
    host : dict of str to Finding
        Names of operators of the graph that the host runs, and why.
    together : frozenset of str
        Host operators of one state, which must run in one interpreter.
    dynamic : frozenset of str
        Tensors of the host whose shape is known only when the network runs.
    """

    graph: Graph
    host: dict[str, Finding]
    together: frozenset[str]
    dynamic: frozenset[str]


def label(file: NetworkFile, refused: Mapping[str, Finding], bound: Mapping[str, str] | None = None) -> Labels:
    """Label each operator.

    Parameters
    ----------
    file : NetworkFile
    refused : mapping of str to Finding
        Operators that were found not to run on the NPU later than here, by name.
    bound : mapping of str to str
        Variables that cannot be states of one program, by name, and why.

    Raises
    ------
    WeftError
        If a tensor is damaged.
    """
    if any(finding.kind in DAMAGE for finding in file.broken.values()):
        file.findings.refuse()
    host = dict(refused)
    kept = set(refused)  # islands of float operators in which these stand are not made
    bound = dict(bound or {}) | {name: "the host has a part of it" for each in refused if (name := file.variable_of(each))}
    while True:
        graph = file.rewritten(kept, bound)
        folded = graph
        found = list(_unreadable(file, graph, host)) or list(_after_dynamic(file, graph, host))
        if not found:
            candidates = without(graph, [operator for operator in graph.operators if operator.name in host])
            try:
                folded = fold(candidates)
                rewritten = rewrite(folded)
                found = list(broken_limits(rewritten)) or list(_edges_inside(graph, rewritten))
            except WeftError as error:
                found = [(operator_of(candidates, error), Finding("constants", error.message, error.layer, error.remedy))]
        if not found:
            break
        host |= newly_refused(file, host, found)
        kept |= {name for each, _ in found for name in each.members}
        bound |= {name: finding.sentence for each, finding in found if (name := file.variable_of(each.name))}
    left = {operator.name for operator in folded.operators} | host.keys()
    graph = replace(graph, tensors=graph.tensors | folded.tensors, operators=tuple(each for each in graph.operators if each.name in left))
    together = bound_together(graph, host)
    for each in graph.operators:
        if each.name in together - host.keys():
            sentence = f"{each.op}: it lies between operators of one state, which one interpreter runs"
            host[each.name] = Finding(each.op, sentence, each.title, kind="state")
    return Labels(graph, host, together, _of_dynamic_shape(file, graph, host))


def newly_refused(file: NetworkFile, host: Container[str], found: Iterable[tuple[Operator, Finding]]) -> dict[str, Finding]:
    """The file's operators for which refused ones stand, each with the reason.

    Raises
    ------
    WeftError
        If the host has all of them already: a pass made something of its own that the NPU does not run.
    """
    pairs = list(found)
    new = {name: finding for each, finding in pairs for name in each.stands_for if name in file.numbers and name not in host}
    if not new:
        finding = pairs[0][1]
        raise WeftError(finding.sentence, file=file.graph.file, layer=finding.layer, remedy=finding.remedy)
    return new


def operator_of(graph: Graph, error: WeftError) -> Operator:
    """The operator that an error names.

    Raises
    ------
    WeftError
        The error itself, if it names none.
    """
    found = next((operator for operator in graph.operators if operator.title == error.layer), None)
    if found is None:
        raise error
    return found


def _unreadable(file: NetworkFile, graph: Graph, host: Container[str]) -> Iterator[tuple[Operator, Finding]]:
    """Operators that the NPU does not know, and those of tensors that it cannot hold."""
    ends = {*graph.inputs, *graph.outputs}
    there = {name: finding for name, finding in file.broken.items() if name in graph.tensors}
    broken = {name: finding for name, finding in there.items() if not graph.tensors[name].shape or name in ends}
    broken |= {name: finding for name, finding in misused_nibbles(graph).items() if name not in broken}
    for operator in graph.operators:
        if operator.name in host:
            continue
        if operator.op not in SUPPORTED and operator.op not in FOLDED:
            yield operator, unsupported(operator, float_type(graph, operator))
            continue
        touched = next((name for name in (*operator.inputs, *operator.outputs) if name in broken), None)
        if touched is not None:
            yield operator, replace(broken[touched], layer=operator.title)


def _after_dynamic(file: NetworkFile, graph: Graph, host: Container[str]) -> Iterator[tuple[Operator, Finding]]:
    """What else stays on the host: everything behind a host operator whose output has no fixed shape."""
    dynamic = _of_dynamic_shape(file, graph, host)
    for operator in graph.operators:
        if operator.name not in host and not dynamic.isdisjoint(operator.inputs):
            sentence = f"{operator.op}: it follows an operator whose output has no fixed shape"
            yield operator, Finding(operator.op, sentence, operator.title, kind="dynamic")


def _of_dynamic_shape(file: NetworkFile, graph: Graph, host: Container[str]) -> frozenset[str]:
    """Tensors whose shape is known only when the network runs."""
    dynamic: set[str] = set()
    for operator in graph.operators:
        if not dynamic.isdisjoint(operator.inputs):
            dynamic.update(operator.outputs)
        elif operator.name in host:
            dynamic.update(of_dynamic_shape(file, operator))
    return frozenset(dynamic)


def _edges_inside(raw: Graph, folded: Graph) -> Iterator[tuple[Operator, Finding]]:
    """QUANTIZE and DEQUANTIZE of real numbers that host operators read or make: they go to the host with them."""
    readers = raw.consumers()
    for operator in folded.operators:
        if operator.op not in EDGES:
            continue
        source, result = operator.inputs[0], operator.outputs[0]
        inside = float_type(folded, operator) and (
            source not in raw.inputs if operator.op == "QUANTIZE" else result not in raw.outputs or bool(readers[result])
        )
        if inside:
            sentence = f"{operator.op}: it turns values of the NPU and real numbers of the host into each other"
            yield operator, Finding(operator.op, sentence, operator.title, kind="edge")
