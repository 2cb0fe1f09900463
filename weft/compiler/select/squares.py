r"""SQUARED_DIFFERENCE: a function of 16 bits, made of tables of 8 and of comparisons that correct them.

On the common scale a step of the operand with the larger scale is `UNIT`, so that the difference is ``UNIT * e - l``: e counts steps of
that operand, from a table of the other one, and l from -32 to 31 is what that table leaves over. The square grows with the magnitude
``UNIT * |e| - sign(e) * l``. A table of |e| gives its value where the remainder takes the most away; each of a few comparisons of the
remainder with a table of |e| adds one where the result is larger.
"""

from dataclasses import dataclass, replace

import numpy as np

from golden.operators.lookup import all_bytes
from golden.operators.squared_difference import LEFT_SHIFT, scaled
from golden.requantize import requantize
from hw.npu.interface.isa import Second
from weft.compiler import parameters
from weft.compiler.graph import Operator
from weft.compiler.select.copies import EXACT_SUM
from weft.compiler.select.elementwise import joined, made, or_table
from weft.compiler.select.functions import mapped, table_fields
from weft.compiler.select.selection import Selection
from weft.compiler.steps import Step

UNIT = 1 << LEFT_SHIFT - 1
"""A step of the larger scale on the common one: the reference halves what it has shifted left."""
FARTHEST = 255
"""Most steps of a magnitude that is held in a byte; beyond, the result must be at its limit."""
MOST_COMPARISONS = 16
"""A comparison costs two steps of the NPU over the whole tensor."""
EXACT_PRODUCT = {
    "operation": Second.MUL, "first_zero_point": 0, "zero_point": 0, "out_zero_point": 0, "first_shift": 1, "out_multiplier": 1 << 30,
    "out_shift": 0, "clamp_min": -128, "clamp_max": 127,
}  # fmt: skip
"""A MUL that rounds nothing: a product, doubled and halved."""


@dataclass(frozen=True)
class _Plan:
    """The tables of one operator.

    Attributes
    ----------
    near, rest : int8[256]
        For each byte of the operand with the smaller scale its place in steps of the other one, with its own zero point, and what is left.
    start : int8[256]
        For each magnitude the result where the remainder takes the most away.
    bounds : tuple of int8[256]
        For each comparison and magnitude: the result is one more where the remainder is below.
    """

    near: np.ndarray
    rest: np.ndarray
    start: np.ndarray
    bounds: tuple[np.ndarray, ...]


def squared_difference(selection: Selection, operator: Operator) -> list[Step]:
    """SQUARED_DIFFERENCE."""
    return or_table(selection, operator, lambda: _of_two(selection, operator))


def _of_two(selection, operator) -> list[Step]:
    graph = selection.graph
    large, small = (graph.input(operator, i) for i in _by_scale(graph, operator))
    plan = _plan(selection, operator, large.zero_point, small.zero_point)
    steps, name = [], large.name
    if large.constant:
        name, steps = made(selection, operator, name)
    near, more = _tabulated(selection, operator, small, "near", plan.near)
    steps += more
    pairs = _Pairs(selection, operator, steps)
    zeros = {"first_zero_point": large.zero_point, "zero_point": small.zero_point}
    lowest = {"first_zero_point": -128, "zero_point": -128, "out_zero_point": -128}
    above = pairs.add("above", Second.SUB, name, near, **zeros, out_zero_point=-128)
    below = pairs.add("below", Second.SUB, near, name, first_zero_point=small.zero_point, zero_point=large.zero_point, out_zero_point=-128)
    magnitude = pairs.add("magnitude", Second.ADD, above, below, **lowest)
    if not plan.bounds:
        return [*steps, *mapped(selection, operator, magnitude, plan.start.tobytes())]
    rest, more = _tabulated(selection, operator, small, "rest", plan.rest)
    steps += more
    sign = pairs.add("sign", Second.SUB, name, near, **zeros, clamp_min=-1, clamp_max=1)
    turned = pairs.add("turned", Second.MUL, sign, rest)
    total, start = magnitude, table_fields(plan.start.tobytes())
    for i, bound in enumerate(plan.bounds):
        one = pairs.add(f"one{i}", Second.SUB, magnitude, turned, table_fields(bound.tobytes()), clamp_min=0, clamp_max=1)
        label = f"total{i}" if i < len(plan.bounds) - 1 else None
        total = pairs.add(label, Second.ADD, total, one, start if i == 0 else {})
    return steps


class _Pairs:
    """Adds steps of two tensors, of the output's shape, to a list.

    Parameters
    ----------
    selection : Selection
    operator : Operator
    steps : list of Step
    """

    def __init__(self, selection, operator, steps):
        self._selection, self._operator, self._steps = selection, operator, steps
        self._shape = selection.graph.output(operator).shape

    def add(self, label, operation, first, second, before=None, **fields) -> str:
        """Exact operation on two tensors; `before` is what happens to the first one; the result's name, the operator's without a label."""
        output = self._operator.outputs[0] if label is None else self._selection.temporary(self._operator, label, self._shape)
        zeros = {"first_zero_point": 0, "zero_point": 0, "out_zero_point": 0}
        numbers = EXACT_PRODUCT if operation == Second.MUL else EXACT_SUM | zeros | {"operation": operation}
        reader = replace(self._operator, inputs=(first, second))
        self._steps += joined(self._selection, reader, numbers | fields, output, **(before or {}))
        return output


def _tabulated(selection, operator, tensor, label, entries) -> tuple[str, list[Step]]:
    """What a table makes of a tensor: one of the NPU, and the steps that write it, or a constant."""
    if not tensor.constant:
        name = selection.temporary(operator, label, tensor.shape)
        return name, mapped(selection, replace(operator, outputs=(name,)), tensor.name, entries.tobytes())
    name = f"{operator.name}:{label}"
    selection.tensors[name] = replace(tensor, name=name, data=entries[tensor.data.view(np.uint8)])
    return name, []


def _by_scale(graph, operator) -> tuple[int, int]:
    """The operand with the larger scale, and the other one."""
    return (0, 1) if graph.input(operator, 0).scale >= graph.input(operator, 1).scale else (1, 0)


def _plan(selection, operator, large_zero, small_zero) -> _Plan:
    """The tables; refuses what they cannot hold."""
    numbers = parameters.square_multipliers(selection.graph, operator)
    pairs = (numbers.multiplier1, numbers.shift1), (numbers.multiplier2, numbers.shift2)
    large, small = (pairs[i] for i in _by_scale(selection.graph, operator))
    values = all_bytes(np.int8).astype(np.int64)
    assert np.array_equal(UNIT * (values - large_zero), scaled(values, large_zero, *large)), "the larger scale is one half, exactly"
    shifted = scaled(values, small_zero, *small)
    steps = (shifted + UNIT // 2) // UNIT
    rest = shifted - UNIT * steps
    most = int(np.abs(rest).max())
    reach = max(127 - large_zero - int(steps.min()), 128 + large_zero + int(steps.max()))
    result = selection.graph.output(operator)
    distances = np.arange(UNIT * (FARTHEST + 1))
    values = requantize(distances**2, numbers.output_multiplier, numbers.output_exponent, result.zero_point, (-128, 127)).astype(np.int64)
    magnitudes = np.arange(FARTHEST + 1)
    start = np.where(magnitudes > 0, values[np.maximum(UNIT * magnitudes - most, 0)], values[0])
    end = np.where(magnitudes > 0, values[np.minimum(UNIT * magnitudes + most, len(distances) - 1)], values[0])
    if reach > FARTHEST and start[-1] < 127:
        reason = f"differences reach {reach} steps of the larger scale, the limit is {FARTHEST} where the output has room for more"
        selection.refuse(operator, reason, "quantize both operands with zero points near each other")
    comparisons = int((end - start)[: reach + 1].max())
    if comparisons > MOST_COMPARISONS or values[most] != values[0]:
        reason = (
            f"the output's scale is so small that a step of an operand is {comparisons} of the output's, the limit is {MOST_COMPARISONS}"
        )
        selection.refuse(operator, reason, "quantize it with a larger output scale: take a wider range from the representative data set")
    bounds = []
    for more in range(1, comparisons + 1):
        first = np.searchsorted(values, start + more)  # the least distance with this result
        bound = np.where(start + more <= end, UNIT * magnitudes - first + 1, -most)
        bounds.append(_by_byte(np.clip(bound, -most, most + 1)))
    return _Plan((steps + small_zero).astype(np.int8), rest.astype(np.int8), _by_byte(start), tuple(bounds))


def _by_byte(by_magnitude) -> np.ndarray:
    """A table of magnitudes as one of the bytes that hold them, 128 lower."""
    return np.roll(by_magnitude.astype(np.int8), 128)
