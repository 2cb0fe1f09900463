"""ResNet-8 on arrays that are not square, and with fusion off: every tensor of the network exact, in exactly so many cycles."""

import pytest

from tests.rtl.configurations import SIZES
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite
from weft.run.inputs import load_samples, random_sample
from weft.run.network import Prepared, run_samples
from weft.run.whole import whole_of

CYCLES = {
    # rows, cols, keep_tensors: cycles from start to interrupt on the reference DDR, records included, with the usual tuning
    (16, 16, True): 53_451,
    (8, 16, False): 99_439,
    (32, 8, False): 56_355,
}
"""Measured; the numbers move with the compiler and the RTL, and whoever moves them says why in the commit."""


@pytest.mark.parametrize(("rows", "cols", "keep_tensors"), list(CYCLES))
def test_every_tensor_is_exact_in_the_stated_cycles(rows, cols, keep_tensors, models, simulator):
    graph = read_tflite(models / "mlperf_ic_resnet8_int8.tflite")
    compiled = compile_graph(graph, SIZES[rows, cols], keep_tensors=keep_tensors)
    prepared = Prepared(whole_of(compiled), simulator(SIZES[rows, cols]))
    (cat,), _ = load_samples(graph, models / "inputs" / "cat.bmp")
    for outcome in run_samples(prepared, [cat, random_sample(graph, 1)]):
        assert outcome.mismatch is None, str(outcome.mismatch)
        assert outcome.run.cycles == CYCLES[rows, cols, keep_tensors]
    tensors = {name for operator in graph.operators for name in operator.outputs}
    shown = {place.tensor for place in compiled.program.tensors}
    assert not keep_tensors or tensors <= shown, f"not compared: {tensors - shown}"
