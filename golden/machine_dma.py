"""LOAD and STORE of the golden machine: rows of bytes between DDR and a scratchpad."""

import numpy as np

from golden.machine_state import MachineError, MachineState
from hw.npu.interface.isa import Command, Error, Opcode, Region, Target

NOTHING = np.zeros(0, np.int64), np.zeros(0, np.uint8)
"""What a command wrote that wrote nothing."""


def _check(state, index, command, dma):
    if dma["row_bytes"] < 1 or dma["rows"] < 1:
        raise MachineError(Error.BAD_FIELD, index, f"rows = {dma['rows']} and row_bytes = {dma['row_bytes']} must be at least 1")
    if dma["region"] not in set(Region):
        raise MachineError(Error.BAD_FIELD, index, f"region = {dma['region']} is none")
    if dma["target"] == Target.WEIGHTS:
        if command.opcode == Opcode.STORE:
            raise MachineError(Error.BAD_FIELD, index, "weights cannot be stored")
        for name in ("ddr_offset", "ddr_stride", "sram_address", "sram_stride", "row_bytes"):
            if dma[name] % state.config.axi_bytes:
                raise MachineError(Error.BAD_FIELD, index, f"{name} = {dma[name]} is not a multiple of the AXI width")


def _addresses(first, stride, dma):
    """Address of every byte, int64[rows * row_bytes]."""
    return (first + np.arange(dma["rows"])[:, None] * stride + np.arange(dma["row_bytes"])).reshape(-1)


def execute_transfer(state: MachineState, index: int, command: Command):
    """Copy; returns the activation addresses written, int64[n], and the values, uint8[n], in order."""
    dma = command["dma"]
    _check(state, index, command, dma)
    load = command.opcode == Opcode.LOAD
    scratchpad = state.weights if dma["target"] == Target.WEIGHTS else state.activations
    region = state.regions[Region(dma["region"])]
    inner = _addresses(dma["sram_address"], dma["sram_stride"], dma)
    outer = _addresses(dma["ddr_offset"], dma["ddr_stride"], dma)
    if inner.max() >= len(scratchpad):
        raise MachineError(Error.ADDRESS, index, f"scratchpad address {inner.max()} of {len(scratchpad)}")
    if outer.max() >= len(region):
        code = Error.AXI_READ if load else Error.AXI_WRITE
        raise MachineError(code, index, f"offset {outer.max()} of region {Region(dma['region']).name}, which has {len(region)} bytes")
    if not load:
        region[outer] = scratchpad[inner]
        return NOTHING
    scratchpad[inner] = region[outer]
    return NOTHING if dma["target"] == Target.WEIGHTS else (inner, region[outer])
