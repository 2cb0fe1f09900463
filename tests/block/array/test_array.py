"""Systolic array against a matrix product: every wave with its own plane, weights rewritten behind the waves."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.npu.array.array import SystolicArray, array_latency


@pytest.mark.parametrize("int4", [False, True])
@pytest.mark.parametrize(
    ("rows", "cols", "broadcast", "registers"), [(4, 4, 16, 0), (4, 8, 4, 1), (8, 4, 1, 0), (16, 16, 16, 0), (4, 16, 2, 1)]
)
def test_sums_are_products_with_the_plane_of_the_wave(rows, cols, broadcast, registers, int4, seed):
    """Tiles of random length alternate planes; row r of a plane is rewritten as early as the rule allows, the cycle after its last wave.

    With `int4` tiles of one and of two weights a row follow each other at random.
    """
    rng = np.random.default_rng(seed)
    dut = SystolicArray(rows=rows, cols=cols, broadcast=broadcast, int4=int4, multiplier_registers=registers)
    lengths = [int(rng.integers(1, 3 * rows)) for _ in range(8)]
    lengths = [max(length, rows + dut.groups) for length in lengths]  # the next tile's weights are written while this one computes
    doubles = [bool(rng.integers(2)) and int4 for _ in lengths]
    weights = [_weights(rng, (2 * rows if double else rows, cols), double) for double in doubles]
    waves = [rng.integers(-128, 128, (length, len(matrix))) for length, matrix in zip(lengths, weights)]
    weights[0][:], waves[0][0] = -8 if doubles[0] else -128, -128  # the largest sum
    starts, first = np.cumsum([0, *lengths]), 2 * rows  # waves begin when two tiles are there

    def write_schedule():
        """Cycle -> (row, plane, weights): tile t is written from the cycle after the last wave of tile t-2 entered."""
        schedule = {}
        for tile, matrix in enumerate(weights):
            begin = tile * rows if tile < 2 else first + starts[tile - 1] + dut.groups - 1
            for row, values in enumerate(_packed(matrix) if doubles[tile] else matrix):
                schedule[begin + row] = (row, tile % 2, values)
        return schedule

    schedule = write_schedule()
    sent = [(tile, wave) for tile, block in enumerate(waves) for wave in block]

    async def run(ctx):
        ctx.set(dut.enable, 1)
        for cycle in range(first + len(sent) + dut.latency):
            write = schedule.get(cycle)
            ctx.set(dut.write, write is not None)
            if write:
                ctx.set(dut.write_row, write[0])
                ctx.set(dut.write_plane, write[1])
                for col in range(cols):
                    ctx.set(dut.weights[col], int(write[2][col]))
            number = cycle - first
            ctx.set(dut.valid, 0 <= number < len(sent))
            if 0 <= number < len(sent):
                tile, wave = sent[number]
                ctx.set(dut.plane, tile % 2)
                if int4:
                    ctx.set(dut.paired, doubles[tile])
                for lane, value in enumerate(wave):
                    ctx.set(dut.activations[lane], int(value))
            done = number - dut.latency
            if done >= 0:
                tile, wave = sent[done]
                want = (wave @ weights[tile]).tolist()
                got = [ctx.get(dut.sums[col]) for col in range(cols)]
                assert got == want, f"seed {seed}, wave {done} of tile {tile}: expected {want}, got {got}"
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(run)
    sim.run()


def _weights(rng, shape, int4):
    return rng.integers(-8, 8, shape) if int4 else rng.integers(-128, 128, shape)


def _packed(matrix):
    """Rows of bytes of 4-bit weights: an even row in the lower halves, the odd one behind it in the upper ones."""
    return ((matrix[1::2] & 15) << 4 | matrix[::2] & 15).astype(np.uint8).view(np.int8)


@pytest.mark.parametrize("int4", [False, True])
@pytest.mark.parametrize(("rows", "cols", "broadcast", "registers"), [(16, 4, 16, 0), (8, 8, 2, 0), (16, 2, 1, 1), (4, 4, 4, 1)])
def test_a_column_is_a_filter_that_moves_only_when_enabled(rows, cols, broadcast, registers, int4, seed):
    """Wave u enters with step u; row r of group g multiplies the vector of kernel row g of step u + r. Steps come at random."""
    rng = np.random.default_rng(seed)
    dut = SystolicArray(rows=rows, cols=cols, broadcast=broadcast, int4=int4, multiplier_registers=registers)
    spans = [span for span in (1, 2, 3) if span <= rows]
    span = int(rng.choice(spans))
    taps = int(rng.integers(1, rows // span + 1))
    weights = rng.integers(-128, 128, (rows, cols))
    steps = 2 * rows + 5
    vectors = rng.integers(-128, 128, (steps + rows + dut.groups, 3, cols))
    valid = rng.integers(0, 2, steps)
    group = [row // taps if row < span * taps else None for row in range(rows)]
    want = [sum(vectors[u + r, group[r]] * weights[r] for r in range(rows) if group[r] is not None) for u in range(steps) if valid[u]]
    due = [u + dut.latency for u in range(steps) if valid[u]]

    async def run(ctx):
        for row in range(rows):
            ctx.set(dut.write, 1)
            ctx.set(dut.write_row, row)
            for col in range(cols):
                ctx.set(dut.weights[col], int(weights[row, col]))
            await ctx.tick()
        ctx.set(dut.write, 0)
        for side in range(3):
            ctx.set(dut.group_ends[side], min(side + 1, span) * taps)
        await ctx.tick()
        for step in range(steps + dut.latency):
            ctx.set(dut.enable, 0)
            ctx.set(dut.valid, 0)
            for _ in range(int(rng.integers(0, 3))):
                await ctx.tick()
            ctx.set(dut.enable, 1)
            ctx.set(dut.valid, int(step < steps and valid[step]))
            ctx.set(dut.column, 1)
            for side in range(3):
                for col in range(cols):
                    ctx.set(dut.vectors[side][col], int(vectors[min(step, len(vectors) - 1), side, col]))
            if step in due:
                got = [ctx.get(dut.sums[col]) for col in range(cols)]
                expected = want[due.index(step)].tolist()
                assert got == expected, f"seed {seed}, span {span}, taps {taps}, step {step}: expected {expected}, got {got}"
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(run)
    sim.run()


def test_latency_counts_rows_and_groups():
    for registers, behind in ((0, 1), (1, 6)):
        more = {"multiplier_registers": registers}
        assert array_latency(rows=16, cols=16, broadcast=16, **more) == 16 + behind
        assert array_latency(rows=4, cols=4, broadcast=1, **more) == 4 + 3 + behind
        assert array_latency(rows=8, cols=64, broadcast=16, **more) == 8 + 3 + behind
