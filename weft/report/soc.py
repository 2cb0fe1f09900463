"""The figures of a run on the SoC, as the report and its JSON file have them. `docs/scenarios.md` explains every one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MasterReport:
    """One master of the DDR port while there was traffic. Latencies: cycles of the DDR port, from a burst's request at the interconnect
    to its last beat (reads) or answer (writes); None without bursts.

    Attributes
    ----------
    name : str
    klass : int
        Its priority.
    bytes, read_bytes, written_bytes : int
        On the port.
    bandwidth_gbs : float
        Gigabytes (1e9) a second, on average.
    latency_p50, latency_p99, latency_max : int or None
        Of reads and writes together.
    read_latency, write_latency : dict of str to int or None
        The same of each, by ``p50``, ``p99``, ``max``.
    latency_histogram : tuple of tuple of int
        ``(latency, bursts)``: how many took less than so many cycles, a power of two, and no less than half of them.
    """

    name: str
    klass: int
    bytes: int
    read_bytes: int
    written_bytes: int
    bandwidth_gbs: float
    latency_p50: int | None
    latency_p99: int | None
    latency_max: int | None
    read_latency: dict[str, int | None]
    write_latency: dict[str, int | None]
    latency_histogram: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Bandwidth:
    """Bandwidth over time, in equal pieces.

    Attributes
    ----------
    us : tuple of float
        Where each piece begins, from the moment when traffic set in.
    gbs : dict of str to tuple of float
        Of each master, gigabytes a second.
    """

    us: tuple[float, ...]
    gbs: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class SocReport:
    """A network under a scenario's traffic. The names are the keys of the JSON file.

    Attributes
    ----------
    scenario, ddr : str
    clock_mhz : float
        Of the NPU and the interconnect.
    bus_bits : int
        Width of the DDR port.
    traffic : dict of str to str
        What camera, display and CPU do, in words; only those that are there.
    scale : int
        By how much pictures were shortened; the byte rates are the real ones.
    pictures : dict of str to int
        Complete ones of ``camera`` and ``display``.
    overflows, underruns : int
        Beats that the camera, that the display lost.
    faults : dict of str to tuple of dict
        Of ``camera`` and ``display``: the ``picture``, from 1 on, ``us`` since traffic set in, and ``beats`` lost in it.
    cycles : int
        Of the bus, under traffic.
    cycles_alone, inferences : int, tuple of int
        An inference's cycles alone, and of each inference under traffic.
    slowdown : float
        The slowest of them over the one alone.
    fps, fps_alone, fps_mean : float
        Inferences a second: by the slowest one, alone, on average.
    fps_required : float or None
    fps_holds : bool or None
        The slowest inference keeps the required rate.
    ddr_peak_gbs, ddr_gbs : float
        What the SDRAM's data bus could carry, and carried at its port.
    ddr_utilization, ddr_efficiency : float
        Share of its clocks with data; the same of those clocks in which there was work that could be done, 0 to 1.
    ddr_counts : dict of str to int
        What the SDRAM did (`docs/ddr.md`).
    masters : tuple of MasterReport
    bandwidth : Bandwidth
    """

    scenario: str
    ddr: str
    clock_mhz: float
    bus_bits: int
    traffic: dict[str, str]
    scale: int
    pictures: dict[str, int]
    overflows: int
    underruns: int
    faults: dict[str, tuple[dict, ...]]
    cycles: int
    cycles_alone: int
    inferences: tuple[int, ...]
    slowdown: float
    fps: float
    fps_alone: float
    fps_mean: float
    fps_required: float | None
    fps_holds: bool | None
    ddr_peak_gbs: float
    ddr_gbs: float
    ddr_utilization: float
    ddr_efficiency: float
    ddr_counts: dict[str, int]
    masters: tuple[MasterReport, ...]
    bandwidth: Bandwidth
