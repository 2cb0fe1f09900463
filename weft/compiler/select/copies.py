"""Copies: bytes that go through the accumulators unchanged, or through a table; fills; constants that become tensors."""

import numpy as np

from hw.npu.interface.isa import Opcode, Second
from weft.compiler.graph import Operator
from weft.compiler.nests import MOST_PIECES, Operand, Piece, pieces
from weft.compiler.select.selection import Selection
from weft.compiler.steps import Extent, Step, View

EXACT_SUM = {
    "operation": Second.ADD,
    "first_multiplier": 1 << 30, "multiplier": 1 << 30, "out_multiplier": 1 << 30, "out_shift": 18,
    "clamp_min": -128, "clamp_max": 127,
}  # fmt: skip
"""An ADD that rounds nothing: both operands become 2^19 times themselves, the sum is divided by 2^19."""


def nest(selection: Selection, operator: Operator, *operands: Operand) -> list[Piece]:
    """`weft.compiler.nests.pieces` of tensors, or one line for the user."""
    memories = tuple(selection.memory(each.name) for each in operands)
    try:
        return pieces(operands, memories, selection.config.cols, selection.config.act_bytes)
    except ValueError as error:
        (count,) = error.args
        return selection.refuse(
            operator, f"it would take {count} steps of the NPU, the limit is {MOST_PIECES}", "run this layer outside of the network"
        )


def copy(selection: Selection, operator: Operator, source: Operand, target: Operand, **fields) -> list[Step]:
    """Steps that copy a view of a tensor to a view of another; a constant source is written where it is wanted."""
    constant = selection.tensors[source.name].data
    if constant is not None:
        return _place(selection, operator, source, target, constant, **fields)
    steps = []
    for piece in nest(selection, operator, source, target):
        views = {"source_view": piece.views[0], "output_view": piece.views[1]}
        steps.append(selection.step(operator, Opcode.SUM, source.name, target.name, piece.extent, piece.extent, **views, **fields))
    return steps


def outside(result: Extent) -> dict:
    """Fields of a step all of whose pixels lie above its image: it reads nothing of its source."""
    return {"image": Extent(1, 1, result.channels), "result": result, "source_view": View(0, 0, 0, 0), "pad": (result.height, 0)}


def computed_input(selection: Selection, operator: Operator) -> str:
    """Some tensor that is there when the operator runs: steps that read nothing need one for the form."""
    return next(name for name in operator.inputs if name is not None and not selection.tensors[name].constant)


def fill(selection: Selection, operator: Operator, target: str, value: int, source: str | None = None) -> Step:
    """A step that writes one value, int8, to a whole tensor."""
    result = selection.memory(target)
    source = source or computed_input(selection, operator)
    return selection.step(
        operator, Opcode.SUM, source, target, **outside(result), output_view=View(dx=result.channels), pad_value=value
    )  # fmt: skip


def _place(selection, operator, source, target, constant, **fields) -> list[Step]:
    """A constant as the second operand of nothing."""
    steps = []
    for piece in nest(selection, operator, source, target):
        second = {"second": source.name, "second_view": piece.views[0], "constant": as_bytes(constant), "add": EXACT_SUM}
        name = computed_input(selection, operator)
        steps.append(
            selection.step(operator, Opcode.SUM, name, target.name, **outside(piece.extent), output_view=piece.views[1], **second, **fields)
        )
    return steps


def as_bytes(constant: np.ndarray) -> np.ndarray:
    """A constant's bytes, int8[n]."""
    return np.ascontiguousarray(constant).reshape(-1).view(np.int8)
