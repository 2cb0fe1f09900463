"""Limits of an execute command's fields in the golden machine: BAD_FIELD as the hardware raises it."""

from golden.machine_state import MachineError, MachineState
from hw.npu.interface.isa import (
    LEAST_POSITIONS,
    MAX_BETWEEN,
    MAX_PRODUCT_SHIFT,
    MAX_SOFTMAX_LANES,
    MAX_SPAN,
    MOST_LAG,
    Command,
    Error,
    Opcode,
    Params,
    Second,
    is_plain,
)


def _common(command, config):
    """Limits of every execute command: (whether it holds, what it is)."""
    loops, weights, second = command["loops"], command["weights"], command["second"]
    pixels = loops["block_rows"] * loops["block_cols"]
    partial = loops["partial_in"] or loops["partial_out"]
    plain = is_plain(second["first_multiplier"], second["first_shift"]) or is_plain(second["multiplier"], second["shift"])
    return (
        (1 <= pixels <= config.ACCUMULATOR_DEPTH, f"block_rows * block_cols = {pixels}"),
        (loops["taps_y"] >= 1 and loops["taps_x"] >= 1, "taps_y and taps_x must be at least 1"),
        (loops["column_tiles"] >= 1, "column_tiles must be at least 1"),
        (1 <= loops["last_cols"] <= config.cols, f"last_cols = {loops['last_cols']}"),
        (not partial or loops["column_tiles"] == 1, "partial sums need column_tiles = 1"),
        (weights["address"] % config.cols == 0, f"weights.address = {weights['address']}"),
        (weights["address"] < config.weight_bytes, f"weights.address = {weights['address']}"),
        (second["operation"] != Second.MUL or second["first_shift"] <= MAX_PRODUCT_SHIFT, f"second.first_shift = {second['first_shift']}"),
        (second["operation"] not in (Second.ADD, Second.SUB) or plain, "second: one operand of a sum has multiplier 2^30 and shift 0"),
        (weights["params"] in set(Params), f"weights.params = {weights['params']}"),
        (command["output"]["right_shift"] <= 31, f"output.right_shift = {command['output']['right_shift']}"),
    )


def _matmul(command, config):
    loops = command["loops"]
    return (
        (loops["lanes"] >= 1, "lanes must be at least 1"),
        (1 <= loops["span"] <= MAX_SPAN, f"span = {loops['span']}"),
        (loops["span"] == 1 or loops["taps_x"] == 1, f"span = {loops['span']} needs taps_x = 1, not {loops['taps_x']}"),
    )


def _depthwise(command, config):
    loops = command["loops"]
    span, taps, last_wave = loops["span"], loops["taps_x"], (loops["block_cols"] - 1) * loops["stride"]
    return (
        (1 <= span <= MAX_SPAN, f"span = {span}"),
        (span * taps <= config.rows, f"span * taps_x = {span} * {taps} is more than {config.rows}"),
        ((span - 1) * taps <= MOST_LAG, f"(span - 1) * taps_x = {(span - 1) * taps} is more than {MOST_LAG}"),
        (loops["positions"] >= LEAST_POSITIONS, f"positions = {loops['positions']} is less than {LEAST_POSITIONS}"),
        (loops["stride"] >= 1, "stride must be at least 1"),
        (loops["positions"] > last_wave, f"positions = {loops['positions']} end before the last output pixel, at step {last_wave}"),
    )


def _softmax(command, config):
    loops, weights = command["loops"], command["weights"]
    ones = ("taps_y", "taps_x", "column_tiles", "last_cols")
    return (
        (1 <= loops["lanes"] <= MAX_SOFTMAX_LANES, f"lanes = {loops['lanes']}"),
        (all(loops[name] == 1 for name in ones), f"SOFTMAX needs {', '.join(ones)} = 1"),
        (weights["params"] == Params.NONE and not weights["load_table"], "SOFTMAX has no parameters and no other table"),
        (not loops["partial_in"] and not loops["partial_out"], "SOFTMAX has no partial sums"),
    )


def _interpolate(command, config):
    return tuple((command["loops"][name] <= MAX_BETWEEN, f"{name} = {command['loops'][name]}") for name in ("taps_y", "taps_x"))


LIMITS_OF = {
    Opcode.MATMUL: _matmul,
    Opcode.DEPTHWISE: _depthwise,
    Opcode.SOFTMAX: _softmax,
    Opcode.INTERPOLATE: _interpolate,
}


def check_fields(state: MachineState, index: int, command: Command):
    """Stops with BAD_FIELD at the first limit that a field does not keep."""
    limits = list(_common(command, state.config))
    if command.operation in LIMITS_OF:
        limits += LIMITS_OF[command.operation](command, state.config)
    for holds, message in limits:
        if not holds:
            raise MachineError(Error.BAD_FIELD, index, message)
