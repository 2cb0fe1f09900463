"""Pass: steps for each operator that the NPU runs; the host has what turns real numbers into bytes and back, at the network's edges.

Each operator is one function from a `Selection` and the operator to its steps, in the table `BUILDERS`; they rely on what
`weft.compiler.limits` has checked, and refuse what the NPU does not do.
"""

from collections import Counter
from dataclasses import replace

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from weft.compiler.findings import Findings
from weft.compiler.graph import Graph, Operator
from weft.compiler.nests import operand, whole
from weft.compiler.select import convolutions, elementwise, functions, interpolation, movement, pools, resize, squares
from weft.compiler.select.copies import copy
from weft.compiler.select.images import each_image
from weft.compiler.select.selection import Selection
from weft.compiler.steps import Extent, HostOp, Network, Step, View
from weft.compiler.tables import FUNCTIONS

ALIASES = frozenset({"EXPAND_DIMS", "RESHAPE", "SQUEEZE"})
"""Operators that only rename bytes."""

BUILDERS = {
    **dict.fromkeys(FUNCTIONS, functions.function),
    "ADD": elementwise.add,
    "AVERAGE_POOL_2D": each_image(pools.average_pool_2d),
    "BATCH_TO_SPACE_ND": movement.batch_to_space,
    "BROADCAST_TO": movement.broadcast_to,
    "CONCATENATION": movement.join,
    "CONV_2D": each_image(convolutions.conv_2d),
    "DEPTHWISE_CONV_2D": each_image(convolutions.depthwise_conv_2d),
    "DEPTH_TO_SPACE": movement.depth_to_space,
    "FULLY_CONNECTED": convolutions.fully_connected,
    "GATHER": movement.gather,
    "MAXIMUM": elementwise.maximum,
    "MAX_POOL_2D": each_image(pools.max_pool_2d),
    "MEAN": pools.mean,
    "MINIMUM": elementwise.minimum,
    "MIRROR_PAD": movement.mirror_pad,
    "MUL": elementwise.mul,
    "PACK": movement.join,
    "PAD": movement.pad,
    "PADV2": movement.pad,
    "PRELU": elementwise.prelu,
    "REDUCE_MAX": pools.reduce_max,
    "REDUCE_MIN": pools.reduce_min,
    "RESIZE_BILINEAR": each_image(interpolation.resize_bilinear),
    "RESIZE_NEAREST_NEIGHBOR": resize.resize_nearest_neighbor,
    "REVERSE_V2": movement.reverse,
    "SLICE": movement.take,
    "SOFTMAX": functions.softmax,
    "SPACE_TO_BATCH_ND": movement.space_to_batch,
    "SPACE_TO_DEPTH": movement.space_to_depth,
    "SPLIT": movement.take,
    "SPLIT_V": movement.take,
    "STRIDED_SLICE": movement.take,
    "SQUARED_DIFFERENCE": squares.squared_difference,
    "SUB": elementwise.sub,
    "SUM": pools.reduce_sum,
    "TILE": movement.tile,
    "TRANSPOSE": movement.transpose,
    "TRANSPOSE_CONV": each_image(convolutions.transpose_conv),
    "UNPACK": movement.take,
}
"""Operators of the NPU."""


def host_side(graph: Graph, operator: Operator) -> str | None:
    """Where the host computes an operator, ``before`` or ``after`` the NPU; None where the NPU does."""
    if operator.op == "QUANTIZE" and graph.input(operator, 0).dtype == "float32":
        return "before"
    return "after" if operator.op == "DEQUANTIZE" else None


def select(graph: Graph, config: NpuConfig) -> Network:
    """Graph to network.

    Raises
    ------
    WeftError
        Where the NPU does not compute an operator as it stands, or has nothing to do.
    """
    sides = {operator.name: host_side(graph, operator) for operator in graph.operators}
    before, middle, after = ([each for each in graph.operators if sides[each.name] == side] for side in ("before", None, "after"))
    made = {name for operator in middle for name in operator.outputs}
    leaving = {name for operator in after for name in operator.inputs} | set(graph.results)
    selection, findings, steps = Selection(graph, config), Findings(graph.file), []
    written: set[str] = set()
    for operator in middle:
        try:
            found = _steps(selection, operator, leaving, written)
        except WeftError as error:
            findings.add_error(operator.op, error, "change the layer in the model, or end the network before it")
            continue
        steps += found
        written.update(step.output for step in found)
    findings.refuse()
    if not steps:
        raise WeftError("the NPU computes none of its operators", file=graph.file, remedy="nothing is left to compile; run it on the host")
    given = {*graph.sources, *(name for operator in before for name in operator.outputs)}
    read = {selection.owner(name) for step in steps for name in step.reads}
    hosts = tuple(HostOp(operator, True) for operator in before) + tuple(HostOp(operator, False) for operator in after)
    order = [name for operator in before for name in operator.outputs] + list(graph.sources)
    inputs = sorted(read & given, key=order.index)
    outputs = [name for operator in middle for name in operator.outputs if name in leaving & made]
    with_temporaries = replace(graph, tensors=selection.tensors)
    return Network(with_temporaries, tuple(steps), tuple(inputs), tuple(outputs), selection.root, hosts, frozenset(selection.temporaries))


def _steps(selection, operator, leaving, written) -> list[Step]:
    """The steps of one operator, with names of their own and plain views where these see a tensor as it lies."""
    if operator.op in ALIASES:
        source, result = operator.inputs[0], operator.outputs[0]
        if result not in leaving or selection.owner(source) in written:
            selection.root[result] = selection.owner(source)
            return []
        # it hands an input of the NPU back, or an old state: somebody must write it
        bases = whole(selection.tensors[source].shape), whole(selection.tensors[result].shape)
        flat = operand(source, bases[0], bases[0].reshape(-1)), operand(result, bases[1], bases[1].reshape(-1))
        found = copy(selection, operator, *flat)
    else:
        found = BUILDERS[operator.op](selection, operator)
    for step in found:
        selection.owner(step.output)
    makers = Counter(step.output for step in found)
    plain = [_plain(selection, step, makers[step.output] == 1) for step in found]
    return plain if len(plain) == 1 else [replace(step, name=f"{operator.name}/{i}") for i, step in enumerate(plain)]


def _plain(selection, step, alone) -> Step:
    """The step without views that see a whole tensor; only a step that makes its tensor alone loses that of its output."""

    def view(extent: Extent, seen: View | None, name):
        memory = selection.memory(name)
        return (
            None
            if seen in (None, View(dx=extent.channels)) and extent.row_bytes == memory.row_bytes and extent.height == memory.height
            else seen
        )

    second = step.second_view if step.second is None or step.constant is not None else view(step.result, step.second_view, step.second)
    output = view(step.result, step.output_view, step.output) if alone else step.output_view or View(dx=step.result.channels)
    return replace(step, source_view=view(step.image, step.source_view, step.source), second_view=second, output_view=output)


__all__ = ["ALIASES", "BUILDERS", "host_side", "select"]
