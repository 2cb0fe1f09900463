"""What a network costs on a configuration, by the timing model, without RTL."""

from dataclasses import dataclass

from hw.npu.config import NpuConfig
from weft.analysis.precision import INT4
from weft.analysis.report import PREDICTED, build_report
from weft.analysis.search import search
from weft.analysis.timing import replay
from weft.compiler.driver import compile_graph
from weft.compiler.graph import Graph


@dataclass(frozen=True)
class NetworkCost:
    """One inference.

    Attributes
    ----------
    network : str
    cycles, macs : int
        From start to interrupt; of the network's own arithmetic.
    peak_macs, int4_macs : int
        What the array could have done in these cycles; those of layers that ran in INT4.
    energy_uj : float
        Estimated (`weft.analysis.energy`).
    ddr_bytes : int
        Read and written.
    host_ops : tuple of str
        Operators that run on the host: not in the cycles.
    searched : bool
        With the best tuning, as ``weft run`` compiles; else with the usual one.
    """

    network: str
    cycles: int
    macs: int
    peak_macs: int
    int4_macs: int
    energy_uj: float
    ddr_bytes: int
    host_ops: tuple[str, ...]
    searched: bool


def cost_of(graph: Graph, config: NpuConfig, *, thorough: bool) -> NetworkCost:
    """Compile a network and replay its program on the timing model.

    Parameters
    ----------
    graph : Graph
    config : NpuConfig
    thorough : bool
        Search for the best tuning, as ``weft run`` does: ten times the time, for up to 3 % of the cycles of ResNet-8.

    Raises
    ------
    WeftError
        Where the network cannot run on this configuration, or the timing model does not know it.
    """
    compiled = search(graph, config).compiled if thorough else compile_graph(graph, config)
    timing = replay(compiled.program)
    report = build_report(compiled.program, timing.records, timing.cycles, source=PREDICTED)
    return NetworkCost(
        network=graph.name,
        cycles=report.cycles,
        macs=report.macs,
        peak_macs=report.peak_macs,
        int4_macs=sum(layer.macs for layer in report.layers if layer.precision == INT4),
        energy_uj=report.energy_uj,
        ddr_bytes=sum(report.ddr_bytes.values()),
        host_ops=tuple(host.operator.op for host in compiled.host_ops),
        searched=thorough,
    )
