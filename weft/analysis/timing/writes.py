"""The results' way into the scratchpad: vector by vector, where the feeder reads from the same banks and goes first.

A stream of results that comes to the bank that the feeder reads stands behind it until that moves on, and may follow it through a whole
block: where a job has one reduction tile, results must leave as fast as pixels are read, and the accumulators are not free in time. How
fast it goes depends on where both begin, so that it is played with the addresses and the cycles of the command.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from weft.analysis.timing.banks import PATIENCE


class Vectors(NamedTuple):
    """The results of a job.

    Attributes
    ----------
    first : int
        Cycle in which the first of them can be issued.
    final : sequence of int
        Cycles from which each can be issued, where they are further apart than one; else empty.
    masks : bytes
        Banks that each is written to, a bit each.
    latency : int
        Cycles from its issue to its write.
    turn : int
        Cycles from an issue to one in which none can be, where vectors have a second operand; else 0.
    """

    first: int
    final: Sequence[int]
    masks: bytes
    latency: int
    turn: int


class WritePort:
    """Plays the writes of the output stage beside the reads of the feeder, of which the last few jobs are remembered.

    Parameters
    ----------
    at : Latencies
    """

    REMEMBERED = 3
    """Jobs whose reads may still be met: that whose vectors are written, and those that the feeder was ahead."""

    def __init__(self, at):
        self.at = at
        self.reads = deque(maxlen=self.REMEMBERED)  # first cycle, the one behind the last, banks of each read
        self.made = deque([-1000] * at.waiting, maxlen=at.waiting)  # the last writes that are settled
        self.flying = deque()  # vectors that may still meet reads that are not known: when each is offered, and its banks
        self.joined = deque(maxlen=at.turn)  # when the last vectors with a second operand were issued

    def read(self, begin: int, end: int, masks: bytes):
        """The feeder reads in cycles ``begin`` to ``end - 1``."""
        self.reads.append((begin, end, masks))
        self._settle()

    def play(self, vectors: Vectors) -> tuple[int, int, Sequence[int]]:
        """Lets vectors be issued and written while the feeder reads what is known so far.

        Returns
        -------
        issued, written : int
            Cycle of the last one.
        offered : sequence of int
            Cycles in which each could be written, were there no other, for `keep`.
        """
        first, final, masks, latency, turn = vectors
        places, room, begin = self.at.waiting, self.at.room, first + latency
        busy, base = self._busy(self.flying[0][0] if self.flying else begin)
        made = self._fly(busy, base)
        if base + len(busy) <= begin and not final and not turn and made[-1] < begin and latency + room <= places:
            return first + len(masks) - 1, begin + len(masks) - 1, range(begin, begin + len(masks))  # nothing waits
        until, issue, last, offered = base + len(busy), first - 1, made[-1], []
        ahead, again = len(made) - places, {issued + turn for issued in self.joined}
        for number, mask in enumerate(masks):
            issue += 1
            if final and final[number] > issue:
                issue = final[number]
            if made[number + ahead] + room > issue:
                issue = made[number + ahead] + room
            if turn:
                while issue in again:
                    issue += 1
                again.add(issue + turn)
            offered.append(issue + latency)
            last = max(last + 1, issue + latency)
            if last < until and busy[last - base] & mask:
                last = self._wait(busy, last - base, mask) + base
            made.append(last)
        return issue, last, offered

    def keep(self, offered: Sequence[int], vectors: Vectors):
        """These vectors are issued, and could be written in these cycles."""
        self.flying.extend(zip(offered, vectors.masks, strict=True))
        if vectors.turn:
            self.joined.extend(each - vectors.latency for each in offered)
        self._settle()

    def _fly(self, busy, base):
        """Cycles of the last writes up to now, those of the vectors that fly at the end."""
        made, until = list(self.made), base + len(busy)
        last = made[-1]
        for offered, mask in self.flying:
            last = max(last + 1, offered)
            if last < until and busy[last - base] & mask:
                last = self._wait(busy, last - base, mask) + base
            made.append(last)
        return made

    def _settle(self):
        """What is written before the feeder can read anything else is settled."""
        flying = self.flying
        if not flying:
            return
        busy, base = self._busy(flying[0][0])
        for cycle in self._fly(busy, base)[len(self.made) :]:
            if cycle >= base + len(busy):
                break
            self.made.append(cycle)
            flying.popleft()

    @staticmethod
    def _wait(busy, place, mask):
        """The first place from one on in which the banks are free; a write that is old enough goes first."""
        oldest = place + PATIENCE + 1
        while place < len(busy) and busy[place] & mask and place < oldest:
            place += 1
        return place

    def _busy(self, base):
        """Banks that the feeder reads in the cycles from one on, as the writes see them; and that cycle."""
        busy = bytearray()
        for begin, end, masks in self.reads:
            begin, end = begin - self.at.write_ahead, end - self.at.write_ahead
            at = max(begin, base + len(busy))
            if end <= at:
                continue
            busy += bytes(at - base - len(busy))
            place, count = (at - begin) % len(masks), end - at
            busy += (masks[place:] + masks * (count // len(masks) + 1))[:count]
        return busy, base
