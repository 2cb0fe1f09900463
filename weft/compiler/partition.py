"""Pass: the plan, found by dynamic programming over the steps.

Before each step some tensors live; each is whole in the scratchpad or in DDR. A segment leads from one such state to a later
one: it runs one step or a cascade of several, in bands of some height, and leaves what it makes in the scratchpad or in DDR. Its cost
is an estimate of its cycles; the cheapest chain of segments is the plan. Where everything fits as a whole, every step is a segment.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from hw.npu.config import KIB, MAX_ACT_KIB
from hw.npu.errors import WeftError
from weft.compiler.plan import Life, Plan, RunnerUp, Segment
from weft.compiler.segments import BANDS, WINDOW_ROWS, Bandings, SegmentMaker

LONGEST_CASCADE, MOST_CASCADED = 6, 32
"""Operators of a segment, at most, and steps: an operator may have several, which make one tensor together."""
MOST_STATES = 96
"""Before a step, at most: the cheapest half of them and those with the fewest bytes. Sixteen branches side by side have 2^16."""


@dataclass
class _Path:
    """The cheapest way to a state."""

    cycles: int
    before: "_Path | None" = None
    segment: Segment | None = None
    resident: frozenset = frozenset()


@dataclass(frozen=True)
class _Way:
    """A segment from one state to another."""

    before: frozenset
    segment: Segment
    after: frozenset


def _runners_up(chain: list[_Path], ways: list[_Way]) -> tuple[RunnerUp | None, ...]:
    """For each segment of the chain the best other way on from its first state."""
    rest: dict[tuple[int, frozenset], int] = {(chain[-1].segment.end, chain[-1].resident): 0}
    others: dict[tuple[int, frozenset], list[_Way]] = {}
    for way in reversed(ways):  # those that begin later come first
        here = way.segment.first, way.before
        others.setdefault(here, []).append(way)
        if (way.segment.end, way.after) in rest:
            cycles = way.segment.cycles + rest[way.segment.end, way.after]
            rest[here] = min(cycles, rest.get(here, cycles))
    found: list[RunnerUp | None] = []
    for link in chain:
        here = link.segment.first, link.before.resident
        costs = [
            (way.segment.cycles + rest[way.segment.end, way.after] - rest[here], number, way.segment)
            for number, way in enumerate(others[here])
            if way.segment is not link.segment and (way.segment.end, way.after) in rest
        ]
        cycles, _, segment = min(costs, default=(0, 0, None))
        found.append(RunnerUp(segment, cycles) if segment else None)
    return tuple(found)


@dataclass
class Partitioner:
    """Finds the plan of a network.

    Attributes
    ----------
    bandings : Bandings
        Of the network.
    lives : dict of str to Life
        Of its root tensors.
    budget : int
        Bytes of the scratchpad that a segment may need.
    """

    bandings: Bandings
    lives: dict[str, Life]
    budget: int

    def __post_init__(self):
        self.network, self.config = self.bandings.network, self.bandings.config
        self._maker = SegmentMaker(self.bandings, self.lives, self.budget)

    def plan(self) -> Plan:
        """The plan with the fewest estimated cycles.

        Raises
        ------
        WeftError
            If some step does not fit the scratchpad in any way; it says what is missing.
        """
        count = len(self.network.steps)
        states: list[dict[frozenset, _Path]] = [{} for _ in range(count + 1)]
        states[0][frozenset()] = _Path(0)
        ways: list[_Way] = []
        for first in range(count):
            for resident, path in self._worth_going_on(states[first]):
                for segment, after in self._choices(first, resident):
                    ways.append(_Way(resident, segment, after))
                    cycles = path.cycles + segment.cycles
                    known = states[segment.end].get(after)
                    if known is None or cycles < known.cycles:
                        states[segment.end][after] = _Path(cycles, path, segment, after)
        if not states[count]:
            raise self._too_small(max(index for index in range(count) if states[index]))
        return self._plan_of(min(states[count].values(), key=lambda path: path.cycles), ways)

    def _worth_going_on(self, states: dict[frozenset, _Path]) -> list[tuple[frozenset, _Path]]:
        if len(states) <= MOST_STATES:
            return list(states.items())
        cheapest = sorted(states, key=lambda resident: (states[resident].cycles, sorted(resident)))
        smallest = sorted(cheapest, key=lambda resident: sum(self.lives[name].size for name in resident))
        kept = dict.fromkeys((*cheapest[: MOST_STATES // 2], *smallest[: MOST_STATES // 2]))
        return [(resident, states[resident]) for resident in kept]

    def _plan_of(self, path, ways) -> Plan:
        chain = []
        while path.segment is not None:
            chain.append(path)
            path = path.before
        chain.reverse()
        resident = {}
        for index, link in enumerate(chain):
            for name in sorted(link.resident):
                resident[name] = (resident.get(name, (index, index))[0], index)
        for name, (begin, _) in resident.items():  # it is there until its last reader is done
            last = max((i for i, link in enumerate(chain) if link.segment.first <= self.lives[name].last), default=begin)
            resident[name] = (begin, last)
        return Plan(tuple(link.segment for link in chain), _runners_up(chain, ways), resident)

    # Choices

    def _choices(self, first: int, resident: frozenset) -> Iterator[tuple[Segment, frozenset]]:
        """Segments that can begin here, each with the tensors that are whole in the scratchpad after it."""
        found, occupied = False, self._maker.occupied(resident, first)
        for end in self._ends(first):
            if end > first + 1 and not self._worth_cascading(first, end):
                break
            touched = self._maker.touched(first, end)
            movable = [self.lives[name] for name in sorted(touched - resident) if self.lives[name].last >= end]
            for picks in itertools.product((True, False), repeat=len(movable)):
                stays = {life.name for life, pick in zip(movable, picks) if pick}
                for segment in self._in_bands(first, end, resident, frozenset(stays), occupied):
                    found = True
                    after = frozenset(name for name in (resident | stays) if self.lives[name].last >= end)
                    yield segment, after
            if end == first + 1 and found and self._maker.fits_whole(first, resident, occupied):
                break

    def _in_bands(self, first, end, resident, stays, occupied) -> Iterator[Segment]:
        """Segments of these steps: whole, else in bands of every height; a window of too many rows in parts."""
        needs = self._maker.needs(first, end, resident, stays)
        if needs is None:
            return
        free = self.budget - occupied - sum(self._maker.size(name) for name in stays)
        windows = [("window", rows) for rows in WINDOW_ROWS] if end == first + 1 and self._maker.too_tall(first) else ()
        for height in (None, *BANDS, *windows):
            segment = self._maker.segment(needs, height, free)
            if segment is not None:
                yield segment
                if height is None and segment.whole:
                    return  # bands are for what does not fit

    def _ends(self, first) -> Iterator[int]:
        """Ends of segments that are not too long."""
        operators = set()
        for end in range(first + 1, min(first + MOST_CASCADED, len(self.network.steps)) + 1):
            operators.add(self.network.steps[end - 1].name.split("/")[0])
            if len(operators) > LONGEST_CASCADE:
                return
            yield end

    def _worth_cascading(self, first, end) -> bool:
        """Some step of the segment does not fit as a whole."""
        return not all(self._maker.fits_alone(index) for index in range(first, end))

    # Errors

    def _too_small(self, index) -> WeftError:
        step, needed = self.network.steps[index], 0
        tall = self._maker.too_tall(index)
        # what several segments make stays whole until it is made
        unfinished = {name for name, life in self.lives.items() if life.in_pieces and life.first <= index <= life.made}
        for name in self._maker.roots(index) | unfinished:
            life = self.lives[name]
            rows = life.height
            if life.ringable and name not in unfinished:
                ends = {"loaded": life.first < index or life.made < 0, "stored": life.first >= index}
                rows = self.bandings.rows_held(index, index + 1, BANDS[0], life, **ends)
            if tall and name == self.network.root[step.source]:
                rows = 2 * WINDOW_ROWS[-1]
            needed += rows * life.pitch
        granule = max(1, self.config.BANKS * self.config.word_bytes // KIB)
        missing = -(-max(0, needed - self.budget) // KIB)
        amount = f"{missing} KiB " if missing else ""
        # where the step alone would fit, it is the tensors around it that do not: a quarter more is a guess
        enough = -(-(self.config.act_kib + (missing or self.config.act_kib // 4)) // granule) * granule + granule
        return WeftError(
            f"the activation scratchpad of {self.config.act_kib} KiB is {amount}too small for the rows that it needs at a time",
            file=self.network.graph.file,
            layer=step.title,
            remedy=f"set act_kib to {enough} or more"
            if enough <= MAX_ACT_KIB
            else f"act_kib is at most {MAX_ACT_KIB}: use a smaller network",
        )
