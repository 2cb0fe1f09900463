"""What sharing the DDR costs: bytes, bandwidth and latency of each master, lost beats, and whether a frame rate holds.

`docs/scenarios.md` explains every figure.
"""

import dataclasses
import itertools

import numpy as np

from hw.soc.registers import MASTERS
from sim.scenario import Scenario
from sim.soc_run import SocRun
from sim.soc_traffic import FAULT, WAYS, Traffic, Video, percentile
from weft.report.report import LayerReport, Report, build_report
from weft.report.soc import Bandwidth, MasterReport, SocReport

MOST_POINTS = 100
"""Of the bandwidth over time."""
PERCENTILES = {"latency_p50": 0.5, "latency_p99": 0.99, "latency_max": 1.0}
COUNTED = "counted at the DDR port of the simulated SoC"
MODELLED = "DDR timing model (docs/ddr.md)"


def soc_report(run: SocRun, scenario: Scenario, bus_bits: int) -> SocReport:
    """The report of a run on the SoC.

    Parameters
    ----------
    run : SocRun
    scenario : Scenario
        That it ran under.
    bus_bits : int
        Width of the DDR port.
    """
    traffic, hz = run.traffic, scenario.clock_hz
    slowest, counts = run.slowest.cycles, traffic.statistics
    return SocReport(
        scenario=scenario.name,
        ddr=scenario.dram.name,
        clock_mhz=scenario.clock_mhz,
        bus_bits=bus_bits,
        traffic=_words(scenario),
        scale=scenario.scale,
        pictures={name: getattr(traffic, name).complete for name in ("camera", "display") if getattr(scenario, name)},
        overflows=traffic.camera.lost,
        underruns=traffic.display.lost,
        faults={name: _faults(getattr(traffic, name), traffic, hz) for name in ("camera", "display")},
        cycles=traffic.cycles,
        cycles_alone=run.alone.cycles,
        inferences=tuple(one.cycles for one in run.runs),
        slowdown=slowest / run.alone.cycles,
        fps=hz / slowest,
        fps_alone=hz / run.alone.cycles,
        fps_mean=hz * len(run.runs) / sum(one.cycles for one in run.runs),
        fps_required=scenario.fps,
        fps_holds=None if scenario.fps is None else hz / slowest >= scenario.fps,
        ddr_peak_gbs=scenario.dram.peak_bytes_per_second / 1e9,
        ddr_gbs=_gbs(int(traffic.bytes.sum()), traffic.cycles, hz),
        ddr_utilization=counts["busy"] / max(1, counts["clocks"]),
        ddr_efficiency=counts["busy"] / max(1, counts["pending"]),
        ddr_counts=counts,
        masters=tuple(_master(number, scenario, traffic) for number, name in enumerate(MASTERS) if getattr(scenario, name)),
        bandwidth=_bandwidth(scenario, traffic),
    )


def with_soc(report: Report, alone: Report, soc: SocReport) -> Report:
    """The report of the slowest inference, with what the SoC did, and each layer's cycles alone."""
    layers = tuple(
        dataclasses.replace(layer, cycles_alone=without.cycles) for layer, without in zip(report.layers, alone.layers, strict=True)
    )
    sources = report.sources | {"bandwidth, latency, lost beats": COUNTED, "DDR efficiency": MODELLED}
    return dataclasses.replace(report, layers=layers, soc=soc, sources=sources)


def network_reports(program, run: SocRun, scenario: Scenario, **facts) -> tuple[Report, Report]:
    """Reports of the inference alone and of the slowest one under traffic; `facts` as `build_report` takes them."""
    alone, slowest = (
        build_report(program, one.records, one.cycles, clock_mhz=scenario.clock_mhz, **facts) for one in (run.alone, run.slowest)
    )
    return alone, slowest


def slowdown_of(figures: LayerReport | Report) -> float | None:
    """Cycles over cycles alone; None where there were none."""
    alone = figures.soc.cycles_alone if isinstance(figures, Report) and figures.soc else getattr(figures, "cycles_alone", None)
    return figures.cycles / alone if alone else None


def _words(scenario):
    found = {
        name: f"{part.mode}, {part.bytes_per_pixel} bytes a pixel, {part.bytes_per_second / 1e9:.3f} GB/s"
        for name in ("camera", "display")
        if (part := getattr(scenario, name))
    }
    if cpu := scenario.cpu:
        found["cpu"] = f"random bursts to {cpu.burst_bytes} bytes, {100 * cpu.write_share:.0f} % writes, {cpu.gbs:.3f} GB/s"
    return found


def _faults(video: Video, traffic: Traffic, hz):
    begin = traffic.end_cycle - traffic.cycles
    names = FAULT.names or ()
    rows = (dict(zip(names, map(int, fault))) for fault in video.faults)
    return tuple({"picture": row["picture"], "us": (row["cycle"] - begin) / hz * 1e6, "beats": row["beats"]} for row in rows)


def _gbs(count, cycles, hz):
    return count * hz / cycles / 1e9 if cycles else 0.0


def _master(number, scenario, traffic):
    by_way = [traffic.histograms[way][number] for way in range(len(WAYS))]
    both = np.zeros(max(map(len, by_way)), np.int64)
    for histogram in by_way:
        both[: len(histogram)] += histogram
    read, written = (int(count) for count in traffic.bytes[:, number])
    reads, writes = (
        {name.removeprefix("latency_"): percentile(histogram, share) for name, share in PERCENTILES.items()} for histogram in by_way
    )
    name = MASTERS[number]
    return MasterReport(
        name=name,
        klass=getattr(scenario, name).klass,
        bytes=read + written,
        read_bytes=read,
        written_bytes=written,
        bandwidth_gbs=_gbs(read + written, traffic.cycles, scenario.clock_hz),
        **{key: percentile(both, share) for key, share in PERCENTILES.items()},
        read_latency=reads,
        write_latency=writes,
        latency_histogram=_octaves(both),
    )


def _octaves(histogram):
    """Bursts by powers of two of their latency."""
    edges = [0] + [1 << power for power in range(len(histogram).bit_length() + 1)]
    counts = [(high, int(histogram[low:high].sum())) for low, high in itertools.pairwise(edges)]
    used = [place for place, (_, count) in enumerate(counts) if count]
    return tuple(counts[used[0] : used[-1] + 1]) if used else ()


def _bandwidth(scenario, traffic):
    """The bins, as many together as leave `MOST_POINTS` pieces; the last piece where it is a whole one."""
    bins = traffic.bins.sum(axis=1)  # of both ways
    step = max(1, -(-len(bins) // MOST_POINTS))
    pieces = len(bins) // step
    sums = bins[: pieces * step].reshape(pieces, step, -1).sum(axis=1)
    seconds = step * traffic.bin_cycles / scenario.clock_hz
    names = [(number, name) for number, name in enumerate(MASTERS) if getattr(scenario, name)]
    return Bandwidth(
        us=tuple(round(piece * seconds * 1e6, 3) for piece in range(pieces)),
        gbs={name: tuple((sums[:, number] / seconds / 1e9).round(4).tolist()) for number, name in names},
    )
