"""Frontend for TFLite files: `read_tflite` makes a `Graph` or says in one line why it cannot."""

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tflite

from hw.npu.errors import WeftError
from weft.compiler.dilate import dilate
from weft.compiler.fold import FOLDED, fold
from weft.compiler.frontends.tflite_file import (
    CORRUPTION,
    DETAILS,
    INT4,
    ITEM_TYPES,
    MAX_ELEMENTS,
    MAX_RANK,
    TYPE_NAMES,
    Reader,
    load_bytes,
    printable,
    stored_bytes,
    stored_values,
)
from weft.compiler.frontends.tflite_options import read_options
from weft.compiler.graph import Graph, Operator, Quantization, Tensor
from weft.compiler.limits import SUPPORTED, check_limits
from weft.compiler.limits.weights import check_nibbles

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "CONV_3D")
"""Operators whose second input is weights: they show whether a network is quantized."""

LONGEST_LABEL = 80

OP_NAMES = {value: name for name, value in vars(tflite.BuiltinOperator).items() if not name.startswith("_")}


def read_tflite(path) -> Graph:
    """Read a network.

    Parameters
    ----------
    path : str or Path
        A ``.tflite`` file, fully quantized: activations to int8, weights to int8 or int4.

    Returns
    -------
    Graph

    Raises
    ------
    WeftError
        If the file is damaged, or holds anything that Weft does not support; it names the file, the layer and the value.
    """
    content = load_bytes(path)
    try:
        return _Frontend(path, content).graph()
    except CORRUPTION as error:
        raise WeftError(
            f"is truncated or not a TFLite file ({type(error).__name__}: {printable(str(error).encode())[:120]})",
            file=path, remedy="convert or download the network again",
        ) from error  # fmt: skip


class _Frontend:
    """One reading of one file, in the order of `graph`."""

    def __init__(self, path, content):
        self.path = path
        self.reader = Reader(content)

    def graph(self) -> Graph:
        subgraph = self._only_subgraph()
        raw_tensors = self.reader.items(subgraph, "Tensors")
        raw_operators = self.reader.items(subgraph, "Operators")
        kinds = [self._kind(code) for code in self.reader.items(self.reader.model, "OperatorCodes")]
        self.names = tensor_names(self.reader.name(raw) for raw in raw_tensors)
        self.types = [self._type(raw) for raw in raw_tensors]
        ops = [self._lookup(kinds, raw.OpcodeIndex(), "operator code") for raw in raw_operators]
        inputs = self._tensor_names(self.reader.numbers(subgraph, "Inputs"))
        outputs = self._tensor_names(self.reader.numbers(subgraph, "Outputs"))
        wiring = [self._wiring(raw) for raw in raw_operators]
        if not ops:
            raise WeftError("the network has no operators", file=self.path)
        titles = [f"{index} ({_label(names[1][0]) if names[1] else '?'})" for index, names in enumerate(wiring)]
        self._refuse_float(ops, wiring, titles)
        self._refuse_unsupported([pair for pair in zip(ops, titles) if pair[0] not in FOLDED])
        operators = self._operators(ops, raw_operators, wiring)
        used = {name for names in wiring for side in names for name in side if name is not None} | {*inputs, *outputs}
        users = {name: op.title for op in reversed(operators) for name in (*op.inputs, *op.outputs)}
        tensors = {
            name: self._tensor(raw, name, kind, users.get(name))
            for name, raw, kind in zip(self.names, raw_tensors, self.types)
            if name in used
        }
        graph = Graph(Path(self.path).stem, str(self.path), tensors, operators, inputs, outputs)
        _check_order(graph)
        check_nibbles(graph)
        graph = dilate(fold(graph))
        _check_outputs(graph)
        self._refuse_unsupported([(operator.op, operator.title) for operator in graph.operators])
        for operator in graph.operators:
            check_limits(graph, operator)
        return graph

    def _only_subgraph(self):
        model = self.reader.model
        if model.Version() != 3:
            raise WeftError(f"has TFLite schema version {model.Version()}; version 3 is supported", file=self.path)
        subgraphs = self.reader.items(model, "Subgraphs")
        if len(subgraphs) != 1:
            raise WeftError(
                f"has {len(subgraphs)} subgraphs; one is supported",
                file=self.path, remedy="convert the network without control flow",
            )  # fmt: skip
        return subgraphs[0]

    @staticmethod
    def _kind(code) -> str:
        """An operator's name; files from before 2020 have it in the deprecated field."""
        value = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if value == tflite.BuiltinOperator.CUSTOM:
            return f"CUSTOM:{printable(code.CustomCode() or b'')}"
        return OP_NAMES.get(value, f"OPERATOR_{value}")

    @staticmethod
    def _type(raw) -> str:
        return TYPE_NAMES.get(raw.Type(), f"type_{raw.Type()}")

    @staticmethod
    def _lookup(items, index, what):
        if not 0 <= index < len(items):
            raise ValueError(f"there is no {what} {index}")
        return items[index]

    def _tensor_names(self, indices) -> tuple:
        """Names of tensors by their indices; None for -1, an absent optional input."""
        return tuple(None if index == -1 else self._lookup(self.names, index, "tensor") for index in indices)

    def _wiring(self, raw):
        inputs = self._tensor_names(self.reader.numbers(raw, "Inputs"))
        outputs = self._tensor_names(self.reader.numbers(raw, "Outputs"))
        if not outputs or None in outputs:
            raise ValueError("an operator has no output")
        return inputs, outputs

    def _refuse_float(self, ops, wiring, titles):
        types = dict(zip(self.names, self.types))
        for op, (inputs, _), title in zip(ops, wiring, titles):
            if op not in WEIGHTED or len(inputs) < 2 or types.get(inputs[0]) not in ("float32", "float16"):
                continue
            weights = types.get(inputs[1])
            if weights in ("float32", "float16"):
                what = f"is a float model: the weights of {op} are {weights}"
                remedy = "quantize it to int8 (full integer quantization) first"
            else:
                what = f"is a hybrid model: {op} has {weights} weights but {types[inputs[0]]} activations"
                remedy = "quantize the activations too (full integer quantization with a representative data set)"
            raise WeftError(what, file=self.path, layer=title, remedy=remedy)

    def _refuse_unsupported(self, found):
        """Refuse a network for all the operators that Weft does not know, of those found: pairs of operator and title."""
        missing = Counter(op for op, _ in found if op not in SUPPORTED)
        if missing:
            first = dict(reversed(found))
            names = ", ".join(f"{op} ({count}x, first in layer {first[op]})" for op, count in missing.items())
            raise WeftError(f"has unsupported operators: {names}", file=self.path, remedy=f"supported are {', '.join(SUPPORTED)}")

    def _operators(self, ops, raws, wiring) -> tuple:
        counts, operators = Counter(), []
        for op, raw, (inputs, outputs) in zip(ops, raws, wiring):
            name = f"{op.lower().replace('_2d', '2d')}_{counts[op]}"
            counts[op] += 1
            label = _label(outputs[0])
            try:
                options = read_options(op, raw)
            except ValueError as error:
                raise WeftError(str(error), file=self.path, layer=f"{name} ({label})", remedy="convert the network again") from None
            operators.append(Operator(name, op, inputs, outputs, options, label))
        return tuple(operators)

    def _tensor(self, raw, name, dtype, layer) -> Tensor:
        def refuse(message, remedy=None):
            raise WeftError(f"tensor {name} {message}", file=self.path, layer=layer, remedy=remedy)

        if dtype not in ITEM_TYPES and dtype != INT4:
            refuse(f"has type {dtype}, which is not supported", "quantize the network to int8, its weights to int8 or int4")
        if raw.IsVariable():
            refuse("is a variable that keeps its value between runs, which is not supported")
        if raw.Sparsity() is not None:
            refuse("is stored sparse, which is not supported", "convert the network with dense weights")
        shape = self.reader.numbers(raw, "Shape")
        signature = self.reader.numbers(raw, "ShapeSignature")
        if len(shape) > MAX_RANK or min(shape, default=1) < 1 or -1 in signature[1:]:
            refuse(
                f"has the shape {list(signature or shape)}; only fixed shapes are supported",
                "convert the network with fixed input shapes",
            )
        if math.prod(shape) > MAX_ELEMENTS:
            refuse(f"has {math.prod(shape)} elements; at most {MAX_ELEMENTS} are supported")
        return Tensor(name, shape, dtype, self._quantization(raw, refuse), self._data(raw, shape, dtype, refuse))

    def _quantization(self, raw, refuse) -> Quantization | None:
        table = raw.Quantization()
        details = DETAILS.get(0 if table is None else table.DetailsType())
        if details is not None:
            refuse(f"has {details} quantization, which is not supported", "quantize weights by tensor or by channel")
        scale = () if table is None else self.reader.numbers(table, "Scale")
        if not scale:
            return None
        zero_point = self.reader.numbers(table, "ZeroPoint") or (0,)
        if len(zero_point) == 1:
            zero_point *= len(scale)
        if len(zero_point) != len(scale):
            refuse(f"has {len(scale)} scales but {len(zero_point)} zero points", "convert the network again")
        return Quantization(scale, zero_point, table.QuantizedDimension() if len(scale) > 1 else 0)

    def _data(self, raw, shape, dtype, refuse) -> np.ndarray | None:
        if self.reader.is_external(raw):
            refuse("has its value in another file, which is not supported", "convert the network into one file")
        content = self.reader.buffer(raw.Buffer())
        if content is None:
            return None
        size = stored_bytes(dtype, math.prod(shape))
        if size != content.size:
            refuse(
                f"of shape {list(shape)} and type {dtype} needs {size} bytes, but the file holds {content.size}",
                "convert the network again",
            )
        values = stored_values(content, dtype, math.prod(shape)).reshape(shape)
        values.flags.writeable = False
        return values


def tensor_names(names: Iterable[str]) -> list[str]:
    """How a graph calls the tensors of a file, given their names there in the file's order: each once, none empty."""
    return _unique([name or f"tensor_{i}" for i, name in enumerate(names)])


def _label(name: str) -> str:
    """What a user recognizes a layer by: the first of the names that the converter joined in its output."""
    label = name.split(";")[0]
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 3] + "..."


def _unique(names) -> list:
    """The names, the second and later of a kind with a number behind."""
    taken, unique, counts = set(names), [], Counter()
    for name in names:
        counts[name] += 1
        candidate = name
        while counts[name] > 1 and candidate in taken:
            candidate = f"{name}#{counts[name]}"
            counts[name] += candidate in taken
        taken.add(candidate)
        unique.append(candidate)
    return unique


def _check_order(graph: Graph):
    """Every tensor that is read is an input, a constant or written before; none is written twice."""

    def refuse(message, operator=None):
        raise WeftError(message, file=graph.file, layer=operator and operator.title, remedy="convert the network again")

    ready = {tensor.name for tensor in graph.tensors.values() if tensor.constant}
    if None in graph.inputs or None in graph.outputs or len(set(graph.inputs)) != len(graph.inputs):
        refuse("the list of the network's inputs or outputs is broken")
    if not graph.inputs or not graph.outputs:
        refuse("the network has no input or no output")
    for name in graph.inputs:
        if name in ready:
            refuse(f"input {name} is a constant")
        ready.add(name)
    for operator in graph.operators:
        for name in operator.inputs:
            if name is not None and name not in ready:
                refuse(f"input tensor {name} is not written by any earlier operator", operator)
        for name in operator.outputs:
            if name in ready:
                refuse(f"output tensor {name} is written twice, or is an input or a constant", operator)
            ready.add(name)
    for name in graph.outputs:
        if name not in ready:
            refuse(f"output {name} is not written by any operator")


def _check_outputs(graph: Graph):
    """What leaves the network is computed by it."""
    for name in graph.outputs:
        kind = "an input" if name in graph.inputs else "a constant" if graph.tensors[name].constant else None
        if kind is not None:
            raise WeftError(f"output {name} is {kind} of the network", file=graph.file, remedy="take it out of the list of outputs")
