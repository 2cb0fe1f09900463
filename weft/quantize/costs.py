"""What a network costs before and after, by the timing model."""

from collections import Counter
from dataclasses import dataclass

from hw.npu.config import NpuConfig
from weft.analysis.search import search
from weft.analysis.timing import replay
from weft.compiler.driver import compile_graph
from weft.compiler.graph import Graph
from weft.report.report import PREDICTED, build_report


@dataclass(frozen=True)
class Cost:
    """One inference.

    Attributes
    ----------
    cycles : int
        From start to interrupt.
    ddr_bytes : int
        Read and written.
    layers : dict of str to int
        Cycles of each operator that commands compute, by its name; a fused one's are in its leader's.
    """

    cycles: int
    ddr_bytes: int
    layers: dict[str, int]


def cost_of(graph: Graph, config: NpuConfig, *, thorough: bool) -> Cost:
    """Compile a network and replay its program.

    Parameters
    ----------
    thorough : bool
        With the best tuning, as ``weft run`` compiles; else with the usual one.

    Raises
    ------
    WeftError
        Where the network cannot run on this configuration.
    """
    compiled = search(graph, config).compiled if thorough else compile_graph(graph, config)
    timing = replay(compiled.program)
    report = build_report(compiled.program, timing.records, timing.cycles, source=PREDICTED)
    layers: Counter[str] = Counter()
    for layer in report.layers:
        layers[layer.name.split("/")[0]] += layer.cycles  # several steps of one operator have numbers behind a stroke
    return Cost(report.cycles, sum(report.ddr_bytes.values()), dict(layers))
