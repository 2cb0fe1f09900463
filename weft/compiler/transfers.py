"""Pass: every transfer, and what each work needs and frees: weights through a ring, inputs in bands of rows, outputs."""

from dataclasses import dataclass

from weft.compiler.memory_plan import MemoryPlan, Slot
from weft.compiler.tile import Tiling, Work
from weft.compiler.weights import WeightImage

PIECE_BYTES = 12288
"""Largest load of weights, and at most a quarter of the ring: small enough that space is used as it becomes free, large enough that
the commands themselves, 128 bytes each, are little traffic."""


@dataclass(frozen=True)
class Load:
    """A transfer from DDR.

    Attributes
    ----------
    step : int
        Whose layer it counts for.
    tensor : str or None
        The input whose rows it reads; None for weights.
    source, address, size : int
        Offset in the region; scratchpad address; bytes (weights).
    row, rows : int
        Rows of the input.
    wait_work : int
        Number of works that must be complete before.
    """

    step: int
    tensor: str | None
    source: int = 0
    address: int = 0
    size: int = 0
    row: int = 0
    rows: int = 0
    wait_work: int = 0


@dataclass(frozen=True)
class Store:
    """Rows of an output that are whole after `after_work`."""

    step: int
    tensor: str
    row: int
    rows: int
    after_work: int


@dataclass(frozen=True)
class Needs:
    """What one work waits for, as numbers of completed transfers and works.

    Attributes
    ----------
    weights, inputs, works : int
        Loads before its weights are read; loads and works before its first wave.
    address : int
        Of its weight stream.
    """

    weights: int = 0
    inputs: int = 0
    works: int = 0
    address: int = 0


@dataclass(frozen=True)
class Transfers:
    """All transfers; loads and works have a fixed order each, the schedule merges them."""

    loads: tuple[Load, ...]
    stores: tuple[Store, ...]
    needs: tuple[Needs, ...]


class _Ring:
    """The weight scratchpad as a ring: residents in order of use, each overwritten only when its last work is complete."""

    def __init__(self, size, granule):
        self.size, self.granule = size, granule
        self.end = 0
        self.residents = []  # (first virtual address, number of works that must be complete before it is overwritten)

    def place(self, length):
        """Virtual address of a new resident."""
        first = -(-self.end // self.granule) * self.granule
        self.end = first + length
        return first

    def pieces(self, first, length):
        """Loads that fill a resident: (offset in it, address, bytes, works to wait for); none wraps."""
        offset = 0
        while offset < length:
            address = (first + offset) % self.size
            size = min(PIECE_BYTES, self.size // 4, length - offset, self.size - address)
            overwritten = first + offset + size - self.size
            wait = max((works for start, works in self.residents if start < overwritten), default=0)
            yield offset, address, size, wait
            offset += size


def _last_users(works) -> dict[int, int]:
    """For each work that brings a new stream, the last work of the run that uses it."""
    last, start = {}, None
    for index, work in enumerate(works):
        if work.stream is None:
            continue
        if start is None or works[start].stream != work.stream:
            start = index
        last[start] = index
    return last


def _span(slot: Slot, first_row: int, rows: int) -> tuple[int, int]:
    return first_row * slot.row_pitch, (first_row + rows - 1) * slot.row_pitch + slot.row_bytes


class _Writers:
    """Who wrote which bytes of each tensor: byte spans, so that aliases with other rows are understood."""

    def __init__(self):
        self._spans = {}

    def note(self, tensor, span, count):
        self._spans.setdefault(tensor, []).append((*span, count))

    def latest(self, tensor, span):
        low, high = span
        return max((count for first, last, count in self._spans.get(tensor, ()) if first < high and low < last), default=0)


def _view_span(slot, extent, first, end):
    """Bytes of rows ``first .. end - 1`` of a tensor seen with this extent."""
    pitch = slot.pitch_of(extent)
    return first * pitch, (end - 1) * pitch + extent.row_bytes


def _input_bands(works, tiling, plan):
    """For each work the rows of network inputs that it is the first to read: (tensor, first row, rows)."""
    network, loaded, bands = tiling.network, {}, []
    for work in works:
        step, new = network.steps[work.step], []
        rows = step.rows_read(work.block.y, work.block.rows), (work.block.y, work.block.y + work.block.rows)
        for name, extent, (first, end) in ((step.source, step.image, rows[0]), (step.second, step.result, rows[1])):
            root = network.root.get(name)
            if root not in network.inputs or end <= first:
                continue
            slot = plan.slots[root]
            end_row = end if extent.row_bytes == slot.row_bytes else slot.rows
            have = loaded.get(root, 0)
            if end_row > have:
                new.append((root, have, end_row - have))
                loaded[root] = end_row
        bands.append(new)
    return bands


def transfers(tiling: Tiling, image: WeightImage, plan: MemoryPlan) -> Transfers:
    """Loads in the order of their first use, stores, and what each work waits for."""
    network, works = tiling.network, tiling.works
    ring = _Ring(tiling.config.weight_bytes, tiling.config.weight_word_bytes)
    last_users, bands = _last_users(works), _input_bands(works, tiling, plan)
    loads, needs, loaded, written = [], [], _Writers(), _Writers()
    weights = address = 0
    for index, work in enumerate(works):
        if index in last_users:
            length = image.lengths[work.stream]
            first = ring.place(length)
            for offset, target, size, wait in ring.pieces(first, length):
                loads.append(Load(work.step, None, image.offsets[work.stream] + offset, target, size, wait_work=wait))
            ring.residents.append((first, last_users[index] + 1))
            weights, address = len(loads), first % ring.size
        for tensor, row, rows in bands[index]:
            loads.append(Load(work.step, tensor, row=row, rows=rows))
            loaded.note(tensor, _span(plan.slots[tensor], row, rows), len(loads))
        needs.append(_needs_of(work, network, plan, loaded, written, weights, address))
        step = network.steps[work.step]
        slot = plan.slots[network.root[step.output]]
        if not work.partial_out:
            written.note(slot.tensor, _view_span(slot, step.result, work.block.y, work.block.y + work.block.rows), index + 1)
    return Transfers(tuple(loads), _stores(tiling, plan), tuple(needs))


def _needs_of(work: Work, network, plan, loaded, written, weights, address) -> Needs:
    step = network.steps[work.step]
    first, end = step.rows_read(work.block.y, work.block.rows)
    inputs = waits = 0
    views = [(step.source, step.image, first, end), (step.second, step.result, work.block.y, work.block.y + work.block.rows)]
    for name, extent, low, high in views:
        if name is None or high <= low:
            continue
        slot = plan.slots[network.root[name]]
        span = _view_span(slot, extent, low, high)
        inputs = max(inputs, loaded.latest(slot.tensor, span))
        waits = max(waits, written.latest(slot.tensor, span))
    has_stream = work.stream is not None
    return Needs(weights if has_stream else 0, inputs, waits, address if has_stream else 0)


def _stores(tiling: Tiling, plan: MemoryPlan) -> tuple[Store, ...]:
    """Each output as soon as it is whole: in bands where a step's last works write whole rows one after the other."""
    network, works, stores = tiling.network, tiling.works, []
    for name in network.outputs:
        root = network.root[name]
        makers = [index for index, work in enumerate(works) if network.steps[work.step].output == root and not work.partial_out]
        slot, step = plan.slots[root], network.steps[works[makers[-1]].step]
        if step.result.row_bytes != slot.row_bytes:
            stores.append(Store(works[makers[-1]].step, name, 0, slot.rows, makers[-1]))
            continue
        done = 0
        final = [index for index in makers if works[index].first_tile == works[makers[-1]].first_tile]
        for index, following in zip(final, [*final[1:], None]):
            block = works[index].block
            if following is None or works[following].block.y > block.y:
                stores.append(Store(works[index].step, name, done, block.y + block.rows - done, index))
                done = block.y + block.rows
    return tuple(stores)
