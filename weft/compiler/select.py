"""Pass: one step for each operator that the NPU runs; what it does not run is a host operator or an error.

Each operator is one function from the graph to a `Step`, in the table `BUILDERS`; they rely on what `weft.compiler.limits` has checked.
"""

from dataclasses import replace

import numpy as np

from hw.npu.errors import WeftError
from hw.npu.isa import Opcode
from weft.compiler import parameters
from weft.compiler.graph import Graph, Operator
from weft.compiler.steps import IDENTITY, Extent, HostOp, Network, Step, extent_of
from weft.compiler.tables import FUNCTIONS, table

INT8_LIKE = ("int8", "uint8")
ALIASES = frozenset({"EXPAND_DIMS", "RESHAPE", "SQUEEZE"})
"""Operators that only rename bytes."""


def _refuse(graph: Graph, operator: Operator, reason: str, remedy: str | None = None):
    raise WeftError(f"{operator.op}: {reason}", file=graph.file, layer=operator.title, remedy=remedy)


def _base(graph, operator, opcode, **fields) -> Step:
    multiplier, exponent = IDENTITY
    source, result = graph.input(operator, 0), graph.output(operator)
    values = {
        "name": operator.name,
        "op": operator.op,
        "title": operator.title,
        "opcode": opcode,
        "source": source.name,
        "output": result.name,
        "image": extent_of(source.shape),
        "result": extent_of(result.shape),
        "multiplier": np.array([multiplier], np.int32),
        "exponent": np.array([exponent], np.int32),
    }
    return Step(**{**values, **fields})


def _requantization(graph, operator):
    multiplier, exponent = parameters.requantization(graph, operator)
    if (multiplier == multiplier[0]).all() and (exponent == exponent[0]).all():
        multiplier, exponent = multiplier[:1], exponent[:1]
    low, high = parameters.clamp(graph, operator)
    return {
        "multiplier": multiplier,
        "exponent": exponent,
        "zero_point": graph.output(operator).zero_point,
        "clamp_min": low,
        "clamp_max": high,
    }


def _fold(graph, operator, weights):
    """Bias with the input's zero point folded in, int32[Cout], wrapping as the accumulators do."""
    total = weights.astype(np.int64).reshape(-1, weights.shape[-1]).sum(axis=0)
    folded = parameters.bias(graph, operator).astype(np.int64) - graph.input(operator, 0).zero_point * total
    return (folded & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def _window(graph, operator):
    window = parameters.window(graph, operator)
    pad = (window.pad[0], window.pad[2])
    return {"kernel": window.kernel, "stride": window.stride, "dilation": window.dilation, "pad": pad}


def conv_2d(graph: Graph, operator: Operator) -> Step:
    """CONV_2D: a MATMUL over the window."""
    if graph.input(operator, 1).shape[3] != graph.input(operator, 0).shape[3]:
        _refuse(graph, operator, "the NPU does not compute convolutions in groups")
    weights = graph.input(operator, 1).data.transpose(1, 2, 3, 0)
    step = _base(graph, operator, Opcode.MATMUL, **_window(graph, operator), **_requantization(graph, operator))
    macs = step.result.height * step.result.width * weights.size
    return replace(step, weights=weights, bias=_fold(graph, operator, weights), pad_value=graph.input(operator, 0).zero_point, macs=macs)


def fully_connected(graph: Graph, operator: Operator) -> Step:
    """FULLY_CONNECTED: a MATMUL over one row of pixels, rounded once."""
    weights = graph.input(operator, 1).data.T
    pixels = graph.input(operator, 0).size // weights.shape[0]
    step = _base(graph, operator, Opcode.MATMUL, single_rounding=True, **_requantization(graph, operator))
    return replace(
        step,
        image=Extent(1, pixels, weights.shape[0]),
        result=Extent(1, pixels, weights.shape[1]),
        weights=weights[None, None],
        bias=_fold(graph, operator, weights),
        macs=pixels * weights.size,
    )


def add(graph: Graph, operator: Operator) -> Step:
    """ADD: the first operand copied through the accumulators, the second added in the output stage."""
    first, second, result = graph.input(operator, 0), graph.input(operator, 1), graph.output(operator)
    if first.shape != second.shape or first.constant or second.constant:
        _refuse(graph, operator, "the NPU does not add constants, nor tensors of different shapes")
    numbers = parameters.add_multipliers(graph, operator)
    low, high = parameters.clamp(graph, operator)
    fields = {
        "operation": 1,
        "first_zero_point": first.zero_point,
        "first_multiplier": numbers.multiplier1,
        "first_shift": numbers.shift1,
        "zero_point": second.zero_point,
        "multiplier": numbers.multiplier2,
        "shift": numbers.shift2,
        "out_multiplier": numbers.output_multiplier,
        "out_shift": numbers.output_shift,
        "out_zero_point": result.zero_point,
        "clamp_min": low,
        "clamp_max": high,
    }
    return _base(graph, operator, Opcode.SUM, second=second.name, add=fields)


def average_pool_2d(graph: Graph, operator: Operator) -> Step:
    """AVERAGE_POOL_2D: a SUM over the window, divided by the number of positions inside the image."""
    low, high = parameters.clamp(graph, operator)
    return _base(graph, operator, Opcode.SUM, average=True, clamp_min=low, clamp_max=high, **_window(graph, operator))


def max_pool_2d(graph: Graph, operator: Operator) -> Step:
    """MAX_POOL_2D: a MAX over the window; padding is the type's minimum."""
    low, high = parameters.clamp(graph, operator)
    return _base(graph, operator, Opcode.MAX, pad_value=-128, clamp_min=low, clamp_max=high, **_window(graph, operator))


def pad(graph: Graph, operator: Operator) -> Step:
    """PAD: a copy that reads outside the image."""
    shape, before_after = graph.input(operator, 0).shape, parameters.paddings(graph, operator)
    if len(shape) != 4 or shape[0] != 1 or any(before_after[0]) or any(before_after[3]):
        _refuse(graph, operator, f"only height and width of one image are padded; here {shape} by {before_after}")
    pad = (before_after[1][0], before_after[2][0])
    return _base(graph, operator, Opcode.SUM, pad=pad, pad_value=graph.output(operator).zero_point)


def function(graph: Graph, operator: Operator) -> Step:
    """A function of one tensor (QUANTIZE between 8-bit types too): a copy through a table of all 256 values."""
    return _base(graph, operator, Opcode.SUM, table=table(graph, operator).tobytes())


def copy(graph: Graph, operator: Operator) -> Step:
    """An operator of `ALIASES` that hands an input of the NPU back: somebody must write it."""
    return _base(graph, operator, Opcode.SUM, image=extent_of(graph.output(operator).shape))


BUILDERS = {
    "CONV_2D": conv_2d,
    "FULLY_CONNECTED": fully_connected,
    "ADD": add,
    "AVERAGE_POOL_2D": average_pool_2d,
    "MAX_POOL_2D": max_pool_2d,
    "PAD": pad,
    **dict.fromkeys(FUNCTIONS, function),
}
"""Operators of the NPU."""

HOST = frozenset({"SOFTMAX", "QUANTIZE", "DEQUANTIZE"})
"""Operators that the host computes at the edges of a network."""


def on_npu(graph: Graph, operator: Operator) -> bool:
    """Whether the NPU computes the operator."""
    if operator.op not in BUILDERS and operator.op not in ALIASES:
        return False
    return graph.tensors[operator.inputs[0]].dtype in INT8_LIKE and graph.output(operator).dtype in INT8_LIKE


def _sides(graph: Graph):
    """Host operators before the network's NPU part, after it; the rest in between."""
    before, after = [], []
    middle = list(graph.operators)
    while middle and middle[0].op in HOST and not on_npu(graph, middle[0]):
        before.append(middle.pop(0))
    while middle and middle[-1].op in HOST and not on_npu(graph, middle[-1]):
        after.insert(0, middle.pop())
    return before, middle, after


def select(graph: Graph) -> Network:
    """Graph to network: a step for each operator, aliases resolved, host operators at the edges taken off.

    Raises
    ------
    WeftError
        Where an operator in the middle of the network is not computed by the NPU.
    """
    before, middle, after = _sides(graph)
    steps, root, written = [], {}, set()
    made = {name for operator in middle for name in operator.outputs}
    wanted = ({name for operator in after for name in operator.inputs} | set(graph.outputs)) & made

    def owner(name):
        return root.setdefault(name, name)

    for operator in middle:
        if not on_npu(graph, operator):
            _refuse(graph, operator, "the NPU does not compute this operator", "host operators are possible at the network's edges only")
        result = operator.outputs[0]
        if operator.op in ALIASES and not (result in wanted and owner(operator.inputs[0]) not in written):
            root[result] = owner(operator.inputs[0])
            continue
        step = (copy if operator.op in ALIASES else BUILDERS[operator.op])(graph, operator)
        written.add(step.output)
        owner(step.output)
        for name in step.reads:
            owner(name)
        steps.append(step)
    if not steps:
        raise WeftError("the NPU computes none of its operators", file=graph.file, remedy="nothing is left to compile; run it on the host")
    hosts = tuple(HostOp(operator, True) for operator in before) + tuple(HostOp(operator, False) for operator in after)
    inside = {name for step in steps for name in step.reads} | set(root)
    inputs = [name for name in inside if name not in made]
    order = [name for operator in before for name in operator.outputs] + list(graph.inputs)
    outputs = [name for operator in middle for name in operator.outputs if name in wanted]
    return Network(graph, tuple(steps), tuple(sorted(inputs, key=order.index)), tuple(outputs), root, hosts)


__all__ = ["BUILDERS", "HOST", "on_npu", "select"]
