"""The weight loader: when each row of a command's stream is delivered."""

import math
from collections import deque

from hw.npu.weight_loader import WeightLoader
from hw.npu.weight_scratchpad import WeightScratchpad

TAKE = 2
"""From a command that is taken to its first row asked for."""
ROW_READ = WeightScratchpad.READ_LATENCY + 1
"""From a row asked for to its delivery: scratchpad, queue."""
BEATS_APART = 8
"""Bursts of weights that are closer than this are one."""


def row_cycles(config, pace) -> float:
    """Cycles from row to row of the weight loader while the load DMA writes into the same banks, where it goes first.

    Both walk over the banks. A loader that is faster comes to the bank that is written, and stands there until that is full, or until the
    next beat finds it in the next bank: it follows at the DMA's speed. In all other cases one passes the other, and loses a cycle.
    """
    beats = config.weight_word_bytes // config.axi_bytes
    loader, writer = config.cols / config.weight_word_bytes, 1 / (beats * pace)  # banks a cycle
    if loader > writer and (pace == 1 or (beats == 1 and pace == 2)):
        return loader / writer
    lost = beats if writer > loader else 1
    return 1 / (1 - lost * abs(loader - writer) / config.WEIGHT_BANKS)


class Loader:
    """Delivers rows in order, one a cycle, to the array or to the output stage; reads ahead as far as its queue has room.

    Parameters
    ----------
    config : NpuConfig
    pace : int
        Cycles from beat to beat of a load.
    """

    def __init__(self, config, pace):
        self.row_cycles = row_cycles(config, pace)
        self.slowest_tile = math.ceil(config.rows * self.row_cycles) + WeightLoader.QUEUE
        """Cycles in which the rows of any reduction tile are delivered."""
        self.writing = deque()  # cycles in which the load DMA writes weights: first, last
        self.delivered = self.asked = -1  # last row delivered, and asked for
        self._row_asked = -1  # the same while weights are written, a fraction of a cycle taken into account
        self._first = 0  # from when on the present command's rows can come

    def cycles(self, rows) -> int:
        """Cycles that rows take at least."""
        return int(rows * self.row_cycles) if self.writing else rows

    def begin(self, taken, loaded, rows):
        """Takes a command with so many rows, which are in the scratchpad from a cycle on."""
        self._first = max(taken + TAKE, loaded + 1) + ROW_READ if rows else 0
        self.asked = taken + 1

    def rows(self, count, gate) -> int:
        """Delivers the next rows, the first of them not before a cycle; gives the cycle of the last."""
        begin = max(self.delivered + 1, self._first, gate)
        last = begin + count - 1
        if self.writing:
            last = max(last, self._read(begin, count))
        self.delivered = last
        return last

    def skip(self, last):
        """Rows were delivered, up to this cycle, in time for their waves."""
        self.delivered = max(self.delivered, last)

    def end(self, work):
        """The last row of a command is delivered: when it was asked for."""
        if not work.stream_rows:
            return
        last_tile = work.tile_rows[-1] if work.array else 0
        waited = self.delivered - last_tile > self.asked + ROW_READ + work.stream_rows
        self.asked = self.delivered - (WeightLoader.QUEUE - 1 if waited else ROW_READ)

    def written(self, first, last):
        """The load DMA writes beats into the weight scratchpad, as close as they can be."""
        if self.row_cycles == 1:
            return
        if self.writing and first <= self.writing[-1][1] + BEATS_APART:
            self.writing[-1][1] = last
        else:
            self.writing.append([first, last])

    def _read(self, begin, count):
        """Earliest cycle in which the last of these rows can be delivered, where the DMA is in the way."""
        while self.writing and self.writing[0][1] < begin - WeightLoader.QUEUE * self.row_cycles:
            self.writing.popleft()
        ahead = min(count, WeightLoader.QUEUE)
        asked = self._ask(max(self._row_asked + 1, self.delivered - WeightLoader.QUEUE + 2), ahead)
        if count > ahead:
            asked = self._ask(max(asked, begin) + 1, count - ahead)
        self._row_asked = asked
        return int(asked) + ROW_READ

    def _ask(self, cycle, rows):
        """Cycle in which the last of these rows is asked for."""
        for first, last in self.writing:
            if cycle < first:
                free = min(rows, first - cycle)
                cycle, rows = cycle + free, rows - free
            if rows and cycle <= last:
                slow = min(rows, int((last - cycle) / self.row_cycles) + 1)
                cycle, rows = cycle + slow * self.row_cycles, rows - slow
            if not rows:
                break
        return cycle + rows - 1
