"""The weight stream of the golden machine: what stands in it, and how parameters become numbers."""

import math

import numpy as np

from hw.npu.config import NpuConfig
from hw.npu.isa import BIAS_ROWS, EXPONENTIAL_BYTES, EXPONENTIALS, PARAMETER_ROWS, Command, Opcode, Params

PARAMETER_ROWS_OF = {Params.NONE: 0, Params.BIAS: BIAS_ROWS, Params.FULL: PARAMETER_ROWS}
TABLE_BYTES = 256


def weight_rows(config: NpuConfig, command: Command) -> int:
    """Rows of C bytes of weights of each column tile."""
    loops = command["loops"]
    if command.opcode == Opcode.MATMUL:
        return loops["taps_y"] * loops["taps_x"] * loops["lanes"]
    if command.opcode == Opcode.DEPTHWISE:
        return math.ceil(loops["taps_y"] / loops["span"]) * loops["span"] * loops["taps_x"]
    return 0


def stream_rows(config: NpuConfig, command: Command) -> tuple[int, int]:
    """Rows of C bytes of each column tile in the weight stream: parameters, weights."""
    return PARAMETER_ROWS_OF[Params(command["weights"]["params"])], weight_rows(config, command)


def stream_bytes(config: NpuConfig, command: Command) -> int:
    """Bytes of the whole stream, tables too."""
    if command.opcode == Opcode.SOFTMAX:
        return EXPONENTIALS * EXPONENTIAL_BYTES
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
