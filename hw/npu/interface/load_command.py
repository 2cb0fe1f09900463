"""What the weight loader gets of an execute command, and what it says about the weight stream."""

from amaranth.hdl import Mux, unsigned
from amaranth.lib import data

from hw.npu.interface.isa import (
    BIAS_ROWS,
    PARAMETER_ROWS,
    SOFTMAX_TABLE_BYTES,
    TABLE_BYTES,
    Opcode,
    Params,
    group_layout,
    is_operation,
)

LOAD_COMMAND = data.StructLayout({
    "opcode": unsigned(8),
    "loops": group_layout("loops"),
    "weights": group_layout("weights"),
})
"""What the weight loader needs of an execute command."""


def stream_of(command, int4):
    """Expressions: what a command's stream holds: a table, parameters, weights."""
    opcode = command.opcode
    matmul, depthwise = (is_operation(opcode, operation, int4) for operation in (Opcode.MATMUL, Opcode.DEPTHWISE))
    return command.weights.load_table | (opcode == Opcode.SOFTMAX), command.weights.params != Params.NONE, matmul | depthwise


def table_rows(command, cols):
    """Expression: rows of a command's table."""
    return Mux(command.opcode == Opcode.SOFTMAX, SOFTMAX_TABLE_BYTES // cols, TABLE_BYTES // cols)


def parameter_rows(command):
    """Expression: rows of the parameters of a column tile, where there are any."""
    return Mux(command.weights.params == Params.FULL, PARAMETER_ROWS, BIAS_ROWS)
