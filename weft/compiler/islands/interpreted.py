"""Values of real functions by the reference interpreter itself: a network of their operators alone, run in a process of its own.

Its kernels of the operators in `weft.compiler.islands.elementwise` compute an element in the same way wherever it stands and however
many there are (``tests/unit/compiler/test_islands.py``), so that what they say of 256 bytes in a row holds for every tensor of these bytes.
"""

import tempfile
from functools import lru_cache
from pathlib import Path

import flatbuffers
import numpy as np

from golden.operators.lookup import all_bytes
from golden.operators.quantize import dequantize, quantize
from golden.reference import DISTRIBUTION
from golden.reference_process import ReferenceProcess
from hw.npu.errors import WeftError
from weft.compiler.islands.expressions import Expressions, Node

Function = tuple[int, np.ndarray | None]
"""An expression, and the real values that it is given, float32[n]; None where it is a function of bytes, of all 256."""
VERSIONS = {"DEQUANTIZE": 2, "QUANTIZE": 1}
"""Of the operators' versions, those that take int8 and uint8."""


def values_of(expressions: Expressions, functions: list[Function], content: bytes, subgraph: int, file: str) -> list[np.ndarray] | None:
    """What the reference interpreter says of functions that end in 8-bit values.

    Parameters
    ----------
    expressions : Expressions
    functions : list of (int, float32[n] or None)
    content : bytes
        The TFLite file in which the operators stand.
    subgraph : int
        In which of its subgraphs.
    file : str
        Its name, for messages.

    Returns
    -------
    list of (int8[n] or uint8[n]), or None
        None where the interpreter does not run these operators.

    Raises
    ------
    WeftError
        If there is no interpreter.
    """
    plain = [plain_value(expressions, *function) for function in functions]
    asked = [function for function, value in zip(functions, plain) if value is None]
    if not asked:
        return [value for value in plain if value is not None]
    try:
        from ai_edge_litert import schema_py_generated as schema  # takes a tenth of a second
    except ImportError:
        raise WeftError(
            "it has float functions between 8-bit tensors, whose tables are the reference interpreter's, and that is not installed",
            file=file, remedy=f"install {DISTRIBUTION}, as pyproject.toml pins it",
        ) from None  # fmt: skip
    network = _Network(schema, expressions, schema.Model.GetRootAs(content, 0), subgraph)
    results = [network.add(*function) for function in asked]
    tensors = _run(network.file(), tuple((str(values.dtype), values.tobytes()) for values in network.given))
    if tensors is None:
        return None
    answers = iter([tensors[index] for index in results])
    return [next(answers) if value is None else value for value in plain]


def plain_value(expressions, expression, values) -> np.ndarray | None:
    """The value where there is no operator between a byte and a byte: the golden operators' own; else None."""
    if expressions.positions(expression):
        return None

    def apply(node, operands):
        (real,) = operands
        dtype, scale, zero_point = node.value
        return quantize(real, scale=scale, zero_point=zero_point, dtype=dtype)

    leaf = expressions[expressions.leaf(expression)]
    if leaf.kind == "bytes":
        dtype, scale, zero_point = leaf.value
        values = dequantize(all_bytes(dtype), scale=scale, zero_point=zero_point)
    return expressions.evaluate(expression, values, apply)


class _Network:
    """A network of real functions beside each other, as the schema's tables."""

    def __init__(self, schema, expressions, root, subgraph):
        self._schema, self._expressions = schema, expressions
        self._root, self._operators = root, root.Subgraphs(subgraph)
        self._model = schema.ModelT()
        self._model.version, self._model.operatorCodes, self._model.buffers = 3, [], [schema.BufferT()]
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators, self._graph.inputs, self._graph.outputs = [], [], [], []
        self._model.subgraphs = [self._graph]
        self.given: list[np.ndarray] = []

    def add(self, expression, values) -> int:
        """A function; the index of the tensor that holds its value."""
        leaf = self._expressions[self._expressions.leaf(expression)]
        given = all_bytes(leaf.value[0]) if values is None else values
        source = self._tensor(str(given.dtype), (given.size,), leaf.value[1:])
        self._graph.inputs.append(source)
        self.given.append(given)
        if values is None:
            source = self._apply("DEQUANTIZE", None, [source], self._tensor("float32", (given.size,)))

        def apply(node: Node, operands):
            if node.kind == "number":
                return self._tensor("float32", (), data=node.value[0])
            if node.kind == "quantize":
                return self._apply("QUANTIZE", None, operands, self._tensor(node.value[0], (given.size,), node.value[1:]))
            return self._apply(None, self._operators.Operators(node.value[0]), operands, self._tensor("float32", (given.size,)))

        result = self._expressions.evaluate(expression, source, apply)
        self._graph.outputs.append(result)
        return result

    def _tensor(self, dtype, shape, quantization=(), data=None) -> int:
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = b"t", list(shape), getattr(self._schema.TensorType, dtype.upper()), 0
        if quantization:
            tensor.quantization = self._schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [quantization[0]], [quantization[1]]
        if data is not None:
            buffer = self._schema.BufferT()
            buffer.data, tensor.buffer = np.frombuffer(data, np.uint8), len(self._model.buffers)
            self._model.buffers.append(buffer)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _apply(self, kind, raw, inputs, output) -> int:
        """An operator: a plain one of a kind, or one as it stands in the file."""
        operator = self._schema.OperatorT() if raw is None else self._schema.OperatorT.InitFromObj(raw)
        if raw is None:
            code = self._schema.OperatorCodeT()
            code.builtinCode, code.version = getattr(self._schema.BuiltinOperator, kind), VERSIONS[kind]
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        else:
            code = self._schema.OperatorCodeT.InitFromObj(self._root.OperatorCodes(raw.OpcodeIndex()))
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self._model.operatorCodes), inputs, [output]
        operator.intermediates = operator.mutatingVariableInputs = None
        self._model.operatorCodes.append(code)
        self._graph.operators.append(operator)
        return output

    def file(self) -> bytes:
        """The TFLite file."""
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


@lru_cache(maxsize=64)
def _run(model: bytes, inputs: tuple[tuple[str, bytes], ...]) -> dict[int, np.ndarray] | None:
    """Every tensor of a run; None where the interpreter refuses the network or dies of it."""
    values = [np.frombuffer(content, dtype) for dtype, content in inputs]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "functions.tflite"
        path.write_bytes(model)
        with ReferenceProcess(path, values) as process:
            try:
                run = process.result()
            except WeftError:
                return None
    return run.tensors if run.stop is None else None
