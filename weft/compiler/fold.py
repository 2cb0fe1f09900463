"""Pass, right after reading: what depends on constants and fixed shapes alone becomes constant, and what nobody reads vanishes.

Converters leave shape arithmetic in a file (SHAPE, STRIDED_SLICE, PACK, RESHAPE), because they do not know the batch. Once the
shapes are fixed all of it can be computed. A quantized operator of constants, such as the DEQUANTIZE of a detector's anchors, is
computed by its golden operator, as any other operator is when the network runs. Weights that a file keeps as float16 become float32.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from golden.operators.quantize import quantize
from hw.npu.errors import WeftError
from weft.compiler.evaluate import EVALUATORS
from weft.compiler.graph import BYTES, Graph, Operator, Tensor
from weft.compiler.limits import LIMITS, check_each, first_broken
from weft.compiler.limits.edges import writes_float_output
from weft.compiler.limits.movement import SHAPE_LIMITS, moves_something_computed
from weft.compiler.limits.tensors import has_computed_operand, is_computed, is_quantized, keeps_shape

NUMBERS = ("int32", "int64", "float32", "bool")
"""Element types of shape arithmetic."""
OF_COMPUTED = {has_computed_operand, is_computed, moves_something_computed, writes_float_output}
"""Limits of operators that compute when the network runs: those of constants need not keep them."""
MAX_FOLDED = 1 << 26
"""Most elements that a folded tensor may have."""


def fold(graph: Graph) -> Graph:
    """The graph without the operators that need no input.

    Raises
    ------
    WeftError
        If such an operator's constants do not fit together, or its output is not of the shape that the file says.
    """
    tensors, kept = dict(graph.tensors), []
    folded = replace(graph, tensors=tensors)
    for operator in graph.operators:
        values = _values(folded, operator)
        if values is None:
            kept.append(operator)
            continue
        for name, value in zip(operator.outputs, values, strict=True):
            tensors[name] = _constant(graph, operator, tensors[name], value)
    return _without_unread(replace(folded, operators=tuple(kept)))


def _values(graph, operator) -> tuple | None:
    """The operator's outputs; None where they are not constant or not to be folded."""
    if any(state.new in operator.outputs for state in graph.states):
        return None  # it must lie in DDR, where the next run finds it
    source, results = graph.input(operator, 0), [graph.tensors[name] for name in operator.outputs]
    if sum(tensor.size for tensor in results) > MAX_FOLDED:
        return None
    if operator.op in ("SHAPE", "RANK") and source is not None:
        return (np.array(source.shape if operator.op == "SHAPE" else len(source.shape), results[0].dtype),)
    operands = [graph.input(operator, i) for i in range(len(operator.inputs))]
    if not operands or any(tensor is not None and not tensor.constant for tensor in operands):
        return None
    quantized = _quantized(graph, operator, operands)
    if quantized is not None or None in operands:
        return quantized
    if operator.op in SHAPE_LIMITS:
        check_each(SHAPE_LIMITS[operator.op], graph, operator)
        return _evaluated(graph, operator, operands)
    if operator.op == "QUANTIZE" and source.dtype == "float32" and results[0].dtype in BYTES:
        check_each((is_quantized, keeps_shape), graph, operator)
        return (quantize(source.data, scale=results[0].scale, zero_point=results[0].zero_point, dtype=results[0].dtype),)
    if operator.op == "DEQUANTIZE" and source.dtype == "float16" and results[0].dtype == "float32":
        check_each((keeps_shape,), graph, operator)
        return (source.data.astype(np.float32),)
    plain = all(tensor.dtype in NUMBERS and tensor.quantization is None for tensor in (*operands, *results))
    if operator.op not in ARITHMETIC or not plain or operator.options.get("activation", "NONE") != "NONE":
        return None
    return (_arithmetic(graph, operator, [tensor.data for tensor in operands], results[0]),)


def _quantized(graph, operator, operands) -> tuple | None:
    """The outputs of an operator of bytes that Weft supports, as it stands; None where it is none."""
    if not any(tensor is not None and tensor.dtype in BYTES and tensor.quantization is not None for tensor in operands):
        return None
    limits = [limit for limit in LIMITS.get(operator.op, ()) if limit not in OF_COMPUTED]
    if not limits or first_broken(limits, graph, operator) is not None:
        return None
    return _evaluated(graph, operator, operands)


def _evaluated(graph, operator, operands) -> tuple:
    given = EVALUATORS[operator.op](graph, operator, {tensor.name: tensor.data for tensor in operands if tensor is not None})
    return given if isinstance(given, tuple) else (given,)


def _arithmetic(graph, operator, arrays, result):
    try:
        with np.errstate(all="ignore"):
            return np.asarray(ARITHMETIC[operator.op](result, *arrays))
    except (ArithmeticError, TypeError, ValueError) as error:
        raise WeftError(f"{operator.op}: its constants do not fit together: {error}", file=graph.file, layer=operator.title) from None


def _constant(graph, operator, tensor, value) -> Tensor:
    """The tensor with a value, which must be what the file announces."""
    if value.shape != tensor.shape or value.dtype != tensor.dtype:
        raise WeftError(
            f"{operator.op}: the constant {tensor.name} is {value.dtype} {list(value.shape)}, but the file says {tensor.dtype} "
            f"{list(tensor.shape)}",
            file=graph.file, layer=operator.title, remedy="convert the network again with fixed input shapes",
        )  # fmt: skip
    value = np.ascontiguousarray(value).reshape(tensor.shape)
    value.flags.writeable = False
    return replace(tensor, data=value)


def _fill(result, dims, value):
    if tuple(dims.tolist()) != result.shape or value.size != 1:
        raise ValueError(f"{dims.tolist()} for an output of {list(result.shape)}")
    return np.full(result.shape, value.reshape(-1)[0])


def _range(result, start, limit, delta):
    first, last, step = (array.reshape(-1)[0].item() for array in (start, limit, delta))
    count = max(0, int(np.ceil((last - first) / step)))
    if (count,) != result.shape:
        raise ValueError(f"{count} numbers for an output of {list(result.shape)}")
    return (first + np.arange(count) * step).astype(result.dtype)


def _product(result, x, axes):
    return np.prod(x, axis=tuple(axes.reshape(-1).tolist()), dtype=x.dtype).reshape(result.shape)


ARITHMETIC: dict[str, Callable[..., np.ndarray]] = {
    "ADD": lambda result, a, b: a + b,
    "CAST": lambda result, x: x.astype(result.dtype),
    "FILL": _fill,
    "FLOOR_DIV": lambda result, a, b: a // b,
    "MAXIMUM": lambda result, a, b: np.maximum(a, b),
    "MINIMUM": lambda result, a, b: np.minimum(a, b),
    "MUL": lambda result, a, b: a * b,
    "RANGE": _range,
    "REDUCE_PROD": _product,
    "SUB": lambda result, a, b: a - b,
}
"""For each operator that is folded for plain numbers a function of its output tensor and its inputs' values."""

FOLDED = frozenset({"SHAPE", "RANK", *ARITHMETIC})
"""Operators that may stand in a file because they can be folded, besides those that Weft supports."""


def _without_unread(graph: Graph) -> Graph:
    """The graph without operators whose outputs nobody reads, and tensors that nothing uses."""
    read, kept = set(graph.results), []
    for operator in reversed(graph.operators):
        if read.intersection(operator.outputs):
            kept.append(operator)
            read.update(name for name in operator.inputs if name is not None)
    operators: tuple[Operator, ...] = tuple(reversed(kept))
    used = read.union(graph.sources, *(operator.outputs for operator in operators))
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name in used}
    return replace(graph, operators=operators, tensors=tensors)
