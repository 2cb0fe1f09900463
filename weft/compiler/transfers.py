"""Pass: every command in program order: works, the loads that they need, the stores that they allow.

Weights go through the weight scratchpad as through a ring; streams that are still there are used again. Rows of tensors that
come from DDR are loaded when a work first needs them, rows that go there are stored when they are whole.
"""

from dataclasses import dataclass, replace
from itertools import groupby

from hw.npu.config import KIB
from hw.npu.errors import WeftError
from hw.npu.interface.isa import Opcode
from weft.compiler.bands import Progress, operands
from weft.compiler.blocks import Block
from weft.compiler.memory_plan import MemoryPlan
from weft.compiler.plan import Life, Segment, extent_in_memory
from weft.compiler.reduction import window_taps
from weft.compiler.steps import Network, Step, channel_by_channel, rows_as_they_are
from weft.compiler.tile import StepTiler, Stream, Work
from weft.compiler.tuning import Tuning


@dataclass(frozen=True)
class Load:
    """A transfer from DDR.

    Attributes
    ----------
    step, segment : int
        Whose layer it counts for; where its buffer is.
    tensor : str or None
        The tensor whose rows it reads; None for weights.
    stream : Stream or None
        The weights.
    offset, address, size : int
        Of weights: offset in the stream, scratchpad address, bytes.
    row, rows : int
        Rows of the tensor.
    place : str or None
        Name of the place in the arena, where it is not the tensor's own.
    """

    step: int
    segment: int
    tensor: str | None = None
    stream: Stream | None = None
    offset: int = 0
    address: int = 0
    size: int = 0
    row: int = 0
    rows: int = 0
    place: str | None = None


@dataclass(frozen=True)
class Store:
    """Rows of a tensor that go to DDR.

    Attributes
    ----------
    step, segment : int
    tensor, target : str
        Root tensor; name of the place in the arena.
    row, rows : int
    """

    step: int
    segment: int
    tensor: str
    target: str
    row: int
    rows: int


@dataclass(frozen=True)
class Use:
    """A work, and where its weight stream begins in the weight scratchpad."""

    work: Work
    address: int = 0


Action = Load | Use | Store

PIECES_AHEAD = 8
"""Loads into which the rows of the next band are cut, so that weights come in between."""


class _WeightRing:
    """The weight scratchpad as a ring of streams: the oldest are overwritten first."""

    def __init__(self, size, granule, piece):
        self.size, self.granule, self.piece, self.end = size, granule, piece, 0
        self.first: dict[int, int] = {}  # virtual address of each stream that was placed, by its identity

    def address(self, stream) -> int | None:
        """Where a stream begins, if all of it is still there."""
        first = self.first.get(id(stream))
        return None if first is None or first < self.end - self.size else first % self.size

    def place(self, stream, length):
        """Begin a stream behind the newest; gives its loads as (offset in it, address, bytes), of which none wraps."""
        first = -(-self.end // self.granule) * self.granule
        self.end = first + length
        self.first[id(stream)] = first
        offset = 0
        while offset < length:
            address = (first + offset) % self.size
            size = min(self.piece, self.size // 4, length - offset, self.size - address)
            yield offset, address, size
            offset += size


class _Rows:
    """What of each tensor is loaded, made and stored, segment by segment."""

    def __init__(self, network: Network, memory: MemoryPlan):
        self.network, self.memory = network, memory
        self.lives = memory.lives
        reloaded = {name for segment in memory.plan.segments for name in segment.loaded}
        self.targets: dict[str, list[str]] = {}
        for name in network.outputs:
            self.targets.setdefault(network.root[name], []).append(name)
        for name in sorted(memory.plan.spilled & reloaded):
            if name not in self.targets.setdefault(name, []):
                self.targets[name].append(name)
        self.loaded: dict[tuple[int, str], int] = {}
        self.inside: dict[tuple[int, str, int], int] = {}  # the row in each place of a ring through which windows go by
        self.stored: dict[str, int] = {}

    def loads(self, number: int, segment: Segment, y: int, rows: int, step: Step):
        """Rows that rows ``y .. y + rows - 1`` of the step's result are the first of the segment to read."""
        for name, (low, high) in operands(step, y, rows):
            root = self.network.root[name]
            if root not in segment.loaded or high <= low:
                continue
            if not self.lives[root].ringable:
                low, high = 0, self.lives[root].height
            begin = self.loaded[number, root] if (number, root) in self.loaded else self._lowest(number, segment, root)
            if high > begin:
                yield root, begin, high - begin
                self.loaded[number, root] = high

    def of_work(self, number: int, segment: Segment, work: Work, step: Step):
        """Rows that a work needs and that are not there yet; those of a window in parts may come once for each part of the result."""
        if not segment.window_rows:
            yield from self.loads(number, segment, work.block.y, work.image_rows, step)
            return
        for name, (low, high) in operands(step, work.block.y, work.image_rows, window_taps(step, work.part)):
            root = self.network.root[name]
            if root in segment.loaded:
                places = {row: (number, root, row % self.memory.buffers[number, root].rows) for row in range(low, high)}
                missing = [row for row, place in places.items() if self.inside.get(place) != row]
                self.inside |= {places[row]: row for row in missing}
                for first, rows in consecutive(missing):
                    yield root, first, rows

    def _lowest(self, number, segment, root) -> int:
        """The first row that is loaded: of a ring the first that any band reads, which need not be the first band."""
        if self.memory.buffers[number, root].rows == self.lives[root].height:
            return 0
        read = [operands(self.network.steps[band.step], band.y, band.rows) for band in segment.bands]
        return min(low for found in read for name, (low, high) in found if self.network.root[name] == root and high > low)

    def rest(self, number: int, segment: Segment):
        """Rows that no work of the segment read, of tensors that stay whole for later ones."""
        for root in sorted(segment.loaded):
            begin, height = self.loaded.get((number, root), 0), self.lives[root].height
            if self.memory.plan.resident.get(root, (0, 0))[1] > number and begin < height:
                yield root, begin, height - begin
                self.loaded[number, root] = height

    def stores(self, segment: Segment, root: str, whole: int):
        """Rows that may go, now that the tensor is whole up to a row."""
        begin = self.stored.get(root, 0)
        if root in segment.stored and whole > begin:
            for target in self.targets.get(root, ()):
                yield target, begin, whole - begin
            self.stored[root] = whole


def consecutive(rows: list[int]) -> list[tuple[int, int]]:
    """Ascending numbers as runs: the first, and how many."""
    runs = [list(run) for _, run in groupby(enumerate(rows), lambda each: each[1] - each[0])]
    return [(run[0][1], len(run)) for run in runs]


def _row_by_row(life: Life) -> bool:
    """One step makes its rows, one after the other: they are whole as they come."""
    return life.ringable and not life.in_pieces


class Transferer:
    """Makes the actions of a network.

    Parameters
    ----------
    network : Network
    memory : MemoryPlan
    tilers : list of StepTiler
    config : NpuConfig
    tuning : Tuning
    """

    def __init__(self, network: Network, memory: MemoryPlan, tilers: list[StepTiler], config, tuning: Tuning):
        self.network, self.memory, self.tilers, self.config = network, memory, tilers, config
        self.ring = _WeightRing(config.weight_bytes, config.weight_word_bytes, tuning.piece_bytes)
        self.rows = _Rows(network, memory)
        self.actions: list[Action] = []
        self.streams: dict[tuple, list[list[Stream]]] = {}
        self.made: dict[int, list[list[Stream]]] = {}  # of each step so far

    def run(self) -> list[Action]:
        """All actions in program order."""
        for number, segment in enumerate(self.memory.plan.segments):
            self._segment(number, segment)
        return self.actions

    def _segment(self, number, segment):
        self._constants(number, segment)
        streams, nominal, progress = {}, {}, self._in_pieces(segment)
        for place, band in enumerate(segment.bands):
            tiler, step = self.tilers[band.step], self.network.steps[band.step]
            rows = nominal.setdefault(band.step, band.rows)
            if segment.whole:
                blocks = tiler.whole_blocks(from_ddr=self.network.root[step.source] in segment.loaded)
            else:
                blocks = tiler.band_blocks(band.y, band.rows, rows)
            blocks = [piece for block in blocks for piece in self._cut(number, step, block, tiler.along_height(rows))]
            if band.step not in streams:
                ends = {"first": segment.whole and not self.ring.end, "last": band.step == len(self.network.steps) - 1}
                count = len(blocks) * (1 if segment.whole else 2)
                kept = segment.kept and not segment.whole
                ways = {"kept": kept, "rows": rows, "window_rows": segment.window_rows, "edges": self._edges(band.step)}
                streams[band.step] = self._streams_of(tiler, count, **ways, **ends)
                self.made[band.step] = streams[band.step]
                self._check_fits(step, streams[band.step])
            self._band(number, segment, place, tiler.works(number, blocks, streams[band.step], rows))
            root = self.network.root[step.output]
            if root in progress:
                progress[root].note(band)
                self._store(number, segment, band.step, root, progress[root].whole)
        for root, first, rows in self.rows.rest(number, segment):
            self.actions.append(Load(segment.first, number, tensor=root, row=first, rows=rows))
        for root in sorted(segment.stored):
            life = self.rows.lives[root]
            if not life.ringable:
                self._store(number, segment, life.made, root, life.height)

    def _in_pieces(self, segment) -> dict[str, Progress]:
        """How far the tensors are whole that several steps make and that go to DDR."""
        found = {}
        for root in sorted(segment.stored):
            life = self.rows.lives[root]
            makers = [index for index in range(segment.first, segment.end) if self.network.root[self.network.steps[index].output] == root]
            if life.ringable and life.in_pieces:
                found[root] = Progress(self.network, makers, life.height)
        return found

    def _ahead(self, number, segment, place) -> list[Load]:
        """Loads of rows that the next band reads, in pieces: they come while the present one computes."""
        following = next((band for band in segment.bands[place + 1 :] if self._reads_ddr(segment, band)), None)
        if segment.window_rows or following is None or not self._reads_ddr(segment, segment.bands[place]):
            return []
        step = self.network.steps[following.step]
        return [
            Load(following.step, number, tensor=name, row=row, rows=rows)
            for name, first, count in self.rows.loads(number, segment, following.y, following.rows, step)
            for start in range(first, first + count, max(1, -(-count // PIECES_AHEAD)))
            for row, rows in self._turns(number, name, start, min(max(1, -(-count // PIECES_AHEAD)), first + count - start))
        ]

    def _reads_ddr(self, segment, band) -> bool:
        return any(self.network.root[name] in segment.loaded for name in self.network.steps[band.step].reads)

    def _constants(self, number, segment):
        for index in range(segment.first, segment.end):
            step = self.network.steps[index]
            if step.constant is not None:
                self.actions.append(Load(index, number, tensor=step.second, row=0, rows=1))

    def _cut(self, number, step: Step, block: Block, down: bool) -> list[Block]:
        """A block in pieces whose rows of the output, of the second operand, and of what SOFTMAX reads do not go round their rings."""
        every = block.every if down else 1
        seen = [(step.output, step.output_view, step.rows_written)]
        if step.second is not None and step.constant is None:
            seen.append((step.second, step.second_view, step.rows_second))
        if step.opcode == Opcode.SOFTMAX:
            seen.append((step.source, step.source_view, step.rows_read))
        rings = []
        for name, view, rows_of in seen:
            root = self.network.root[name]
            if rows_as_they_are(step.result, view, extent_in_memory(self.network, root)):  # what is seen otherwise is whole
                rings.append((self.memory.buffers[number, root].rows, rows_of))
        turns = [tuple(rows_of(block.y + row * every, 1)[0] // rows for rows, rows_of in rings) for row in range(block.rows)]
        pieces, first = [], 0
        for _, group in groupby(turns):
            rows = len(list(group))
            pieces.append(replace(block, y=block.y + first * every, rows=rows))
            first += rows
        return pieces

    def _band(self, number, segment, index, works):
        step = self.network.steps[segment.bands[index].step]
        root = self.network.root[step.output]
        own = [list(self.rows.of_work(number, segment, work, step)) for work in works]
        ahead = self._ahead(number, segment, index)
        for place, work in enumerate(works):
            address = self._weights(number, work)
            for name, first, count in own[place]:
                for row, rows in self._turns(number, name, first, count):
                    self.actions.append(Load(work.step, number, tensor=name, row=row, rows=rows))
            self.actions.append(Use(work, address))
            self.actions += ahead[len(ahead) * place // len(works) : len(ahead) * (place + 1) // len(works)]
            self._store(number, segment, work.step, root, self._whole_until(works, place, step, root))

    def _store(self, number, segment, step, root, whole):
        for target, first, count in self.rows.stores(segment, root, whole):
            for row, rows in self._turns(number, root, first, count):
                self.actions.append(Store(step, number, root, target, row, rows))

    def _turns(self, number, name, first, count):
        """Rows in pieces that do not go round the ring: (first, rows)."""
        ring, end = self.memory.buffers[number, name].rows, first + count
        while first < end:
            rows = min(end - first, ring - first % ring)
            yield first, rows
            first += rows

    def _weights(self, number, work) -> int:
        if work.stream is None:
            return 0
        address = self.ring.address(work.stream)
        if address is None:
            length = -(-work.stream.size // self.config.weight_word_bytes) * self.config.weight_word_bytes
            for offset, target, size in self.ring.place(work.stream, length):
                self.actions.append(Load(work.step, number, stream=work.stream, offset=offset, address=target, size=size))
            address = self.ring.address(work.stream)
        assert address is not None
        return address

    def _edges(self, index) -> tuple[int, ...]:
        """Column tiles with which works of the step before begin, where it makes what a step reads, channel by channel."""
        if index == 0 or not channel_by_channel(self.network.steps[index - 1], self.network.steps[index]):
            return ()
        return tuple(group[0].first_tile for group in self.made.get(index - 1, ())[1:])

    def _streams_of(self, tiler, count, *, kept, rows, window_rows, edges, **ends) -> list[list[Stream]]:
        """The weight streams of a step; those of an earlier one whose weights are the very same, as they are for the images of a batch."""
        step = tiler.step
        if step.weights is None:
            return tiler.streams(count, kept=kept, rows=rows, window_rows=window_rows, edges=edges, **ends)
        arrays = step.weights, step.rest, step.bias, step.multiplier, step.exponent
        key = (*map(id, arrays), step.table, step.result, kept, rows, window_rows, edges)
        if key not in self.streams:
            self.streams[key] = tiler.streams(count, kept=kept, rows=rows, window_rows=window_rows, edges=edges, **ends)
        return self.streams[key]

    def _check_fits(self, step, streams):
        """A filter's kernel rows are not cut: what stands side by side in them must be in the weight scratchpad at a time."""
        largest = max(stream.size for group in streams for stream in group)
        if largest > self.config.weight_bytes:
            raise WeftError(
                f"the weight scratchpad of {self.config.weight_kib} KiB is too small for the {largest} bytes that it needs at a time",
                file=self.network.graph.file,
                layer=step.title,
                remedy=f"set weight_kib to {-(-largest // KIB)} or more",
            )

    def _whole_until(self, works, place, step, root) -> int:
        """Rows of the output that are whole after this work."""
        work, life = works[place], self.rows.lives[root]
        if work.partial_out or work.first_tile != works[-1].first_tile or not _row_by_row(life):
            return 0
        if place + 1 == len(works):
            return max(one.block.y + one.image_rows for one in works)
        # a block of the same rows may come late: one beside another that was cut where the ring begins again
        return min(one.block.y for one in works[place + 1 :]) if not work.down and work.block.every == 1 else 0


def transfers(network: Network, memory: MemoryPlan, tilers: list[StepTiler], config, tuning: Tuning) -> list[Action]:
    """Actions in program order: executed one after the other they compute the network."""
    return Transferer(network, memory, tilers, config, tuning).run()
