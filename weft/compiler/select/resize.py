"""RESIZE_NEAREST_NEIGHBOR: copies of every n-th row and column."""

import itertools

import numpy as np

from golden.operators.resize import nearest_indices
from weft.compiler.graph import Operator
from weft.compiler.nests import MOST_PIECES, operand, whole
from weft.compiler.select.copies import copy
from weft.compiler.select.movement import runs
from weft.compiler.select.selection import Selection
from weft.compiler.steps import Step


def resize_nearest_neighbor(selection: Selection, operator: Operator) -> list[Step]:
    """RESIZE_NEAREST_NEIGHBOR: a copy for each run of rows and of columns."""
    source, result = selection.graph.input(operator, 0), selection.graph.output(operator)
    base, target = whole(source.shape), whole(result.shape)
    rows, cols = (runs(nearest_indices(source.shape[i], result.shape[i], **operator.options)) for i in (1, 2))
    count = len(rows) * len(cols)
    if count > MOST_PIECES:
        ratio = f"a resize from {source.shape[1]}x{source.shape[2]} to {result.shape[1]}x{result.shape[2]}"
        selection.refuse(operator, f"{ratio} would take {count} steps of the NPU, the limit is {MOST_PIECES}")
    steps = []
    for (to_y, from_y), (to_x, from_x) in itertools.product(rows, cols):
        seen = target[:, to_y, to_x]
        taken = operand(source.name, base, np.broadcast_to(base[:, from_y, from_x], seen.shape))
        steps += copy(selection, operator, taken, operand(result.name, target, seen))
    return steps
