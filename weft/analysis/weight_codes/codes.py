"""Lossless codes of rows of weights, each with its size, an encoder and a decoder.

A piece is what one LOAD brings, int8[rows, C]: rows of weights, and among them rows of parameters and tables, which the decoder cannot
tell apart and does not need to. Each piece has one number k for all of its rows (of the code's ``choices``; the smallest result counts),
which a LOAD would carry as a field; tables and widths inside the piece are counted. Sizes are formulas; tests hold them to what the
encoders write.

Sources: palettes are one half of the weight coding of Ethos-U (Vela's ``mlw_codec``), Golomb-Rice codes the other: Rice, Some Practical
Universal Noiseless Coding Techniques, JPL 79-22. Widths of a group are frame-of-reference coding without a reference (Goldstein et al.,
Compressing Relations and Indexes, ICDE 1998); a mask of non-zero weights is that of SparTen (Gondimalla et al., MICRO 2019).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

WIDTH_BITS = 4
"""A field that holds a width, 0 to 8."""


@dataclass(frozen=True)
class Code:
    """A code.

    Attributes
    ----------
    name : str
    choices : tuple of int
        Values of k.
    size : callable
        ``size(rows, k)``: bits of a piece; None where it cannot be coded so.
    encode, decode : callable
        ``encode(rows, k, writer)`` and ``decode(reader, shape, k) -> rows``.
    serial : bool
        The place of a weight depends on the values of all before it: a decoder of C weights a cycle needs as many streams.
    """

    name: str
    choices: tuple[int, ...]
    size: Callable
    encode: Callable
    decode: Callable
    serial: bool = False

    def best(self, rows: np.ndarray) -> tuple[int, int | None]:
        """Bits of a piece with the best k, and that k; 8 bits a weight and None where the code wins nothing."""
        sizes = [(bits, k) for k in self.choices if (bits := self.size(rows, k)) is not None]
        best = min(sizes, default=(8 * rows.size, None))
        return best if best[0] < 8 * rows.size else (8 * rows.size, None)


def widths(values: np.ndarray) -> np.ndarray:
    """Bits of each value in two's complement, uint8: 0 for 0, 1 for -1, 2 for -2 and 1, ... 8 for -128."""
    return _WIDTHS[values.view(np.uint8)]


_SIGNED = np.arange(256, dtype=np.uint8).view(np.int8).tolist()
_WIDTHS = np.array([(v if v >= 0 else ~v).bit_length() + (v != 0) for v in _SIGNED], np.uint8)


def _lists(rows):
    return [[int(value) for value in row] for row in rows]


# Palette: k bits a weight, an index into a table of 2**k values.


def _palette(rows, k):
    """The 2**k most frequent bytes, most frequent first."""
    counts = np.bincount(rows.view(np.uint8).reshape(-1), minlength=256)
    return np.argsort(-counts, kind="stable")[: 1 << k].astype(np.uint8).view(np.int8)


def _palette_size(rows, k):
    distinct = np.count_nonzero(np.bincount(rows.view(np.uint8).reshape(-1), minlength=256))
    return (8 << k) + rows.size * k if distinct <= 1 << k else None


def _palette_encode(rows, k, writer):
    table = _palette(rows, k).tolist()
    for value in table:
        writer.put(value, 8)
    for row in _lists(rows):
        for value in row:
            writer.put(table.index(value), k)


def _palette_decode(reader, shape, k):
    table = [reader.get_signed(8) for _ in range(1 << k)]
    return [[table[reader.get(k)] for _ in range(shape[1])] for _ in range(shape[0])]


# Palette rows: a bit a row says whether all of its weights are in the table; else it stands as it is.


def _palette_rows_size(rows, k):
    known = np.isin(rows, _palette(rows, k)).all(axis=1).sum()
    return (8 << k) + len(rows) + int(known) * rows.shape[1] * k + int(len(rows) - known) * rows.shape[1] * 8


def _palette_rows_encode(rows, k, writer):
    table = _palette(rows, k).tolist()
    for value in table:
        writer.put(value, 8)
    for row in _lists(rows):
        known = all(value in table for value in row)
        writer.put(known, 1)
        for value in row:
            writer.put(table.index(value) if known else value, k if known else 8)


def _palette_rows_decode(reader, shape, k):
    table = [reader.get_signed(8) for _ in range(1 << k)]

    def row():
        known = reader.get(1)
        return [table[reader.get(k)] if known else reader.get_signed(8) for _ in range(shape[1])]

    return [row() for _ in range(shape[0])]


# Widths: k consecutive weights share a width, which stands in front of them.


def _groups_of(rows, k):
    return [rows.reshape(-1)[first : first + k] for first in range(0, rows.size, k)]


def _widths_size(rows, k):
    starts = np.arange(0, rows.size, k)
    lengths = np.diff(np.append(starts, rows.size))
    return len(starts) * WIDTH_BITS + int((np.maximum.reduceat(widths(rows.reshape(-1)), starts).astype(int) * lengths).sum())


def _widths_encode(rows, k, writer):
    for group in _groups_of(rows, k):
        width = int(widths(group).max())
        writer.put(width, WIDTH_BITS)
        for value in group.tolist():
            writer.put(value, width)


def _widths_decode(reader, shape, k):
    values: list[int] = []
    while len(values) < shape[0] * shape[1]:
        width = reader.get(WIDTH_BITS)
        values += [reader.get_signed(width) for _ in range(min(k, shape[0] * shape[1] - len(values)))]
    return np.reshape(values, shape)


# Lane widths: of k rows each column has its own width; all of them stand in front.


def _lanes_size(rows, k):
    starts = np.arange(0, len(rows), k)
    lengths = np.diff(np.append(starts, len(rows)))
    most = np.maximum.reduceat(widths(rows), starts, axis=0).astype(int)
    return len(starts) * rows.shape[1] * WIDTH_BITS + int((most.sum(axis=1) * lengths).sum())


def _lanes_encode(rows, k, writer):
    for first in range(0, len(rows), k):
        block = rows[first : first + k]
        most = widths(block).max(axis=0).tolist()
        for width in most:
            writer.put(width, WIDTH_BITS)
        for row in _lists(block):
            for value, width in zip(row, most):
                writer.put(value, width)


def _lanes_decode(reader, shape, k):
    rows: list[list[int]] = []
    while len(rows) < shape[0]:
        most = [reader.get(WIDTH_BITS) for _ in range(shape[1])]
        rows += [[reader.get_signed(width) for width in most] for _ in range(min(k, shape[0] - len(rows)))]
    return rows


# Split: of each weight of a row its low k bits, and a bit that says whether these, sign-extended, are all; then high bits of the others.
# k = 0 is the mask of non-zero weights, with these behind it.


def _split_size(rows, k):
    return rows.size * (k + 1) + (8 - k) * int((widths(rows) > k).sum())


def _split_row(values, k, writer):
    long = [int(_WIDTHS[value & 255] > k) for value in values]
    for value in values:
        writer.put(value, k)
    for flag in long:
        writer.put(flag, 1)
    for value, flag in zip(values, long):
        if flag:
            writer.put(value >> k, 8 - k)


def _split_read(reader, count, k):
    low = [reader.get_signed(k) for _ in range(count)]
    long = [reader.get(1) for _ in range(count)]
    return [(value & ((1 << k) - 1)) + (reader.get_signed(8 - k) << k) if flag else value for value, flag in zip(low, long)]


def _split_encode(rows, k, writer):
    for row in _lists(rows):
        _split_row(row, k, writer)


def _split_decode(reader, shape, k):
    return [_split_read(reader, shape[1], k) for _ in range(shape[0])]


# Masked: a mask of the weights of a row that are not zero, then these in another code of rows.


def _mask_row(row, writer):
    for value in row:
        writer.put(value != 0, 1)
    return [value for value in row if value]


def _masked_read(reader, cols, read):
    mask = [reader.get(1) for _ in range(cols)]
    left = iter(read(sum(mask)))
    return [next(left) if flag else 0 for flag in mask]


def _masked_split_size(rows, k):
    found = widths(rows)
    return rows.size + (k + 1) * int((found > 0).sum()) + (8 - k) * int((found > k).sum())


def _masked_split_encode(rows, k, writer):
    for row in _lists(rows):
        _split_row(_mask_row(row, writer), k, writer)


def _masked_split_decode(reader, shape, k):
    return [_masked_read(reader, shape[1], lambda count: _split_read(reader, count, k)) for _ in range(shape[0])]


def _masked_width_size(rows, _):
    found = widths(rows)
    return rows.size + WIDTH_BITS * len(rows) + int(((found > 0).sum(axis=1) * found.max(axis=1).astype(int)).sum())


def _masked_width_encode(rows, _, writer):
    for row in rows:
        values = _mask_row(row.tolist(), writer)
        width = int(widths(row).max())
        writer.put(width, WIDTH_BITS)
        for value in values:
            writer.put(value, width)


def _masked_width_decode(reader, shape, _):
    def read(count):
        width = reader.get(WIDTH_BITS)
        return [reader.get_signed(width) for _ in range(count)]

    return [_masked_read(reader, shape[1], read) for _ in range(shape[0])]


# Golomb-Rice: 2v for v >= 0 and -2v - 1 below, the part above k bits in unary.


def _folded(rows):
    values = rows.astype(int)
    return np.where(values < 0, -2 * values - 1, 2 * values)


def _rice_size(rows, k):
    return rows.size * (k + 1) + int((_folded(rows) >> k).sum())


def _rice_encode(rows, k, writer):
    for value in _folded(rows).reshape(-1).tolist():
        writer.put((1 << (value >> k)) - 1, (value >> k) + 1)
        writer.put(value, k)


def _rice_decode(reader, shape, k):
    def value():
        quotient = 0
        while reader.get(1):
            quotient += 1
        folded = quotient << k | reader.get(k)
        return -(folded >> 1) - 1 if folded & 1 else folded >> 1

    return [[value() for _ in range(shape[1])] for _ in range(shape[0])]


CODES = (
    Code("palette", tuple(range(1, 8)), _palette_size, _palette_encode, _palette_decode),
    Code("palette rows", tuple(range(1, 8)), _palette_rows_size, _palette_rows_encode, _palette_rows_decode),
    Code("widths", (16, 32, 64), _widths_size, _widths_encode, _widths_decode),
    Code("lane widths", (16, 64, 256), _lanes_size, _lanes_encode, _lanes_decode),
    Code("zero mask", (0,), _split_size, _split_encode, _split_decode),
    Code("split", tuple(range(8)), _split_size, _split_encode, _split_decode),
    Code("masked width", (0,), _masked_width_size, _masked_width_encode, _masked_width_decode),
    Code("masked split", tuple(range(1, 8)), _masked_split_size, _masked_split_encode, _masked_split_decode),
    Code("rice", tuple(range(8)), _rice_size, _rice_encode, _rice_decode, serial=True),
)


def entropy_bits(values: np.ndarray) -> float:
    """Zero-order entropy of int8 values, bits in all (Shannon 1948): what no code of single weights beats, tables not counted."""
    counts = np.bincount(values.view(np.uint8).reshape(-1), minlength=256)
    counts = counts[counts > 0]
    return float(-(counts * np.log2(counts / counts.sum())).sum())
