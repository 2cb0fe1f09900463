"""The 256-entry table of each function of one 8-bit tensor: what the golden operators look up and the output stage's table holds."""

from functools import partial

import numpy as np

from golden.operators import lookup, rectify
from golden.operators.quantize import change_quantization
from golden.operators.rsqrt import rsqrt
from weft.compiler.graph import Graph, Operator
from weft.compiler.unsigned import SHIFT

RELUS = ("RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1")
REAL = {"EXP": lookup.exp, "LOGISTIC": lookup.logistic, "TANH": lookup.tanh}
"""Functions that TFLite tabulates in floating point, without options."""
FIXED = {"ABS": rectify.absolute, "HARD_SWISH": rectify.hard_swish, "QUANTIZE": change_quantization, "RSQRT": rsqrt, "SQRT": lookup.sqrt}
"""Functions of the bytes and both quantizations alone."""
FUNCTIONS = tuple(sorted((*REAL, *FIXED, *RELUS, "GELU", "LEAKY_RELU", "LOG", "LOOKUP", "NEG")))
"""Operators that have a table; LOOKUP, which no file has, brings its own (`weft.compiler.islands`)."""


def table(graph: Graph, operator: Operator) -> np.ndarray:
    """The result of an operator of `FUNCTIONS` for each byte.

    Returns
    -------
    int8[256] or uint8[256]
        Of the output's type, in the order of the input's bits as an unsigned number. RSQRT and SQRT of bytes below the zero point,
        where the reference stops, are 0.
    """
    source, result = graph.input(operator, 0), graph.output(operator)
    if operator.op == "LOOKUP":
        return np.frombuffer(operator.options["table"], result.dtype)
    x = lookup.all_bytes(source.dtype)
    if operator.options.get(SHIFT):
        return x.view(result.dtype) ^ np.array(128, np.uint8).view(result.dtype)
    undefined = x < source.zero_point if operator.op in ("RSQRT", "SQRT") else np.zeros(256, bool)
    values = _function(operator, result)(
        np.where(undefined, source.zero_point, x).astype(x.dtype),
        input_scale=source.scale, input_zero_point=source.zero_point,
        output_scale=result.scale, output_zero_point=result.zero_point, dtype=result.dtype,
    )  # fmt: skip
    return np.where(undefined, 0, values).astype(result.dtype)


def _function(operator, result):
    """The golden function of bytes and quantizations."""
    op = operator.op
    if op in FIXED:
        return FIXED[op]
    if op in RELUS:
        return lambda x, **scales: rectify.relu(x, op, **scales)
    if op == "LEAKY_RELU":
        return lambda x, **scales: rectify.leaky_relu(x, operator.options["alpha"], **scales)
    if op == "NEG":
        return lambda x, **scales: rectify.negate(x)
    real = {**REAL, "GELU": lookup.gelu_approximate if operator.options.get("approximate") else lookup.gelu}
    if op == "LOG":
        # the real value of the smallest output, as a float32 product
        lowest = np.float32(np.iinfo(result.dtype).min - result.zero_point) * np.float32(result.scale)
        real[op] = partial(lookup.log, lowest=lowest)
    return lambda x, **scales: lookup.tabulate(x, real[op], **scales)
