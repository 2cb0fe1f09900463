"""Sums of the golden machine: what all reduction tiles of a command add to the accumulators."""

import numpy as np

from golden.machine_reads import steps_of
from hw.npu.interface.isa import Command, Opcode

EXACT_TERMS = 1 << 10
"""Products of two int8, of at most 2^14, that a float32 sums exactly: every partial sum is an integer of at most 2^24."""


def _matmul(values, weights):
    """int64[N, tiles * C] of int8[N, K] and int8[tiles, K, C]; pieces of K by the BLAS in single precision, exactly."""
    total = np.zeros((len(values), weights.shape[0] * weights.shape[2]), np.int64)
    for first in range(0, values.shape[1], EXACT_TERMS):
        piece = slice(first, first + EXACT_TERMS)
        rows = weights[:, piece].transpose(1, 0, 2).reshape(-1, total.shape[1])
        total += (values[:, piece].astype(np.float32) @ rows.astype(np.float32)).astype(np.int64)
    return total


def _depthwise(command, values, weights):
    """int32[by, bx, tiles * C] of int8[by, steps, ky, channels] and int8[tiles, passes * span * K, C]: a product for each tap."""
    loops = command["loops"]
    taps, stride, columns = loops["taps_x"], loops["stride"], loops["block_cols"]
    read, seen = steps_of(command)
    if seen > read:
        padding = np.full((loops["block_rows"], seen - read, *values.shape[2:]), command["input"]["pad_value"], np.int8)
        values = np.concatenate([values, padding], axis=1)
    channels = values.shape[3]
    factors = weights.transpose(1, 0, 2).reshape(weights.shape[1], -1)[:, :channels].astype(np.int16)
    total = np.zeros((loops["block_rows"], columns, weights.shape[0] * weights.shape[2]), np.int32)
    sums = total[..., :channels]  # unused columns of the last tile see nothing, and add 0
    for ky in range(loops["taps_y"]):
        wide = values[:, :, ky].astype(np.int16)
        for k in range(taps):
            sums += wide[:, k : k + (columns - 1) * stride + 1 : stride] * factors[ky * taps + k]
    return total


def interpolate_tiles(values: np.ndarray, weights: np.ndarray, cols: int) -> np.ndarray:
    """All reduction tiles of all column tiles of an INTERPOLATE, int64[block_rows * block_cols, tiles, C].

    Parameters
    ----------
    values : int8[block_rows, block_cols, taps_y, taps_x, bytes]
        Of `machine_reads.input_bytes`.
    weights : int64[block_rows, block_cols, tiles, taps_y, taps_x]
        Of `machine_reads.tap_weights`.
    cols : int
        C.
    """
    tiles = weights.shape[2]
    total = np.zeros((*values.shape[:2], tiles, cols), np.int64)
    for ky in range(values.shape[2]):
        for kx in range(values.shape[3]):
            total += values[:, :, ky, kx].reshape(total.shape) * weights[..., ky, kx, None]
    return total.reshape(-1, tiles, cols)


def reduce_tiles(command: Command, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """All reduction tiles of all column tiles but of an INTERPOLATE; MAX takes the maximum of them.

    Parameters
    ----------
    values : int8[block_rows, block_cols or steps, taps_y, taps_x or 1, bytes]
        Of `machine_reads.input_bytes`.
    weights : int8[tiles, rows, C]
        The weights of each column tile, a row for each byte of the reduction; no rows in SUM and MAX.

    Returns
    -------
    int64[block_rows * block_cols, tiles, C]
        Before it wraps.
    """
    loops, (tiles, _, cols) = command["loops"], weights.shape
    pixels = loops["block_rows"] * loops["block_cols"]
    if command.operation == Opcode.MATMUL:
        total = _matmul(values.reshape(pixels, -1), weights)
    elif command.operation == Opcode.DEPTHWISE:
        total = _depthwise(command, values[:, :, :, 0], weights).astype(np.int64)
    else:
        taps = values.reshape(pixels, -1, tiles * cols)
        total = (taps.sum(axis=1, dtype=np.int64) if command.opcode == Opcode.SUM else taps.max(axis=1)).astype(np.int64)
    return total.reshape(pixels, tiles, cols)
