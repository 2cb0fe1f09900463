"""The committed digits network is what the demo says it is."""

from pathlib import Path

import numpy as np
import pytest

from weft.compiler.evaluate import evaluate
from weft.compiler.frontends.tflite import read_tflite
from weft.run.inputs import load_samples

FOLDER = Path(__file__).parents[3] / "examples" / "digits"
MODEL, DATA = FOLDER / "digits.tflite", FOLDER / "digits_test.npz"


@pytest.fixture(scope="module")
def samples():
    """The graph and the held-out images."""
    graph = read_tflite(MODEL)
    return graph, load_samples(graph, DATA)[0], np.load(DATA)["labels"]


def test_it_recognizes_digits_it_has_not_seen(samples):
    graph, images, labels = samples
    found = [evaluate(graph, image)[graph.outputs[0]].argmax() for image in images]
    assert len(images) >= 50
    assert np.mean(found == labels) > 0.99


def test_golden_operators_equal_the_reference_in_every_tensor(samples):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    graph, images, _ = samples
    interpreter = litert.Interpreter(
        str(MODEL),
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    place = {detail["name"]: detail["index"] for detail in interpreter.get_tensor_details()}
    for image in images[:20]:
        interpreter.set_tensor(place[graph.inputs[0]], image[graph.inputs[0]])
        interpreter.invoke()
        for name, value in evaluate(graph, image).items():
            assert np.array_equal(interpreter.get_tensor(place[name]), value), name
