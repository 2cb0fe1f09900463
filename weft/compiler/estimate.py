"""Cycles that execute commands take when nothing makes them wait: what the plan, the tiling and the schedule weigh against each other."""

from golden.machine_stream import PARAMETER_ROWS_OF
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Params
from sim.ddr import DdrConfig

MIN_TILE_CYCLES = 4
"""A reduction tile takes at least so many cycles: the accumulators' read-modify-write."""
DEPENDENT_CYCLES = 70
"""From the last wave of a command to its last byte in the scratchpad: what a dependent command waits."""
COMMAND_CYCLES = 4
"""What one more command costs, so that equal tilings are decided for fewer commands."""
READ_LATENCY = DdrConfig.read_latency
"""Cycles from a DDR request to its first byte in the reference DDR."""
DDR_BYTES = DdrConfig.bytes_per_cycle
"""Bytes a cycle of the reference DDR, both directions together."""
SOFTMAX_ROW_CYCLES = 90
"""Of a row of SOFTMAX beyond its three passes."""


def transfer_rate(config: NpuConfig) -> int:
    """Bytes a cycle of a transfer: the bus's or the memory's, whichever is slower."""
    return min(config.axi_bytes, DDR_BYTES)


def tiles_cycles(waves: int, tile_rows: list[int]) -> int:
    """Cycles of the reduction tiles of one job: each its waves, or the array rows that are loaded for it."""
    return sum(max(waves, rows, MIN_TILE_CYCLES) for rows in tile_rows)


def job_cycles(config: NpuConfig, params: Params, pixels: int, waves: int, tile_rows: list[int]) -> int:
    """Cycles of one job: feeder, weight loader or output stage, whichever is slowest.

    Parameters
    ----------
    pixels, waves : int
        Output pixels, and cycles that a reduction tile takes for them: the same but in DEPTHWISE.
    tile_rows : list of int
        Rows of weights of each reduction tile; 0 where there are none.
    """
    loads = PARAMETER_ROWS_OF[params] + sum(tile_rows)
    return max(tiles_cycles(waves, tile_rows), loads, pixels * config.lane_divisor)
