"""Limits of an execute command's fields, as the hardware checks them."""

from amaranth.hdl import Const

from hw.npu.isa import MAX_PRODUCT_SHIFT, Opcode, Params, Second


def bad_field(command, *, rows, cols, depth, weight_bytes):
    """Expression: a field of the execute command is outside its limits (error BAD_FIELD).

    Parameters
    ----------
    command : view of EXECUTE_LAYOUT
    rows, cols : int
        Size of the array.
    depth : int
        Entries of a half of the accumulators.
    weight_bytes : int
        Size of the weight scratchpad.
    """
    loops, weights = command.loops, command.weights
    matmul, bad = command.header.opcode == Opcode.MATMUL, Const(0)
    for name in ("block_rows", "block_cols", "taps_y", "taps_x", "chunks", "column_tiles"):
        bad |= loops[name] == 0
    bad |= loops.block_rows * loops.block_cols > depth
    bad |= matmul & ((loops.last_rows == 0) | (loops.last_rows > rows))
    bad |= (loops.last_cols == 0) | (loops.last_cols > cols)
    bad |= (loops.partial_in | loops.partial_out) & (loops.column_tiles != 1)
    bad |= ~matmul & (loops.chunks != 1)
    bad |= (weights.address[: (cols - 1).bit_length()] != 0) | (weights.address >= weight_bytes)
    bad |= weights.params > Params.FULL
    bad |= command.output.right_shift > 31
    bad |= (command.second.operation == Second.MUL) & (command.second.first_shift > MAX_PRODUCT_SHIFT)
    return bad
