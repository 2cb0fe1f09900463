"""Memories of the golden machine, and the error that stops it."""

from dataclasses import dataclass

import numpy as np

from golden.program import Program
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Error, Region


class MachineError(Exception):
    """The job stopped as the hardware stops.

    Parameters
    ----------
    code : Error
        Value of the register ERROR_CODE.
    index : int
        Index of the command.
    message : str
        What was wrong, with the value.
    """

    def __init__(self, code: Error, index: int, message: str):
        self.code, self.index, self.message = code, index, message
        super().__init__(f"command {index}: {code.name}: {message}")


@dataclass
class MachineState:
    """Everything that outlives a command.

    Attributes
    ----------
    config : NpuConfig
    activations, weights : ndarray
        The scratchpads, uint8[bytes].
    accumulators : ndarray
        int64[2, 256, C], values of ``accumulator_bits`` bits.
    table : ndarray
        uint8[256], the output stage's table.
    jobs : int
        Jobs that gave their half of the accumulators back: the next one uses half ``jobs % 2``.
    regions : dict of Region to ndarray
        DDR, uint8[bytes] each.
    """

    config: NpuConfig
    activations: np.ndarray
    weights: np.ndarray
    accumulators: np.ndarray
    table: np.ndarray
    jobs: int
    regions: dict

    @classmethod
    def fresh(cls, program: Program, fill: int | np.random.Generator) -> "MachineState":
        """The memories before the first command: every byte is `fill`, or drawn by it, except the constants."""
        config = program.config

        def memory(shape, dtype=np.uint8):
            drawn = fill.integers(0, 256, shape) if isinstance(fill, np.random.Generator) else np.full(shape, fill)
            return drawn.astype(dtype)

        return cls(
            config,
            memory(config.act_bytes),
            memory(config.weight_bytes),
            memory((2, config.ACCUMULATOR_DEPTH, config.cols), np.int64),
            memory(256),
            0,
            {Region.MODEL: np.frombuffer(program.constants, np.uint8).copy(), Region.ARENA: memory(program.arena_bytes)},
        )
