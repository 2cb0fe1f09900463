"""Operators of two tensors, element by element: the first goes through the accumulators, the second comes in at the output stage."""

from dataclasses import replace

import numpy as np

from golden.operators.lookup import all_bytes
from golden.requantize import multiply_by_quantized_multiplier
from hw.npu.interface.isa import MAX_PRODUCT_SHIFT, Opcode, Second
from weft.compiler import parameters
from weft.compiler.graph import Operator
from weft.compiler.nests import operand, whole
from weft.compiler.select.copies import EXACT_SUM, as_bytes, copy, nest
from weft.compiler.select.functions import COMPLEMENT, mapped, of_one_tensor, table_fields
from weft.compiler.select.selection import Selection
from weft.compiler.steps import Step, extent_of, swapped

NO_OVERFLOW = 14
"""Left shifts of a product of 17 bits up to it do not wrap; from `MAX_PRODUCT_SHIFT` on every product but 0 saturates all the same."""


def add(selection: Selection, operator: Operator) -> list[Step]:
    """ADD."""
    return or_table(selection, operator, lambda: joined(selection, operator, _sum_fields(selection, operator, Second.ADD)))


def sub(selection: Selection, operator: Operator) -> list[Step]:
    """SUB: its first operand stays the first."""
    return or_table(selection, operator, lambda: joined(selection, operator, _sum_fields(selection, operator, Second.SUB)))


def mul(selection: Selection, operator: Operator) -> list[Step]:
    """MUL."""
    numbers = parameters.mul_multiplier(selection.graph, operator)
    return or_table(selection, operator, lambda: joined(selection, operator, _product_fields(selection, operator, *numbers)))


def or_table(selection: Selection, operator: Operator, build) -> list[Step]:
    """A table where the operator is a function of one tensor; else what `build` makes."""
    found = of_one_tensor(selection.graph, operator)
    return build() if found is None else mapped(selection, operator, *found)


def _zero_points(selection, operator):
    first, second, result = selection.graph.input(operator, 0), selection.graph.input(operator, 1), selection.graph.output(operator)
    return {"first_zero_point": first.zero_point, "zero_point": second.zero_point, "out_zero_point": result.zero_point}


def _sum_fields(selection, operator, operation):
    numbers = parameters.add_multipliers(selection.graph, operator)
    low, high = parameters.clamp(selection.graph, operator)
    return _zero_points(selection, operator) | {
        "operation": operation,
        "first_multiplier": numbers.multiplier1,
        "first_shift": numbers.shift1,
        "multiplier": numbers.multiplier2,
        "shift": numbers.shift2,
        "out_multiplier": numbers.output_multiplier,
        "out_shift": numbers.output_shift,
        "clamp_min": low,
        "clamp_max": high,
    }


def _product_fields(selection, operator, multiplier, exponent):
    if exponent > NO_OVERFLOW:
        selection.refuse(operator, f"its factor of 2^{exponent} is above 2^{NO_OVERFLOW}", "quantize it with a larger output scale")
    low, high = parameters.clamp(selection.graph, operator)
    return _zero_points(selection, operator) | {
        "operation": Second.MUL,
        "first_shift": min(max(exponent, 0), MAX_PRODUCT_SHIFT),
        "out_multiplier": multiplier,
        "out_shift": max(-exponent, 0),
        "clamp_min": low,
        "clamp_max": high,
    }


def joined(selection: Selection, operator: Operator, fields: dict, output: str | None = None, **first) -> list[Step]:
    """Steps with the operator's second input as second operand; operands broadcast.

    Parameters
    ----------
    fields : dict
        `Step.add`, for the operands in their order.
    output : str or None
        Other than the operator's.
    first
        Fields of the steps: what happens to the first operand.
    """
    names, before = list(operator.inputs[:2]), []
    if selection.tensors[names[0]].constant:
        if fields["operation"] == Second.SUB or first:
            names[0], before = made(selection, operator, names[0])
        else:
            names, fields = names[::-1], swapped(fields)
    output = output or operator.outputs[0]
    bases = [whole(selection.tensors[name].shape) for name in (*names, output)]
    views = [operand(name, base, np.broadcast_to(base, bases[2].shape)) for name, base in zip((*names, output), bases)]
    constant = selection.tensors[names[1]].data
    steps = []
    for piece in nest(selection, operator, *views):
        seen = dict(zip(("source_view", "second_view", "output_view"), piece.views))
        step = selection.step(
            operator, Opcode.SUM, names[0], output, piece.extent, piece.extent, second=names[1], add=fields, **seen, **first
        )
        steps.append(step if constant is None else replace(step, constant=as_bytes(constant)))
    return [*before, *steps]


def made(selection: Selection, operator: Operator, constant: str) -> tuple[str, list[Step]]:
    """A constant as a tensor in the scratchpad, and the steps that write it."""
    shape = selection.tensors[constant].shape
    made, base = selection.temporary(operator, "constant", shape), whole(shape)
    return made, copy(selection, operator, operand(constant, base, base), operand(made, base, base))


def maximum(selection: Selection, operator: Operator) -> list[Step]:
    """MAXIMUM: both operands one above the other, and a window over them."""
    return or_table(selection, operator, lambda: _larger(selection, operator, {}))


def minimum(selection: Selection, operator: Operator) -> list[Step]:
    """MINIMUM: the complement of the larger complement."""
    return or_table(selection, operator, lambda: _larger(selection, operator, table_fields(COMPLEMENT)))


def _larger(selection, operator, fields) -> list[Step]:
    """Each row of the first operand above that of the second, so that a band of rows needs a band of both."""
    output = operator.outputs[0]
    shape = selection.tensors[output].shape
    result = extent_of(shape)
    image = replace(result, height=2 * result.height)
    both = selection.temporary(operator, "both", (1, image.height, image.width, image.channels))
    target, steps = whole((result.height, 2, result.width, result.channels)), []
    for index, name in enumerate(operator.inputs):
        base = whole(selection.tensors[name].shape)
        source = operand(name, base, np.broadcast_to(base, shape))
        rows = operand(both, target, target[:, index, ...].reshape(shape, copy=False))
        if fields and selection.tensors[name].constant:  # a table comes before the second operand, which a constant is
            steps += copy(selection, operator, replace(source, name=_complement(selection, name)), rows)
        else:
            steps += copy(selection, operator, source, rows, **fields)
    steps.append(selection.step(operator, Opcode.MAX, both, output, image, result, kernel=(2, 1), stride=(2, 1), **fields))
    return steps


def _complement(selection, constant) -> str:
    tensor = selection.tensors[constant]
    name = f"{constant}:complement"
    selection.tensors[name] = replace(tensor, name=name, data=~tensor.data)
    return name


def prelu(selection: Selection, operator: Operator) -> list[Step]:
    """PRELU: ``alpha * min(x, 0)``, and to it ``max(x, 0)`` through a table; one of both is 0, so the sum rounds nothing."""
    return or_table(selection, operator, lambda: _two_sides(selection, operator))


def _two_sides(selection, operator) -> list[Step]:
    graph = selection.graph
    x, result = graph.input(operator, 0), graph.output(operator)
    positive, negative = parameters.prelu_multipliers(graph, operator)
    below = selection.temporary(operator, "below", result.shape)
    steps = []
    source = x.name
    if x.constant:
        source, steps = made(selection, operator, x.name)
    reader = replace(operator, inputs=(source, *operator.inputs[1:]))
    steps += joined(selection, reader, _product_fields(selection, operator, *negative), below, clamp_max=x.zero_point)
    centred = all_bytes(np.int8).astype(np.int64) - x.zero_point
    above = np.clip(multiply_by_quantized_multiplier(np.maximum(centred, 0), *positive) + result.zero_point, -128, 127).astype(np.int8)
    zero = result.zero_point
    sum_fields = EXACT_SUM | {"first_zero_point": zero, "zero_point": zero, "out_zero_point": zero}
    base = whole(result.shape)
    operands = [operand(name, base, base) for name in (source, below, result.name)]
    for piece in nest(selection, operator, *operands):
        seen = dict(zip(("source_view", "second_view", "output_view"), piece.views))
        other = {"second": below, "add": sum_fields, "table": above.tobytes()}
        steps.append(selection.step(operator, Opcode.SUM, source, result.name, piece.extent, piece.extent, **other, **seen))
    return steps
