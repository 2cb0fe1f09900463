"""The array's Verilog under cocotb: what `test_array_verilog.py` runs inside the simulator."""

import os

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from hw.npu.array.array import array_latency

ROWS, COLS, BROADCAST = 8, 4, 2
LATENCY = array_latency(rows=ROWS, cols=COLS, broadcast=BROADCAST, multiplier_registers=0)
STEPS = 300
GROUP_ENDS = (3, 6, 6)
"""Two kernel rows of three taps each; two rows of the array compute nothing."""


async def _write(dut, plane, weights):
    """Writes the weights of a plane, a row a cycle."""
    dut.write.value, dut.write_plane.value = 1, plane
    for row in range(ROWS):
        dut.write_row.value = row
        for col in range(COLS):
            getattr(dut, f"weights__{col}").value = int(weights[row, col])
        await FallingEdge(dut.clk)
    dut.write.value = 0


async def _start(dut, rng):
    """Resets the inputs, and fills both planes with weights; gives these."""
    cocotb.start_soon(Clock(dut.clk, 2, unit="ns").start())
    for name in ("rst", "valid", "write", "column", "plane"):
        getattr(dut, name).value = 0
    dut.enable.value = 1
    for side, end in enumerate(GROUP_ENDS):
        getattr(dut, f"group_ends__{side}").value = end
    await FallingEdge(dut.clk)
    weights = rng.integers(-128, 128, (2, ROWS, COLS))
    for plane in range(2):
        await _write(dut, plane, weights[plane])
    return weights


async def _run(dut, rng, drive, expected):
    """Random steps, in some cycles of which the array stands still; gives how many sums were compared.

    ``drive(valid, plane)`` sets the inputs of a step; ``expected(step)`` are the sums of the wave of a step, None if there was none.
    """
    step, compared = 0, 0
    while step < STEPS:
        if step >= LATENCY and (sums := expected(step - LATENCY)) is not None:
            got = [getattr(dut, f"sums__{col}").value.to_signed() for col in range(COLS)]
            assert got == sums, f"step {step}: expected {sums}, got {got}"
            compared += 1
        enable = bool(rng.random() < 0.8)
        dut.enable.value = int(enable)
        if enable:
            valid, plane = bool(rng.random() < 0.7), int(rng.integers(2))
            dut.valid.value, dut.plane.value = int(valid), plane
            drive(valid, plane)
            step += 1
        await FallingEdge(dut.clk)
    return compared


@cocotb.test()
async def waves_of_both_planes_give_their_products(dut):
    """Random waves with gaps; each wave chooses one of two planes, and its sums come after exactly the latency."""
    rng = np.random.default_rng(int(os.environ["WEFT_SEED"]))
    weights, waves = await _start(dut, rng), []

    def drive(valid, plane):
        wave = rng.integers(-128, 128, ROWS)
        for row in range(ROWS):
            getattr(dut, f"activations__{row}").value = int(wave[row])
        waves.append((wave @ weights[plane]).tolist() if valid else None)

    assert await _run(dut, rng, drive, waves.__getitem__) > STEPS // 2


@cocotb.test()
async def steps_of_a_filter_give_its_sums(dut):
    """As a FIR filter: row r adds its tap times the vector of r steps later, of its own kernel row."""
    rng = np.random.default_rng(int(os.environ["WEFT_SEED"]))
    weights, planes, vectors = await _start(dut, rng), [], []
    dut.column.value = 1
    sides = [next(side for side, end in enumerate(GROUP_ENDS) if row < end) for row in range(max(GROUP_ENDS))]

    def drive(valid, plane):
        values = rng.integers(-128, 128, (len(GROUP_ENDS), COLS))
        for side, col in np.ndindex(*values.shape):
            getattr(dut, f"vectors__{side}__{col}").value = int(values[side, col])
        vectors.append(values)
        planes.append(plane if valid else None)

    def expected(step):
        if planes[step] is None:
            return None
        return sum(weights[planes[step], row] * vectors[step + row][side] for row, side in enumerate(sides)).tolist()

    assert await _run(dut, rng, drive, expected) > STEPS // 2
