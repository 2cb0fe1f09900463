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
from hw.npu.isa import Opcode
from weft.compiler.bands import Band, cascade, rows_held
from weft.compiler.estimate import COMMAND_CYCLES, DEPENDENT_CYCLES, transfer_rate
from weft.compiler.plan import Life, Plan, RunnerUp, Segment, lives
from weft.compiler.reduction import window_parts
from weft.compiler.steps import Network
from weft.compiler.tile import StepTiler

LONGEST_CASCADE, MOST_CASCADED = 6, 32
"""Operators of a segment, at most, and steps: an operator may have several, which make one tensor together."""
BANDS = (("rows", 1), *(("blocks", count) for count in (1, 2, 4, 8)), *(("parts", count) for count in (2, 3, 4, 6, 8)))
"""Heights of bands that are tried: single rows, blocks of the accumulators, parts of the image."""
WINDOW_ROWS = (64, 32, 16, 8, 4, 2, 1)
"""Kernel rows of a work that are tried where the rows of one window do not fit."""
MOST_STATES = 96
"""Before a step, at most: the cheapest half of them and those with the fewest bytes. Sixteen branches side by side have 2^16."""
TRAFFIC_WEIGHT = 16
"""What a byte that hides behind computation costs, against one that does not: it takes energy, and another master's time."""
COMMAND_TRAFFIC = 200
"""Bytes of commands and records for each work."""


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
    _held: dict = field(default_factory=dict)
    _computed: dict = field(default_factory=dict)

    def __post_init__(self):
        self._lives = lives(self.network, self.config, self.tilers)

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
        smallest = sorted(cheapest, key=lambda resident: sum(self._lives[name].size for name in resident))
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
            last = max((i for i, link in enumerate(chain) if link.segment.first <= self._lives[name].last), default=begin)
            resident[name] = (begin, last)
        return Plan(tuple(link.segment for link in chain), _runners_up(chain, ways), resident)

    # Choices

    def _choices(self, first: int, resident: frozenset) -> Iterator[tuple[Segment, frozenset]]:
        """Segments that can begin here, each with the tensors that are whole in the scratchpad after it."""
        found = False
        for end in self._ends(first):
            if end > first + 1 and not self._worth_cascading(first, end):
                break
            touched = {name for index in range(first, end) for name in self._roots(index)}
            movable = [self._lives[name] for name in sorted(touched - resident) if self._lives[name].last >= end]
            for picks in itertools.product((True, False), repeat=len(movable)):
                stays = {life.name for life, pick in zip(movable, picks) if pick}
                for segment in self._in_bands(first, end, resident, frozenset(stays)):
                    found = True
                    after = frozenset(name for name in (resident | stays) if self._lives[name].last >= end)
                    yield segment, after
            if end == first + 1 and found and self._fits_whole(first, resident):
                break

    def _in_bands(self, first, end, resident, stays) -> Iterator[Segment]:
        """Segments of these steps: whole, else in bands of every height; a window of too many rows in parts."""
        windows = [("window", rows) for rows in WINDOW_ROWS] if end == first + 1 and self._too_tall(first) else ()
        for height in (None, *BANDS, *windows):
            segment = self._segment(first, end, height, resident, stays)
            if segment is not None:
                yield segment
                if height is None and segment.whole:
                    return  # bands are for what does not fit

    def _too_tall(self, index) -> bool:
        """A sum or a maximum over a window of which not even the rows of one row of results fit beside each other."""
        step = self.network.steps[index]
        if step.opcode not in (Opcode.SUM, Opcode.MAX) or step.kernel[0] == 1 or not self._lives[self.network.root[step.source]].ringable:
            return False
        alone = index, index + 1, BANDS[0], frozenset(), frozenset()
        return not self._fits_whole(index, frozenset()) and self._segment(*alone) is None

    def _ends(self, first) -> Iterator[int]:
        """Ends of segments that are not too long."""
        operators = set()
        for end in range(first + 1, min(first + MOST_CASCADED, len(self.network.steps)) + 1):
            operators.add(self.network.steps[end - 1].name.split("/")[0])
            if len(operators) > LONGEST_CASCADE:
                return
            yield end

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

    def _bands(self, first, end, height) -> list[Band]:
        """Bands of a segment; None: each step at one go."""
        if (first, end, height) not in self._cascades:
            steps = self.network.steps
            rows = {index: self._band_rows(index, height) for index in range(first, end)}
            if height is None:
                bands = [Band(index, 0, steps[index].result.height) for index in range(first, end)]
            else:
                bands = cascade(self.network, first, end, rows.__getitem__)
            self._cascades[first, end, height] = bands
        return self._cascades[first, end, height]

    def _band_rows(self, index, height) -> int:
        """Rows of a step's bands."""
        result = self.network.steps[index].result
        kind, count = height or ("parts", 1)
        if kind == "rows":
            return count
        if kind == "window":
            return 1
        if kind == "blocks":
            return count * max(1, self.config.ACCUMULATOR_DEPTH // result.width)
        return -(-result.height // count)

    def _rows_held(self, first, end, height, name, loaded, stored) -> int:
        """Rows of a tensor that a segment's ring holds."""
        key = first, end, height, name, loaded, stored
        if key not in self._held:
            bands = self._bands(first, end, height)
            self._held[key] = rows_held(self.network, bands, name, self._lives[name].height, loaded=loaded, stored=stored)
        return self._held[key]

    def _compute(self, first, end, height) -> tuple[int, dict[int, int]]:
        """Cycles of the bands, and how many bands each step has."""
        if (first, end, height) not in self._computed:
            cycles, times = 0, dict.fromkeys(range(first, end), 0)
            for band in self._bands(first, end, height):
                cycles += self.tilers[band.step].band_cycles(band.rows)
                times[band.step] += 1
            self._computed[first, end, height] = cycles, times
        return self._computed[first, end, height]

    def _segment(self, first, end, height, resident, stays) -> Segment | None:
        """A segment, or None where it does not fit.

        Parameters
        ----------
        height : tuple or None
            Of bands; None for whole images.
        resident, stays : frozenset of str
            Tensors that are whole in the scratchpad before; that are put there by the segment.
        """
        if height is None and end > first + 1:
            return None
        bands = self._bands(first, end, height)
        window_rows = height[1] if height is not None and height[0] == "window" else 0
        if height is not None and len(bands) == 1 and not window_rows:
            return None  # the same as whole
        touched = set().union(*(self._roots(index) for index in range(first, end)))
        whole = {name for name in resident if self._lives[name].last >= first} | stays
        rings, loaded, stored, size = {}, set(), set(), sum(self._bytes(self._lives[name].size) for name in whole)
        for name in sorted(touched):
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
            if window_rows:
                rows = min(rows, 2 * window_rows) if comes and name == self.network.root[self.network.steps[first].source] else rows
            elif life.ringable and height is not None:
                rows = self._rows_held(first, end, height, name, comes, goes)
            rings[name] = rows
            size += self._bytes(rows * life.pitch)
        alike = {name for name, rows in rings.items() if rows == self._lives[name].height}
        over = self._overwritten(first, end, height, (whole | alike) - loaded)
        if size - (self._bytes(self._lives[over].size) if over else 0) > self.budget:
            return None
        cycles, traffic, kept = self._cost(first, end, height, loaded, stored)
        return Segment(first, end, tuple(bands), rings, frozenset(loaded), frozenset(stored), kept, over, cycles, traffic, window_rows)

    def _overwritten(self, first, end, height, whole) -> str | None:
        """The second operand whose bytes the result may take: it dies here, and lies as the result does."""
        step = self.network.steps[first]
        if height is not None or end != first + 1 or step.second is None or step.constant is not None:
            return None
        if step.output_view is not None or step.second_view is not None:
            return None
        second, output = (self._lives[self.network.root[name]] for name in (step.second, step.output))
        alike = (second.height, second.row_bytes, second.pitch) == (output.height, output.row_bytes, output.pitch)
        dies = second.last == first and output.first == first and second.name != self.network.root[step.source]
        seen = step.result.row_bytes in (second.row_bytes, step.result.height * step.result.row_bytes // second.height)
        return second.name if alike and dies and seen and {second.name, output.name} <= whole else None

    def _cost(self, first, end, height, loaded, stored) -> tuple[int, int, bool]:
        """Estimated cycles, bytes to and from DDR, and whether the weights of all steps are kept."""
        tilers = self.tilers[first:end]
        weights = [tiler.weight_bytes for tiler in tilers]
        bands = self._bands(first, end, height)
        kept = len(bands) == 1 or sum(weights) + KIB <= self.config.weight_bytes
        compute, times = self._compute(first, end, height)
        if end > first + 1:
            compute += DEPENDENT_CYCLES
        activations = sum(self._lives[name].height * self._lives[name].row_bytes for name in (*loaded, *stored))
        ahead, works = bands[0].rows, len(bands)
        if height is not None and height[0] == "window":
            repeated, works = self._repeated(first, bands, height[1])
            activations, ahead, compute = activations + repeated, height[1], compute + works * COMMAND_CYCLES
        moved = sum(size * (1 if kept else times[tiler.index]) for size, tiler in zip(weights, tilers))
        traffic = activations + moved + COMMAND_TRAFFIC * works
        rate = transfer_rate(self.config)
        fill = sum(self._lives[name].row_bytes * min(ahead, self._lives[name].height) for name in loaded) // rate
        cycles = max(compute, traffic // rate) + DEPENDENT_CYCLES + fill // 2 + traffic // rate // TRAFFIC_WEIGHT
        return cycles, traffic, kept

    def _repeated(self, index, bands, window_rows) -> tuple[int, int]:
        """Bytes of rows that come more than once, and works: a window in parts goes by for each block and column tile of its results."""
        step, tiler = self.network.steps[index], self.tilers[index]
        life = self._lives[self.network.root[step.source]]
        spans = [step.rows_read(band.y, band.rows) for band in bands]
        times = tiler.tiles * len(tiler.band_blocks(0, 1))
        rows = sum(high - low for low, high in spans) * times
        return max(0, rows - life.height) * life.row_bytes, len(bands) * times * len(window_parts(step, window_rows))

    # Errors

    def _too_small(self, index) -> WeftError:
        step, needed = self.network.steps[index], 0
        bands, tall = self._bands(index, index + 1, BANDS[0]), self._too_tall(index)
        # what several segments make stays whole until it is made
        unfinished = {name for name, life in self._lives.items() if life.in_pieces and life.first <= index <= life.made}
        for name in self._roots(index) | unfinished:
            life = self._lives[name]
            rows = life.height
            if life.ringable and name not in unfinished:
                rows = rows_held(
                    self.network, bands, name, life.height, loaded=life.first < index or life.made < 0, stored=life.first >= index
                )
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
