"""Output stage of the golden machine: accumulators to bytes, and where they go."""

import numpy as np

from golden.machine_state import MachineError, MachineState
from golden.requantize import (
    multiply_double_rounding,
    multiply_single_rounding,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
    split_exponent,
    wrap_int32,
)
from hw.npu.interface.isa import ADD_LEFT_SHIFT, Command, Error, Second


def _addresses(state, index, command, group, tile, channels):
    """Address of each result or second operand, int64[N * channels]: block row, block column, channel."""
    loops, place = command["loops"], command[group]
    by, bx = np.arange(loops["block_rows"])[:, None, None], np.arange(loops["block_cols"])[None, :, None]
    first = place["address"] + tile * state.config.cols
    addresses = (first + by * place["row_step"] + bx * place["pixel_step"] + np.arange(channels)).reshape(-1)
    if addresses.max() >= state.config.act_bytes:
        raise MachineError(Error.ADDRESS, index, f"{group} address {addresses.max()} of {state.config.act_bytes}")
    return addresses


def write_addresses(state: MachineState, index: int, command: Command, tile: int, channels: int) -> np.ndarray:
    """Addresses that one column tile writes, int64[N * channels], in hardware order."""
    return _addresses(state, index, command, "output", tile, channels)


def finish(state: MachineState, index: int, command: Command, sums, parameters, tile: int, channels: int) -> np.ndarray:
    """Results of one column tile, uint8[N * channels].

    Parameters
    ----------
    sums : int64[N, C]
        Accumulators.
    parameters : tuple
        Bias, multiplier and exponent of each channel; the last two None where the command holds them.
    """
    output, second = command["output"], command["second"]
    bias, multiplier, exponent = parameters
    left, right = output["left_shift"], output["right_shift"]
    if multiplier is None:
        multiplier = output["multiplier"]
    else:
        left, right = split_exponent(exponent)
    if np.max(right) > 31 or np.max(left) > 31:
        raise MachineError(Error.BAD_FIELD, index, f"exponent {exponent}")
    multiply = multiply_single_rounding if output["single_rounding"] else multiply_double_rounding
    y = multiply(wrap_int32(sums + bias), multiplier, left, right)[:, :channels]
    y = _clamp(y + output["zero_point"], output)
    if output["use_table"]:
        y = state.table[y & 0xFF].view(np.int8).astype(np.int64)
    if second["operation"]:
        b = state.activations[_addresses(state, index, command, "second", tile, channels)].view(np.int8).reshape(y.shape)
        y = _join(second, y, b.astype(np.int64))
    return y.astype(np.int8).reshape(-1).view(np.uint8)


def _clamp(y, bounds):
    """Bounds that cross: what is below the lower becomes the lower, also where that is above the upper."""
    low, high = bounds["clamp_min"], bounds["clamp_max"]
    return np.where(y < low, low, np.where(y > high, high, y))


def _join(second, a, b):
    """TFLite's int8 ADD, SUB or MUL of two operands."""
    srdhm, rshift = saturating_rounding_doubling_high_mul, rounding_divide_by_pot
    a, b = a - second["first_zero_point"], b - second["zero_point"]
    if second["operation"] == Second.MUL:
        x = a * b << second["first_shift"]
    else:
        s1 = rshift(srdhm(a << ADD_LEFT_SHIFT, second["first_multiplier"]), second["first_shift"])
        s2 = rshift(srdhm(b << ADD_LEFT_SHIFT, second["multiplier"]), second["shift"])
        x = s1 - s2 if second["operation"] == Second.SUB else s1 + s2
    y = rshift(srdhm(wrap_int32(x), second["out_multiplier"]), second["out_shift"])
    return _clamp(y + second["out_zero_point"], second)
