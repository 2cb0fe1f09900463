"""The TFLite reference interpreter, which is the specification: every tensor of a run."""

import struct

import numpy as np
import pytest
import tflite

from golden.reference import OPERATORS, OUTPUTS, invoke_reference, load_reference


def run_reference(model, inputs) -> dict[str, np.ndarray]:
    """Every tensor that the reference kernels compute or read, by name.

    Parameters
    ----------
    model : bytes
        A TFLite file whose tensors have names of their own.
    inputs : sequence of ndarray
        In the order of the file.
    """
    pytest.importorskip("ai_edge_litert.interpreter", reason="pip install ai-edge-litert==2.3.0")
    return {name: value for _, name, value in invoke_reference(load_reference(bytes(model)), inputs)}


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
    outputs = subgraph._tab.Vector(subgraph._tab.Offset(OUTPUTS))
    operators = subgraph._tab.Vector(subgraph._tab.Offset(OPERATORS))  # a vector's length stands in front of it
    struct.pack_into("<i", content, outputs, subgraph.Operators(count - 1).Inputs(0))
    struct.pack_into("<I", content, operators - 4, count - 1)
    return bytes(content)
