"""The TFLite reference interpreter, which is the specification: every tensor of a run."""

import numpy as np
import pytest


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
