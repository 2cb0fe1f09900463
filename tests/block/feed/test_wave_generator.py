"""The generator against nested loops: where each step is, and which loops end with it."""

import random

import pytest

from hw.npu.config import NpuConfig
from hw.npu.feed.wave_generator import WaveGenerator
from hw.npu.interface.isa import Opcode
from tests.block.feed.feed_model import random_models
from tests.streams import plain, simulate

CONFIG = NpuConfig("generator", rows=8, cols=4, act_kib=16, weight_kib=8, lane_divisor=2, interpolation=True)
OPCODES = (Opcode.MATMUL, Opcode.SUM, Opcode.DEPTHWISE, Opcode.INTERPOLATE)
PREPARED = 2
"""Cycles for which a command stands before it starts."""


@pytest.mark.parametrize("draw", range(2))
def test_steps_are_those_of_the_loops(draw, seed):
    rng = random.Random(f"{seed} {draw}")
    dut = WaveGenerator(cols=CONFIG.cols, interpolation=True)

    async def check(ctx):
        for number, model in enumerate(random_models([seed, draw], CONFIG, OPCODES)):
            ctx.set(dut.loops, model.loops)
            ctx.set(dut.input, model.command["input"])
            ctx.set(dut.depthwise, model.depthwise)
            ctx.set(dut.channels, not model.matmul)
            ctx.set(dut.interpolates, model.interpolates)
            ctx.set(dut.interpolation, model.fractions)
            for _ in range(PREPARED):
                await ctx.tick()
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            density = rng.choice((1, 0.4))
            for step in model.steps():
                ctx.set(dut.last_tile, step.tile == len(model.tiles) - 1)
                taken = False
                while not taken:
                    taken = rng.random() < density
                    ctx.set(dut.step, taken)
                    here = f"seed {seed}, command {number}: {model.command}, {step}"
                    flags = {name: ctx.get(getattr(dut, name)) for name in ("wave", "first_pixel", "last_pixel", "tile_end")}
                    assert flags == {name: getattr(step, name) for name in flags}, here
                    assert ctx.get(dut.entry) == step.entry, here
                    assert ctx.get(dut.last_column) == (step.column == model.loops["column_tiles"] - 1), here
                    await ctx.tick()
                    position = plain(ctx.get(dut.position))
                    assert position == vars(step.pixel), here
            ctx.set(dut.step, 0)

    simulate(dut, check, cycles=50_000)
