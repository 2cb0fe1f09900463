"""Which operators have outputs whose shape is known only when the network runs."""

from weft.compiler.cut.variables import HANDLES
from weft.compiler.frontends.network_file import SHAPE, NetworkFile
from weft.compiler.graph import Operator
from weft.compiler.limits import SUPPORTED

OF_VALUES = ("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "UNIQUE", "WHERE")
"""Operators whose outputs' shapes depend on the values that they read."""
SHAPED_BY = {
    "BROADCAST_TO": (1,), "EXPAND_DIMS": (1,), "FILL": (0,), "ONE_HOT": (1,), "PAD": (1,), "PADV2": (1,), "RANGE": (0, 1, 2),
    "RESHAPE": (1,), "RESIZE_BILINEAR": (1,), "RESIZE_NEAREST_NEIGHBOR": (1,), "SLICE": (1, 2), "STRIDED_SLICE": (1, 2, 3), "TILE": (1,),
}  # fmt: skip
"""Operators whose outputs' shapes are values of these inputs."""


def of_dynamic_shape(file: NetworkFile, operator: Operator) -> bool:
    """Whether the file leaves open the shape of an output that the host makes.

    A shape that is open only in `shape_signature` may be so because of the batch, which the file fixes; it is taken for fixed unless
    the operator's kind or a computed operand says otherwise.
    """
    graph = file.graph
    outputs = [tensor for name in operator.outputs if (tensor := graph.tensors[name]).dtype not in HANDLES]
    unknown = operator.op not in SUPPORTED
    if operator.op in OF_VALUES or any(not tensor.shape and (unknown or tensor.name in file.broken) for tensor in outputs):
        return True
    makers = {name for each in graph.operators for name in each.outputs} if operator.op in SHAPED_BY else set()
    computed = any(index < len(operator.inputs) and operator.inputs[index] in makers for index in SHAPED_BY.get(operator.op, ()))
    return computed and any(name in file.broken and file.broken[name].kind == SHAPE for name in operator.outputs)
