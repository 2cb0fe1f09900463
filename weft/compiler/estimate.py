"""Cycles that execute commands take when nothing makes them wait: what the plan, the tiling and the schedule weigh against each other."""

from golden.machine_stream import PARAMETER_ROWS_OF
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Params
from sim.ddr import DdrConfig

MIN_TILE_CYCLES = 4
"""A reduction tile takes at least so many cycles: the accumulators' read-modify-write."""
DEPENDENT_CYCLES = 70
"""From the last wave of a command to its last byte in the scratchpad: what a dependent command waits."""
PLANES = 2
"""Of the array: weights that compute, and weights that are loaded."""
HANDOVER_CYCLES = 5
"""From the last wave of a tile to the first row of the next one in its plane, and from the last row to the first wave."""
HALVES = 2
"""Of the accumulators: a job that computes, and one that leaves."""
COMMAND_CYCLES = 4
"""What one more command costs, so that equal tilings are decided for fewer commands."""
COMMAND_TRAFFIC = 200
"""Bytes of commands and records for each work."""
READ_LATENCY = DdrConfig.read_latency
"""Cycles from a DDR request to its first byte in the reference DDR."""
DDR_BYTES = DdrConfig.bytes_per_cycle
"""Bytes a cycle of the reference DDR, both directions together."""
HALF_CYCLES = 30
"""From the last wave of a job to a feeder that knows its half of the accumulators is free, beside the rows of the array and the pixels
that leave the half behind that wave."""
OUTSTANDING = DdrConfig.outstanding
"""Bursts in flight of the reference DDR."""
SOFTMAX_ROW_CYCLES = 90
"""Of a row of SOFTMAX beyond its three passes."""


def transfer_rate(config: NpuConfig) -> int:
    """Bytes a cycle of a transfer: the bus's or the memory's, whichever is slower."""
    return min(config.axi_bytes, DDR_BYTES)


def tiles_cycles(waves: int, tile_rows: list[int]) -> int:
    """Cycles of the reduction tiles of one job: each its waves, or the array rows that are loaded for it.

    The rows of a tile follow the last wave of the one before it in its plane, so that two tiles take the waves of one and the rows of
    another in turn.
    """
    return sum(max(waves, rows, MIN_TILE_CYCLES, (waves + rows + HANDOVER_CYCLES) // PLANES if rows else 0) for rows in tile_rows)


def job_cycles(config: NpuConfig, params: Params, pixels: int, waves: int, tile_rows: list[int], *, halves: bool = True) -> int:
    """Cycles of one job: feeder, weight loader or output stage, whichever is slowest.

    Parameters
    ----------
    pixels, waves : int
        Output pixels, and cycles that a reduction tile takes for them: the same but in DEPTHWISE.
    tile_rows : list of int
        Rows of weights of each reduction tile; 0 where there are none.
    halves : bool
        Whether what a job waits for its half of the accumulators counts.
    """
    loads = PARAMETER_ROWS_OF[params] + sum(tile_rows)
    computed, written = tiles_cycles(waves, tile_rows), pixels * config.lane_divisor
    # sums of one reduction tile are final one by one, and leave while the job's waves go on
    held = (max(computed, written) if len(tile_rows) == 1 else computed + written) + config.rows + HALF_CYCLES
    return max(computed, loads, written, held // HALVES if halves else 0)


def arrival_cycles(config: NpuConfig, rows: int, row_bytes: int, *, apart: bool) -> int:
    """Cycles in which rows of a tensor come from DDR; where they lie apart in the scratchpad, each is a burst or more of its own."""
    if not apart:
        return -(-rows * row_bytes // transfer_rate(config))
    return rows * max(-(-row_bytes // transfer_rate(config)), READ_LATENCY // OUTSTANDING)
