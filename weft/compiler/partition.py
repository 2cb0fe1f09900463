"""Pass: the plan, found by dynamic programming over the steps.

Before each step some tensors live; each is whole in the scratchpad or in DDR. A segment leads from one such state to a later
one: it runs one step or a cascade of several, in bands of some height, and leaves what it makes in the scratchpad or in DDR. Its cost
is an estimate of its cycles; the cheapest chain of segments is the plan. Where everything fits as a whole, every step is a segment.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from hw.npu.config import KIB, MAX_ACT_KIB, NpuConfig
from hw.npu.errors import WeftError
from weft.compiler.bands import Band, cascade, rows_held
from weft.compiler.estimate import DEPENDENT_CYCLES
from weft.compiler.plan import Life, Plan, Segment, lives
from weft.compiler.steps import Network
from weft.compiler.tile import StepTiler

LONGEST_CASCADE = 6
"""Steps of a segment, at most."""
BAND_BLOCKS = (0, 1, 2, 4, 8)
"""Heights of bands that are tried, in blocks of the accumulators; 0 stands for a single row."""
DDR_BYTES = 8
"""Bytes a cycle of the reference DDR."""
COMMAND_TRAFFIC = 200
"""Bytes of commands and records for each work."""


@dataclass
class _Path:
    """The cheapest way to a state."""

    cycles: int
    before: "_Path | None" = None
    segment: Segment | None = None
    resident: frozenset = frozenset()


@dataclass
class Partitioner:
    """Finds the plan of a network.

    Attributes
    ----------
    network : Network
    config : NpuConfig
    tilers : list of StepTiler
    budget : int
        Bytes of the scratchpad that a segment may need.
    """

    network: Network
    config: NpuConfig
    tilers: list[StepTiler]
    budget: int
    _lives: dict[str, Life] = field(init=False)
    _cascades: dict = field(default_factory=dict)
    _segments: dict = field(default_factory=dict)

    def __post_init__(self):
        self._lives = lives(self.network, self.config)

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
        for first in range(count):
            for resident, path in states[first].items():
                for segment, after in self._choices(first, resident):
                    cycles = path.cycles + segment.cycles
                    known = states[segment.end].get(after)
                    if known is None or cycles < known.cycles:
                        states[segment.end][after] = _Path(cycles, path, segment, after)
        if not states[count]:
            raise self._too_small(max(index for index in range(count) if states[index]))
        return self._plan_of(min(states[count].values(), key=lambda path: path.cycles))

    def _plan_of(self, path) -> Plan:
        chain = []
        while path.segment is not None:
            chain.append(path)
            path = path.before
        chain.reverse()
        resident = {}
        for index, link in enumerate(chain):
            for name in link.resident:
                resident[name] = (resident.get(name, (index, index))[0], index)
        for name, (begin, _) in resident.items():  # it is there until its last reader is done
            last = max((i for i, link in enumerate(chain) if link.segment.first <= self._lives[name].last), default=begin)
            resident[name] = (begin, last)
        return Plan(tuple(link.segment for link in chain), resident)

    # Choices

    def _choices(self, first: int, resident: frozenset) -> Iterator[tuple[Segment, frozenset]]:
        """Segments that can begin here, each with the tensors that are whole in the scratchpad after it."""
        found = False
        for end in range(first + 1, min(first + LONGEST_CASCADE, len(self.network.steps)) + 1):
            if end > first + 1 and not self._worth_cascading(first, end):
                break
            touched = {name for index in range(first, end) for name in self._roots(index)}
            movable = [self._lives[name] for name in sorted(touched - resident) if self._lives[name].last >= end]
            for picks in itertools.product((True, False), repeat=len(movable)):
                stays = {life.name for life, pick in zip(movable, picks) if pick}
                for blocks in (None, *BAND_BLOCKS):
                    segment = self._segment(first, end, blocks, resident, frozenset(stays))
                    if segment is None:
                        continue
                    found = True
                    after = frozenset(name for name in (resident | stays) if self._lives[name].last >= end)
                    yield segment, after
                    if blocks is None and segment.whole:
                        break  # bands are for what does not fit
            if end == first + 1 and found and self._fits_whole(first, resident):
                break

    def _bytes(self, size):
        """Bytes that a buffer takes: whole words."""
        return -(-size // self.config.word_bytes) * self.config.word_bytes

    def _roots(self, index):
        step = self.network.steps[index]
        return {self.network.root[name] for name in (*step.reads, step.output)}

    def _fits_whole(self, index, resident) -> bool:
        """The step's tensors fit side by side, with those that stay."""
        names = self._roots(index) | {name for name in resident if self._lives[name].last >= index}
        return sum(self._bytes(self._lives[name].size) for name in names) <= self.budget

    def _worth_cascading(self, first, end) -> bool:
        """Some step of the segment does not fit as a whole."""
        return any(not self._fits_whole(index, frozenset()) for index in range(first, end))

    # Segments

    def _bands(self, first, end, blocks):
        """Bands of a segment; None: each step at one go."""
        if (first, end, blocks) not in self._cascades:
            steps = self.network.steps
            if blocks is None:
                bands = [Band(index, 0, steps[index].result.height) for index in range(first, end)]
            else:
                depth = self.config.ACCUMULATOR_DEPTH
                rows = {index: max(1, blocks * max(1, depth // steps[index].result.width)) for index in range(first, end)}
                bands = cascade(self.network, first, end, rows.__getitem__)
            self._cascades[first, end, blocks] = bands
        return self._cascades[first, end, blocks]

    def _segment(self, first, end, blocks, resident, stays) -> Segment | None:
        """A segment, or None where it does not fit.

        Parameters
        ----------
        blocks : int or None
            Height of bands in blocks; None for whole images.
        resident, stays : frozenset of str
            Tensors that are whole in the scratchpad before; that are put there by the segment.
        """
        if blocks is None and end > first + 1:
            return None
        bands = self._bands(first, end, blocks)
        if blocks is not None and len(bands) == end - first and end == first + 1:
            return None  # the same as whole
        touched = set().union(*(self._roots(index) for index in range(first, end)))
        whole = {name for name in resident if self._lives[name].last >= first} | stays
        rings, loaded, stored, size = {}, set(), set(), sum(self._bytes(self._lives[name].size) for name in whole)
        for name in touched:
            life = self._lives[name]
            begins = first <= life.first and life.made >= 0
            comes = not begins and name not in resident
            if (comes or name not in whole) and first <= life.made and (life.made >= end or not begins):
                return None  # made in several segments: it must stay
            goes = first <= life.made < end and (life.output or (life.last >= end and name not in stays and name not in resident))
            if comes:
                loaded.add(name)
            if goes:
                stored.add(name)
            if name in whole:
                continue
            rows = life.height
            if life.ringable and blocks is not None:
                rows = rows_held(self.network, bands, name, life.height, loaded=comes, stored=goes)
            rings[name] = rows
            size += self._bytes(rows * life.pitch)
        if size > self.budget:
            return None
        cycles, traffic, kept = self._cost(first, end, bands, loaded, stored)
        return Segment(first, end, tuple(bands), rings, frozenset(loaded), frozenset(stored), kept, cycles, traffic)

    def _cost(self, first, end, bands, loaded, stored) -> tuple[int, int, bool]:
        """Estimated cycles, bytes to and from DDR, and whether the weights of all steps are kept."""
        tilers = self.tilers[first:end]
        weights = [tiler.weight_bytes for tiler in tilers]
        kept = len(bands) == 1 or sum(weights) + KIB <= self.config.weight_bytes
        compute, previous, times = 0, None, dict.fromkeys(range(first, end), 0)
        for band in bands:
            compute += self.tilers[band.step].band_cycles(band.rows)
            if previous is not None and previous.step != band.step and previous.step in self._feeds(band.step):
                compute += 4
            times[band.step] += 1
            previous = band
        if len(bands) > 1 and end - first > 1:
            compute += DEPENDENT_CYCLES
        activations = sum(self._lives[name].height * self._lives[name].row_bytes for name in (*loaded, *stored))
        moved = sum(size * (1 if kept else times[tiler.index]) for size, tiler in zip(weights, tilers))
        traffic = activations + moved + COMMAND_TRAFFIC * len(bands)
        rate = min(self.config.axi_bytes, DDR_BYTES)
        fill = sum(self._lives[name].row_bytes * bands[0].rows for name in loaded) // rate
        cycles = max(compute, traffic // rate) + DEPENDENT_CYCLES + fill // 2
        return cycles, traffic, kept

    def _feeds(self, index):
        roots = {self.network.root[name] for name in self.network.steps[index].reads}
        return {other for other in range(index) if self.network.root[self.network.steps[other].output] in roots}

    # Errors

    def _too_small(self, index) -> WeftError:
        step, needed = self.network.steps[index], 0
        bands = self._bands(index, index + 1, 0)
        for name in self._roots(index):
            life = self._lives[name]
            rows = life.height
            if life.ringable:
                rows = rows_held(
                    self.network, bands, name, life.height, loaded=life.first < index or life.made < 0, stored=life.first >= index
                )
            needed += rows * life.pitch
        granule = max(1, self.config.BANKS * self.config.word_bytes // KIB)
        enough = -(-needed // KIB // granule) * granule + granule
        missing = -(-max(1, needed - self.budget) // KIB)
        return WeftError(
            f"the activation scratchpad of {self.config.act_kib} KiB is {missing} KiB too small for the rows that it needs at a time",
            file=self.network.graph.file,
            layer=step.title,
            remedy=f"set act_kib to {enough} or more"
            if enough <= MAX_ACT_KIB
            else f"act_kib is at most {MAX_ACT_KIB}: use a smaller network",
        )
