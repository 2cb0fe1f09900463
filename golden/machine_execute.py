"""MATMUL, SUM and MAX of the golden machine: the loop nest of ``docs/architecture.md``, one numpy step a column tile."""

import numpy as np

from golden.machine_dma import NOTHING
from golden.machine_output import finish, write_addresses
from golden.machine_state import MachineError, MachineState
from hw.npu.config import NpuConfig
from hw.npu.isa import BIAS_ROWS, PARAMETER_ROWS, Command, Error, Opcode, Params, Second

PARAMETER_ROWS_OF = {Params.NONE: 0, Params.BIAS: BIAS_ROWS, Params.FULL: PARAMETER_ROWS}
TABLE_BYTES = 256
ADDRESS_BITS, COLUMN_BITS, ROW_BITS = 26, 25, 17
"""Widths in which the feeder computes an address, a position in an image row, and an image row."""


def _check(state, index, command):
    """The limits of the fields: BAD_FIELD as the hardware raises it."""
    loops, config = command["loops"], state.config
    pixels = loops["block_rows"] * loops["block_cols"]
    partial = loops["partial_in"] or loops["partial_out"]
    limits = (
        (1 <= pixels <= config.ACCUMULATOR_DEPTH, f"block_rows * block_cols = {pixels}"),
        (loops["taps_y"] >= 1 and loops["taps_x"] >= 1, "taps_y and taps_x must be at least 1"),
        (loops["chunks"] >= 1 and loops["column_tiles"] >= 1, "chunks and column_tiles must be at least 1"),
        (1 <= loops["last_rows"] <= config.rows or command.opcode != Opcode.MATMUL, f"last_rows = {loops['last_rows']}"),
        (1 <= loops["last_cols"] <= config.cols, f"last_cols = {loops['last_cols']}"),
        (not partial or loops["column_tiles"] == 1, "partial sums need column_tiles = 1"),
        (command.opcode == Opcode.MATMUL or loops["chunks"] == 1, f"{command.opcode.name} needs chunks = 1"),
        (command["weights"]["address"] % config.cols == 0, f"weights.address = {command['weights']['address']}"),
        (command["weights"]["address"] < config.weight_bytes, f"weights.address = {command['weights']['address']}"),
        (command["second"]["operation"] in set(Second), f"second.operation = {command['second']['operation']}"),
        (command["weights"]["params"] in set(Params), f"weights.params = {command['weights']['params']}"),
        (command["output"]["right_shift"] <= 31, f"output.right_shift = {command['output']['right_shift']}"),
    )
    for holds, message in limits:
        if not holds:
            raise MachineError(Error.BAD_FIELD, index, message)


def input_addresses(config: NpuConfig, index: int, command: Command, lanes: int, channel: int) -> tuple[np.ndarray, np.ndarray]:
    """Addresses that the feeder reads for one column tile, wrapped, and which of them lie inside the image.

    The address of a wave is wrapped as a whole; its bytes count up from there, and byte 0 follows the last.

    Parameters
    ----------
    lanes : int
        Consecutive bytes of a tap that count: all chunks together.
    channel : int
        First channel of the column tile in SUM and MAX, 0 in MATMUL.

    Returns
    -------
    addresses : int64[block_rows * block_cols, taps_y, taps_x, lanes]
    inside : bool, the same shape
        Where not, the address means nothing.
    """
    loops, source, size = command["loops"], command["input"], config.act_bytes
    by, bx = np.arange(loops["block_rows"])[:, None, None, None], np.arange(loops["block_cols"])[None, :, None, None]
    ky, kx = np.arange(loops["taps_y"])[None, None, :, None], np.arange(loops["taps_x"])[None, None, None, :]
    row = _wrap(source["y"] + by * source["row_step_y"] + ky * source["tap_y_rows"], ROW_BITS)
    matmul = command.opcode == Opcode.MATMUL
    width = config.rows if matmul else config.cols
    wave = np.arange(-(-lanes // width)) * width  # first byte of each wave of a tap
    along = (bx * source["pixel_step"] + kx * source["tap_x_step"] + channel)[..., None] + wave
    first = _wrap(source["address"] + (by * source["row_step"] + ky * source["tap_y_step"])[..., None] + along, ADDRESS_BITS)
    first = np.where(first < 0, first + size, np.where(first >= size, first - size, first))
    position = _wrap(source["x_bytes"] + along, COLUMN_BITS)[..., None] + np.arange(width)
    inside = (position >= 0) & (position < source["image_row_bytes"]) & ((row >= 0) & (row < source["height"]))[..., None, None]
    if matmul:
        inside[..., -1, loops["last_rows"] :] = False
    outside = inside.any(axis=-1) & ((first < 0) | (first >= size))
    if outside.any():
        raise MachineError(Error.ADDRESS, index, f"input address {first[outside][0]} of {size}")
    address = (first[..., None] + np.arange(width)) % size
    address, inside = (each.reshape(*each.shape[:4], -1)[..., :lanes] for each in np.broadcast_arrays(address, inside))
    shape = loops["block_rows"] * loops["block_cols"], loops["taps_y"], loops["taps_x"], lanes
    return address.reshape(shape), inside.reshape(shape)


def _gather(state, index, command, lanes, channel) -> np.ndarray:
    """Bytes at `input_addresses`, int8, the pad value where they are outside the image."""
    address, inside = input_addresses(state.config, index, command, lanes, channel)
    values = state.activations[np.where(inside, address, 0)].view(np.int8)
    return np.where(inside, values, np.int8(command["input"]["pad_value"]))


def stream_rows(config: NpuConfig, command: Command) -> tuple[int, int]:
    """Rows of C bytes of each column tile in the weight stream: parameters, weights."""
    loops = command["loops"]
    lanes = (loops["chunks"] - 1) * config.rows + loops["last_rows"]
    weights = loops["taps_y"] * loops["taps_x"] * lanes if command.opcode == Opcode.MATMUL else 0
    return PARAMETER_ROWS_OF[Params(command["weights"]["params"])], weights


class _Stream:
    """The weight stream of one command; it wraps at the end of the weight scratchpad."""

    def __init__(self, memory, address):
        self._memory, self._address = memory, address

    def take(self, count):
        addresses = (self._address + np.arange(count)) % len(self._memory)
        self._address += count
        return self._memory[addresses]


def _parameters(rows, kind):
    """Bias int32[C], and multiplier int64[C] and exponent int64[C] or None, out of byte-planar rows uint8[rows, C]."""
    if kind == Params.NONE:
        return 0, None, None
    bias = np.ascontiguousarray(rows[:4].T).view("<i4")[:, 0].astype(np.int64)
    if kind == Params.BIAS:
        return bias, None, None
    return bias, np.ascontiguousarray(rows[4:8].T).view("<i4")[:, 0].astype(np.int64), rows[8].view(np.int8).astype(np.int64)


def _wrap(values, bits):
    half = 1 << (bits - 1)
    return ((values + half) & ((1 << bits) - 1)) - half


def _reduce(command, values, stream, cols, previous):
    """All reduction tiles of one column tile: accumulators int64[N, C], before they wrap."""
    if command.opcode == Opcode.MATMUL:
        flat = values.reshape(len(values), -1)
        weights = stream.take(flat.shape[1] * cols).view(np.int8).reshape(flat.shape[1], cols)
        # every product is below 2^14 and a reduction below 2^20 terms: float64 is exact
        total = (flat.astype(np.float64) @ weights.astype(np.float64)).astype(np.int64)
        return total if previous is None else previous + total
    taps = values.reshape(len(values), -1, cols).astype(np.int64)
    if command.opcode == Opcode.SUM:
        return taps.sum(axis=1) + (0 if previous is None else previous)
    highest = taps.max(axis=1)
    return highest if previous is None else np.maximum(highest, previous)


def execute_job(state: MachineState, index: int, command: Command):
    """Execute one command of the execute queue; returns the activation addresses written, int64[n], and values, uint8[n]."""
    _check(state, index, command)
    loops, weights, config = command["loops"], command["weights"], state.config
    matmul = command.opcode == Opcode.MATMUL
    stream = _Stream(state.weights, weights["address"])
    if weights["load_table"]:
        state.table = stream.take(TABLE_BYTES).copy()
    pixels = loops["block_rows"] * loops["block_cols"]
    lanes = (loops["chunks"] - 1) * config.rows + loops["last_rows"]
    values = _gather(state, index, command, lanes, 0) if matmul else None
    rows, _ = stream_rows(config, command)
    written = [NOTHING]
    for tile in range(loops["column_tiles"]):
        parameters = _parameters(stream.take(rows * config.cols).reshape(rows, config.cols), weights["params"])
        channels = loops["last_cols"] if tile == loops["column_tiles"] - 1 else config.cols
        if not matmul:
            values = _gather(state, index, command, config.cols, tile * config.cols)  # unused columns too: partial sums keep them
        half = state.accumulators[state.jobs % 2]
        previous = half[:pixels].copy() if loops["partial_in"] else None
        half[:pixels] = _wrap(_reduce(command, values, stream, config.cols, previous), config.accumulator_bits)
        if loops["partial_out"]:
            continue
        state.jobs += 1
        result = finish(state, index, command, half[:pixels], parameters, tile, channels)
        addresses = write_addresses(state, index, command, tile, channels)
        state.activations[addresses] = result
        written.append((addresses, result))
    return np.concatenate([each[0] for each in written]), np.concatenate([each[1] for each in written])
