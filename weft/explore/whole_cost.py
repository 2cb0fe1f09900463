"""A whole file in a sweep: each configuration runs of it what it can, and the host the rest."""

from dataclasses import dataclass, replace

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from weft.compiler.frontends.network_file import NetworkFile
from weft.explore.cost import NetworkCost, cost_of_programs
from weft.run.host_rows import file_macs, host_ops
from weft.run.whole import compile_whole


@dataclass(frozen=True, eq=False)
class CostedFile:
    """A `weft.explore.cost.Network`.

    Attributes
    ----------
    file : NetworkFile
    """

    file: NetworkFile

    @property
    def name(self) -> str:
        """Of its network."""
        return self.file.graph.name

    def cost(self, config: NpuConfig, *, thorough: bool) -> NetworkCost:
        """Cut and compile it, and replay the NPU's programs; figures are sums over them.

        Raises
        ------
        WeftError
            Where the configuration runs nothing of it.
        """
        whole = compile_whole(self.file, config, thorough=thorough)
        found = [(step.part, step.reasons) for step in whole.host_steps]
        findings = [reasons[operator.name] for part, reasons in found for operator in part.operators]
        on_host, in_file = file_macs(whole)
        return replace(
            cost_of_programs([step.compiled.program for step in whole.npu_steps], host_ops(whole), thorough),
            host_steps=len(whole.host_steps),
            host_reasons=tuple(str(WeftError(each.sentence, layer=each.layer, remedy=each.remedy)) for each in findings),
            host_macs=on_host,
            file_macs=in_file,
        )
