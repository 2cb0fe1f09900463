"""Float operators that compute each element from one element, of which the interpreter's kernels give the same for it everywhere."""

import numpy as np

from weft.compiler.graph import Tensor

UNARY = (
    "ABS", "COS", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "NEG", "RELU", "RELU6", "RELU_0_TO_1",
    "RELU_N1_TO_1", "RSQRT", "SIGN", "SIN", "SQRT", "SQUARE", "TANH",
)  # fmt: skip
"""Of one tensor. CEIL, ELU and ROUND are not among the reference kernels."""
BINARY = ("ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "POW", "PRELU", "SQUARED_DIFFERENCE", "SUB")
"""Of two, one of which may be a constant of one value. FLOOR_DIV and FLOOR_MOD stop at a divisor of 0."""


def is_elementwise(operator) -> bool:
    """Whether it is one of these: a GELU that is not approximate is computed in groups of four and one by one behind them, which differ."""
    if operator.op == "GELU":
        return bool(operator.options["approximate"])
    return (operator.op, len(operator.inputs)) in {*((op, 1) for op in UNARY), *((op, 2) for op in BINARY)}


def one_value(tensor: Tensor) -> np.float32 | None:
    """The value of a float32 constant that has one only, however often; else None."""
    if not tensor.constant or tensor.dtype != "float32" or not tensor.size:
        return None
    words = np.ascontiguousarray(tensor.data).reshape(-1).view(np.uint32)
    return tensor.data.reshape(-1)[0] if (words == words[0]).all() else None
