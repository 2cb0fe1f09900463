"""Parameters of the DDR model in `sim/harness/ddr.h`."""

import dataclasses
import struct
from dataclasses import dataclass

from hw.npu.errors import WeftError

NEVER = (1 << 64) - 1
PROBABILITIES = ("stall_ar", "stall_r", "stall_aw", "stall_w", "stall_b")


@dataclass(frozen=True)
class DdrConfig:
    """How DDR behaves; the defaults are the reference DDR of all figures.

    Attributes
    ----------
    read_latency : int
        NPU cycles from an accepted address to the first beat.
    write_latency : int
        NPU cycles from the last beat to the response.
    latency_jitter : int
        Up to this many cycles more, at random; answers stay in order.
    bytes_per_cycle : int
        Shared by reads and writes, however wide the port is.
    outstanding : int
        Bursts in flight at a time, reads and writes each.
    stall_ar, stall_r, stall_aw, stall_w, stall_b : float
        Probability that a channel stands still in a cycle.
    seed : int
        Of everything random.
    error_reads, error_writes : bool
        Answer SLVERR to bursts that touch ``error_start <= address < error_end``.
    error_start, error_end : int
        That range.
    silent_after : int or None
        Transactions after which the bus no longer answers: one more is accepted, no other.

    Raises
    ------
    WeftError
        If a value is out of range.
    """

    read_latency: int = 64
    write_latency: int = 8
    latency_jitter: int = 0
    bytes_per_cycle: int = 8
    outstanding: int = 8
    stall_ar: float = 0.0
    stall_r: float = 0.0
    stall_aw: float = 0.0
    stall_w: float = 0.0
    stall_b: float = 0.0
    seed: int = 0
    error_reads: bool = False
    error_writes: bool = False
    error_start: int = 0
    error_end: int = 0
    silent_after: int | None = None

    def __post_init__(self):
        for name in ("bytes_per_cycle", "outstanding", "read_latency", "write_latency"):
            if getattr(self, name) < 1:
                raise WeftError(f"DDR: {name} = {getattr(self, name)} must be at least 1")
        for name in PROBABILITIES:
            if not 0 <= getattr(self, name) < 1:
                raise WeftError(f"DDR: {name} = {getattr(self, name)} must be a probability below 1")

    @classmethod
    def stalling(cls, probability, *, seed=0, **more) -> "DdrConfig":
        """Every channel stands still with this probability, and latencies vary."""
        return cls(seed=seed, **{"latency_jitter": 30, **dict.fromkeys(PROBABILITIES, probability), **more})

    def replace(self, **changes) -> "DdrConfig":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def pack(self) -> bytes:
        """The bytes that the harness reads: 13 words, 3 double words."""
        stalls = [round(getattr(self, name) * 65536) for name in PROBABILITIES]
        words = [
            self.read_latency,
            self.write_latency,
            self.latency_jitter,
            self.bytes_per_cycle,
            self.outstanding,
            *stalls,
            self.seed & 0xFFFFFFFF,
            self.error_reads,
            self.error_writes,
        ]
        return struct.pack("<13I3Q", *words, self.error_start, self.error_end, NEVER if self.silent_after is None else self.silent_after)
