"""ResNet-8 on arrays that are not square, and with fusion off: every tensor of the network exact, in exactly so many cycles."""

import pytest

from tests.rtl.configurations import SIZES
from tests.rtl.cycles import assert_recorded
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite
from weft.run.inputs import load_samples, random_sample
from weft.run.network import Prepared, run_samples
from weft.run.whole import whole_of


@pytest.mark.cycles
@pytest.mark.parametrize(("rows", "cols", "keep_tensors"), [(16, 16, True), (8, 16, False), (32, 8, False)])
def test_every_tensor_is_exact_in_the_stated_cycles(rows, cols, keep_tensors, models, simulator):
    graph = read_tflite(models / "mlperf_ic_resnet8_int8.tflite")
    compiled = compile_graph(graph, SIZES[rows, cols], keep_tensors=keep_tensors)
    prepared = Prepared(whole_of(compiled), simulator(SIZES[rows, cols]))
    (cat,), _ = load_samples(graph, models / "inputs" / "cat.bmp")
    for outcome in run_samples(prepared, [cat, random_sample(graph, 1)]):
        assert outcome.mismatch is None, str(outcome.mismatch)
        assert_recorded(f"{rows}x{cols}/resnet8 usual tuning" + " keep tensors" * keep_tensors, outcome.run.cycles)
    tensors = {name for operator in graph.operators for name in operator.outputs}
    shown = {place.tensor for place in compiled.program.tensors}
    assert not keep_tensors or tensors <= shown, f"not compared: {tensors - shown}"
