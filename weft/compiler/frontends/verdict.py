"""Whether a network that was read can be compiled: all that is wrong with it, found in one go.

An operator that is refused, or that touches a tensor which is, is taken out of the graph before the others are looked at. What it
read counts as an output then, and what it wrote as an input, so that nobody is blamed for a neighbour's fault.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from hw.npu.errors import Finding, WeftError
from weft.compiler.dilate import dilate
from weft.compiler.findings import Findings
from weft.compiler.fold import FOLDED, fold
from weft.compiler.frontends.unsupported import unsupported
from weft.compiler.graph import Graph, Operator
from weft.compiler.limits import LIMITS, SUPPORTED, first_broken
from weft.compiler.limits.weights import misused_nibbles
from weft.compiler.parameters import EDGES, WEIGHTED
from weft.compiler.unsigned import signed

FLOATS = ("float16", "float32", "float64")
INTEGERS = ("int4", "int8", "uint8", "int16")
"""Types of quantized tensors."""
REAL_WEIGHTED = (*WEIGHTED, "CONV_3D")
"""Operators whose second input is weights: they show how far a network is quantized."""


def judge(graph: Graph, broken: frozenset[str], findings: Findings) -> Graph:
    """The network as the compiler takes it: what depends on constants alone is folded, dilated convolutions are whole,
    and uint8 is int8.

    Parameters
    ----------
    graph : Graph
        As it stands in the file.
    broken : frozenset of str
        Tensors that are noted in `findings` already.
    findings : Findings

    Raises
    ------
    WeftError
        With all that is not supported.
    """
    unknown = [operator for operator in graph.operators if operator.op not in SUPPORTED and operator.op not in FOLDED]
    real = _note_real_model(graph, findings)
    for operator in unknown:
        findings.add(unsupported(operator, None if real else float_type(graph, operator)))
    for name, finding in misused_nibbles(graph).items():
        if name not in broken:
            findings.add(finding)
            broken |= {name}
    touched = [operator for operator in graph.operators if broken.intersection((*operator.inputs, *operator.outputs))]
    rest = without(graph, [*unknown, *touched])
    if real:
        findings.refuse()
    try:
        rest = rewrite(fold(rest))
    except WeftError as error:
        findings.add_error("constants", error, "convert the network again")
        findings.refuse()
    for _, finding in broken_limits(rest):
        findings.add(finding)
    findings.refuse()
    return rest


def rewrite(graph: Graph) -> Graph:
    """A folded graph of the NPU's operators as the compiler takes it; its operators say which of the file's they stand for."""
    return signed(dilate(graph))


def broken_limits(graph: Graph) -> Iterator[tuple[Operator, Finding]]:
    """Operators that compute with real numbers, and, of the others, those that break a limit, each with what to say of it."""
    real = [operator for operator in graph.operators if operator.op not in EDGES and float_type(graph, operator)]
    for operator in real:
        yield operator, _left_in_float(graph, operator)
    quantized = without(graph, real)
    for operator in quantized.operators:
        if operator.op in SUPPORTED:
            finding = first_broken(LIMITS[operator.op], quantized, operator)
        else:
            finding = Finding(
                operator.op, f"{operator.op}: supported only where its inputs are constants or shapes, not computed", operator.title,
                "build the network without it, or end the network before it", kind="computed",
            )  # fmt: skip
        if finding is not None:
            yield operator, finding


def _note_real_model(graph: Graph, findings: Findings) -> bool:
    """Note it and say so if no activation of the network is quantized, but some are real numbers."""
    finding = real_model(graph)
    if finding is not None:
        findings.add(finding)
    return finding is not None


def real_model(graph: Graph) -> Finding | None:
    """What to say of a network of which no activation is quantized, but some are real numbers; None of others."""
    written = {name for operator in graph.operators for name in operator.outputs}
    written |= {name for name in graph.inputs if graph.tensors[name].quantization is not None}
    real = [operator for operator in graph.operators if operator.op not in EDGES and float_type(graph, operator)]
    if not real or any(graph.tensors[name].dtype in INTEGERS for name in written):
        return None
    weighted = next((operator for operator in real if operator.op in REAL_WEIGHTED and graph.input(operator, 1) is not None), None)
    first = weighted or real[0]
    activations = float_type(graph, first)
    weights = graph.input(first, 1).dtype if weighted else activations
    if weights in FLOATS:
        what = f"the weights of {first.op} are {weights}" if weighted else f"{first.op} computes in {activations}"
        sentence, remedy = f"is a float model: {what}", "quantize it to int8 (full integer quantization) first"
    else:
        sentence = f"is a hybrid model: {first.op} has {weights} weights but {activations} activations"
        remedy = "quantize the activations too (full integer quantization with a representative data set)"
    return Finding("network", sentence, first.title, remedy)


def float_type(graph: Graph, operator: Operator) -> str | None:
    """The type of the first real number that an operator computes or reads when the network runs; None where there is none."""
    tensors = [graph.tensors[name] for name in (*operator.inputs, *operator.outputs) if name is not None]
    return next((tensor.dtype for tensor in tensors if tensor.dtype in FLOATS and not tensor.constant), None)


def _left_in_float(graph, operator) -> Finding:
    return Finding(
        operator.op, f"{operator.op}: left in {float_type(graph, operator)} in a quantized network", operator.title,
        "quantize this layer too, or build the network without it", kind="float",
    )  # fmt: skip


def without(graph: Graph, removed: Iterable[Operator]) -> Graph:
    """The graph without some operators; what these read is an output of it, and what they wrote an input."""
    gone = {operator.name: operator for operator in removed}
    if not gone:
        return graph
    computed = (name for each in gone.values() for name in each.inputs if name is not None and not graph.tensors[name].constant)
    return replace(
        graph,
        operators=tuple(operator for operator in graph.operators if operator.name not in gone),
        inputs=tuple(dict.fromkeys([*graph.inputs, *(name for each in gone.values() for name in each.outputs)])),
        outputs=tuple(dict.fromkeys([*graph.outputs, *computed])),
    )
