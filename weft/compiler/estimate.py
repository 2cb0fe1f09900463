"""Cycles that execute commands take when nothing makes them wait: what the tiling and the schedule weigh against each other."""

from golden.machine_execute import PARAMETER_ROWS_OF
from golden.program import Program
from hw.npu.config import NpuConfig
from hw.npu.isa import EXECUTE, Command, Opcode, Params

MIN_TILE_CYCLES = 4
"""A reduction tile takes at least so many cycles: the accumulators' read-modify-write."""
DEPENDENT_CYCLES = 70
"""From the last wave of a command to its last byte in the scratchpad: what a dependent command waits."""
COMMAND_CYCLES = 4
"""What one more command costs, so that equal tilings are decided for fewer commands."""
READ_LATENCY = 64
"""Cycles from a DDR request to its first byte in the reference DDR."""


def tile_cycles(config: NpuConfig, opcode: Opcode, pixels: int, taps: int, chunks: int, last_rows: int) -> int:
    """Cycles of the reduction tiles of one job: each its pixels, or the array rows that are loaded for it."""
    if opcode != Opcode.MATMUL:
        return taps * max(pixels, MIN_TILE_CYCLES)
    return taps * ((chunks - 1) * max(pixels, config.rows, MIN_TILE_CYCLES) + max(pixels, last_rows, MIN_TILE_CYCLES))


def job_cycles(config: NpuConfig, opcode: Opcode, params: Params, pixels: int, taps: int, chunks: int, last_rows: int) -> int:
    """Cycles of one job: feeder, weight loader or output stage, whichever is slowest."""
    loads = PARAMETER_ROWS_OF[params]
    if opcode == Opcode.MATMUL:
        loads += taps * ((chunks - 1) * config.rows + last_rows)
    return max(tile_cycles(config, opcode, pixels, taps, chunks, last_rows), loads, pixels * config.lane_divisor)


def command_cycles(config: NpuConfig, command: Command) -> int:
    """Sum over the reduction tiles of an execute command of max(pixels, rows loaded, 4)."""
    loops = command["loops"]
    pixels, taps = loops["block_rows"] * loops["block_cols"], loops["taps_y"] * loops["taps_x"]
    return loops["column_tiles"] * tile_cycles(config, command.opcode, pixels, taps, loops["chunks"], loops["last_rows"])


def ideal_cycles(program: Program) -> dict[str, int]:
    """`command_cycles` summed for each layer, by its name."""
    cycles = {layer.name: 0 for layer in program.layers}
    for planned in program.commands:
        if planned.command.opcode in EXECUTE:
            cycles[program.layers[planned.layer].name] += command_cycles(program.config, planned.command)
    return cycles
