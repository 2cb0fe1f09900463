"""Networks with variables on the generated Verilog: states stay in DDR from job to job, and only the NPU touches them there."""

import numpy as np
import pytest

from tests.machine_checks import random_inputs
from tests.random_states import STREAMS
from tests.rtl.configurations import CORNERS, SMALL
from tests.rtl.cycles import assert_recorded
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.host import host_before
from weft.run.inputs import random_samples
from weft.run.network import Prepared, judged, run_samples, start_reference
from weft.run.progress import Steps
from weft.run.whole import whole_of


def graph_of(kind, seed, path):
    path.write_bytes(STREAMS[kind](np.random.default_rng([seed, *kind.encode()])))
    return read_tflite(path)


@pytest.mark.parametrize("kind", STREAMS)
def test_streams_are_exact_step_by_step(kind, simulator, seed, tmp_path):
    config = CORNERS[0] if kind == "swap" else SMALL
    graph = graph_of(kind, seed, tmp_path / "net.tflite")
    samples = [random_inputs(graph, seed + step) for step in range(3)]
    outcomes = run_samples(Prepared(whole_of(compile_graph(graph, config)), simulator(config)), samples)
    assert [str(outcome.mismatch) for outcome in outcomes if outcome.mismatch] == []


def test_a_reset_on_demand_brings_the_initial_values_back(simulator, seed, tmp_path):
    graph = graph_of("accumulator", seed, tmp_path / "net.tflite")
    compiled = compile_graph(graph, SMALL)
    inputs = [host_before(compiled, random_inputs(graph, seed))] * 4
    runs = simulator(SMALL).run_all(compiled.program, inputs, resets=(2,))
    first, second, third, fourth = (run.states["v#next"].tobytes() for run in runs)
    assert (first, second) == (third, fourth) and first != second


def wake_word(models, simulator, steps):
    graph = read_tflite(models / "mww2_okay_nabu.tflite")
    samples, compiled = random_samples(graph, 1, steps), compile_graph(graph, SMALL)
    assert compiled.host_ops == () and len(compiled.program.states) == 6
    assert not any(state.copied for state in compiled.program.states)
    with start_reference(graph, samples) as interpreter:
        outcomes = judged(graph, run_samples(Prepared(whole_of(compiled), simulator(SMALL)), samples), interpreter, Steps(quiet=True))
    assert [str(outcome.mismatch) for outcome in outcomes if outcome.mismatch] == []
    assert all(outcome.reference.tensors == 44 for outcome in outcomes), "every operator of the file, in each step"
    assert len({outcome.outputs[graph.outputs[0]].item() for outcome in outcomes}) > 1 or steps < 100
    return {outcome.run.cycles for outcome in outcomes}


def test_a_wake_word_equals_the_interpreter(models, simulator):
    wake_word(models, simulator, 8)


@pytest.mark.cycles
@pytest.mark.slow
def test_a_wake_word_equals_the_interpreter_over_a_hundred_steps(models, simulator):
    (cycles,) = wake_word(models, simulator, 100)
    assert_recorded("state/wake word", cycles)
