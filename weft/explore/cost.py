"""What a network costs on a configuration, by the timing model, without RTL."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from golden.program import Program
from hw.npu.config import NpuConfig
from weft.analysis.search import search
from weft.analysis.timing import replay
from weft.compiler.driver import compile_graph
from weft.compiler.graph import Graph
from weft.report.precision import INT4
from weft.report.report import PREDICTED, build_report, chained


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
    host_reasons : tuple of str
        Why the host runs the operators of its steps, each with its layer.
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
    host_reasons: tuple[str, ...] = ()
    host_macs: int = 0
    file_macs: int = 0


class Network(Protocol):
    """Something that a sweep costs beside a `Graph`, which must run on the NPU as a whole. Worker processes get it pickled."""

    @property
    def name(self) -> str:
        """How tables call it."""

    def cost(self, config: NpuConfig, *, thorough: bool) -> NetworkCost:
        """As `cost_of`."""


def cost_of(network: Graph | Network, config: NpuConfig, *, thorough: bool) -> NetworkCost:
    """Compile a network and replay its programs on the timing model.

    Parameters
    ----------
    network : Graph or Network
    config : NpuConfig
    thorough : bool
        Search for the best tuning, as ``weft run`` does: ten times the time, for up to 3 % of the cycles of ResNet-8.

    Raises
    ------
    WeftError
        Where the network cannot run on this configuration, or the timing model does not know it.
    """
    if not isinstance(network, Graph):
        return network.cost(config, thorough=thorough)
    compiled = search(network, config).compiled if thorough else compile_graph(network, config)
    return cost_of_programs([compiled.program], [host.operator.op for host in compiled.host_ops], thorough)


def cost_of_programs(programs: Sequence[Program], host_ops: Sequence[str], thorough: bool) -> NetworkCost:
    """The cost of programs that run one after another, with the operators that the host runs."""
    timings = [replay(program) for program in programs]
    report = chained([build_report(program, timing.records, timing.cycles, source=PREDICTED) for program, timing in zip(programs, timings)])
    return NetworkCost(
        network=report.network,
        cycles=report.cycles,
        macs=report.macs,
        peak_macs=report.peak_macs,
        int4_macs=sum(layer.macs for layer in report.layers if layer.precision == INT4),
        energy_uj=report.energy_uj,
        ddr_bytes=sum(report.ddr_bytes.values()),
        host_ops=tuple(host_ops),
        searched=thorough,
        programs=len(programs),
    )
