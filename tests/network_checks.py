"""What tests of whole networks share: their outputs against the reference interpreter, and the line that refuses them."""

import numpy as np
import pytest

from hw.npu.errors import WeftError
from tests.random_operators import random_bytes
from tests.reference import run_reference
from tests.tflite_builder import BuilderTensor
from weft.compiler.evaluate import evaluate


def refusal(function, *arguments) -> str | None:
    """The one line that refuses what the function does, None where it does it; anything else is a defect."""
    try:
        function(*arguments)
    except WeftError as error:
        message = str(error)
    else:
        return None
    assert "\n" not in message
    return message


def message_of(read, content) -> str:
    """The one line that refuses a file."""
    with pytest.raises(WeftError) as caught:
        read(content)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_outputs_equal_the_reference(graph, model, seed):
    """All outputs for random inputs."""
    rng = np.random.default_rng(seed)
    inputs = {name: random_bytes(rng, graph.tensors[name].shape) for name in graph.inputs}
    got, expected = evaluate(graph, inputs), run_reference(model, list(inputs.values()))
    for name in graph.outputs:
        assert np.array_equal(got[name], expected[name]), f"seed {seed}, {name}\n{graph}"


def constant(name, values, dtype="int32") -> BuilderTensor:
    """A constant tensor."""
    values = np.array(values, dtype)
    return BuilderTensor(name, values.shape, dtype, data=values)
