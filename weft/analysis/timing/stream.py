"""Command fetch and dispatcher: when each command reaches its queue."""

from hw.npu.control.command_fetch import BLOCK_BYTES
from weft.analysis.timing.latencies import latencies

NEVER = 1 << 62
"""A cycle that is not known, or does not come."""
FETCH_AHEAD = 8
"""Blocks that the fetch's buffer holds (`hw.npu.control.command_fetch.CommandFetch`, ``ahead``)."""
START = 1
"""From a job's first cycle to a fetch that knows there is something to ask for; and from one of its bursts to the next, beyond one."""
ADDRESS = 1
"""From a burst that is issued to the arbiter, and from there to the bus: a register each."""
BUFFER = 2
"""From a beat on R to the word at the dispatcher: the buffer, and the register behind it."""


class CommandStream:
    """Bursts of commands, their words, and the commands that they make.

    Parameters
    ----------
    config : NpuConfig
    sizes : list of int
        Bytes of each command.
    """

    def __init__(self, config, sizes):
        burst_bytes = min(BLOCK_BYTES, config.max_burst * config.axi_bytes)
        self.beats = burst_bytes // config.axi_bytes
        self.capacity = FETCH_AHEAD * BLOCK_BYTES // config.axi_bytes
        self.ends = []  # words up to the end of each command
        words = 0
        for size in sizes:
            words += size // config.axi_bytes
            self.ends.append(words)
        self.words = words
        at = latencies(config)
        self._hand, self._next, self._judged = at.hand, at.next_command, at.judged
        self.asked = 0  # words in bursts that are issued
        self.may_issue = START
        self.bursts = []  # (words before it, its beats, first beat's cycle, last beat's cycle)
        self.taken = []  # cycle in which the dispatcher took a command's last word
        self.handed = []  # cycle in which it went to its queue
        self._burst = self._reader = 0  # of the next command's last word; of the word that makes room

    def next_issue(self):
        """Earliest cycle in which the next burst can pass the arbiter; `NEVER` where that is not known, or there is none."""
        if self.asked >= self.words:
            return NEVER
        # Words that must have left the buffer: it asks for room for a whole burst, also where the last one is shorter.
        needed = self.asked + self.beats - self.capacity
        if needed <= 0:
            return self.may_issue + ADDRESS
        while self._reader < len(self.taken) and self.ends[self._reader] < needed:
            self._reader += 1
        if self._reader >= len(self.taken):
            return NEVER
        left = self.taken[self._reader] - (self.ends[self._reader] - needed)
        return max(self.may_issue, left + 1) + ADDRESS

    def issue(self, cycle, port):
        """The next burst passes the arbiter."""
        beats = min(self.beats, self.words - self.asked)
        first, last = port.read(cycle + ADDRESS, beats)
        self.bursts.append((self.asked, beats, first, last))
        self.asked += beats
        self.may_issue = cycle + START

    def assemble(self):
        """Whether the next command's last word is known to be taken; notes its cycle."""
        number = len(self.handed)
        if len(self.taken) > number:
            return True
        if number >= len(self.ends) or self.ends[number] > self.asked:
            return False
        begin, word = self.ends[number - 1] if number else 0, self.ends[number] - 1
        opened = self.handed[-1] + self._next if number else 0
        opened = max(self._arrived(begin), opened) + self._judged + word - begin
        self.taken.append(max(self._arrived(word), opened))
        return True

    def _arrived(self, word):
        """Cycle from which a word, not in front of those that were asked for before, stands at the dispatcher."""
        while self.bursts[self._burst][0] + self.bursts[self._burst][1] <= word:
            self._burst += 1
        before, beats, first, last = self.bursts[self._burst]
        arrived = last - (beats - 1 - (word - before)) * ((last - first) / (beats - 1) if beats > 1 else 0)
        return int(arrived) + BUFFER

    def hand(self, room):
        """Hands the command that is assembled to its queue, which has room from a cycle on."""
        self.handed.append(max(self.taken[-1] + self._hand, room))
        return self.handed[-1]
