"""What the feeder reads: the bytes of every place of a command's loop nest, masked at the image's borders, in a ring or not."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from golden.interpolation import Between
from golden.machine_state import MachineError, MachineState
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Command, Error, Opcode

ADDRESS_BITS, COLUMN_BITS, ROW_BITS = 26, 25, 17
"""Widths in which the feeder computes an address, a position in an image row, and an image row."""


def wrap_bits(values, bits):
    """The low bits of each value as a signed number."""
    half = 1 << (bits - 1)
    return ((values + half) & ((1 << bits) - 1)) - half


def tap_bytes(config: NpuConfig, command: Command) -> int:
    """Consecutive bytes that are read at one place of the loop nest: a tap's lanes, or the channels of all column tiles."""
    loops = command["loops"]
    if command.operation == Opcode.MATMUL:
        return loops["lanes"]
    if command.opcode == Opcode.SOFTMAX:
        return loops["lanes"]
    if command.operation == Opcode.DEPTHWISE:
        return channels_of(config, loops)
    return loops["column_tiles"] * config.cols  # SUM and MAX read the last tile's unused columns too: partial sums keep them


def channels_of(config: NpuConfig, loops: dict[str, int]) -> int:
    """Channels of all column tiles: every one has C but the last."""
    return (loops["column_tiles"] - 1) * config.cols + loops["last_cols"]


def steps_of(command: Command) -> tuple[int, int]:
    """Steps along a block row: those that are read, and those that the taps see; others of either kind read nothing, or for nothing."""
    loops = command["loops"]
    if command.operation != Opcode.DEPTHWISE:
        return loops["block_cols"], loops["block_cols"]
    return loops["positions"], (loops["block_cols"] - 1) * loops["stride"] + loops["taps_x"]


@dataclass(frozen=True)
class Runs:
    """Runs of consecutive bytes, a run for each place of the loop nest: ``[block row, block column or step, ky, kx]``.

    Attributes
    ----------
    address : int64[...]
        Scratchpad address of a run's first byte; the others count up, and byte 0 follows the last.
    low, high : int64[...]
        Bytes ``low <= i < high`` of the run lie in the image, the others are padding.
    count : int
        Bytes of a run.
    where : tuple
        Index of these runs in the array of all bytes ``[block row, block column or step, ky, kx, byte]``.
    """

    address: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: int
    where: tuple

    @property
    def first(self) -> int:
        """The byte of its place that is a run's first."""
        return self.where[4].start or 0

    def read(self, memory, pad_value) -> np.ndarray:
        """The bytes, int8[..., count]."""
        address = np.where(self.high > self.low, self.address, 0)
        if address.max() + self.count > len(memory):
            memory = np.resize(memory, len(memory) + self.count)  # the memory once more behind its end
        # As items of `count` bytes, at every address: numpy copies a run in one piece, ten times as fast as byte by byte.
        items = np.ndarray((len(memory) - self.count + 1,), f"V{self.count}", memory, 0, (1,))
        values = items[address].view(np.int8).reshape(*address.shape, self.count)
        partly = np.nonzero((self.low > 0) | (self.high < self.count))
        if len(partly[0]):
            byte = np.arange(self.count)
            inside = (byte >= self.low[partly][:, None]) & (byte < self.high[partly][:, None])
            values[partly] = np.where(inside, values[partly], np.int8(pad_value))
        return values


@dataclass(frozen=True)
class _Places:
    """The first byte of every place, int64[block row, block column or step, ky, kx]; nothing has wrapped but the image row."""

    address: np.ndarray
    position: np.ndarray
    """In its image row."""
    ring: np.ndarray
    """Bytes by which the ring moves the address back."""
    in_rows: np.ndarray
    """Whether its row is one of the image's."""

    @classmethod
    def of(cls, command, steps):
        loops, source = command["loops"], command["input"]
        depthwise = command.operation == Opcode.DEPTHWISE
        counts = loops["block_rows"], steps, loops["taps_y"], 1 if depthwise else loops["taps_x"]  # the steps pass all taps
        by, step, ky, kx = np.ix_(*(np.arange(count) for count in counts))
        row = source["y"] + by * source["row_step_y"] + ky * source["tap_y_rows"]
        along = step * source["pixel_step"] + kx * source["tap_x_step"]
        across = by * source["row_step"] + ky * source["tap_y_step"]
        if command.opcode == Opcode.INTERPOLATE:
            rows, columns = Between.along(command, "y").whole.reshape(by.shape), Between.along(command, "x").whole.reshape(step.shape)
            row = row + rows * source["tap_y_rows"]
            along, across = along + columns * source["tap_x_step"], across + rows * source["tap_y_step"]
        position = source["x_bytes"] + along
        if depthwise and loops["transposed"]:
            row, position = source["y"] + step * source["row_step_y"], source["x_bytes"] + across
        row = wrap_bits(row, ROW_BITS)
        ring = np.where(row >= source["wrap_row"], source["wrap_bytes"], 0)
        in_rows = (row >= 0) & (row < source["height"])
        return cls(*np.broadcast_arrays(source["address"] + across + along, position, ring, in_rows))

    def may_overflow(self, size, depth, count):
        """Whether any address or position of these places may not be what the sums say, or any address outside even when wrapped."""
        address = self.address - self.ring
        sums = max(np.abs(self.address).max() >> ADDRESS_BITS - COLUMN_BITS, np.abs(self.position).max()) + count + depth
        return sums >= 1 << COLUMN_BITS - 1 or address.min() - depth < -size or address.max() + count > 2 * size

    def in_image(self, rows, position, image_row_bytes, count):
        """Of `count` bytes from a position on, at every place of the kernel rows: the first that lies in the image, and the last plus 1."""
        high = np.where(self.in_rows[:, :, rows], np.clip(image_row_bytes - position, 0, count), 0)
        return np.minimum(np.clip(-position, 0, count), high), high

    def runs(self, config, index, command, segment):
        """What is read from these places for one segment of `_segments`."""
        (rows, byte, count, before), size = segment, config.act_bytes
        first = wrap_bits(self.address[:, :, rows] + byte - before, ADDRESS_BITS) - self.ring[:, :, rows]
        first = np.where(first < 0, first + size, np.where(first >= size, first - size, first))
        position = wrap_bits(self.position[:, :, rows] + byte - before, COLUMN_BITS) + before
        low, high = self.in_image(rows, position, command["input"]["image_row_bytes"], count)
        outside = (high > low) & ((first < 0) | (first >= size))
        if outside.any():
            raise MachineError(Error.ADDRESS, index, f"input address {first[outside][0]} of {size}")
        return Runs((first + before) % size, low, high, count, np.s_[:, :, rows, :, byte : byte + count])


def packed_tiles(taps_y: int, lanes: int, span: int, depth: int) -> Iterator[list[tuple[int, int, int, int]]]:
    """Reduction tiles of a MATMUL, of up to `depth` bytes, whose kernel rows are laid end to end.

    Yields
    ------
    list of (kernel row, first of its bytes, count, bytes of the tile before them)
    """
    ky, first = 0, 0
    while ky < taps_y:
        tile, taken = [], 0
        while taken < depth and ky < taps_y and len(tile) < span:
            count = min(depth - taken, lanes - first)
            tile.append((ky, first, count, taken))
            taken, first = taken + count, first + count
            if first == lanes:
                ky, first = ky + 1, 0
        yield tile


def _segments(config, command, count):
    """What one request of a port reads of a place: (kernel rows of the same, first byte, count, bytes of the wave before them)."""
    loops, depth = command["loops"], config.tile_depth(command.opcode.int4)
    if command.operation == Opcode.MATMUL and loops["span"] > 1:
        for tile in packed_tiles(loops["taps_y"], count, loops["span"], depth):
            yield from ((slice(ky, ky + 1), first, length, before) for ky, first, length, before in tile)
    else:
        width = depth if command.operation == Opcode.MATMUL else config.cols
        yield from ((slice(None), first, min(width, count - first), 0) for first in range(0, count, width))


def read_runs(config: NpuConfig, index: int, command: Command) -> list[Runs]:
    """Everything that the feeder reads for a command.

    A port reads from the address of its wave's first byte, which wraps as a whole. As long as no sum overflows and every address is
    within one size of the scratchpad, the waves of a place are one run; else each is a run of its own.

    Raises
    ------
    MachineError
        ADDRESS, if an address is outside even when wrapped, and a byte that is read from there lies in the image.
    """
    count, places = tap_bytes(config, command), _Places.of(command, steps_of(command)[0])
    if command.opcode == Opcode.SOFTMAX:  # the output stage reads it, and knows no image
        none = np.zeros(places.address.shape, np.int64)
        return [Runs(places.address % config.act_bytes, none, none + count, count, np.s_[:, :, :, :, :count])]
    whole = (slice(None), 0, count, 0)
    far = places.may_overflow(config.act_bytes, config.tile_depth(command.opcode.int4), count)
    segments = _segments(config, command, count) if far else [whole]
    return [places.runs(config, index, command, segment) for segment in segments]


def pixels_of(command: Command, axis: str) -> np.ndarray:
    """Where the block rows of an INTERPOLATE, or the pixels of a block row, begin: image rows, or bytes of an image row, int64[n]."""
    loops, source, whole = command["loops"], command["input"], Between.along(command, axis).whole
    if axis == "y":
        return source["y"] + np.arange(loops["block_rows"]) * source["row_step_y"] + whole * source["tap_y_rows"]
    return source["x_bytes"] + np.arange(loops["block_cols"]) * source["pixel_step"] + whole * source["tap_x_step"]


def tap_weights(config: NpuConfig, command: Command) -> np.ndarray:
    """Weights of the taps of an INTERPOLATE, in units of 2^-20: int64[block row, block column, column tile, ky, kx]."""
    loops, source = command["loops"], command["input"]
    y = wrap_bits(pixels_of(command, "y"), ROW_BITS)
    x = wrap_bits(pixels_of(command, "x")[:, None] + np.arange(loops["column_tiles"]) * config.cols, COLUMN_BITS)
    down = Between.along(command, "y").factors(loops["taps_y"], y, source["height"], source["tap_y_rows"])
    along = Between.along(command, "x").factors(loops["taps_x"], x, source["image_row_bytes"], source["tap_x_step"])
    return down[:, None, None, :, None] * along[None, :, :, None, :]


def steps_in_image(config: NpuConfig, command: Command) -> np.ndarray:
    """Whether each step that the taps of a DEPTHWISE see touches the image, in any block row or kernel row: bool[steps]."""
    places = _Places.of(command, steps_of(command)[1])
    everything = slice(None)
    low, high = places.in_image(everything, places.position, command["input"]["image_row_bytes"], tap_bytes(config, command))
    return (high > low).any(axis=(0, 2, 3))


def input_bytes(state: MachineState, index: int, command: Command) -> np.ndarray:
    """The bytes of every place, int8[block_rows, block_cols or steps, taps_y, taps_x or 1, bytes]; the pad value outside the image."""
    runs, pad = read_runs(state.config, index, command), command["input"]["pad_value"]
    if len(runs) == 1:
        return runs[0].read(state.activations, pad)
    rows, steps, _, taps_x = runs[0].address.shape
    values = np.empty((rows, steps, command["loops"]["taps_y"], taps_x, tap_bytes(state.config, command)), np.int8)
    for each in runs:
        values[each.where] = each.read(state.activations, pad)
    return values
