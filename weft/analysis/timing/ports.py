"""The feeder's read ports: steps that read several kernel rows side by side, and find two of them in one bank."""

from functools import lru_cache
from typing import NamedTuple

from golden.machine_reads import packed_tiles
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Opcode
from weft.compiler.conflicts import turns


def usual_channels(loops: dict, config: NpuConfig) -> int:
    """Channels of each column tile of a command but the last one, which is the only one where there is one."""
    return loops["last_cols"] if loops["column_tiles"] == 1 else config.cols


class PortReads(NamedTuple):
    """How the ports read in a reduction tile.

    Attributes
    ----------
    lost : int
        Cycles beyond its steps, because ports are granted one by one.
    made : int
        Reads of all ports.
    banks : bytes
        Banks that are read in each of its cycles, a bit each.
    """

    lost: int
    made: int
    banks: bytes


def port_reads(opcode: Opcode, loops: dict, source: dict, config: NpuConfig, job: int = 0) -> tuple[PortReads, ...]:
    """Of each reduction tile of a job, a column tile.

    Parameters
    ----------
    loops, source : dict of str to int
        Groups ``loops`` and ``input`` of a MATMUL or DEPTHWISE with a span of 2 or more.
    """
    around = config.BANKS * config.word_bytes
    x, y, step_y, pixel_step = (source.get(name, 0) for name in ("x_bytes", "y", "row_step_y", "pixel_step"))
    depthwise, channels = opcode.operation == Opcode.DEPTHWISE, usual_channels(loops, config)
    if depthwise:
        along = (y, step_y, source["height"]) if loops.get("transposed", 0) else (x, pixel_step, source["image_row_bytes"])
        reads = _passes(loops["taps_y"], loops["taps_x"], loops["span"], channels, _inside(*along, 1, loops["positions"]))
    else:
        row = x, pixel_step, source["image_row_bytes"], loops["block_cols"]
        reads = _packed(loops["taps_y"], loops["lanes"], loops["span"], config.tile_depth(opcode.int4), row)
    steps = loops["positions"] if depthwise else loops["block_cols"]
    across, line_step, tap_step, wide, beyond = y, step_y, source.get("tap_y_rows", 0), source["height"], 1
    if loops.get("transposed", 0):
        across, line_step, tap_step, wide = x, source.get("row_step", 0), source.get("tap_y_step", 0), source["image_row_bytes"]
        beyond = channels if depthwise else loops["lanes"]  # of pixels side by side the first may be padding, and the others not
    # kernel rows of each block row that lie in the image: what is padding is not read
    inside = tuple(
        tuple(-beyond < across + line * line_step + tap * tap_step < wide for tap in range(loops["taps_y"]))
        for line in range(loops["block_rows"])
    )
    address = source.get("address", 0) + (job * config.cols if depthwise else 0)
    walk = tuple(place % around for place in (address, *(source.get(name, 0) for name in ("pixel_step", "row_step", "tap_y_step"))))
    return tuple(_port_reads(tile, inside, walk, steps, config.word_bytes, config.BANKS) for tile in reads)


def _inside(first, step, size, taken, count) -> tuple[int, int]:
    """Steps, from the first up to the end, of which one of ``taken`` bytes lies in the image."""
    if not step:
        return 0, count if -taken < first < size else 0
    return max(0, -(-(1 - taken - first) // step)), min(count, -(-(size - first) // step))


@lru_cache(maxsize=1024)
def _passes(taps_y, taps_x, span, cols, steps):
    """Of each pass of a DEPTHWISE, of each port: kernel row, steps that it lags, first byte, bytes, steps that read."""
    return tuple(
        tuple((row, taps_x * (row - first), 0, cols, steps) for row in range(first, min(first + span, taps_y)))
        for first in range(0, taps_y, span)
    )


@lru_cache(maxsize=1024)
def _packed(taps_y, lanes, span, depth, along):
    """The same of each reduction tile of a MATMUL: kernel rows are laid end to end."""
    x, step, size, count = along
    return tuple(
        tuple((row, 0, start, taken, _inside(x + start, step, size, taken, count)) for row, start, taken, _ in tile)
        for tile in packed_tiles(taps_y, lanes, span, depth)
    )


@lru_cache(maxsize=4096)
def _port_reads(tile, inside, walk, steps, word, banks) -> PortReads:
    """The reads of a reduction tile. A port that lags is at the end of one block row while the first begins the next."""
    address, pixel_step, row_step, tap_step = walk
    lines = [
        [address + line * row_step + row * tap_step + start if there[row] else None for row, _, start, *_ in tile]
        for line, there in enumerate(inside)
    ]
    count = sum(max(0, end - first) for line in lines for place, (*_, (first, end)) in zip(line, tile) if place is not None)
    total, cycles = len(lines) * steps + max(lag for _, lag, *_ in tile), bytearray()
    for step in range(total):
        waiting = []
        for port, (_, lag, _, taken, (first, end)) in enumerate(tile):
            line, place = divmod(step - lag, steps)
            if 0 <= line < len(lines) and first <= place < end and lines[line][port] is not None:
                low = lines[line][port] + place * pixel_step
                waiting.append(1 << low // word % banks | 1 << (low + taken - 1) // word % banks)
        cycles += bytes(turns(waiting) or (0,))
    return PortReads(len(cycles) - total, count, bytes(cycles))
