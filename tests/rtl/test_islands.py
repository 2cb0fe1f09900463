"""Networks of a converter with float islands in them, whole on the generated Verilog."""

import pytest

from tests.machine_checks import random_inputs
from tests.rtl.configurations import SIZES
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite
from weft.run.network import Prepared, run_samples
from weft.run.whole import whole_of


@pytest.mark.parametrize("name", ["c02b_gru_unroll", "x10_split_stack"])
def test_a_file_with_float_islands_runs_whole_on_the_npu(cases, name, simulator, seed):
    graph = read_tflite(cases / f"{name}.tflite")
    compiled = compile_graph(graph, SIZES[16, 16])
    assert compiled.host_ops == ()
    (outcome,) = run_samples(Prepared(whole_of(compiled), simulator(SIZES[16, 16])), [random_inputs(graph, seed)])
    assert outcome.mismatch is None, outcome.mismatch
    assert sum(outcome.compared) > 2
