"""The weight loader: when each row of a command's stream is delivered."""

from hw.npu.weights.weight_loader import WeightLoader


class Loader:
    """Delivers rows in order, one a cycle, to the array or to the output stage; reads ahead as far as its queue has room.

    The load DMA beside it costs it nothing: a word waits until the loader has passed (`hw.npu.scratchpad.weight_scratchpad`).

    Parameters
    ----------
    rows : int
        Rows of the array.
    at : Latencies
    """

    def __init__(self, rows, at):
        self.at = at
        self.slowest_tile = rows + WeightLoader.QUEUE
        """Cycles in which the rows of any reduction tile are delivered."""
        self.delivered = self.asked = -1  # last row delivered, and asked for
        self._first = 0  # from when on the present command's rows can come

    def begin(self, taken, loaded, rows):
        """Takes a command with so many rows, which are in the scratchpad from a cycle on."""
        self._first = max(taken + self.at.load_take, loaded + 1) + self.at.row_read if rows else 0
        self.asked = taken + 1

    def rows(self, count, gate) -> int:
        """Delivers the next rows, the first of them not before a cycle; gives the cycle of the last."""
        begin = self.delivered + 1
        if self._first > begin:
            begin = self._first
        if gate > begin:
            begin = gate
        self.delivered = last = begin + count - 1
        return last

    def skip(self, last):
        """Rows were delivered, up to this cycle, in time for their waves."""
        self.delivered = max(self.delivered, last)

    def end(self, work):
        """The last row of a command is delivered: when it was asked for."""
        if not work.stream_rows:
            return
        last_tile = work.tile_rows[-1] if work.array else 0
        waited = self.delivered - last_tile > self.asked + self.at.row_read + work.stream_rows
        self.asked = self.delivered - (WeightLoader.QUEUE - 1 if waited else self.at.row_read)
