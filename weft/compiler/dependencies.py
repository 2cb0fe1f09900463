"""Pass: what each action waits for, found from the bytes that it and the earlier ones touch.

Each queue runs in order. An action must wait for an earlier one of another queue that wrote what it reads, or that uses what it
overwrites; and a work for an earlier work that wrote what it reads (works overlap, but reads of one are over before the next one writes).
"""

import math
from dataclasses import dataclass

import numpy as np

from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Opcode
from weft.compiler.bands import operands
from weft.compiler.memory_plan import Buffer, MemoryPlan
from weft.compiler.reduction import window_taps
from weft.compiler.steps import Network, Step
from weft.compiler.transfers import Action, Load, Store, Use


@dataclass(frozen=True)
class Waits:
    """How many actions of each queue must be complete before an action starts.

    Attributes
    ----------
    load, exec, store : int
    weights : int
        Loads that must be complete before a work's weight stream is read.
    """

    load: int = 0
    exec: int = 0
    store: int = 0
    weights: int = 0


@dataclass(frozen=True)
class Channels:
    """Bytes of the same channels in pixels of several rows.

    Attributes
    ----------
    rows : tuple of int
        Address of the first byte in each row.
    pixels, pitch, size : int
        Pixels of a row, bytes from one to the next, and bytes of each.
    """

    rows: tuple[int, ...]
    pixels: int
    pitch: int
    size: int

    def granules(self, granule: int) -> np.ndarray:
        """Numbers of the granules that they lie in."""
        low = np.add.outer(np.array(self.rows), np.arange(self.pixels) * self.pitch).ravel()
        first, end = low // granule, -(-(low + self.size) // granule)
        inside = first[:, None] + np.arange((end - first).max())
        return inside[inside < end[:, None]]


Spans = list[tuple[int, int] | Channels]


class _Memory:
    """For each granule of a scratchpad the last action of each queue that wrote it, and that read it: numbers from 1."""

    def __init__(self, size: int, granule: int):
        self.granule = granule
        count = -(-size // granule)
        self.written = {queue: np.zeros(count, np.int32) for queue in ("load", "exec")}
        self.read = {queue: np.zeros(count, np.int32) for queue in ("exec", "store")}

    def _slices(self, spans: Spans):
        return [
            span.granules(self.granule) if isinstance(span, Channels) else slice(span[0] // self.granule, -(-span[1] // self.granule))
            for span in spans
        ]

    def latest(self, table, queue, spans) -> int:
        """The last of a queue that touched the spans."""
        return max((int(table[queue][part].max(initial=0)) for part in self._slices(spans)), default=0)

    def note(self, table, queue, spans, number):
        """An action of a queue touches the spans."""
        for part in self._slices(spans):
            table[queue][part] = number


class _Transfers:
    """Bytes of places in DDR that transfers of one queue touched; two places are the same, or have no byte in common."""

    def __init__(self):
        self._of: dict[int | None, list[tuple[int, int, int]]] = {}

    def latest(self, place: int | None, low: int, high: int) -> int:
        """The last transfer that touched some of these bytes of a place."""
        return max((number for first, end, number in self._of.get(place, ()) if first < high and low < end), default=0)

    def note(self, place: int | None, low: int, high: int, number: int):
        """A transfer touches them."""
        self._of.setdefault(place, []).append((low, high, number))


def _granule(memory: MemoryPlan, config: NpuConfig) -> int:
    """Bytes that are told apart: rows of one buffer share none."""
    rows = [size for buffer in memory.buffers.values() if buffer.rows > 1 for size in (buffer.row_bytes, buffer.row_pitch)]
    return math.gcd(config.word_bytes, *rows)


class Dependencies:
    """Walks the actions in program order.

    Parameters
    ----------
    network : Network
    memory : MemoryPlan
    config : NpuConfig
    """

    def __init__(self, network: Network, memory: MemoryPlan, config: NpuConfig):
        self.network, self.plan, self.config = network, memory, config
        self.activations = _Memory(config.act_bytes, _granule(memory, config))
        self.weights = _Memory(config.weight_bytes, min(config.weight_word_bytes, config.axi_bytes, config.cols))
        self.stored = _Transfers()
        self.loaded = _Transfers()  # of old states, whose bytes new ones may overwrite
        self.old = {state.old for state in network.graph.states}
        self.counts = {"load": 0, "exec": 0, "store": 0}

    def waits(self, action: Action) -> Waits:
        """What the next action waits for."""
        if isinstance(action, Load):
            return self._load(action)
        return self._store(action) if isinstance(action, Store) else self._use(action)

    def _number(self, queue):
        self.counts[queue] += 1
        return self.counts[queue]

    def buffer(self, segment: int, name: str) -> Buffer:
        """Where a tensor is during a segment."""
        return self.plan.buffers[segment, self.network.root.get(name, name)]

    def _load(self, load: Load) -> Waits:
        number = self._number("load")
        if load.tensor is None:
            memory, spans, stored = self.weights, [(load.address, load.address + load.size)], 0
        else:
            memory, spans = self.activations, self.buffer(load.segment, load.tensor).spans(load.row, load.row + load.rows)
            place = self._place(load, load.place or load.tensor)
            stored = self.stored.latest(*place)
            if load.tensor in self.old:
                self.loaded.note(*place, number)
        used = max(memory.latest(memory.read, "exec", spans), memory.latest(memory.written, "exec", spans))
        stored = max(stored, memory.latest(memory.read, "store", spans))
        memory.note(memory.written, "load", spans, number)
        return Waits(exec=used, store=stored)

    def _store(self, store: Store) -> Waits:
        number, memory = self._number("store"), self.activations
        spans = self.buffer(store.segment, store.tensor).spans(store.row, store.row + store.rows)
        memory.note(memory.read, "store", spans, number)
        place = self._place(store, store.target)
        self.stored.note(*place, number)
        loaded = max(memory.latest(memory.written, "load", spans), self.loaded.latest(*place))
        return Waits(load=loaded, exec=memory.latest(memory.written, "exec", spans))

    def _place(self, action: Load | Store, name: str) -> tuple[int | None, int, int]:
        """Where a transfer's bytes lie in DDR: the place's offset in the arena, None where it is not there; first and end within it."""
        size = self.buffer(action.segment, action.tensor).row_bytes
        return self.plan.arena.get(name), action.row * size, (action.row + action.rows) * size

    def _use(self, use: Use) -> Waits:
        work, memory = use.work, self.activations
        number, step = self._number("exec"), self.network.steps[work.step]
        reads, writes = self.reads(work, step), self.writes(work, step)
        memory.note(memory.read, "exec", reads, number)
        waits = Waits(
            load=max(memory.latest(memory.written, "load", reads), memory.latest(memory.written, "load", writes)),
            exec=memory.latest(memory.written, "exec", reads),
            store=memory.latest(memory.read, "store", writes),
            weights=self._weights(use, number),
        )
        memory.note(memory.written, "exec", writes, number)
        return waits

    def _weights(self, use, number) -> int:
        if use.work.stream is None:
            return 0
        end, size = use.address + use.work.stream.size, self.config.weight_bytes
        spans = [(use.address, min(end, size)), *([(0, end - size)] if end > size else [])]
        self.weights.note(self.weights.read, "exec", spans, number)
        return self.weights.latest(self.weights.written, "load", spans)

    def reads(self, work, step: Step) -> Spans:
        """Spans of the activation scratchpad that a work reads."""
        rows, spans = work.image_rows, []
        for name, (low, high) in operands(step, work.block.y, rows, window_taps(step, work.part)):
            of_source = name == step.source
            extent, view = (step.image, step.source_view) if of_source else (step.result, step.second_view)
            channels = self._channels_read(work, step) if of_source else self._channels_written(work, step)
            spans += self._spans(self.buffer(work.segment, name), extent, view, low, high, channels)
        if step.constant is not None:
            spans += self.buffer(work.segment, step.second).spans(0, 1)
        return spans

    def _channels_read(self, work, step: Step) -> tuple[int, int]:
        """First channel of the source that a work reads, and how many."""
        if step.opcode == Opcode.DEPTHWISE and not step.overlapping:
            return self._channels_written(work, step)
        if step.opcode == Opcode.MATMUL and step.kernel == (1, 1):
            return work.part.lane, work.part.lanes
        return 0, step.image.channels

    def _channels_written(self, work, step: Step) -> tuple[int, int]:
        """The same of the result."""
        if step.opcode not in (Opcode.MATMUL, Opcode.DEPTHWISE):
            return 0, step.result.channels
        first = work.first_tile * self.config.cols
        return first, min(work.tiles * self.config.cols, step.result.channels - first)

    def writes(self, work, step: Step) -> Spans:
        """Spans that it writes."""
        if work.partial_out:
            return []
        low, high = step.rows_written(work.block.y, work.image_rows)
        channels = self._channels_written(work, step)
        return self._spans(self.buffer(work.segment, step.output), step.result, step.output_view, low, high, channels)

    @staticmethod
    def _spans(buffer: Buffer, extent, view, low, high, channels) -> Spans:
        if high <= low:
            return []
        if view is None and extent.row_bytes == buffer.row_bytes and channels != (0, extent.channels):
            rows = tuple(buffer.row_address(row) + channels[0] for row in range(low, high))
            return [Channels(rows, extent.width, extent.channels, channels[1])]
        if view is not None and view.row_bytes:
            first, end = view.spans(low, high, extent)
            return [(buffer.address + first, buffer.address + end)]
        if view is None and extent.row_bytes != buffer.row_bytes:  # other rows than its own: it is dense
            return [(buffer.address + low * extent.row_bytes, buffer.address + high * extent.row_bytes)]
        return [*buffer.spans(low, high)]


def dependencies(network: Network, memory: MemoryPlan, config: NpuConfig, actions: list[Action]) -> list[Waits]:
    """What each action waits for."""
    walk = Dependencies(network, memory, config)
    return [walk.waits(action) for action in actions]
