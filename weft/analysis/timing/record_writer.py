"""The record writer: 64 bytes a command on the write channel, when the last command's records are out."""

from collections import deque

from hw.npu.control.record_writer import RecordWriter
from hw.npu.interface.records import RECORD_BYTES
from weft.analysis.timing.stream import NEVER

ADDRESS = 3
"""From a turn that is given to the first beat on W: the address register, the arbiter's, DDR's."""


class RecordQueue:
    """Records of three sources that take turns.

    Parameters
    ----------
    config : NpuConfig
    enabled : bool
        Records are written; else they are swallowed as they come.
    """

    def __init__(self, config, *, enabled):
        beats = RECORD_BYTES // config.axi_bytes
        self.bursts = [min(config.max_burst, beats)] * -(-beats // min(config.max_burst, beats))
        self.enabled = enabled
        self.waiting = [deque() for _ in range(3)]  # (cycle from which a source shows its record, command)
        self.turn, self.free = 0, 0
        self.responses = deque([-1] * RecordWriter.OUTSTANDING, maxlen=RecordWriter.OUTSTANDING)
        self.idle_from = 0
        self.taken = {}  # cycle in which a command's record left its source

    def add(self, source, cycle, index):
        """A command is complete; its record is offered from a cycle on."""
        if self.enabled:
            self.waiting[source].append((cycle, index))
        else:
            self.taken[index] = cycle
            self.idle_from = max(self.idle_from, cycle + 1)

    def next_issue(self):
        """Earliest cycle in which a record can be written; `NEVER` where none is known."""
        first = min(queue[0][0] if queue else NEVER for queue in self.waiting)
        return max(self.free, first)

    def issue(self, cycle, port):
        """Writes the record whose turn comes first from this cycle on."""
        while not (self.waiting[self.turn] and self.waiting[self.turn][0][0] <= cycle):
            self.turn = (self.turn + 1) % 3
            cycle += 1
        _, index = self.waiting[self.turn].popleft()
        for beats in self.bursts:
            cycle = max(cycle, self.responses[0] + 1)
            last, response = port.write(cycle + ADDRESS, beats)
            self.responses.append(response)
            cycle = last + 1
        self.turn = (self.turn + 1) % 3
        self.free = last + 1
        self.idle_from = response + 1
        self.taken[index] = last
