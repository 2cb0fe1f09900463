"""What a network costs on a configuration, by the timing model, without RTL."""

from dataclasses import dataclass

from hw.npu.config import NpuConfig
from weft.analysis.precision import INT4
from weft.analysis.report import PREDICTED, build_report, chained
from weft.analysis.search import search
from weft.analysis.timing import replay
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.network_file import NetworkFile
from weft.compiler.graph import Graph
from weft.host_rows import file_macs, host_ops
from weft.whole import Whole, compile_whole, whole_of

Network = Graph | NetworkFile
"""A network that must run on the NPU as a whole, or a file of which the host runs what the NPU does not."""


@dataclass(frozen=True)
class NetworkCost:
    """One inference. Of a network in several programs the figures are sums over them; the host's part is in none but its own.

    Attributes
    ----------
    network : str
    cycles, macs : int
        From start to interrupt; of the NPU's layers.
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
    programs : int
        Of the NPU.
    host_steps : int
        Of the host, before, between and after the programs.
    host_macs, file_macs : int
        Multiply-accumulates as the file has them: of the host's operators, and of all.
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
    programs: int = 1
    host_steps: int = 0
    host_macs: int = 0
    file_macs: int = 0


def cost_of(network: Network, config: NpuConfig, *, thorough: bool) -> NetworkCost:
    """Compile a network and replay its programs on the timing model.

    Parameters
    ----------
    network : Graph or NetworkFile
    config : NpuConfig
    thorough : bool
        Search for the best tuning, as ``weft run`` does: ten times the time, for up to 3 % of the cycles of ResNet-8.

    Raises
    ------
    WeftError
        Where the network cannot run on this configuration, or the timing model does not know it.
    """
    whole = _compiled(network, config, thorough)
    programs = [step.compiled.program for step in whole.npu_steps]
    timings = [replay(program) for program in programs]
    report = chained([build_report(program, timing.records, timing.cycles, source=PREDICTED) for program, timing in zip(programs, timings)])
    on_host, in_file = file_macs(whole)
    return NetworkCost(
        network=whole.graph.name,
        cycles=report.cycles,
        macs=report.macs,
        peak_macs=report.peak_macs,
        int4_macs=sum(layer.macs for layer in report.layers if layer.precision == INT4),
        energy_uj=report.energy_uj,
        ddr_bytes=sum(report.ddr_bytes.values()),
        host_ops=tuple(host_ops(whole)),
        searched=thorough,
        programs=len(programs),
        host_steps=len(whole.host_steps),
        host_macs=on_host,
        file_macs=in_file,
    )


def name_of(network: Network) -> str:
    """Of its file."""
    return network.graph.name if isinstance(network, NetworkFile) else network.name


def _compiled(network: Network, config: NpuConfig, thorough: bool) -> Whole:
    if isinstance(network, NetworkFile):
        return compile_whole(network, config, thorough=thorough)
    return whole_of(search(network, config).compiled if thorough else compile_graph(network, config))
