"""What a command reads and writes of a scratchpad, and whether it is sound by itself."""

from dataclasses import dataclass

import numpy as np

from golden.areas import Area
from golden.machine_reads import channels_of, read_runs, steps_in_image, steps_of
from golden.machine_stream import stream_bytes
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import VECTORS, Command, Opcode


class Hazard(Exception):
    """Two commands that hardware may run in the wrong order, or a command that hardware computes otherwise than the golden machine."""


@dataclass(frozen=True)
class Footprint:
    """What an execute command touches of the activation scratchpad.

    Attributes
    ----------
    inputs : Area
        Bytes that the feeder reads and the result depends on: no unused columns, no steps behind the last tap.
    second, output : Area or None
        Second operands and results; None where the command has none.
    """

    inputs: Area
    second: Area | None
    output: Area | None


def footprint(config: NpuConfig, index: int, command: Command) -> Footprint:
    """What an execute command touches.

    Raises
    ------
    Hazard
        If it writes over what it still has to read, or a DEPTHWISE shares steps that are not padding.
    MachineError
        ADDRESS, as the golden machine raises it for the input.
    """
    if command.operation == Opcode.DEPTHWISE:
        _check_shared_steps(config, index, command)
    inputs = _inputs(config, index, command)
    if command["loops"]["partial_out"]:
        return Footprint(inputs, None, None)
    second = None
    if command["second"]["operation"] and command.opcode != Opcode.SOFTMAX:
        second = _rectangle(config, command, "second")
    touched = Footprint(inputs, second, _rectangle(config, command, "output"))
    _check_own_results(config, index, command, touched)
    return touched


def stream_area(config: NpuConfig, command: Command) -> Area:
    """The weight stream, of the weight scratchpad."""
    address = command["weights"]["address"]
    return Area.wrapped(address, address + stream_bytes(config, command), config.weight_bytes)


def transfer_area(command: Command) -> Area:
    """What a LOAD or STORE touches of its scratchpad."""
    dma = command["dma"]
    starts = dma["sram_address"] + np.arange(dma["rows"]) * dma["sram_stride"]
    return Area.of(starts, starts + dma["row_bytes"])


def ddr_area(command: Command) -> Area:
    """What a LOAD or STORE touches of its region in DDR."""
    dma = command["dma"]
    starts = dma["ddr_offset"] + np.arange(dma["rows"]) * dma["ddr_stride"]
    return Area.of(starts, starts + dma["row_bytes"])


def results_area(config: NpuConfig, command: Command) -> Area:
    """Where an execute command that keeps no partial sums writes its results."""
    return _rectangle(config, command, "output")


def _result_bytes(config, command):
    """Bytes of a pixel's result."""
    loops = command["loops"]
    return loops["lanes"] if command.opcode == Opcode.SOFTMAX else channels_of(config, loops)


def _rectangle(config, command, group):
    """All results, or all second operands."""
    loops, place = command["loops"], command[group]
    by, bx = np.arange(loops["block_rows"])[:, None], np.arange(loops["block_cols"])
    starts = place["address"] + by * place["row_step"] + bx * place["pixel_step"]
    return Area.of(starts, starts + _result_bytes(config, command))


def _inputs(config, index, command):
    runs, (_, seen) = read_runs(config, index, command), steps_of(command)
    unused = 0
    if command.opcode in VECTORS and not command["loops"]["partial_out"]:
        unused = config.cols - command["loops"]["last_cols"]
    useful = max(each.first + each.count for each in runs) - unused
    starts, ends = [], []
    for each in runs:
        last = np.minimum(each.high, useful - each.first)
        address, low, high = (values[:, :seen].reshape(-1) for values in (each.address, each.low, last))
        read = high > low
        begin = (address[read] + low[read]) % config.act_bytes
        starts.append(begin)
        ends.append(begin + (high - low)[read])
    return Area.wrapped(np.concatenate(starts), np.concatenate(ends), config.act_bytes)


def _check_shared_steps(config, index, command):
    """Steps that a block row of a DEPTHWISE leaves out, and those that the next one begins with in their stead, are padding.

    The golden machine takes padding for what is left out. Hardware goes on with the next block row.
    """
    loops = command["loops"]
    read, seen = steps_of(command)
    last = (loops["block_cols"] - 1) * loops["stride"]
    if read <= last:
        raise Hazard(f"command {index}: the last output of a block row begins at step {last}, and it has only {read} steps")
    if read >= seen:
        return
    real = steps_in_image(config, command)
    for what, steps in (("leaves out", range(read, seen)), ("shares", range(seen - read))):
        wrong = [step for step in steps if real[step]]
        if wrong:
            raise Hazard(f"command {index} {what} step {wrong[0]} of its block rows, which is not padding in all of them")


def _check_own_results(config, index, command, touched):
    """Results may lie over what the same command reads only where each takes the place of the one operand that it is made of."""
    loops, result, output = command["loops"], command["output"], touched.output
    elementwise = loops["taps_y"] * loops["taps_x"] == 1 and command.opcode in (Opcode.SUM, Opcode.MAX, Opcode.SOFTMAX)
    apart = output.size == loops["block_rows"] * loops["block_cols"] * _result_bytes(config, command)  # no result lies over another
    for group, area, may in (("input", touched.inputs, elementwise), ("second", touched.second, True)):
        if area is None or not area.overlaps(output):
            continue
        in_place = all(command[group][field] == result[field] for field in ("address", "pixel_step", "row_step"))
        if not (may and in_place and apart):
            raise Hazard(f"command {index} writes over what it reads itself (group {group})")
