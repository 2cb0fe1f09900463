"""SOFTMAX of the golden machine: rows of the activation scratchpad, exponentials out of the weight stream."""

import numpy as np

from golden.machine_state import MachineError, MachineState
from golden.machine_stream import WeightStream
from golden.operators.softmax import softmax_by_table
from hw.npu.interface.isa import SOFTMAX_TABLE_BYTES, Command, Error

SIGN_BIT = 1 << 31
"""Of an exponential in the stream; it is not read."""


def _rows(state, index, command, group):
    """Address of every byte of every row, int64[rows, lanes]: block row, block column."""
    loops, place, size = command["loops"], command[group], state.config.act_bytes
    by, bx = np.arange(loops["block_rows"])[:, None], np.arange(loops["block_cols"])
    first = (place["address"] + by * place["row_step"] + bx * place["pixel_step"]).reshape(-1, 1)
    addresses = first + np.arange(loops["lanes"])
    outside = addresses[(addresses < 0) | (addresses >= size)]
    if len(outside):
        raise MachineError(Error.ADDRESS, index, f"{group} address {outside[0]} of {size}")
    return addresses


def execute_softmax(state: MachineState, index: int, command: Command):
    """Execute the command; returns the activation addresses written, int64[n], and values, uint8[n], in hardware order.

    A row that is written lies where it is read, or where the command reads nothing; so the order of rows does not matter.
    """
    stream = WeightStream(state.weights, command["weights"]["address"])
    table = stream.take(SOFTMAX_TABLE_BYTES).view("<u4").astype(np.int64) & (SIGN_BIT - 1)
    source, target = (_rows(state, index, command, group) for group in ("input", "output"))
    values = softmax_by_table(state.activations[source].view(np.int8), table).view(np.uint8).reshape(-1)
    state.activations[target.reshape(-1)] = values
    state.jobs += 1
    return target.reshape(-1), values
