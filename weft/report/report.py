"""The report of a run: what each layer cost, from the records that the RTL wrote or the timing model predicts.

Cycles, stalls and bytes are the RTL's own counters, or the model's, and the report says which; energy is estimated from a named table
(`weft.analysis.energy`).
`docs/report.md` explains every figure.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from golden.program import Program
from hw.npu.interface.isa import EXECUTE
from hw.npu.interface.records import RECORD, STALLS
from weft.analysis.energy import HOROWITZ_45NM, Energy, EnergyTable, command_energy
from weft.report.clock import choose_clock
from weft.report.host_report import HostStepReport, Shares
from weft.report.precision import notes_on, peak_of, precision_of

if TYPE_CHECKING:
    from weft.report.soc import SocReport

MEASURED = "measured on RTL (the NPU's own counters)"
PREDICTED = "computed by the timing model (weft.analysis.timing)"
"""Where records come from."""
CAUSES = (*STALLS, "drain")
"""Why a cycle issued no wave: the records' causes, and the job's end, when the last results are written out."""


@dataclass(frozen=True)
class LayerReport:
    """One row: a fused group of the network's operators.

    Attributes
    ----------
    name, op : str
    shape : tuple of int
        Of the output.
    macs : int
        Of the network's own arithmetic.
    cycles, active : int
        Cycles of its windows, and those that issued a wave; ``cycles == active + sum(stalls)``.
    precision : str
        Of the weights, as the array multiplied by them (`weft.report.precision`): ``int8`` or ``int4``; empty without weights.
    peak_macs : int
        Multiply-accumulates that the array could have done in these cycles: one a processing element, two in a matrix product of INT4.
    utilization : float
        ``macs / peak_macs``, 0 to 1.
    stalls : dict of str to int
        Cycles by cause (`CAUSES`).
    ddr_bytes, sram_bytes : dict of str to int
        ``read`` and ``write``.
    energy_uj, power_mw : float
        Estimated; power is the average over the layer's cycles at the report's clock.
    energy_parts_uj : dict of str to float
    cycles_alone : int or None
        The same layer's cycles while nobody else uses the DDR; None where the run was not on a SoC.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    macs: int
    cycles: int
    active: int
    precision: str
    peak_macs: int
    utilization: float
    stalls: dict[str, int]
    ddr_bytes: dict[str, int]
    sram_bytes: dict[str, int]
    energy_uj: float
    energy_parts_uj: dict[str, float]
    power_mw: float
    cycles_alone: int | None = None


@dataclass(frozen=True)
class ReferenceVerdict:
    """How far the reference interpreter judged a run.

    Attributes
    ----------
    version : str
        Of the interpreter.
    tensors : int
        Computed tensors that it and the golden operators were compared in.
    stopped_at : str or None
        The layer at which the interpreter died or refused its values; None where it ran to the end.
    reason : str or None
        Its words, or the signal that ended it.
    """

    version: str
    tensors: int
    stopped_at: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Report:
    """A run of a network. The names are the keys of the JSON file.

    Attributes
    ----------
    network, config : str
        Names; `configuration` holds the fields.
    bit_exact : bool or None
        Every compared tensor equals the reference; None where none was compared.
    compared_tensors : int
        Of the NPU, compared with the golden operators.
    reference : ReferenceVerdict or None
        The golden operators, compared with the reference interpreter; None where it was not asked.
    cycles, active, macs : int
        From start to interrupt; those that issued a wave; of the whole network.
    peak_macs : int
        Sum over the layers.
    utilization : float
        ``macs / peak_macs``: each cycle is held against what the array can do at the width of its layer.
    clock_mhz, latency_ms : float
    host_ops : tuple of str
        Operators that ran on the host: not in the cycles.
    host_steps : tuple of HostStepReport
        Those of them that ran before, between and after the NPU's programs; the others are a program's own first and last ones.
    npu_mac_share, npu_operator_share, npu_byte_share : float
        How much of the network the NPU ran (`weft.report.host_report.Shares`).
    energy_uj, energy_parts_uj, power_mw
        As in a layer.
    stalls, ddr_bytes, sram_bytes
        Sums over the layers.
    layers : tuple of LayerReport
    sources : dict of str to str
        Where each kind of figure comes from.
    notes : tuple of str
        What to know of 4-bit weights, and which outputs nobody computed; empty where there is nothing to say.
    soc : SocReport or None
        Under which traffic the network ran, and what that did; the other figures are those of the slowest inference.
    steps : int
        Inferences in a row, whose states go on from one to the next. The other figures are those of one: the slowest, or the first in
        which something differs.
    step_cycles : tuple of int
        Cycles of each; empty where the figures are the timing model's.
    """

    network: str
    config: str
    configuration: dict
    bit_exact: bool | None
    compared_tensors: int
    cycles: int
    active: int
    macs: int
    peak_macs: int
    utilization: float
    clock_mhz: float
    latency_ms: float
    host_ops: tuple[str, ...]
    energy_uj: float
    energy_parts_uj: dict[str, float]
    power_mw: float
    stalls: dict[str, int]
    ddr_bytes: dict[str, int]
    sram_bytes: dict[str, int]
    layers: tuple[LayerReport, ...]
    sources: dict[str, str]
    notes: tuple[str, ...]
    host_steps: tuple[HostStepReport, ...] = ()
    npu_mac_share: float = 1.0
    npu_operator_share: float = 1.0
    npu_byte_share: float = 1.0
    reference: ReferenceVerdict | None = None
    soc: "SocReport | None" = None
    steps: int = 1
    step_cycles: tuple[int, ...] = ()

    def to_json(self) -> dict:
        """Plain values, for `json.dump`; the keys are the attributes' names. Without a SoC those of its figures are absent."""
        content = dataclasses.asdict(self)
        if self.soc is None:
            del content["soc"]
            for layer in content["layers"]:
                del layer["cycles_alone"]
        return content


def record_values(records, commands) -> list[dict[str, int]]:
    """Records by field name, one a command.

    Parameters
    ----------
    records : structured array or sequence of dict
        With the names of `hw.npu.interface.records.RECORD`, as `sim.run.RunResult.records` has them.
    commands : int
        How many there must be.
    """
    values = [{field.name: int(record[field.name]) for field in RECORD} for record in records]
    if len(values) != commands:
        raise ValueError(f"{commands} commands left {len(values)} records")
    return values


def build_report(
    program: Program,
    records,
    cycles: int,
    *,
    host_ops=(),
    bit_exact: bool | None = None,
    compared_tensors: int = 0,
    reference: ReferenceVerdict | None = None,
    int4_operators: int = 0,
    notes=(),
    clock_mhz: float | None = None,
    table: EnergyTable = HOROWITZ_45NM,
    source: str = MEASURED,
) -> Report:
    """The report of one run.

    The windows of the execute commands partition the time up to the last wave; what is left, until the last byte is
    stored and the interrupt is raised, is the last computing layer's ``drain``. Layers' cycles sum to the total.

    Parameters
    ----------
    program : Program
    records : structured array or sequence of dict
        As `record_values` takes them.
    cycles : int
        From start to interrupt.
    host_ops : sequence of str
        Names of operators that ran on the host.
    bit_exact, compared_tensors, reference : bool or None, int, ReferenceVerdict or None
        The comparison with the reference.
    int4_operators : int
        How many operators of the file have 4-bit weights.
    notes : sequence of str
        What else to say.
    clock_mhz : float or None
        For latency and power; without one that of `weft.report.clock.choose_clock`.
    table : EnergyTable
    source : str
        `MEASURED` or `PREDICTED`.
    """
    clock = choose_clock(program.config, clock_mhz)
    layers = _layers(program, records, cycles, clock.mhz, table)
    seconds = cycles / (clock.mhz * 1e6)
    return Report(
        network=program.network,
        config=program.config.name,
        configuration=dataclasses.asdict(program.config),
        bit_exact=bit_exact,
        compared_tensors=compared_tensors,
        reference=reference,
        cycles=cycles,
        clock_mhz=clock.mhz,
        latency_ms=seconds * 1e3,
        host_ops=tuple(host_ops),
        layers=layers,
        sources=_sources(source, table, clock.source),
        notes=(*notes_on(program, int4_operators), *notes),
        **_sums(layers, seconds),
    )


def _sources(cycles: str, table: EnergyTable, clock: str) -> dict[str, str]:
    """Where figures come from; those of cycles from `cycles`, the clock from `clock`."""
    return {
        "cycles, stalls, bytes": cycles,
        "MACs": "counted on the network",
        "energy, power": f"estimated from table {table.name}: {table.source}; no clock tree, registers, leakage",
        "clock": clock,
    }


def chained(reports: Sequence[Report]) -> Report:
    """The report of several programs that ran one after another: their layers in order, and the sums over all of them."""
    first, *others = reports
    if not others:
        return first
    layers = tuple(layer for report in reports for layer in report.layers)
    cycles = sum(report.cycles for report in reports)
    seconds = cycles / (first.clock_mhz * 1e6)
    return dataclasses.replace(
        first,
        compared_tensors=sum(report.compared_tensors for report in reports),
        cycles=cycles,
        latency_ms=seconds * 1e3,
        host_ops=tuple(op for report in reports for op in report.host_ops),
        layers=layers,
        notes=tuple(dict.fromkeys(note for report in reports for note in report.notes)),
        **_sums(layers, seconds),
    )


def with_host(report: Report, host_steps: Sequence[HostStepReport], host_ops: Sequence[str], shares: Shares) -> Report:
    """The report with what the host ran.

    Parameters
    ----------
    report : Report
    host_steps : sequence of HostStepReport
    host_ops : sequence of str
        All operators of the host, in the order of execution.
    shares : Shares
    """
    return dataclasses.replace(
        report,
        host_steps=tuple(host_steps),
        host_ops=tuple(host_ops),
        npu_mac_share=shares.macs,
        npu_operator_share=shares.operators,
        npu_byte_share=shares.bytes,
    )


def _sums(layers, seconds) -> dict[str, Any]:
    """Fields of the report that are sums over the layers."""
    macs, peak = sum(layer.macs for layer in layers), sum(layer.peak_macs for layer in layers)
    parts = _summed(layer.energy_parts_uj for layer in layers)
    energy = sum(parts.values())
    return {
        "active": sum(layer.active for layer in layers),
        "macs": macs,
        "peak_macs": peak,
        "utilization": _ratio(macs, peak),
        "energy_uj": energy,
        "energy_parts_uj": parts,
        "power_mw": _ratio(energy * 1e-3, seconds),
        "stalls": _summed(layer.stalls for layer in layers),
        "ddr_bytes": _summed(layer.ddr_bytes for layer in layers),
        "sram_bytes": _summed(layer.sram_bytes for layer in layers),
    }


def _layers(program, records, cycles, clock_mhz, table) -> tuple[LayerReport, ...]:
    """The layers; the last one that computes has the cycles after the last wave."""
    by_layer: list[list] = [[] for _ in program.layers]
    last = None
    for planned, record in zip(program.commands, record_values(records, len(program.commands))):
        by_layer[planned.layer].append((planned.command, record))
        if planned.command.opcode in EXECUTE:
            last = planned.layer
    drain = cycles - sum(_window(record) for pairs in by_layer for command, record in pairs if command.opcode in EXECUTE)
    return tuple(
        _layer(layer, pairs, drain if index == last else 0, program.config, clock_mhz, table)
        for index, (layer, pairs) in enumerate(zip(program.layers, by_layer))
    )


def _layer(layer, pairs, drain, config, clock_mhz, table):
    computing = [(command, record) for command, record in pairs if command.opcode in EXECUTE]
    records = [record for _, record in computing]
    windows = [_window(record) for record in records]
    if computing:
        windows[-1] += drain
    cycles = sum(windows)
    peak = sum(window * peak_of(command, config) for window, (command, _) in zip(windows, computing))
    energy = sum((command_energy(command, record, config, table) for command, record in pairs), Energy())
    return LayerReport(
        name=layer.name,
        op=layer.op,
        shape=tuple(map(int, layer.shape)),
        macs=int(layer.macs),
        cycles=cycles,
        active=sum(record["active"] for record in records),
        precision=precision_of(command for command, _ in computing),
        peak_macs=peak,
        utilization=_ratio(layer.macs, peak),
        stalls={cause: sum(record[f"stall_{cause}"] for record in records) for cause in STALLS} | {"drain": drain},
        ddr_bytes={way: sum(record[f"ddr_{way}_bytes"] for _, record in pairs) for way in ("read", "write")},
        sram_bytes={way: sum(record[f"sram_{way}_bytes"] for _, record in pairs) for way in ("read", "write")},
        energy_uj=energy.total * 1e-6,
        energy_parts_uj=energy.microjoules(),
        power_mw=_ratio(energy.total * 1e-9, cycles / (clock_mhz * 1e6)),  # pJ to mJ over s
    )


def _window(record):
    return record["end"] - record["start"]


def _summed(dictionaries):
    total: dict = {}
    for dictionary in dictionaries:
        for key, value in dictionary.items():
            total[key] = total.get(key, 0) + value
    return total


def _ratio(part, whole):
    return part / whole if whole else 0.0
