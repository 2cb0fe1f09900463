"""What the bench of a SoC counts at the DDR's port: bytes, latencies, lost beats, and what the SDRAM did."""

import struct
from dataclasses import dataclass

import numpy as np

from hw.soc.registers import MASTERS

WAYS = ("read", "write")
STATISTICS = (
    *("clocks", "busy", "pending", "reads", "writes", "masked", "hits", "misses", "conflicts"),
    *("activates", "precharges", "refreshes", "turnarounds"),
)
"""Fields of the harness' `DramStatistics`, in its order; `docs/ddr.md` says what they count."""
FAULT = np.dtype([("picture", "<u8"), ("cycle", "<u8"), ("beats", "<u8")])
"""A picture that lost beats: its number since reset, from 1 on, the cycle of the first, how many."""


@dataclass(frozen=True)
class Video:
    """Pictures of a camera or a display since reset.

    Attributes
    ----------
    complete : int
    faults : structured array of `FAULT`
    digests : uint64[complete]
        Of what the display showed.
    """

    complete: int
    faults: np.ndarray
    digests: np.ndarray

    @property
    def lost(self) -> int:
        """Beats lost."""
        return int(self.faults["beats"].sum())


@dataclass(frozen=True)
class Snapshot:
    """Everything that was counted since reset.

    Attributes
    ----------
    cycle : int
    statistics : dict of str to int
    bytes : int64[2, masters]
        On the port, read and written.
    bins : int64[bins, 2, masters]
        The same by time; the last bins may be missing.
    histograms : list of list of int64[latency]
        By way and master: how many bursts took so many cycles.
    camera, display : Video
    """

    cycle: int
    statistics: dict[str, int]
    bytes: np.ndarray
    bins: np.ndarray
    histograms: list[list[np.ndarray]]
    camera: Video
    display: Video

    @classmethod
    def read(cls, file) -> "Snapshot":
        """What `SocBench::report` writes."""

        def numbers(count):
            return np.frombuffer(file.read(8 * count), "<u8").astype(np.int64)

        def counted(dtype="<u8"):
            (count,) = struct.unpack("<Q", file.read(8))
            return np.frombuffer(file.read(count * np.dtype(dtype).itemsize), dtype)

        def video():
            return Video(int(numbers(1)[0]), counted(FAULT), counted())

        shape = len(WAYS), len(MASTERS)
        (cycle,) = numbers(1)
        statistics = dict(zip(STATISTICS, map(int, numbers(len(STATISTICS)))))
        total = numbers(len(WAYS) * len(MASTERS)).reshape(shape)
        (count,) = numbers(1)
        bins = numbers(int(count) * total.size).reshape(-1, *shape)
        histograms = [[counted().astype(np.int64) for _ in MASTERS] for _ in WAYS]
        return cls(int(cycle), statistics, total, bins, histograms, video(), video())


@dataclass(frozen=True)
class Traffic:
    """What was counted from one moment to another.

    Attributes
    ----------
    cycles : int
        Of the bus.
    end_cycle : int
        The later moment, since reset.
    statistics : dict of str to int
        Of the SDRAM.
    bytes : int64[2, masters]
    bins : int64[bins, 2, masters]
        Bytes in each `bin_cycles` cycles; the first and the last may be shorter.
    bin_cycles : int
    histograms : list of list of int64[latency]
        By way and master: how many bursts took so many cycles, from the request at the interconnect to the last beat or the answer.
    camera, display : Video
        Since reset: neither ran before.
    """

    cycles: int
    end_cycle: int
    statistics: dict[str, int]
    bytes: np.ndarray
    bins: np.ndarray
    bin_cycles: int
    histograms: list[list[np.ndarray]]
    camera: Video
    display: Video


def between(before: Snapshot, after: Snapshot, bin_cycles: int) -> Traffic:
    """What was counted from one snapshot to a later one."""
    first = before.cycle // bin_cycles
    bins = after.bins[first:].copy()
    if len(before.bins) > first and len(bins):
        bins[: len(before.bins) - first] -= before.bins[first:]
    histograms = [
        [np.concatenate([late[: len(early)] - early, late[len(early) :]]) for early, late in zip(*ways)]
        for ways in zip(before.histograms, after.histograms)
    ]
    return Traffic(
        after.cycle - before.cycle,
        after.cycle,
        {name: after.statistics[name] - before.statistics[name] for name in STATISTICS},
        after.bytes - before.bytes,
        bins,
        bin_cycles,
        histograms,
        after.camera,
        after.display,
    )


def percentile(histogram: np.ndarray, share: float) -> int | None:
    """The least latency that at least so large a share (0 to 1) of the bursts do not exceed; None where there was none."""
    total = int(histogram.sum())
    return int(np.searchsorted(np.cumsum(histogram), share * total)) if total else None
