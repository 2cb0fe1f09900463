"""What a segment of the plan needs and costs: rings of rows, what comes from DDR and goes there, cycles and bytes."""

from dataclasses import dataclass, field

from hw.npu.config import KIB, NpuConfig
from hw.npu.interface.isa import Opcode
from weft.compiler.bands import Band, Touch, cascade, rows_held, touches
from weft.compiler.estimate import COMMAND_CYCLES, COMMAND_TRAFFIC, DEPENDENT_CYCLES, transfer_rate
from weft.compiler.plan import Life, Segment
from weft.compiler.reduction import window_parts
from weft.compiler.steps import Network
from weft.compiler.tile import StepTiler

BANDS = (("rows", 1), *(("blocks", count) for count in (1, 2, 4, 8)), *(("parts", count) for count in (2, 3, 4, 6, 8)))
"""Heights of bands that are tried: single rows, blocks of the accumulators, parts of the image."""
WINDOW_ROWS = (64, 32, 16, 8, 4, 2, 1)
"""Kernel rows of a work that are tried where the rows of one window do not fit."""
TRAFFIC_WEIGHT = 16
"""What a byte that hides behind computation costs, against one that does not: it takes energy, and another master's time."""

Height = tuple[str, int]
"""Of bands: what is counted (an entry of `BANDS`, or ``window``), and how many."""


@dataclass(frozen=True, eq=False)
class Needs:
    """What some steps need in the scratchpad, however high their bands are.

    Attributes
    ----------
    first, end : int
        Steps ``first .. end - 1``.
    whole : frozenset of str
        Tensors that the steps touch and that are there as a whole.
    parts : tuple of Life
        The other tensors that they touch, by name.
    least_bytes : int
        Bytes of the latter: a row of each of which a part may be there.
    loaded, stored : frozenset of str
        Tensors that come from DDR, and that go there.
    """

    first: int
    end: int
    whole: frozenset[str]
    parts: tuple[Life, ...]
    least_bytes: int
    loaded: frozenset[str]
    stored: frozenset[str]


@dataclass
class Bandings:
    """The bands of all runs of steps that are looked at, each found once, and what follows from them alone.

    Attributes
    ----------
    network : Network
    config : NpuConfig
    tilers : list of StepTiler
    """

    network: Network
    config: NpuConfig
    tilers: list[StepTiler]
    _cascades: dict[tuple, list[Band]] = field(default_factory=dict)
    _touches: dict[tuple, dict[str, list[Touch]]] = field(default_factory=dict)
    _held: dict[tuple, int] = field(default_factory=dict)
    _computed: dict[tuple, tuple[int, dict[int, int]]] = field(default_factory=dict)

    def of(self, first: int, end: int, height: Height | None) -> list[Band]:
        """Bands of steps; None: each step at one go."""
        key = first, end, height
        if key not in self._cascades:
            rows = {index: self._band_rows(index, height) for index in range(first, end)}
            if height is None:
                bands = [Band(index, 0, self.network.steps[index].result.height) for index in range(first, end)]
            else:
                bands = cascade(self.network, first, end, rows.__getitem__)
            self._cascades[key] = bands
        return self._cascades[key]

    def _band_rows(self, index, height) -> int:
        """Rows of a step's bands."""
        result = self.network.steps[index].result
        kind, count = height or ("parts", 1)
        if kind == "window":
            return 1
        if kind == "rows":
            return count
        if kind == "blocks":
            return count * max(1, self.config.ACCUMULATOR_DEPTH // result.width)
        return -(-result.height // count)

    def rows_held(self, first: int, end: int, height: Height, life: Life, *, loaded: bool, stored: bool) -> int:
        """Rows of a tensor that a segment's ring holds."""
        here = first, end, height
        key = *here, life.name, loaded, stored
        if key not in self._held:
            if here not in self._touches:
                self._touches[here] = touches(self.network, self.of(*here))
            touched = self._touches[here].get(life.name, [])
            self._held[key] = rows_held(self.network, touched, life.height, loaded=loaded, stored=stored)
        return self._held[key]

    def compute(self, first: int, end: int, height: Height | None) -> tuple[int, dict[int, int]]:
        """Cycles of the bands of some steps, and how many bands each step has."""
        if (first, end, height) not in self._computed:
            cycles, times = 0, dict.fromkeys(range(first, end), 0)
            for band in self.of(first, end, height):
                cycles += self.tilers[band.step].band_cycles(band.rows)
                times[band.step] += 1
            self._computed[first, end, height] = cycles, times
        return self._computed[first, end, height]


@dataclass
class SegmentMaker:
    """Segments of a network.

    Attributes
    ----------
    bandings : Bandings
        Of the network.
    lives : dict of str to Life
    budget : int
        Bytes of the scratchpad that a segment may need.
    """

    bandings: Bandings
    lives: dict[str, Life]
    budget: int
    _roots: list[frozenset[str]] = field(init=False)
    _sizes: dict[str, int] = field(init=False)
    _alone: list[bool] = field(init=False)
    _touched: dict[tuple, frozenset[str]] = field(default_factory=dict)
    _needs: dict[tuple, Needs | None] = field(default_factory=dict)
    _made: dict[tuple, tuple[Segment, int]] = field(default_factory=dict)

    def __post_init__(self):
        self.network, self.config, self.tilers = self.bandings.network, self.bandings.config, self.bandings.tilers
        self._word = self.config.word_bytes
        self._sizes = {name: self._bytes(life.size) for name, life in self.lives.items()}
        self._roots = [frozenset(self.network.root[name] for name in (*step.reads, step.output)) for step in self.network.steps]
        self._alone = [self._sum(names) <= self.budget for names in self._roots]

    def _bytes(self, size) -> int:
        """Bytes that a buffer takes: whole words."""
        return -(-size // self._word) * self._word

    def _sum(self, names) -> int:
        return sum(self._sizes[name] for name in names)

    def size(self, name: str) -> int:
        """Bytes of a whole tensor."""
        return self._sizes[name]

    def roots(self, index: int) -> frozenset[str]:
        """Root tensors that a step touches."""
        return self._roots[index]

    def fits_alone(self, index: int) -> bool:
        """A step's tensors fit side by side."""
        return self._alone[index]

    def occupied(self, resident: frozenset[str], first: int) -> int:
        """Bytes of the resident tensors that a step, or a later one, needs."""
        return sum(self._sizes[name] for name in resident if self.lives[name].last >= first)

    def fits_whole(self, index: int, resident: frozenset[str], occupied: int) -> bool:
        """A step's tensors fit with those that stay."""
        return self._alone[index] and occupied + self._sum(self._roots[index] - resident) <= self.budget

    def touched(self, first: int, end: int) -> frozenset[str]:
        """Root tensors that steps touch."""
        key = first, end
        if key not in self._touched:
            self._touched[key] = frozenset().union(*self._roots[first:end])
        return self._touched[key]

    def needs(self, first: int, end: int, resident: frozenset[str], stays: frozenset[str]) -> Needs | None:
        """What steps need, or None where they cannot be a segment: one makes a part of a tensor that must be whole.

        Parameters
        ----------
        resident, stays : frozenset of str
            Tensors that are whole in the scratchpad before; that are put there by the segment.
        """
        here = resident & self.touched(first, end)
        key = first, end, here, stays
        if key not in self._needs:
            self._needs[key] = self._needs_of(*key)
        return self._needs[key]

    def _needs_of(self, first, end, resident, stays) -> Needs | None:
        whole, least = resident | stays, 0
        loaded, stored, parts = set(), set(), []
        for name in sorted(self.touched(first, end)):
            life = self.lives[name]
            begins = first <= life.first and life.made >= 0
            comes = not begins and name not in resident
            if (comes or name not in whole) and first <= life.made and (life.made >= end or not begins):
                return None  # made in several segments: it must stay
            if comes:
                loaded.add(name)
            if first <= life.made < end and (life.output or (life.last >= end and name not in whole)):
                stored.add(name)
            if name not in whole:
                parts.append(life)
                least += self._bytes(life.pitch) if life.ringable else self._sizes[name]
        return Needs(first, end, whole, tuple(parts), least, frozenset(loaded), frozenset(stored))

    def too_tall(self, index: int) -> bool:
        """A sum or a maximum over a window of which not even the rows of one row of results fit beside each other."""
        step = self.network.steps[index]
        if step.opcode not in (Opcode.SUM, Opcode.MAX) or step.kernel[0] == 1 or not self.lives[self.network.root[step.source]].ringable:
            return False
        if self._alone[index]:
            return False
        needs = self.needs(index, index + 1, frozenset(), frozenset())
        return needs is None or self.segment(needs, BANDS[0], self.budget) is None

    # Segments

    def segment(self, needs: Needs, height: Height | None, free: int) -> Segment | None:
        """A segment, or None where it does not fit.

        Parameters
        ----------
        height : tuple or None
            Of bands; None for whole images.
        free : int
            Bytes that are left beside the tensors that are whole.
        """
        first, end = needs.first, needs.end
        if (height is None and end > first + 1) or (height is not None and needs.least_bytes > free):
            return None
        if height is not None and height[0] != "window" and len(self.bandings.of(first, end, height)) == 1:
            return None  # the same as whole
        key = needs, height
        if key not in self._made:
            self._made[key] = self._segment(needs, height)
        segment, size = self._made[key]
        return segment if size <= free else None

    def _segment(self, needs, height) -> tuple[Segment, int]:
        """The segment, and the bytes that it takes beside the tensors that are whole."""
        first, end = needs.first, needs.end
        rings = {life.name: self._ring(needs, height, life) for life in needs.parts}
        size = sum(self._bytes(rings[life.name] * life.pitch) for life in needs.parts)
        alike = {life.name for life in needs.parts if rings[life.name] == life.height}
        over = self._overwritten(first, end, height, (needs.whole | alike) - needs.loaded)
        cycles, traffic, kept = self._cost(needs, height)
        window_rows = height[1] if height is not None and height[0] == "window" else 0
        moved = needs.loaded, needs.stored
        bands = tuple(self.bandings.of(first, end, height))
        segment = Segment(first, end, bands, rings, *moved, kept, over, cycles, traffic, window_rows)
        return segment, size - (self._sizes[over] if over else 0)

    def _ring(self, needs, height, life) -> int:
        """Rows of a tensor that the segment holds."""
        loaded, stored = life.name in needs.loaded, life.name in needs.stored
        if height is not None and height[0] == "window":
            source = self.network.root[self.network.steps[needs.first].source]
            return min(life.height, 2 * height[1]) if loaded and life.name == source else life.height
        if life.ringable and height is not None:
            return self.bandings.rows_held(needs.first, needs.end, height, life, loaded=loaded, stored=stored)
        return life.height

    def _overwritten(self, first, end, height, whole) -> str | None:
        """The second operand whose bytes the result may take: it dies here, and lies as the result does."""
        step = self.network.steps[first]
        if height is not None or end != first + 1 or step.second is None or step.constant is not None:
            return None
        if step.output_view is not None or step.second_view is not None:
            return None
        second, output = (self.lives[self.network.root[name]] for name in (step.second, step.output))
        alike = (second.height, second.row_bytes, second.pitch) == (output.height, output.row_bytes, output.pitch)
        dies = second.last == first and output.first == first and second.name != self.network.root[step.source]
        seen = step.result.row_bytes in (second.row_bytes, step.result.height * step.result.row_bytes // second.height)
        return second.name if alike and dies and seen and {second.name, output.name} <= whole else None

    # Costs

    def _cost(self, needs, height) -> tuple[int, int, bool]:
        """Estimated cycles, bytes to and from DDR, and whether the weights of all steps are kept."""
        first, end = needs.first, needs.end
        tilers = self.tilers[first:end]
        weights = [tiler.weight_bytes for tiler in tilers]
        bands = self.bandings.of(first, end, height)
        kept = len(bands) == 1 or sum(weights) + KIB <= self.config.weight_bytes
        compute, times = self.bandings.compute(first, end, height)
        if end > first + 1:
            compute += DEPENDENT_CYCLES
        activations = sum(self.lives[name].height * self.lives[name].row_bytes for name in (*needs.loaded, *needs.stored))
        ahead, works = bands[0].rows, len(bands)
        if height is not None and height[0] == "window":
            repeated, works = self._repeated(first, bands, height[1])
            activations, ahead, compute = activations + repeated, height[1], compute + works * COMMAND_CYCLES
        moved = sum(size * (1 if kept else times[tiler.index]) for size, tiler in zip(weights, tilers))
        traffic = activations + moved + COMMAND_TRAFFIC * works
        rate = transfer_rate(self.config)
        fill = sum(self.lives[name].row_bytes * min(ahead, self.lives[name].height) for name in needs.loaded) // rate
        cycles = max(compute, traffic // rate) + DEPENDENT_CYCLES + fill // 2 + traffic // rate // TRAFFIC_WEIGHT
        return cycles, traffic, kept

    def _repeated(self, index, bands, window_rows) -> tuple[int, int]:
        """Bytes of rows that come more than once, and works: a window in parts goes by for each block and column tile of its results."""
        step, tiler = self.network.steps[index], self.tilers[index]
        life = self.lives[self.network.root[step.source]]
        spans = [step.rows_read(band.y, band.rows) for band in bands]
        times = tiler.tiles * len(tiler.band_blocks(0, 1))
        rows = sum(high - low for low, high in spans) * times
        return max(0, rows - life.height) * life.row_bytes, len(bands) * times * len(window_parts(step, window_rows))
