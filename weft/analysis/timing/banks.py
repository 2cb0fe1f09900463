"""The activation scratchpad's banks: how fast the output stage and the load DMA move while the feeder goes first.

Two streams of vectors walk over eight banks. One that comes to the banks of a slower stream that goes first stands behind it until that
moves on: results of 16 channels walk a bank a cycle, an image of 3 channels is read at a fifth of that. Arbitration is played through,
cycle by cycle, on a short piece of the two walks; layers repeat them, so that each pair is played once.
"""

from functools import lru_cache
from typing import NamedTuple

from hw.npu.config import NpuConfig
from hw.npu.interface.isa import FRACTION_BITS
from hw.npu.scratchpad.spare_arbiter import SpareArbiter

PIECE = 128
"""Vectors of the stream that waits: half a block."""
PATIENCE = SpareArbiter.PATIENCE
SLOWEST = PATIENCE + 1
"""Cycles from vector to vector of a stream that always waits until it is old enough."""


class Walk(NamedTuple):
    """Addresses of a stream, bytes: ``vectors`` of ``step`` bytes a pixel, pixels in rows.

    Attributes
    ----------
    width : int
        Bytes of an access.
    offset : int
        Of the first one in its word.
    vectors, step, pixel_step, cols, row_step, rows : int
    beside : tuple of int
        Bytes from each access to others that are made with it: further kernel rows.
    between : tuple of tuple of int
        INTERPOLATE, along rows and along pixels: how far the first lies behind its place, the same from one to the next, Q10, and bytes to
        the place behind; else nothing.
    """

    width: int
    offset: int
    vectors: int
    step: int
    pixel_step: int
    cols: int
    row_step: int
    rows: int
    beside: tuple[int, ...] = ()
    between: tuple[tuple[int, int, int], ...] = ()


def walk(config: NpuConfig, *, width, address, pixel_step, cols, row_step, rows, vectors=1, beside=(), between=()) -> Walk:
    """A walk, with what does not change the banks taken off, so that equal ones are equal."""
    around, word = config.BANKS * config.word_bytes, config.word_bytes
    between = tuple((first, step, size % around) for first, step, size in between)
    steps = pixel_step, row_step, *(size for *_, size in between)
    offset = 0 if any(step % word for step in steps) else address % word  # aligned, all accesses lie alike in their words
    return Walk(width, offset, vectors, width, pixel_step % around, cols, row_step % around, rows, beside, between)


def beats(config: NpuConfig) -> Walk:
    """The walk of a transfer: beat after beat."""
    return Walk(config.axi_bytes, 0, 1, config.axi_bytes, config.axi_bytes, PIECE, 0, 1)


@lru_cache(maxsize=2048)
def masks_of(walk: Walk, first: int, word: int, banks: int, count: int) -> bytes:
    """Banks of the first ``count`` accesses of a walk from an address on, a bit each."""
    masks = bytearray()
    down, along = walk.between or ((0, 0, 0),) * 2
    while len(masks) < count:
        for row in range(walk.rows):
            start = first + row * walk.row_step + _behind(down, row)
            for pixel in range(walk.cols):
                place = start + pixel * walk.pixel_step + _behind(along, pixel)
                for vector in range(walk.vectors):
                    mask = _mask(place + vector * walk.step, walk.width, word, banks)
                    for other in walk.beside:
                        mask |= _mask(place + other, walk.width, word, banks)
                    masks.append(mask)
        first += word  # the next reduction tile or column tile
    return bytes(masks[:count])


def _behind(between, number):
    """Bytes by which a row or a pixel lies behind what the steps say."""
    first, step, size = between
    return (first + number * step >> FRACTION_BITS) * size


def _mask(address, width, word, banks):
    """Banks of an access: one, or two neighbours where it crosses a word."""
    bank = address // word % banks
    crosses = address % word > word - width
    return 1 << bank | (1 << (bank + 1) % banks if crosses else 0)


@lru_cache(maxsize=4096)
def rate(feeder: Walk, other: Walk, word: int, banks: int) -> float:
    """Vectors a cycle of a stream while the feeder reads one a cycle and goes first (`hw.npu.scratchpad.spare_arbiter`); at most 1."""
    count = PIECE
    theirs = masks_of(other, other.offset, word, banks, count)
    most = count * SLOWEST
    first = masks_of(feeder, feeder.offset, word, banks, min(most, 1024))
    length = len(first)
    cycle = place = refused = done = 0
    while done < count:
        if theirs[done] & first[place]:
            refused += 1
            if refused > PATIENCE:  # it goes first once
                done, refused, place = done + 1, 0, place - 1
        else:
            done, refused = done + 1, 0
        place = (place + 1) % length
        cycle += 1
    return count / cycle
