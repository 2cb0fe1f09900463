"""The load and the store DMA: a command's bursts, in order, several in flight."""

from collections import deque

from hw.npu.dma.store_dma import StoreDma
from hw.npu.dma.transfers import TransferPlanner
from hw.npu.interface.axi import BOUNDARY
from weft.analysis.timing.latencies import latencies
from weft.analysis.timing.stream import ADDRESS, NEVER

HEAD = 1 + TransferPlanner.CHECKED
"""From a command in the queue to one that can be taken: the head's register, and its checks."""
PLAN = 3
"""From a command that is taken to its first burst: its row, its block, the register of `BurstPlanner`."""
BEAT = 1
"""From a beat on R to its byte in the scratchpad."""
DONE = 1
"""From a load's last byte in the scratchpad to its completion."""
TOKEN = 1
"""From a command's completion to the count that others wait for."""
ANSWER = 1 + 1 + 1
"""From a burst of the store to its first beat on W, beside the scratchpad's latency: run, answers, register."""


def bursts_of(transfer, block, axi_bytes) -> list[int]:
    """Beats of each burst: rows are cut at multiples of ``block`` bytes (`hw.npu.dma.bursts.BurstPlanner`)."""
    beats = []
    for row in range(transfer.rows):
        address = transfer.offset + row * transfer.stride
        end = address + transfer.row_bytes
        while address < end:
            stop = min(end, (address // block + 1) * block)
            beats.append((stop - 1) // axi_bytes - address // axi_bytes + 1)
            address = stop
    return beats


class Mover:
    """One DMA. `begin` takes a command, `issue` gives DDR its next burst; a command is complete with its last.

    Parameters
    ----------
    config : NpuConfig
    stores : bool
        It is the store DMA.
    """

    def __init__(self, config, *, stores):
        self.axi_bytes, self.stores = config.axi_bytes, stores
        self._answer = ANSWER + latencies(config).scratchpad
        self.block = min(BOUNDARY, config.max_burst * config.axi_bytes)
        self.in_flight = deque([-1] * config.outstanding, maxlen=config.outstanding)
        self.runs = deque([-1] * StoreDma.RUNS, maxlen=StoreDma.RUNS)
        self.may_issue = 0
        self.bursts = deque()  # planned and not past the arbiter: beats, earliest cycle, command, whether it is the command's last
        self.next = NEVER
        """Earliest cycle in which the next burst can pass the arbiter; `NEVER` where there is none."""
        self._free = 0

    @property
    def may_begin(self) -> bool:
        """It is known when the next command can be taken: the last burst of the one before is next."""
        return len(self.bursts) <= 1

    @property
    def free(self) -> int:
        """First cycle in which a command can be taken."""
        return self.next - ADDRESS + 1 if self.bursts else self._free

    def begin(self, transfer, taken, command) -> int:
        """Takes a command; gives its beats."""
        beats = bursts_of(transfer, self.block, self.axi_bytes)
        for place, count in enumerate(beats, 1):
            self.bursts.append((count, taken + PLAN, command, place == len(beats)))
        self._plan()
        return sum(beats)

    def issue(self, cycle, port, beat_cycles):
        """The next burst passes the arbiter; gives the cycles of its first and last beat (stores: of the response).

        The scratchpad takes, or gives, a beat in ``beat_cycles``.
        """
        self._free = self.free
        beats, *_ = self.bursts.popleft()
        if self.stores:
            first, (last, ended) = cycle, port.write(cycle - ADDRESS + self._answer, beats, beat_cycles)
            self.runs.append(last - self._answer + 1)
        else:
            first, ended = port.read(cycle + ADDRESS, beats, beat_cycles)
        self.may_issue = cycle
        self.in_flight.append(ended)
        self._plan()
        return first, ended

    def _plan(self):
        if not self.bursts:
            self.next = NEVER
            return
        room = max(self.in_flight[0], self.runs[0]) if self.stores else self.in_flight[0]
        at = self.bursts[0][1]
        if self.may_issue > at:
            at = self.may_issue
        if room >= at:
            at = room + 1
        self.next = at + ADDRESS
