"""Weights of pixels that lie between others, and the multipliers that take them."""

from collections import deque

import numpy as np
from amaranth.sim import Simulator

from golden.machine_reads import pixels_of, tap_weights
from hw.npu.array.interpolator import Interpolator
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Command, Opcode
from hw.npu.walks.interpolation_walk import InterpolationWalk

CONFIG = NpuConfig(rows=4, cols=8, act_kib=16, weight_kib=8, interpolation=True)


def _command(rng) -> Command:
    """Any positions, in front of an image, inside and behind it."""
    channels, width = int(rng.integers(1, 12)), int(rng.integers(1, 8))
    return Command(
        Opcode.INTERPOLATE,
        {
            "loops": {
                "block_rows": int(rng.integers(1, 6)),
                "block_cols": int(rng.integers(1, 9)),
                "taps_y": int(rng.integers(1, 3)),
                "taps_x": int(rng.integers(1, 3)),
                "column_tiles": int(rng.integers(1, 3)),
            },
            "input": {
                "y": int(rng.integers(-3, 3)),
                "height": int(rng.integers(0, 7)),
                "x_bytes": channels * int(rng.integers(-3, 3)),
                "image_row_bytes": channels * width,
                "pixel_step": channels * int(rng.integers(0, 2)),
                "row_step_y": int(rng.integers(0, 2)),
                "tap_y_rows": int(rng.integers(0, 3)),
                "tap_x_step": channels,
            },
            "interpolation": {name: int(rng.choice([0, 1, 512, 1023, rng.integers(1024)])) for name in ("y", "step_y", "x", "step_x")},
        },
    )


def test_a_vector_has_the_weight_of_its_tap_and_its_pixel(seed):
    """Of several commands one behind the other, of which each third is a SUM, with pauses between their steps."""
    rng, dut, waiting = np.random.default_rng(seed), InterpolationWalk(), deque()
    late = [{"address": 0, "y": 0, "x": 0}]  # where the step of the cycle before stood

    async def walk(ctx):
        for number in range(12):
            command, interpolates = _command(rng), number % 3 != 1
            loops = command["loops"]
            rows, columns = pixels_of(command, "y"), pixels_of(command, "x")
            for group in ("loops", "input", "interpolation"):
                ctx.set(getattr(dut, group), command[group])
            ctx.set(dut.interpolates, interpolates)
            ctx.set(dut.vector, 1)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            weights = tap_weights(CONFIG, command)
            taps = np.ndindex(loops["column_tiles"], loops["taps_y"], loops["taps_x"])
            for (tile, ky, kx), by, bx in ((tap, *pixel) for tap in taps for pixel in np.ndindex(len(rows), len(columns))):
                place = {"address": 0, "y": int(rows[by]), "x": int(columns[bx]) + tile * CONFIG.cols}
                ends = bx == len(columns) - 1, bx == len(columns) - 1 and by == len(rows) - 1
                waiting.append(int(weights[by, bx, tile, ky, kx]) if interpolates else 1)
                await _step(ctx, place, ends)
                while rng.random() < 0.3:
                    await _pause(ctx)
            for _ in range(dut.LATENCY + 1):
                await _pause(ctx)
        assert not waiting

    async def _step(ctx, place, ends):
        ctx.set(dut.row_end, ends[0])
        ctx.set(dut.tile_end, ends[1])
        ctx.set(dut.step, 1)
        ctx.set(dut.position, late.pop())
        late[:] = [place]
        await ctx.tick()
        ctx.set(dut.step, 0)

    async def _pause(ctx):
        ctx.set(dut.position, late[0])
        await ctx.tick()

    async def observe(ctx):
        async for *_, valid, weight in ctx.tick().sample(dut.valid, dut.weight):
            if valid:
                assert weight == waiting.popleft(), f"seed {seed}, {len(waiting)} more"

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(walk)
    sim.add_testbench(observe, background=True)
    sim.run()


def test_a_byte_is_multiplied_by_the_weight_of_its_vector(seed):
    rng, dut, late = np.random.default_rng(seed), Interpolator(cols=4), Interpolator.LATENCY
    got = []
    weights = [0, 1, 1 << 20, *rng.integers(0, 1 << 20, 60).tolist()]
    vectors = [[-128, 127, -1, 0], *rng.integers(-128, 128, (len(weights) - 1, 4)).tolist()]

    async def run(ctx):
        for weight, vector in zip(weights + [0] * late, vectors + [[0] * 4] * late, strict=True):
            ctx.set(dut.weight, weight)
            for lane, byte in zip(dut.vector, vector, strict=True):
                ctx.set(lane, byte)
            got.append([ctx.get(product) for product in dut.products])
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(run)
    sim.run()
    assert got[late:] == [[weight * byte for byte in vector] for weight, vector in zip(weights, vectors, strict=True)]
