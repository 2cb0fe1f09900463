"""The weight stream of the golden machine: what stands in it, and how its bytes become weights and parameters."""

import math

import numpy as np

from golden.machine_reads import packed_tiles
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import BIAS_ROWS, PARAMETER_ROWS, SOFTMAX_TABLE_BYTES, TABLE_BYTES, Command, Opcode, Params

PARAMETER_ROWS_OF = {Params.NONE: 0, Params.BIAS: BIAS_ROWS, Params.FULL: PARAMETER_ROWS}


def rows_of(terms: int, int4: bool) -> int:
    """Rows of C bytes that the weights of one reduction tile take in the stream, for so many products a channel: 4-bit weights share."""
    return math.ceil(terms / 2) if int4 else terms


def tile_terms(config: NpuConfig, command: Command) -> list[int]:
    """Products a channel of each reduction tile of a column tile, those with zeros behind the last kernel row of a DEPTHWISE too."""
    loops = command["loops"]
    if command.operation == Opcode.MATMUL:
        ends = loops["taps_y"] * loops["taps_x"]  # kernel rows, of one tap where there are several: then no tile holds bytes of two
        tiles = packed_tiles(ends, loops["lanes"], loops["span"], config.tile_depth(command.opcode.int4))
        return [sum(count for _, _, count, _ in tile) for tile in tiles]
    if command.operation == Opcode.DEPTHWISE:
        return [loops["span"] * loops["taps_x"]] * math.ceil(loops["taps_y"] / loops["span"])
    return []


def weight_rows(config: NpuConfig, command: Command) -> int:
    """Rows of C bytes of weights of each column tile."""
    if command.opcode.int4:
        return sum(rows_of(terms, True) for terms in tile_terms(config, command))
    loops = command["loops"]
    if command.opcode == Opcode.MATMUL:
        return loops["taps_y"] * loops["taps_x"] * loops["lanes"]
    return sum(tile_terms(config, command))


def weights_of(config: NpuConfig, command: Command, rows: np.ndarray) -> np.ndarray:
    """Weights of all column tiles, int8[tiles, terms, C], out of their rows of the stream, uint8[tiles, weight_rows, C].

    Of a row of 4-bit weights the lower halves come first. The upper halves of the last row of a reduction tile with an odd number of
    terms are not read.
    """
    if not command.opcode.int4:
        return rows.view(np.int8)
    halves = np.stack([(rows << 4).view(np.int8) >> 4, rows.view(np.int8) >> 4], axis=2)
    read = [pad for terms in tile_terms(config, command) for pad in [True] * terms + [False] * (terms % 2)]
    return halves.reshape(len(rows), -1, rows.shape[2])[:, np.array(read, bool)]


def stream_rows(config: NpuConfig, command: Command) -> tuple[int, int]:
    """Rows of C bytes of each column tile in the weight stream: parameters, weights."""
    return PARAMETER_ROWS_OF[Params(command["weights"]["params"])], weight_rows(config, command)


def stream_bytes(config: NpuConfig, command: Command) -> int:
    """Bytes of the whole stream, tables too."""
    if command.opcode == Opcode.SOFTMAX:
        return SOFTMAX_TABLE_BYTES
    tables = TABLE_BYTES if command["weights"]["load_table"] else 0
    return tables + command["loops"]["column_tiles"] * sum(stream_rows(config, command)) * config.cols


class WeightStream:
    """The weight stream of one command; it wraps at the end of the weight scratchpad.

    Parameters
    ----------
    memory : uint8[bytes]
    address : int
        Of its first byte.
    """

    def __init__(self, memory, address):
        self._memory, self._address = memory, address

    def take(self, count) -> np.ndarray:
        """The next bytes, uint8[count]."""
        start, size = self._address % len(self._memory), len(self._memory)
        self._address += count
        if start + count <= size:
            return self._memory[start : start + count]
        return np.resize(self._memory, start + count)[start:]


def channel_parameters(rows, kind):
    """Bias int64[C], and multiplier int64[C] and exponent int64[C] or None, out of byte-planar rows uint8[rows, C]."""
    if kind == Params.NONE:
        return 0, None, None
    bias = np.ascontiguousarray(rows[:4].T).view("<i4")[:, 0].astype(np.int64)
    if kind == Params.BIAS:
        return bias, None, None
    return bias, np.ascontiguousarray(rows[4:8].T).view("<i4")[:, 0].astype(np.int64), rows[8].view(np.int8).astype(np.int64)
