"""Frontend for TFLite files: `read_tflite` makes a `Graph` or says in one line why it cannot."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import tflite

from hw.npu.errors import Finding, WeftError
from weft.compiler.findings import Findings
from weft.compiler.fold import FOLDED
from weft.compiler.frontends.network_file import SHAPE, NetworkFile
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
from weft.compiler.frontends.tflite_signatures import signature_subgraph
from weft.compiler.frontends.tflite_variables import read_variables
from weft.compiler.frontends.unsupported import refuse_compiled
from weft.compiler.frontends.verdict import judge
from weft.compiler.graph import HANDLES, Graph, Operator, Quantization, Tensor, label_of
from weft.compiler.limits import SUPPORTED

OP_NAMES = {value: name for name, value in vars(tflite.BuiltinOperator).items() if not name.startswith("_")}


def read_tflite(path, signature: str | None = None) -> Graph:
    """Read a network that is to run on the NPU as a whole.

    Parameters
    ----------
    path : str or Path
        A ``.tflite`` file, fully quantized: activations to int8, weights to int8 or int4.
    signature : str, optional
        Which of the networks of the file, by the name of its signature; without it what an interpreter runs, the first subgraph.

    Returns
    -------
    Graph

    Raises
    ------
    WeftError
        If the file is damaged, or holds anything that Weft does not support, or no such signature; it names the file, the layer and the
        value.
    """
    file = read_file(path, signature)
    with corruption_of(path):
        graph = file.rewritten()
        return judge(graph, frozenset(file.broken) & graph.tensors.keys(), file.findings)


def read_file(path, signature: str | None = None) -> NetworkFile:
    """Read a network as its file has it.

    Parameters
    ----------
    path, signature
        As of `read_tflite`.

    Raises
    ------
    WeftError
        If the file is damaged, or made for another accelerator, or has no such signature.
    """
    content = load_bytes(path)
    with corruption_of(path):
        return _Frontend(path, content, signature).file()


def called_graphs(content: bytes, path) -> list[Graph]:
    """The subgraphs behind the first one as they stand in a file, which operators of others call.

    Parameters
    ----------
    content : bytes
    path : str or Path
        What the file is called.
    """
    reader = Reader(content)
    subgraphs = list(enumerate(reader.items(reader.model, "Subgraphs")))
    return [_Frontend(path, content, None).whole(number, subgraph)[0] for number, subgraph in subgraphs[1:]]


@contextmanager
def corruption_of(path) -> Iterator[None]:
    """Makes one message of what is raised where a file is not what it says."""
    try:
        yield
    except CORRUPTION as error:
        raise WeftError(
            f"is truncated or not a TFLite file ({type(error).__name__}: {printable(str(error).encode())[:120]})",
            file=path, remedy="convert or download the network again",
        ) from error  # fmt: skip


class _Unsupported(Exception):
    """A tensor that is not supported; `of_state` where it is so because of the operators that use it, of a state or control flow."""

    def __init__(self, finding: Finding, of_state: bool):
        super().__init__(finding.sentence)
        self.finding, self.of_state = finding, of_state


class _Frontend:
    """One reading of one file, in the order of `file`."""

    def __init__(self, path, content, signature):
        self.path, self.content, self.signature = path, content, signature
        self.reader = Reader(content)
        self.findings = Findings(path)

    def file(self) -> NetworkFile:
        number, subgraph = self._subgraph()
        graph, broken = self.whole(number, subgraph)
        if not graph.operators:
            raise WeftError("the network has no operators", file=self.path, remedy="convert the network again")
        refuse_compiled(self.path, graph.operators)
        variables = read_variables(self.reader, subgraph, graph, self._once)
        _check_order(graph, frozenset(broken))
        numbers = {operator.name: place for place, operator in enumerate(graph.operators)}
        return NetworkFile(graph, broken, self.findings, numbers, self.content, variables)

    def _once(self, number: int) -> Graph:
        """A subgraph that CALL_ONCE runs, as it stands; what is not supported in it has no value."""
        other = _Frontend(self.path, self.content, None)
        return other.whole(number, self._lookup(other.reader.items(other.reader.model, "Subgraphs"), number, "subgraph"))[0]

    def whole(self, number: int, subgraph) -> tuple[Graph, dict[str, Finding]]:
        """A subgraph as it stands in the file, and why some of its tensors are not supported."""
        raw_tensors = self.reader.items(subgraph, "Tensors")
        raw_operators = self.reader.items(subgraph, "Operators")
        kinds = [self._kind(code) for code in self.reader.items(self.reader.model, "OperatorCodes")]
        self.names = tensor_names(self.reader.name(raw) for raw in raw_tensors)
        ops = [self._lookup(kinds, raw.OpcodeIndex(), "operator code") for raw in raw_operators]
        inputs = self._tensor_names(self.reader.numbers(subgraph, "Inputs"))
        outputs = self._tensor_names(self.reader.numbers(subgraph, "Outputs"))
        wiring = [self._wiring(op, raw) for op, raw in zip(ops, raw_operators)]
        operators = self._operators(ops, raw_operators, wiring)
        tensors, broken = self._tensors(raw_tensors, operators, (*inputs, *outputs))
        return Graph(Path(self.path).stem, str(self.path), tensors, operators, inputs, outputs, number), broken

    def _subgraph(self) -> tuple:
        """The subgraph to read, and its number: that of the signature, or the first, which an interpreter runs."""
        model = self.reader.model
        if model.Version() != 3:
            raise WeftError(
                f"has TFLite schema version {model.Version()}; version 3 is supported", file=self.path, remedy="convert the network again"
            )
        number = 0 if self.signature is None else signature_subgraph(self.path, self.reader, self.signature)
        return number, self._lookup(self.reader.items(model, "Subgraphs"), number, "subgraph")

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

    def _wiring(self, op, raw):
        inputs = self._tensor_names(self.reader.numbers(raw, "Inputs"))
        outputs = self._tensor_names(self.reader.numbers(raw, "Outputs"))
        if None in outputs or (not outputs and (op in SUPPORTED or op in FOLDED)):
            raise ValueError("an operator has no output")
        return inputs, outputs

    def _operators(self, ops, raws, wiring) -> tuple:
        counts, operators = Counter(), []
        for op, raw, (inputs, outputs) in zip(ops, raws, wiring):
            name = f"{op.lower().replace('_2d', '2d')}_{counts[op]}"
            counts[op] += 1
            label = label_of((*outputs, *(given for given in inputs if given), "")[0])
            try:
                options = read_options(op, raw)
            except ValueError as error:
                raise WeftError(str(error), file=self.path, layer=f"{name} ({label})", remedy="convert the network again") from None
            operators.append(Operator(name, op, inputs, outputs, options, label))
        return tuple(operators)

    def _tensors(self, raws, operators, ends) -> tuple[dict[str, Tensor], dict[str, Finding]]:
        """The tensors that operators or the network's ends use, by name, and why some are not supported (`NetworkFile.broken`)."""
        users: dict[str, list[Operator]] = {name: [] for name in ends if name is not None}
        for operator in operators:
            for name in (*operator.inputs, *operator.outputs):
                if name is not None:
                    users.setdefault(name, []).append(operator)
        tensors, broken = {}, {}
        for name, raw in zip(self.names, raws):
            if name not in users:
                continue
            dtype = self._type(raw)
            try:
                tensors[name] = self._tensor(raw, name, dtype)
            except _Unsupported as error:
                tensors[name] = self._substitute(raw, name, dtype, error.finding)
                broken[name] = error.finding
                if not error.of_state or any(operator.op in SUPPORTED for operator in users[name]):
                    self.findings.add(replace(error.finding, layer=users[name][0].title if users[name] else None))
        return tensors, broken

    def _substitute(self, raw, name, dtype, finding) -> Tensor:
        """What stands for a tensor that is not supported."""
        if finding.kind == SHAPE:
            try:
                return self._tensor(raw, name, dtype, open_shape=True)
            except _Unsupported:
                pass
        return Tensor(name, (), dtype)

    def _tensor(self, raw, name, dtype, *, open_shape=False) -> Tensor:
        def refuse(kind, message, remedy, *, of_state=False):
            raise _Unsupported(Finding(dtype, f"tensor {label_of(name)} {message}", None, remedy, kind=kind), of_state)

        if dtype not in ITEM_TYPES and dtype != INT4:
            remedy = "quantize the network to int8, its weights to int8 or int4"
            refuse("type", f"has type {dtype}, which is not supported", remedy, of_state=dtype in HANDLES)
        if raw.IsVariable():
            refuse(
                "variable", "is a variable that keeps its value between runs, which is not supported",
                "convert the network with its state as one more input and output", of_state=True,
            )  # fmt: skip
        if raw.Sparsity() is not None:
            refuse("sparse", "is stored sparse, which is not supported", "convert the network with dense weights")
        shape = self.reader.numbers(raw, "Shape")
        signature = self.reader.numbers(raw, "ShapeSignature")
        if len(shape) > MAX_RANK or min(shape, default=1) < 1 or (-1 in signature[1:] and not open_shape):
            refuse(
                SHAPE,
                f"has the shape {list(signature or shape)}; only fixed shapes are supported",
                "convert the network with fixed input shapes",
            )
        if math.prod(shape) > MAX_ELEMENTS:
            refuse(
                "size", f"has {math.prod(shape)} elements; at most {MAX_ELEMENTS} are supported", "build the network with smaller tensors"
            )
        return Tensor(name, shape, dtype, self._quantization(raw, refuse), self._data(raw, shape, dtype, refuse))

    def _quantization(self, raw, refuse) -> Quantization | None:
        table = raw.Quantization()
        details = DETAILS.get(0 if table is None else table.DetailsType())
        if details is not None:
            refuse(details, f"has {details} quantization, which is not supported", "quantize weights by tensor or by channel")
        scale = () if table is None else self.reader.numbers(table, "Scale")
        if not scale:
            return None
        zero_point = self.reader.numbers(table, "ZeroPoint") or (0,)
        if len(zero_point) == 1:
            zero_point *= len(scale)
        if len(zero_point) != len(scale):
            refuse("scales", f"has {len(scale)} scales but {len(zero_point)} zero points", "convert the network again")
        return Quantization(scale, zero_point, table.QuantizedDimension() if len(scale) > 1 else 0)

    def _data(self, raw, shape, dtype, refuse) -> np.ndarray | None:
        if self.reader.is_external(raw):
            refuse("external", "has its value in another file, which is not supported", "convert the network into one file")
        content = self.reader.buffer(raw.Buffer())
        if content is None:
            return None
        size = stored_bytes(dtype, math.prod(shape))
        if size != content.size:
            refuse(
                "bytes",
                f"of shape {list(shape)} and type {dtype} needs {size} bytes, but the file holds {content.size}",
                "convert the network again",
            )
        values = stored_values(content, dtype, math.prod(shape)).reshape(shape)
        values.flags.writeable = False
        return values


def tensor_names(names: Iterable[str]) -> list[str]:
    """How a graph calls the tensors of a file, given their names there in the file's order: each once, none empty."""
    return _unique([name or f"tensor_{i}" for i, name in enumerate(names)])


def file_tensor_names(path, subgraph: int = 0) -> list[str]:
    """How a graph calls the tensors of one of a file's subgraphs, in the file's order."""
    reader = Reader(load_bytes(path))
    table = reader.items(reader.model, "Subgraphs")[subgraph]
    return tensor_names(reader.name(raw) for raw in reader.items(table, "Tensors"))


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


def _check_order(graph: Graph, broken: frozenset[str]):
    """Every tensor that is read is an input, a constant or written before; none is written twice. Broken ones may be constants."""

    def refuse(message, operator=None):
        raise WeftError(message, file=graph.file, layer=operator and operator.title, remedy="convert the network again")

    ready = {tensor.name for tensor in graph.tensors.values() if tensor.constant}
    ready |= broken.difference(graph.sources, *(operator.outputs for operator in graph.operators))
    if None in graph.inputs or None in graph.outputs or len(set(graph.inputs)) != len(graph.inputs):
        refuse("the list of the network's inputs or outputs is broken")
    if not graph.inputs or not graph.outputs:
        refuse("the network has no input or no output")
    for name in graph.inputs:
        if name in ready:
            refuse(f"input {name} is a constant")
        ready.add(name)
    ready.update(graph.sources)
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
