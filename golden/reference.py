"""The TFLite reference interpreter, which is the specification: the pinned `ai-edge-litert` with its reference kernels.

It runs a file as it is, or one of its operators alone. It can abort, and its process with it: `golden.reference_process` keeps it apart.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from importlib.metadata import version

import numpy as np
import tflite

DISTRIBUTION = "ai-edge-litert"
"""What is pinned in ``pyproject.toml``."""
INPUTS, OUTPUTS, OPERATORS = 6, 8, 10
"""Where the schema's table of offsets of a subgraph has its fields 1 to 3."""
VERSION = 8
"""Where that of an operator's code has its field ``version``."""
NEWER_VERSION = re.compile(r"Didn't find op for builtin opcode '(\w+)' version '(\d+)'")
"""What the interpreter says of an operator that it knows in older versions only."""


def reference_version() -> str:
    """The version of the interpreter that is installed."""
    return version(DISTRIBUTION)


def load_reference(model: bytes, *, preserve: bool = True):
    """An interpreter with a network, its tensors allocated.

    Parameters
    ----------
    model : bytes
        A TFLite file.
    preserve : bool
        Keep every tensor of a run; otherwise only the network's outputs can be read.

    Raises
    ------
    ValueError, RuntimeError
        Where the interpreter refuses the file; with its words.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType  # takes a third of a second

    while True:
        try:
            interpreter = Interpreter(
                model_content=model,
                experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
                experimental_preserve_all_tensors=preserve,
                num_threads=1,
            )
        except ValueError as error:
            newer = NEWER_VERSION.search(str(error))
            if newer is None or int(newer[2]) <= 1:
                raise
            model = with_older_version(model, newer[1], int(newer[2]))
            continue
        interpreter.allocate_tensors()
        return interpreter


def with_older_version(model: bytes, operator: str, version: int) -> bytes:
    """A TFLite file that asks for one version less of an operator.

    The reference kernels are registered for fewer versions than the others, although some of them are the same functions (TILE): a new
    version stands for a type or an option that was added. Whether a kernel takes its types it says itself when it is loaded.
    """
    content = bytearray(model)
    root = tflite.Model.GetRootAs(content, 0)
    number = getattr(tflite.BuiltinOperator, operator)
    for index in range(root.OperatorCodesLength()):
        code = root.OperatorCodes(index)
        if max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) == number and code.Version() == version:
            struct.pack_into("<i", content, code._tab.Pos + code._tab.Offset(VERSION), version - 1)
    return bytes(content)


def invoke_reference(interpreter, inputs: Sequence[np.ndarray]) -> Iterator[tuple[int, str, np.ndarray]]:
    """Index, name and value of every tensor that a run computes or reads.

    Parameters
    ----------
    interpreter
        Of `load_reference`.
    inputs : sequence of ndarray
        In the order of the file.

    Raises
    ------
    ValueError, RuntimeError
        Where a kernel refuses the values.
    """
    for detail, values in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    for detail in interpreter.get_tensor_details():
        if not issubclass(detail["dtype"], np.number | np.bool_):  # a variable's handle: to read it is a segmentation fault
            continue
        try:
            yield detail["index"], detail["name"], interpreter.get_tensor(detail["index"])
        except ValueError:  # a temporary of the interpreter, or a constant that a delegate owns
            continue


def constant_tensors(model: bytes) -> frozenset[int]:
    """Indices of the tensors of a TFLite file's first subgraph whose values stand in the file."""
    root = tflite.Model.GetRootAs(model, 0)
    subgraph = root.Subgraphs(0)
    buffers = (root.Buffers(subgraph.Tensors(index).Buffer()) for index in range(subgraph.TensorsLength()))
    return frozenset(index for index, buffer in enumerate(buffers) if buffer.DataLength() or buffer.Offset() > 1)


def operator_count(model: bytes) -> int:
    """How many operators the first subgraph of a TFLite file has."""
    return tflite.Model.GetRootAs(model, 0).Subgraphs(0).OperatorsLength()


def operator_tensors(model: bytes, number: int) -> tuple[list[int], list[int]]:
    """Indices of the tensors that an operator of a TFLite file reads, and of those that it writes; without constants and its own state."""
    root = tflite.Model.GetRootAs(model, 0)
    subgraph = root.Subgraphs(0)
    operator = subgraph.Operators(number)
    read = dict.fromkeys(operator.Inputs(i) for i in range(operator.InputsLength()))

    def computed(index):
        tensor = subgraph.Tensors(index)
        return root.Buffers(tensor.Buffer()).DataLength() == 0 and not tensor.IsVariable()

    return [index for index in read if index >= 0 and computed(index)], [operator.Outputs(i) for i in range(operator.OutputsLength())]


def single_operator(model: bytes, number: int) -> bytes:
    """A TFLite file with one of its operators only: what that reads is the network's input, what it writes the network's output."""
    content = bytearray(model)
    subgraph = tflite.Model.GetRootAs(content, 0).Subgraphs(0)
    operators = subgraph._tab.Vector(subgraph._tab.Offset(OPERATORS))
    struct.pack_into("<I", content, operators, subgraph.Operators(number)._tab.Pos - operators)
    struct.pack_into("<I", content, operators - 4, 1)  # a vector's length stands in front of it
    for field, indices in zip((INPUTS, OUTPUTS), operator_tensors(model, number)):
        place = subgraph._tab.Pos + subgraph._tab.Offset(field)
        content += bytes(-len(content) % 4)
        struct.pack_into("<I", content, place, len(content) - place)
        content += struct.pack(f"<I{len(indices)}i", len(indices), *indices)
    return bytes(content)
