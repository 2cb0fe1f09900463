"""DDR behind the NPU's port, burst by burst: when a burst is accepted, and in which cycles its beats move."""

import math
from collections import deque
from dataclasses import dataclass

from hw.npu.errors import WeftError
from sim.ddr import DdrConfig


@dataclass(frozen=True)
class DdrParameters:
    """What the timing model assumes of DDR; the defaults are those of `sim.ddr.DdrConfig`, the reference DDR of all figures.

    Attributes
    ----------
    latency : int
        NPU cycles from an accepted address to the first beat.
    bytes_per_cycle : int
        Shared by reads and writes, however wide the port is.
    outstanding : int
        Bursts in flight at a time, reads and writes each.
    write_latency : int
        NPU cycles from the last beat to the response.
    """

    latency: int = DdrConfig.read_latency
    bytes_per_cycle: int = DdrConfig.bytes_per_cycle
    outstanding: int = DdrConfig.outstanding
    write_latency: int = DdrConfig.write_latency

    def __post_init__(self):
        for name in ("latency", "bytes_per_cycle", "outstanding", "write_latency"):
            if getattr(self, name) < 1:
                raise WeftError(f"DDR of the timing model: {name} = {getattr(self, name)} must be at least 1")


class DdrPort:
    """The two directions of the port, and the bandwidth that they share.

    Bursts must be given in the order of their addresses. A direction moves a beat every ``pace`` cycles at most; both
    together move one every ``share`` cycles. A burst that was given is not moved again when one of the other direction
    comes between its beats: that one is billed to the bursts behind it, so that no bandwidth is lost or won.

    Parameters
    ----------
    ddr : DdrParameters
    axi_bytes : int
        Bytes of a beat.
    """

    def __init__(self, ddr: DdrParameters, axi_bytes: int):
        whole, rest = divmod(axi_bytes, ddr.bytes_per_cycle)
        self.share = axi_bytes / ddr.bytes_per_cycle if rest else whole
        self.pace = max(1, self.share)
        self.latency, self.write_latency = ddr.latency, ddr.write_latency
        self.shared_until: float = 0  # the bytes of both directions
        self.read_from: float = 0  # first cycle in which a beat of the direction can move
        self.write_from: float = 0
        self.address_at = self.response_at = -1
        self.reads = deque([-1] * ddr.outstanding, maxlen=ddr.outstanding)  # last beats of the bursts that may be in flight
        self.writes = deque([-1] * ddr.outstanding, maxlen=ddr.outstanding)  # responses

    def read(self, offered: int, beats: int, taken: float = 1) -> tuple[int, int]:
        """A read burst whose address is offered from a cycle on: the cycles of its first and its last beat.

        Its master takes a beat in ``taken`` cycles.
        """
        # comparisons instead of max(): this runs for each burst, and a call takes as long as five of them
        pace = taken if taken > self.pace else self.pace
        accepted = self.address_at + 1
        if self.reads[0] >= accepted:
            accepted = self.reads[0] + 1
        if offered > accepted:
            accepted = offered
        self.address_at = accepted
        first = accepted + self.latency
        if self.read_from > first:
            first = self.read_from
        end = first + beats * pace
        shared = (self.shared_until if self.shared_until > first else first) + beats * self.share
        if shared > end:
            end = shared
        self.shared_until, self.read_from = shared, end
        last = math.ceil(end - pace)
        self.reads.append(last)
        return math.ceil(first), last

    def write(self, offered: int, beats: int, given: float = 1) -> tuple[int, int]:
        """A write burst whose beats are offered from a cycle on: the cycles of its last beat and of its response.

        Its master gives a beat in ``given`` cycles.
        """
        pace = max(self.pace, given)
        begin = max(offered, self.write_from, self.writes[0] + 1)
        backlog = max(0, self.shared_until - begin)
        end = begin + beats * pace
        if self.share >= 1:  # reads and writes take turns
            end += min(backlog, beats * self.share)
        self.shared_until = max(self.shared_until, begin) + beats * self.share
        self.write_from = end
        last = math.ceil(end - pace)
        self.response_at = max(self.response_at, last + self.write_latency)
        self.writes.append(self.response_at)
        return last, self.response_at
