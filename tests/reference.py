"""The TFLite reference interpreter, which is the specification: every tensor of a run."""

import struct

import numpy as np
import pytest
import tflite


def run_reference(model, inputs) -> dict[str, np.ndarray]:
    """Every tensor that the reference kernels compute or read, by name.

    Parameters
    ----------
    model : bytes
        A TFLite file whose tensors have names of their own.
    inputs : sequence of ndarray
        In the order of the file.
    """
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="pip install ai-edge-litert==2.3.0")
    interpreter = litert.Interpreter(
        model_content=bytes(model),
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), inputs):
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    tensors = {}
    for detail in interpreter.get_tensor_details():
        try:
            tensors[detail["name"]] = interpreter.get_tensor(detail["index"])
        except ValueError:  # a temporary of the interpreter, or a constant that a delegate owns
            continue
    return tensors


def without_last_operator(model) -> bytes:
    """A file without its last operator, whose first input becomes the network's output.

    For a SOFTMAX at which the reference kernel aborts, and the interpreter's process with it (`golden.operators.softmax.softmax`).

    Parameters
    ----------
    model : bytes
        A TFLite file with one output.
    """
    content = bytearray(model)
    subgraph = tflite.Model.GetRootAs(content, 0).Subgraphs(0)
    count = subgraph.OperatorsLength()
    outputs = subgraph._tab.Vector(subgraph._tab.Offset(8))  # field 2 of the schema's SubGraph, its outputs
    operators = subgraph._tab.Vector(subgraph._tab.Offset(10))  # field 3; a vector's length stands in front of it
    struct.pack_into("<i", content, outputs, subgraph.Operators(count - 1).Inputs(0))
    struct.pack_into("<I", content, operators - 4, count - 1)
    return bytes(content)
