"""The host's part of a report: its steps, and how much of the network the NPU has."""

from collections.abc import Sequence

from weft.compiler.cut.division import byte_size
from weft.compiler.cut.macs import macs_of
from weft.compiler.frontends.tflite import called_graphs
from weft.report.host_report import HostStepReport, Shares
from weft.report.report import Report, with_host
from weft.run.whole import HostStep, NpuStep, Whole


def host_ops(whole: Whole) -> list[str]:
    """All operators that the host runs, in the order of execution: its steps, and those at the edges of the programs."""
    found: list[str] = []
    for step in whole.steps:
        if isinstance(step, HostStep):
            found += [operator.op for operator in step.part.operators]
        else:
            found += [host.operator.op for host in step.compiled.host_ops]
    return found


def file_macs(whole: Whole) -> tuple[int, int]:
    """Multiply-accumulates of the file's operators: of those that the host runs, and of all."""
    graph, away = whole.graph, _on_host(whole)
    counts = [(macs_of(graph, operator), operator.name in away) for operator in graph.operators]
    return sum(macs for macs, is_away in counts if is_away), sum(macs for macs, _ in counts)


def _on_host(whole: Whole) -> set[str]:
    """Names of the file's operators that the host runs."""
    away = {operator.name for step in whole.host_steps for operator in step.part.operators}
    return away | {name for step in whole.npu_steps for host in step.compiled.host_ops for name in host.operator.stands_for}


def shares_of(whole: Whole) -> Shares:
    """How much of the network the NPU has."""
    graph, away = whole.graph, _on_host(whole)

    def share(count, besides=0) -> float:
        total = sum(count(operator) for operator in graph.operators) + besides
        return sum(count(operator) for operator in graph.operators if operator.name not in away) / total if total else 1.0

    return Shares(
        macs=share(lambda operator: macs_of(graph, operator), sum(map(called_macs, whole.host_steps))),
        operators=share(lambda operator: 1),
        bytes=share(lambda operator: sum(byte_size(graph.tensors[name]) for name in operator.outputs)),
    )


def called_macs(step: HostStep) -> int:
    """Multiply-accumulates of the subgraphs that a step's control flow calls, each once: the file does not say how often one runs."""
    graphs = called_graphs(step.submodel.content, step.part.file)
    return sum(macs_of(graph, operator) for graph in graphs for operator in graph.operators)


def with_host_rows(report: Report, whole: Whole, moved: Sequence[tuple[int, int]]) -> Report:
    """The report of the programs with what the host ran.

    Parameters
    ----------
    report : Report
    whole : Whole
    moved : sequence of (int, int)
        Bytes in and out of each host step.
    """
    rows, position, left = [], 0, list(moved)
    for step in whole.steps:
        if isinstance(step, NpuStep):
            position += len(step.compiled.program.layers)
            continue
        bytes_in, bytes_out = left.pop(0)
        rows.append(
            HostStepReport(
                name=step.name,
                position=position,
                operators=tuple(operator.op for operator in step.part.operators),
                layers=tuple(operator.name for operator in step.part.operators),
                reasons=reasons_of(step),
                macs=sum(macs_of(step.part, operator) for operator in step.part.operators) + called_macs(step),
                bytes_in=bytes_in,
                bytes_out=bytes_out,
            )
        )
    return with_host(report, rows, host_ops(whole), shares_of(whole))


def reasons_of(step: HostStep) -> tuple[str, ...]:
    """Why the host runs a step: of each kind of operator and reason the first layer's sentence."""
    kinds: dict[tuple[str, str], str] = {}
    for operator in step.part.operators:
        finding = step.reasons[operator.name]
        named = finding.sentence if finding.sentence.startswith(f"{operator.op}: ") else f"{operator.op}: {finding.sentence}"
        kinds.setdefault((operator.op, finding.kind or finding.sentence), named)
    return tuple(kinds.values())
