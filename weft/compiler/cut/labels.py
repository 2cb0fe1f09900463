"""Pass: which operators of a file the NPU can run, and why the host runs each of the others.

One operator's verdict can change another's: without a host operator the graph has other ends. So the passes are repeated on what is
left for the NPU until nothing is found any more; each round leaves the NPU less.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace

from hw.npu.errors import Finding, WeftError
from weft.compiler.cut.shapes import of_dynamic_shape
from weft.compiler.cut.variables import bound_together
from weft.compiler.fold import FOLDED, fold
from weft.compiler.frontends.network_file import NetworkFile
from weft.compiler.frontends.unsupported import unsupported
from weft.compiler.frontends.verdict import EDGES, broken_limits, float_type, rewrite, without
from weft.compiler.graph import Graph, Operator
from weft.compiler.limits import SUPPORTED
from weft.compiler.limits.weights import misused_nibbles

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
    """

    graph: Graph
    host: dict[str, Finding]
    together: frozenset[str]


def label(file: NetworkFile, refused: Mapping[str, Finding]) -> Labels:
    """Label each operator.

    Parameters
    ----------
    file : NetworkFile
    refused : mapping of str to Finding
        Operators that were found not to run on the NPU later than here, by name.

    Raises
    ------
    WeftError
        If a tensor is damaged.
    """
    if any(finding.kind in DAMAGE for finding in file.broken.values()):
        file.findings.refuse()
    raw = file.graph
    host = _unreadable(file) | dict(refused)
    host |= _after_dynamic(file, host)
    folded = raw
    while True:
        candidates = without(raw, [operator for operator in raw.operators if operator.name in host])
        try:
            folded = simplified(file, candidates)
            rewritten = rewrite(folded)
            found = list(broken_limits(rewritten)) or list(_edges_inside(raw, rewritten))
        except WeftError as error:
            found = [(operator_of(candidates, error), Finding("constants", error.message, error.layer, error.remedy))]
        if not found:
            break
        host |= newly_refused(file, host, found)
        host |= _after_dynamic(file, host)
    left = {name for operator in folded.operators for name in operator.stands_for} | host.keys()
    constants = {name: tensor for name, tensor in folded.tensors.items() if name in raw.tensors and tensor.constant}
    graph = replace(raw, tensors=raw.tensors | constants, operators=tuple(each for each in raw.operators if each.name in left))
    together = bound_together(graph, host)
    for each in graph.operators:
        if each.name in together - host.keys():
            sentence = f"{each.op}: it lies between operators of one state, which one interpreter runs"
            host[each.name] = Finding(each.op, sentence, each.title, kind="state")
    return Labels(graph, host, together)


def simplified(file: NetworkFile, graph: Graph) -> Graph:
    """Operators of a file that the NPU may get, after the passes up to folding; `rewrite` are those behind it."""
    return fold(graph)


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


def _unreadable(file: NetworkFile) -> dict[str, Finding]:
    """Operators that the NPU does not know, and those of tensors that it cannot hold."""
    graph, host = file.graph, {}
    ends = {*graph.inputs, *graph.outputs}
    broken = {name: finding for name, finding in file.broken.items() if not graph.tensors[name].shape or name in ends}
    broken |= {name: finding for name, finding in misused_nibbles(graph).items() if name not in broken}
    for operator in graph.operators:
        if operator.op not in SUPPORTED and operator.op not in FOLDED:
            host[operator.name] = unsupported(operator, float_type(graph, operator))
            continue
        touched = next((name for name in (*operator.inputs, *operator.outputs) if name in broken), None)
        if touched is not None:
            host[operator.name] = replace(broken[touched], layer=operator.title)
    return host


def _after_dynamic(file: NetworkFile, host: Mapping[str, Finding]) -> dict[str, Finding]:
    """What else stays on the host: everything behind a host operator whose output has no fixed shape."""
    found, dynamic = {}, set()
    for operator in file.graph.operators:
        follows = not dynamic.isdisjoint(operator.inputs)
        if follows and operator.name not in host:
            sentence = f"{operator.op}: it follows an operator whose output has no fixed shape"
            found[operator.name] = Finding(operator.op, sentence, operator.title, kind="dynamic")
        if operator.name in found or (operator.name in host and (follows or of_dynamic_shape(file, operator))):
            dynamic.update(operator.outputs)
    return found


def _edges_inside(raw: Graph, folded: Graph):
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
