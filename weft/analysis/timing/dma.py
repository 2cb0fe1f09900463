"""The load and the store DMA: a command's bursts, in order, several in flight."""

from collections import deque

from hw.npu.axi import BOUNDARY
from hw.npu.scratchpad import ActivationScratchpad
from hw.npu.store_dma import StoreDma
from weft.analysis.timing.stream import ADDRESS

PLAN = 1
"""From a command that is taken to its first burst."""
BEAT = 1
"""From a beat on R to its byte in the scratchpad."""
TOKEN = 1
"""From a command's completion to the count that others wait for."""
ANSWER = 1 + ActivationScratchpad.READ_LATENCY + 1 + 1
"""From a burst of the store to its first beat on W: run, scratchpad, answers, register."""


def bursts_of(transfer, block, axi_bytes) -> list[int]:
    """Beats of each burst: rows are cut at multiples of ``block`` bytes (`hw.npu.bursts.BurstPlanner`)."""
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
    """One DMA. `begin` takes a command, `issue` gives DDR its next burst; the command is complete with the last.

    Parameters
    ----------
    config : NpuConfig
    stores : bool
        It is the store DMA.
    """

    def __init__(self, config, *, stores):
        self.axi_bytes, self.stores = config.axi_bytes, stores
        self.block = min(BOUNDARY, config.max_burst * config.axi_bytes)
        self.in_flight = deque([-1] * config.outstanding, maxlen=config.outstanding)
        self.runs = deque([-1] * StoreDma.RUNS, maxlen=StoreDma.RUNS)
        self.free = 0  # first cycle in which a command can be taken
        self.beats, self.place, self.may_issue = [], 0, 0
        self.first = self.moved = 0

    @property
    def busy(self) -> bool:
        """Bursts of the present command are not issued."""
        return self.place < len(self.beats)

    def begin(self, transfer, taken):
        """Takes a command."""
        self.beats, self.place = bursts_of(transfer, self.block, self.axi_bytes), 0
        self.may_issue = max(self.may_issue, taken + PLAN)

    def next_issue(self):
        """Earliest cycle in which the next burst can pass the arbiter."""
        room = max(self.in_flight[0], self.runs[0]) if self.stores else self.in_flight[0]
        return max(self.may_issue, room + 1) + ADDRESS

    def issue(self, cycle, port):
        """The next burst passes the arbiter; gives the cycles of its first and last beat (stores: of the response)."""
        beats = self.beats[self.place]
        self.place += 1
        self.free = self.next_issue() - ADDRESS + 1
        if self.stores:
            first, (last, ended) = cycle, port.write(cycle - ADDRESS + ANSWER, beats)
            self.runs.append(last - ANSWER + 1)
        else:
            first, ended = port.read(cycle + ADDRESS, beats)
        self.may_issue = cycle
        self.in_flight.append(ended)
        return first, ended
