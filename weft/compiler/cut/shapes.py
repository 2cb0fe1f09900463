"""Which operators have outputs whose shape is known only when the network runs."""

from weft.compiler.frontends.network_file import SHAPE, NetworkFile
from weft.compiler.graph import HANDLES, Operator
from weft.compiler.limits import SUPPORTED

OF_VALUES = ("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "UNIQUE", "WHERE")
"""Operators whose outputs' shapes depend on the values that they read."""
SHAPED_BY = {
    "BROADCAST_TO": (1,), "EXPAND_DIMS": (1,), "FILL": (0,), "ONE_HOT": (1,), "PAD": (1,), "PADV2": (1,), "RANGE": (0, 1, 2),
    "RESHAPE": (1,), "RESIZE_BILINEAR": (1,), "RESIZE_NEAREST_NEIGHBOR": (1,), "SLICE": (1, 2), "STRIDED_SLICE": (1, 2, 3), "TILE": (1,),
}  # fmt: skip
"""Operators whose outputs' shapes are values of these inputs."""


def of_dynamic_shape(file: NetworkFile, operator: Operator) -> list[str]:
    """The outputs of an operator of the host whose shape the file leaves open.

    A shape that is open only in `shape_signature` may be so because of the batch, which the file fixes; it is taken for fixed unless
    the operator's kind or a computed operand says otherwise. Where an operator has several outputs each speaks for itself: a loop
    hands on its counter, a number of shape [], beside tensors whose shapes are known.
    """
    graph = file.graph
    outputs = [tensor for name in operator.outputs if (tensor := graph.tensors[name]).dtype not in HANDLES]
    if operator.op in OF_VALUES or _shaped_by_values(file, operator):
        return [tensor.name for tensor in outputs]
    unknown = operator.op not in SUPPORTED
    return [tensor.name for tensor in outputs if not tensor.shape and (unknown or tensor.name in file.broken)]


def _shaped_by_values(file: NetworkFile, operator: Operator) -> bool:
    """Whether an operand is computed that says how large the outputs are, and the file does not know it."""
    makers = {name for each in file.graph.operators for name in each.outputs} if operator.op in SHAPED_BY else set()
    computed = any(index < len(operator.inputs) and operator.inputs[index] in makers for index in SHAPED_BY.get(operator.op, ()))
    return computed and any(name in file.broken and file.broken[name].kind == SHAPE for name in operator.outputs)
