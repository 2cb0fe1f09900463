"""A whole network on the generated Verilog: every tensor compared, nothing on the host, and its cycles."""

from hw.npu.config import NpuConfig
from sim.run import Simulator
from tests.rtl.configurations import SIZES, SMALL
from weft.analysis.search import search
from weft.analysis.timing import replay
from weft.compiler.graph import Graph
from weft.run.inputs import random_sample
from weft.run.network import Prepared, report_of, run_samples
from weft.run.whole import whole_of

MODEL_ERROR = 0.02
"""Largest difference of the timing model's cycles and the RTL's, as a part of the latter, on the reference configuration, `SMALL`, and on
the same with 4-bit weights."""
SIZE_ERROR = 0.03
"""The same where the array has another size and nothing else is changed: `SIZES`."""
OTHER_ERROR = 0.05
"""The same on configurations with other lanes, memories and buses, on which not every network was measured."""


def error_of(config: NpuConfig) -> float:
    """The timing model's largest error on a configuration, as a part of the RTL's cycles."""
    plain = config.replace(int4=False)
    return MODEL_ERROR if plain == SMALL else SIZE_ERROR if plain in SIZES.values() else OTHER_ERROR


def measure(graph: Graph, simulator: Simulator, *, inputs: int = 2, model_error: float | None = None) -> int:
    """Cycles of a network on RTL, with the tuning that the search finds; fails where a tensor differs or the timing model is far off.

    Parameters
    ----------
    graph : Graph
    simulator : Simulator
        Of the configuration to compile for.
    inputs : int
        Random samples that it runs on; each takes as many cycles as the others.
    model_error : float, optional
        Largest error of the timing model, as a part of these cycles; that of `error_of` if not given.
    """
    config = simulator.config
    found = search(graph, config)
    assert found.compiled.host_ops == ()
    prepared = Prepared(whole_of(found.compiled, found), simulator)
    outcomes = run_samples(prepared, [random_sample(graph, 1 + number) for number in range(inputs)])
    for outcome in outcomes:
        assert outcome.mismatch is None, f"{graph.name}: {outcome.mismatch}"
    cycles = {outcome.run.cycles for outcome in outcomes}
    assert len(cycles) == 1, "cycles depend on the input"
    report = report_of(prepared, outcomes[0])
    assert sum(layer.cycles for layer in report.layers) == report.cycles
    (measured,) = cycles
    error = replay(found.compiled.program).cycles / measured - 1
    width = "+int4" if config.int4 else ""
    print(f"{graph.name} on {config.name}{width} {config.rows}x{config.cols}: {measured} cycles, timing model {100 * error:+.2f} %")
    assert abs(error) <= (error_of(config) if model_error is None else model_error)
    return measured
