"""Loop nests over bytes of tensors, and how commands walk them: as rows of pixels of channels, several times over where that is not enough.

An operator that moves bytes, or joins two tensors element by element, is a numpy expression of views: a slice, a transposition, a
broadcast. Views of an empty array of the tensor's shape have exactly the offsets and steps (numpy's strides, in bytes) that the
commands need, so that no index is computed twice.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from weft.compiler.steps import Extent, View

MOST_PIECES = 1024
"""Steps that one operator may become."""
PIXEL_BITS, ROW_LIMIT = 20, 16384
"""Largest distance of pixels, and most rows, that the fields of a command hold."""
PIECE_CYCLES = 70
"""About what one more step costs beside its waves."""
BLOCK = 256
"""Pixels that a command takes at most."""


@dataclass(frozen=True)
class Operand:
    """A view of a tensor.

    Attributes
    ----------
    name : str
        The tensor.
    first : int
        Byte of its first element.
    shape, steps : tuple of int
        Elements, and bytes from one to the next along each axis.
    """

    name: str
    first: int
    shape: tuple[int, ...]
    steps: tuple[int, ...]


def whole(shape: tuple[int, ...]) -> np.ndarray:
    """What stands for a tensor: views are taken of it, its bytes are never touched."""
    return np.empty(shape, np.int8)


def operand(name: str, base: np.ndarray, view: np.ndarray) -> Operand:
    """A view of the array that `whole` made for a tensor."""
    assert isinstance(view, np.ndarray), "numpy copies an element that is indexed without `...`: it lies anywhere"
    first = view.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return Operand(name, first, view.shape, view.strides)


@dataclass(frozen=True)
class Axis:
    """A loop: how often, and bytes from turn to turn in each operand."""

    count: int
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Piece:
    """What one step does.

    Attributes
    ----------
    extent : Extent
        Pixels.
    views : tuple of View
        One for each operand.
    """

    extent: Extent
    views: tuple[View, ...]


@dataclass(frozen=True)
class _Walk:
    """One way to walk a nest: a loop of rows, one of pixels, channels, and loops that become steps of their own."""

    row: Axis
    pixel: Axis
    channels: int
    outer: tuple[Axis, ...]

    @property
    def steps(self) -> int:
        return math.prod(axis.count for axis in self.outer)

    @property
    def possible(self) -> bool:
        """Its numbers fit the fields of a command."""
        return max(map(abs, self.pixel.steps)) < 1 << PIXEL_BITS and self.row.count <= ROW_LIMIT

    def cycles(self, cols: int) -> int:
        waves = self.row.count * self.pixel.count
        return self.steps * (math.ceil(self.channels / cols) * max(waves, 4 * math.ceil(waves / BLOCK)) + PIECE_CYCLES)


def pieces(operands: tuple[Operand, ...], memories: tuple[Extent, ...], cols: int, room: int) -> list[Piece]:
    """The steps that visit every element of the last operand once, and what they see of each.

    Parameters
    ----------
    operands : tuple of Operand
        Of one shape; the last is written: no two of its elements share a byte.
    memories : tuple of Extent
        How each tensor lies in memory.
    cols : int
        Columns of the array: channels that a cycle moves.
    room : int
        Bytes of the scratchpad. A tensor that is not seen by the rows that it has in memory must be there as a whole.

    Raises
    ------
    ValueError
        If it takes more than `MOST_PIECES`; its argument says how many.
    """
    merged = _merged(operands)
    variants = [merged, _split_rows(merged, memories)]
    walks = [walk for axes in variants for walk in _walks(axes, len(operands), cols) if walk.possible]
    firsts = tuple(each.first for each in operands)

    def rank(walk):
        """What fits; of that the fewest cycles; where they are alike, rows that tensors have in memory, then long rows."""
        own = [not view.row_bytes for view in _piece(walk, firsts, memories).views]
        least = sum(2 * memory.row_bytes if rows else memory.size for memory, rows in zip(memories, own))
        return walk.steps > MOST_PIECES, least > room, walk.cycles(cols), -sum(own), walk.row.count

    best = min(walks, key=rank)
    if best.steps > MOST_PIECES:
        raise ValueError(best.steps)
    return [_piece(best, moved, memories) for moved in _outer(best.outer, firsts)]


def _merged(operands) -> list[Axis]:
    """Loops from the outermost of the last operand to the innermost; two that go on where the other ends are one."""
    shape = operands[-1].shape
    axes = [Axis(n, tuple(each.steps[i] for each in operands)) for i, n in enumerate(shape) if n > 1]
    axes.sort(key=lambda axis: -axis.steps[-1])
    merged: list[Axis] = []
    for axis in axes:
        if merged and merged[-1].steps == tuple(axis.count * step for step in axis.steps):
            axis = Axis(merged.pop().count * axis.count, axis.steps)
        merged.append(axis)
    return merged


def _split_rows(axes, memories) -> list[Axis]:
    """Loops that run over rows of a tensor in memory, cut where these end."""
    for i, memory in reversed(list(enumerate(memories))):
        cut: list[Axis] = []
        for axis in axes:
            step, row = axis.steps[i], memory.row_bytes
            inside = row // step if step > 0 and row % step == 0 else 0
            if memory.height > 1 and 1 < inside < axis.count and axis.count % inside == 0:
                cut.append(Axis(axis.count // inside, tuple(inside * each for each in axis.steps)))
                axis = Axis(inside, axis.steps)
            cut.append(axis)
        axes = cut
    return axes


def _walks(axes, operands, cols) -> Iterator[_Walk]:
    """Every choice of rows, pixels and channels. A loop that goes backwards in some operand becomes steps."""
    once = Axis(1, (0,) * operands)
    back = tuple(axis for axis in axes if min(axis.steps) < 0)
    axes = [axis for axis in axes if axis not in back]
    dense = next((axis for axis in axes if set(axis.steps) == {1}), None)
    rest = [axis for axis in axes if axis is not dense]
    count = 1 if dense is None else dense.count
    for channels in {count, divisor(count, cols)}:
        inner = [*rest] if channels == count else [*rest, Axis(count // channels, (channels,) * operands)]
        for row, pixel in itertools.permutations([*inner, once, once], 2):
            outer = list(inner)
            for axis in (row, pixel):
                if axis is not once:
                    outer.remove(axis)
            yield _Walk(row, pixel, channels, (*back, *outer))


def divisor(count: int, cols: int) -> int:
    """Channels in which a run of bytes is walked as pixels in the fewest cycles."""
    divisors = (d for n in range(1, math.isqrt(count) + 1) if count % n == 0 for d in (n, count // n))
    return min(divisors, key=lambda d: (math.ceil(d / cols) * (count // d), d))


def _outer(axes, firsts) -> Iterator[tuple[int, ...]]:
    for turn in itertools.product(*(range(axis.count) for axis in axes)):
        yield tuple(first + sum(n * axis.steps[i] for n, axis in zip(turn, axes)) for i, first in enumerate(firsts))


def _piece(walk, firsts, memories) -> Piece:
    extent = Extent(walk.row.count, walk.pixel.count, walk.channels)
    places = zip(firsts, walk.row.steps, walk.pixel.steps, memories)
    return Piece(extent, tuple(_view(extent, *place) for place in places))


def _view(extent: Extent, first: int, row_step: int, pixel_step: int, memory: Extent) -> View:
    """Of rows as they lie in memory if that is possible, else of bytes without gaps."""
    dx = pixel_step if extent.width > 1 else extent.channels
    y, x = divmod(first, memory.row_bytes)
    inside = x + (extent.width - 1) * dx + extent.channels <= memory.row_bytes
    if inside and (extent.height == 1 or row_step % memory.row_bytes == 0):
        return View(y, row_step // memory.row_bytes if extent.height > 1 else 1, x, dx)
    if extent.height == 1 or row_step == 0:
        return View(0, 0, first, dx, 1)
    return View(0, 1, first, dx, row_step)
