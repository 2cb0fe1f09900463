"""Where each tensor can be seen whole, or piece by piece, while the program runs: what is compared with the golden operators.

A tensor is seen whole after the last command that writes it, if nothing else has been put where it lies since the first one began.
Else its rows are seen one by one, each after the last command that writes it; and where even bytes of a row are gone before the row is
whole (nobody reads them, or they are in DDR by then), that row is seen byte by byte. So every byte is compared with the value that its
last writer gave it, whoever uses its place later.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

import numpy as np

from golden.footprint import results_area
from golden.program import Place, Planned
from hw.npu.config import NpuConfig
from weft.compiler.memory_plan import Buffer, MemoryPlan
from weft.compiler.plan import extent_in_memory
from weft.compiler.steps import Network, rows_as_they_are
from weft.compiler.transfers import Action, Load, Use


@dataclass(frozen=True)
class _Write:
    """A command that writes rows ``low .. high - 1`` of a tensor in the scratchpad.

    `makes`: it makes them, or brings an input of the network; a reload from DDR does not. `load`: its rows are whole after it.
    """

    index: int
    root: str
    buffer: Buffer
    low: int
    high: int
    makes: bool
    load: bool

    def keeps(self, other: "_Write", row: int) -> bool:
        """Whether another write leaves this one's row where it is: it makes the same row of the same tensor in the same place."""
        return other.makes and (other.root, other.buffer.address) == (self.root, self.buffer.address) and other.low <= row < other.high


@dataclass
class _Row:
    """A row of a tensor: its last writer, and the writers to which it owes bytes in the place where it is whole at last."""

    writers: list[_Write] = field(default_factory=list)

    def note(self, write: _Write):
        """One more writer."""
        if write.load or (self.writers and self.last.buffer.address != write.buffer.address):
            self.writers.clear()
        self.writers.append(write)

    @property
    def last(self) -> _Write:
        return self.writers[-1]


class _Spans:
    """Bytes of the scratchpad that writes touch, in the order of the stream."""

    def __init__(self, writes: list[_Write]):
        self.writes, found = [], []
        for write in writes:
            for low, end in write.buffer.spans(write.low, write.high):
                self.writes.append(write)
                found.append((write.index, low, end))
        self.index, self.low, self.end = np.array(found, np.int64).reshape(-1, 3).T

    def between(self, after: int, before: int, low: int, end: int) -> Iterator[_Write]:
        """Writes of later commands than one and earlier ones than another that touch bytes ``low .. end - 1``."""
        first, last = np.searchsorted(self.index, [after + 1, before])
        part = slice(first, last)
        for place in np.flatnonzero((self.low[part] < end) & (self.end[part] > low)):
            yield self.writes[first + place]


def _writes(network: Network, memory: MemoryPlan, ordered: list[Action]) -> Iterator[_Write]:
    """What is written to the scratchpad, in the order of the stream."""
    for index, action in enumerate(ordered):
        if isinstance(action, Load) and action.tensor is not None:
            rows, makes = (action.row, action.row + action.rows), action.tensor in network.inputs
            yield _Write(index, action.tensor, memory.buffers[action.segment, action.tensor], *rows, makes, True)
        elif isinstance(action, Use) and not action.work.partial_out:
            step = network.steps[action.work.step]
            root = network.root[step.output]
            buffer = memory.buffers[action.work.segment, root]
            rows = step.rows_written(action.work.block.y, action.work.image_rows)
            if not rows_as_they_are(step.result, step.output_view, extent_in_memory(network, root)):
                rows = 0, buffer.rows
            yield _Write(index, root, buffer, *rows, True, False)


@dataclass(frozen=True)
class _Finder:
    """Pieces of tensors: (first row, rows, bytes in a row, pitch, address, command that completes them)."""

    spans: _Spans
    commands: Sequence[Planned]
    config: NpuConfig

    def pieces(self, rows: list[_Row]) -> Iterator[tuple[int, int, int, int, int, int]]:
        """Of a tensor with these rows."""
        buffer, end = rows[0].last.buffer, max(row.last.index for row in rows)
        if self._stays(rows, buffer, end):
            yield 0, len(rows), buffer.row_bytes, buffer.row_pitch, buffer.address, end
            return

        def key(numbered):
            """Rows that are whole at a time side by side; a row that never is stands alone."""
            number, row = numbered
            last = row.last
            return (last.index, last.buffer.address, number // last.buffer.rows) if self._is_whole(number, row) else (-1, number, 0)

        for (index, *_), group in groupby(enumerate(rows), key):
            run = list(group)
            number, row = run[0]
            buffer = row.last.buffer
            if index < 0:
                yield from self._bytes(number, row)
            else:
                yield number, len(run), buffer.row_bytes, buffer.row_pitch, buffer.row_address(number), index

    def _stays(self, rows, buffer, end) -> bool:
        """Nothing else comes to where the tensor lies from its first command to its last."""
        if buffer.rows < len(rows) or any(row.last.buffer.address != buffer.address for row in rows):
            return False
        first = rows[0].last
        begin = min(row.writers[0].index for row in rows)
        return all(
            write.makes and (write.root, write.buffer.address) == (first.root, buffer.address)
            for write in self.spans.between(begin, end, buffer.address, buffer.address + buffer.size)
        )

    def _is_whole(self, number, row) -> bool:
        """Nothing else comes to where the row lies from its first command to its last."""
        first, last = row.writers[0], row.last
        address = last.buffer.row_address(number)
        between = self.spans.between(first.index, last.index, address, address + last.buffer.row_bytes)
        return all(last.keeps(write, number) for write in between)

    def _bytes(self, number, row):
        """Runs of a row's bytes that have the same last writer."""
        buffer = row.last.buffer
        address, size = buffer.row_address(number), buffer.row_bytes
        writer = np.full(size, -1)
        for write in row.writers:
            if write.load:
                writer[:] = write.index
                continue
            area = results_area(self.config, self.commands[write.index].command)
            for low, end in zip(np.maximum(area.starts - address, 0), np.minimum(area.ends - address, size)):
                writer[low : max(low, end)] = write.index
        assert writer.min() >= 0, f"nothing makes byte {int(writer.argmin())} of row {number} of {row.last.root}"
        starts = [0, *(np.flatnonzero(np.diff(writer)) + 1).tolist(), size]
        for low, end in pairwise(starts):
            yield number * size + low, end - low, 1, 1, address + low, int(writer[low])


def find_places(
    network: Network, memory: MemoryPlan, ordered: list[Action], commands: Sequence[Planned], config: NpuConfig
) -> tuple[Place, ...]:
    """Every tensor that commands complete in the scratchpad, aliases too, in the order of completion.

    Parameters
    ----------
    ordered, commands
        Actions and their commands, in the order of the stream.
    """
    names: dict[str, list[str]] = {}
    for name, root in network.root.items():
        if name not in network.temporaries:
            names.setdefault(root, []).append(name)
    writes = list(_writes(network, memory, ordered))
    rows: dict[str, dict[int, _Row]] = {}
    for write in writes:
        if write.makes:
            tensor = rows.setdefault(write.root, {})
            for number in range(write.low, write.high):
                tensor.setdefault(number, _Row()).note(write)
    finder, found = _Finder(_Spans(writes), commands, config), []
    for root, written in rows.items():
        if root not in names or len(written) < extent_in_memory(network, root).height:
            continue  # nobody knows it, or its bytes are not all loaded
        pieces = list(finder.pieces([written[number] for number in sorted(written)]))
        for name in names[root]:
            tensor = network.graph.tensors[name]
            for first, count, row_bytes, pitch, address, index in pieces:
                found.append(Place(name, tensor.shape, tensor.dtype, address, count, row_bytes, pitch, None, index, first))
    return tuple(sorted(found, key=lambda place: place.complete_after))
