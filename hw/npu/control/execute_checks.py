"""Limits of an execute command's fields, as the hardware checks them."""

from types import SimpleNamespace

from amaranth.hdl import Const

from hw.npu.interface.isa import (
    LEAST_POSITIONS,
    MAX_BETWEEN,
    MAX_PRODUCT_SHIFT,
    MAX_SOFTMAX_LANES,
    MOST_LAG,
    Opcode,
    Params,
    Second,
    is_operation,
    is_plain,
)

CHECK_CYCLES = 4
"""With `hold`: cycles from a command to its verdict: `checked_fields`, products, limits, all of them."""


def checked_fields(command, hold):
    """The fields of an execute command that `bad_field` looks at, in registers: the command itself may stand in a memory. Of multipliers
    of a second operand it is enough to know whether one is that of a plain operand.

    Parameters
    ----------
    command : view of EXECUTE_LAYOUT
    hold : function of a value and a name
        The value in a register.
    """
    shift, second = command.output.right_shift, command.second
    return SimpleNamespace(
        header=SimpleNamespace(opcode=hold(command.header.opcode, "checked_opcode")),
        loops=hold(command.loops, "checked_loops"),
        weights=hold(command.weights, "checked_weights"),
        output=SimpleNamespace(right_shift=hold(shift, "checked_shift")),
        second=SimpleNamespace(
            operation=hold(second.operation, "checked_operation"), first_shift=hold(second.first_shift, "checked_first_shift")
        ),
        both_scaled=hold(_both_scaled(second), "checked_scaled"),
    )


def _both_scaled(second):
    """Both operands of a sum would be scaled."""
    plain = is_plain(second.first_multiplier, second.first_shift) | is_plain(second.multiplier, second.shift)
    return ~plain & ((second.operation == Second.ADD) | (second.operation == Second.SUB))


def bad_field(command, *, rows, cols, depth, weight_bytes, int4=False, interpolation=False, hold=lambda value, name: value):
    """Expression: a field of the execute command is outside its limits (error BAD_FIELD).

    Parameters
    ----------
    command : `checked_fields` of an EXECUTE_LAYOUT
    rows, cols : int
        Size of the array.
    depth : int
        Entries of a half of the accumulators.
    weight_bytes : int
        Size of the weight scratchpad.
    int4 : bool
        There are commands with 4-bit weights.
    interpolation : bool
        There are commands INTERPOLATE.
    hold : function of a value and a name
        A product, and each limit for itself, in a register.
    """
    loops, weights, opcode = command.loops, command.weights, command.header.opcode
    matmul, depthwise = (is_operation(opcode, operation, int4) for operation in (Opcode.MATMUL, Opcode.DEPTHWISE))
    softmax = opcode == Opcode.SOFTMAX
    limits = [loops[name] == 0 for name in ("block_rows", "block_cols", "taps_y", "taps_x", "column_tiles")]
    limits += [
        hold(loops.block_rows * loops.block_cols, "pixels") > depth,
        (loops.last_cols == 0) | (loops.last_cols > cols),
        (loops.partial_in | loops.partial_out) & (loops.column_tiles != 1),
        (matmul | depthwise) & (loops.span == 0),
        matmul & ((loops.lanes == 0) | ((loops.span > 1) & (loops.taps_x != 1))),
        depthwise & _bad_filter(loops, rows, hold),
        softmax & _bad_softmax(loops, weights),
        *([(opcode == Opcode.INTERPOLATE) & ((loops.taps_y > MAX_BETWEEN) | (loops.taps_x > MAX_BETWEEN))] if interpolation else []),
        (weights.address[: (cols - 1).bit_length()] != 0) | (weights.address >= weight_bytes),
        weights.params > Params.FULL,
        command.output.right_shift > 31,
        (command.second.operation == Second.MUL) & (command.second.first_shift > MAX_PRODUCT_SHIFT),
        command.both_scaled,
    ]
    bad = Const(0)
    for number, limit in enumerate(limits):
        bad |= hold(limit, f"limit_{number}")
    return hold(bad, "bad_field")


def _bad_filter(loops, rows, hold):
    """DEPTHWISE: rows of the array, lag of the kernel rows, and steps of a block row, which must reach its last wave."""
    # positions end behind the last wave, at (block_cols - 1) * stride; with stride more on both sides no sum is in a multiplier's way
    beyond, least = hold(loops.positions + loops.stride, "beyond"), hold(loops.block_cols * loops.stride, "least_beyond")
    span_rows, lag = hold(loops.span * loops.taps_x, "span_rows"), hold((loops.span - 1) * loops.taps_x, "lag")
    bad = (span_rows > rows) | (lag > MOST_LAG)
    return bad | (loops.stride == 0) | (loops.positions < LEAST_POSITIONS) | (beyond <= least)


def _bad_softmax(loops, weights):
    """SOFTMAX: what a row of bytes has no use for."""
    ones = (loops.taps_x != 1) | (loops.taps_y != 1) | (loops.column_tiles != 1) | (loops.last_cols != 1)
    bad = (loops.lanes == 0) | (loops.lanes > MAX_SOFTMAX_LANES) | ones
    return bad | (weights.params != Params.NONE) | weights.load_table | loops.partial_in | loops.partial_out
