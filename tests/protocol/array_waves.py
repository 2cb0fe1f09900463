"""The array's Verilog under cocotb: what `test_array_verilog.py` runs inside the simulator."""

import os

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

ROWS, COLS, BROADCAST = 8, 4, 2


async def _write(dut, plane, weights):
    """Writes the weights of a plane, a row a cycle."""
    dut.write.value, dut.write_plane.value = 1, plane
    for row in range(ROWS):
        dut.write_row.value = row
        for col in range(COLS):
            getattr(dut, f"weights__{col}").value = int(weights[row, col])
        await FallingEdge(dut.clk)
    dut.write.value = 0


@cocotb.test()
async def waves_of_both_planes_give_their_products(dut):
    """Random waves with gaps; each wave chooses one of two planes, and its sums come after exactly the latency."""
    rng = np.random.default_rng(int(os.environ["WEFT_SEED"]))
    latency = ROWS + COLS // BROADCAST - 1
    cocotb.start_soon(Clock(dut.clk, 2, unit="ns").start())
    for name in ("rst", "valid", "write"):
        getattr(dut, name).value = 0
    await FallingEdge(dut.clk)
    weights = rng.integers(-128, 128, (2, ROWS, COLS))
    for plane in range(2):
        await _write(dut, plane, weights[plane])
    expected, compared = {}, 0
    for cycle in range(300):
        valid, plane, wave = rng.random() < 0.7, int(rng.integers(2)), rng.integers(-128, 128, ROWS)
        if cycle in expected:
            got = [getattr(dut, f"sums__{col}").value.to_signed() for col in range(COLS)]
            assert got == expected[cycle], f"cycle {cycle}: expected {expected[cycle]}, got {got}"
            compared += 1
        dut.valid.value, dut.plane.value = int(valid), plane
        for row in range(ROWS):
            getattr(dut, f"activations__{row}").value = int(wave[row])
        if valid:
            expected[cycle + latency] = (wave @ weights[plane]).tolist()
        await FallingEdge(dut.clk)
    assert compared > 150
