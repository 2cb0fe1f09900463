"""Functions of one tensor: a copy through the output stage's table; SOFTMAX has a unit of its own."""

from dataclasses import replace

import numpy as np

from golden.operators.lookup import all_bytes
from golden.operators.softmax import exponential_table
from hw.npu.interface.isa import Opcode
from weft.compiler.evaluate import EVALUATORS
from weft.compiler.graph import Graph, Operator
from weft.compiler.nests import divisor, operand, whole
from weft.compiler.select.copies import copy
from weft.compiler.select.selection import Selection
from weft.compiler.steps import Extent, Step
from weft.compiler.tables import table
from weft.compiler.unsigned import SHIFT

FLIP = (all_bytes(np.uint8) ^ 0x80).tobytes()
"""uint8 to int8 with the zero point 128 lower, and back."""
COMPLEMENT = (all_bytes(np.uint8) ^ 0xFF).tobytes()
"""-1 - x: turns the order of int8 round."""
FLIPPED_COMPLEMENT = (all_bytes(np.uint8) ^ 0x7F).tobytes()
"""uint8 to int8, with the order turned round, and back."""


def function(selection: Selection, operator: Operator) -> list[Step]:
    """An operator of `weft.compiler.tables`; of QUANTIZE that between 8-bit types."""
    step = tabulated(selection, operator, table(selection.graph, operator).tobytes())
    return [_in_vectors(step, selection.config.cols) if operator.options.get(SHIFT) else step]


def _in_vectors(step: Step, cols: int) -> Step:
    """A step that maps each byte to one, its rows cut into the pixels that take the fewest cycles; those of a picture have three bytes."""
    lanes = divisor(step.image.row_bytes, cols)
    extent = Extent(step.image.height, step.image.row_bytes // lanes, lanes)
    return replace(step, image=extent, result=extent)


def tabulated(selection: Selection, operator: Operator, entries: bytes) -> Step:
    """The operator's first input through a table."""
    return selection.whole(operator, Opcode.SUM, **table_fields(entries))


def table_fields(entries: bytes) -> dict:
    """Fields of a step that maps its values: the clamp where that is all it takes."""
    bounds = as_clamp(entries)
    return {"table": entries} if bounds is None else {"clamp_min": bounds[0], "clamp_max": bounds[1]}


def as_clamp(entries: bytes) -> tuple[int, int] | None:
    """Bounds of a table that only clamps int8 values; None where it does more."""
    values, x = np.frombuffer(entries, np.int8), all_bytes(np.int8)
    low, high = int(values.min()), int(values.max())
    return (low, high) if (values == np.clip(x, low, high)).all() else None


def softmax(selection: Selection, operator: Operator) -> list[Step]:
    """SOFTMAX: the last dimension of each pixel."""
    source = selection.graph.input(operator, 0)
    entries = exponential_table(source.scale, operator.options["beta"]).astype("<i4").tobytes()
    return [selection.whole(operator, Opcode.SOFTMAX, table=entries)]


def of_one_tensor(graph: Graph, operator: Operator) -> tuple[str, bytes] | None:
    """An operator of two tensors that is a function of one, because the other has one value, or is the same.

    Returns
    -------
    (str, bytes) or None
        The tensor, and the result for each byte of it, by the golden operator itself.
    """
    first, second = graph.input(operator, 0), graph.input(operator, 1)
    tensors = dict(graph.tensors)
    for tensor, other in ((first, second), (second, first)):
        if other.constant and not tensor.constant and (other.data == other.data.flat[0]).all():
            tensors[other.name] = replace(other, shape=(1,), data=other.data.reshape(-1)[:1])
            break
    else:
        if first.name != second.name:
            return None
        tensor = first
    values = EVALUATORS[operator.op](replace(graph, tensors=tensors), operator, {tensor.name: all_bytes(tensor.dtype)})
    return tensor.name, values.tobytes()


def mapped(selection: Selection, operator: Operator, source: str, entries: bytes) -> list[Step]:
    """A tensor through a table to the operator's output, to which it broadcasts."""
    output = operator.outputs[0]
    bases = whole(selection.tensors[source].shape), whole(selection.tensors[output].shape)
    view = operand(source, bases[0], np.broadcast_to(bases[0], bases[1].shape))
    return copy(selection, operator, view, operand(output, bases[1], bases[1]), **table_fields(entries))
