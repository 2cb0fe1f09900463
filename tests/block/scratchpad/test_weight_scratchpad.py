"""The weight scratchpad against a byte array: rows and beats at the same time, and what each loses to the other."""

import random

import pytest
from amaranth.sim import Simulator

from hw.npu.scratchpad.weight_scratchpad import WeightScratchpad

SIZE = 1024
STREAM = 256
"""Accesses of a stream whose speed is measured."""


def simulate(dut, testbench):
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()


@pytest.mark.parametrize("registers", [0, 1])
@pytest.mark.parametrize(
    ("cols", "dma_bytes", "density"), [(4, 4, 0.8), (4, 8, 1.0), (8, 16, 0.6), (16, 4, 1.0), (16, 8, 1.0), (16, 8, 0.4), (32, 32, 0.9)]
)
def test_every_row_holds_the_beats_accepted_before_it(cols, dma_bytes, density, registers, seed):
    rng, memory = random.Random(seed), bytearray(SIZE)
    dut = WeightScratchpad(banks=4, size=SIZE, cols=cols, dma_bytes=dma_bytes, registers=registers)

    async def run(ctx):
        expected, row, beat, place, reads, cycle = [], None, None, 0, 0, 0
        while reads < 400:
            if row is None and rng.random() < density:
                # near what is written just now, as often as anywhere
                row = (
                    (place + rng.randrange(-4, 4) * dma_bytes) // cols * cols % SIZE if rng.random() < 0.5 else rng.randrange(0, SIZE, cols)
                )
            if beat is None and rng.random() < density:
                place = rng.randrange(0, SIZE, dma_bytes) if rng.random() < 0.2 else (place + dma_bytes) % SIZE
                beat = (
                    place,
                    bytes(rng.randrange(256) for _ in range(dma_bytes)),
                    rng.choice([(1 << dma_bytes) - 1, rng.randrange(1 << dma_bytes)]),
                )
                ctx.set(dut.write.payload, {"address": beat[0], "data": list(beat[1]), "mask": beat[2]})
            ctx.set(dut.write.valid, beat is not None)
            ctx.set(dut.read.request.valid, row is not None)
            ctx.set(dut.read.request.payload, row or 0)
            await ctx.delay(1e-9)
            if ctx.get(dut.read.valid):
                due, want = expected.pop(0)
                got = bytes(ctx.get(dut.read.data[i]) for i in range(cols))
                assert (due, want) == (cycle, got), f"cycle {cycle}: expected {want.hex()} in cycle {due}, got {got.hex()}"
            if row is not None and ctx.get(dut.read.request.ready):
                expected.append((cycle + dut.read_latency(registers), bytes(memory[row : row + cols])))
                row, reads = None, reads + 1
            if beat is not None and ctx.get(dut.write.ready):
                for i, byte in enumerate(beat[1]):
                    if beat[2] >> i & 1:
                        memory[beat[0] + i] = byte
                beat = None
            await ctx.tick()
            cycle += 1
            assert cycle < 40_000, "a read waits for ever"

    simulate(dut, run)


@pytest.mark.parametrize("lead", range(0, 64, 8))
def test_two_beats_a_word_and_the_loader_do_not_slow_each_other(lead):
    """Rows of 16 bytes every cycle beside beats of 8: the loader loses nothing, wherever the DMA is."""
    dut = WeightScratchpad(banks=4, size=SIZE, cols=16, dma_bytes=8, registers=0)

    async def run(ctx):
        ctx.set(dut.read.request.valid, 1)
        ctx.set(dut.write.valid, 1)
        ctx.set(dut.write.payload.mask, 0xFF)
        for cycle in range(STREAM):
            ctx.set(dut.read.request.payload, 16 * cycle % (SIZE // 2))
            ctx.set(dut.write.payload.address, SIZE // 2 + (lead + 8 * cycle) % (SIZE // 2))
            await ctx.delay(1e-9)
            assert ctx.get(dut.read.request.ready), f"the loader waits in cycle {cycle}"
            assert ctx.get(dut.write.ready), f"the DMA waits in cycle {cycle}"
            await ctx.tick()

    simulate(dut, run)
