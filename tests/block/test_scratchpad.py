"""Activation scratchpad against a byte array: random accesses of any alignment on all five ports at once."""

import random

import pytest
from amaranth.sim import Simulator

from hw.npu.scratchpad import READERS, WRITERS, ActivationScratchpad

SIZE = 1024


def _drive(dut, rng, accesses, density):
    """Random requests on every port; each answer is compared with the bytes at the moment of the request."""
    memory = bytearray(SIZE)
    counts = dict.fromkeys((*READERS, *WRITERS), 0)

    async def run(ctx):
        expected = {name: [] for name in READERS}  # (cycle, bytes)
        offered, cycle, waits = {}, 0, {}
        while min(counts.values()) < accesses:
            for name in READERS:
                port = getattr(dut, name)
                if name not in offered and rng.random() < density:
                    offered[name] = rng.randrange(SIZE)
                    ctx.set(port.request.payload, offered[name])
                ctx.set(port.request.valid, name in offered)
            for name in WRITERS:
                port, width = getattr(dut, name), dut.widths[name]
                if name not in offered and rng.random() < density:
                    offered[name] = (rng.randrange(SIZE), bytes(rng.randrange(256) for _ in range(width)), rng.randrange(1 << width))
                    address, data, mask = offered[name]
                    ctx.set(port.payload, {"address": address, "data": list(data), "mask": mask})
                ctx.set(port.valid, name in offered)
            await ctx.delay(1e-9)
            before = bytes(memory)
            for name in READERS:
                port, width = getattr(dut, name), dut.widths[name]
                if ctx.get(port.valid):
                    due, want = expected[name].pop(0)
                    got = bytes(ctx.get(port.data[i]) for i in range(width))
                    assert (due, want) == (cycle, got), f"{name}, cycle {cycle}: expected {want.hex()} in cycle {due}, got {got.hex()}"
                if name in offered and ctx.get(port.request.ready):
                    address = offered.pop(name)
                    expected[name].append((cycle + dut.READ_LATENCY, bytes(before[(address + i) % SIZE] for i in range(width))))
                    counts[name] += 1
            for name in WRITERS:
                if name in offered and ctx.get(getattr(dut, name).ready):
                    address, data, mask = offered.pop(name)
                    for i, byte in enumerate(data):
                        if mask >> i & 1:
                            memory[(address + i) % SIZE] = byte
                    counts[name] += 1
            for name in (*READERS, *WRITERS):
                waits[name] = waits.get(name, 0) + 1 if name in offered else 0
                assert waits[name] < 100, f"{name} waits for more than 100 cycles"
            await ctx.tick()
            cycle += 1

    return run


def _simulate(dut, testbench):
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()


@pytest.mark.parametrize(
    ("word", "feed_bytes", "lanes", "dma_bytes", "density"),
    [(4, 4, 1, 4, 0.7), (8, 8, 8, 4, 1.0), (16, 16, 4, 8, 1.0), (16, 4, 2, 16, 0.5), (32, 16, 8, 32, 0.9)],
)
def test_every_access_sees_the_bytes_of_its_moment(word, feed_bytes, lanes, dma_bytes, density, seed):
    rng = random.Random(seed)
    dut = ActivationScratchpad(banks=8, word=word, size=SIZE, feed_bytes=feed_bytes, lanes=lanes, dma_bytes=dma_bytes)
    # the memory starts unknown in hardware and zero in simulation, as the model does
    _simulate(dut, _drive(dut, rng, 150, density))


def test_feeder_reads_one_vector_a_cycle_beside_aligned_writes(seed):
    """Feeder and DMA on different banks: neither is ever refused."""
    dut = ActivationScratchpad(banks=8, word=16, size=SIZE, feed_bytes=16, lanes=16, dma_bytes=8)

    async def run(ctx):
        ctx.set(dut.feed.request.valid, 1)
        ctx.set(dut.dma_write.valid, 1)
        for cycle in range(64):
            ctx.set(dut.feed.request.payload, 16 * (cycle % 8) + 3)  # crosses into the next bank
            ctx.set(dut.dma_write.payload.address, (16 * (cycle % 8) + 64) % SIZE)
            await ctx.delay(1e-9)
            assert ctx.get(dut.feed.request.ready) and ctx.get(dut.dma_write.ready), f"refused in cycle {cycle}"
            await ctx.tick()

    _simulate(dut, run)


def test_size_that_is_no_multiple_of_the_banks_is_refused():
    with pytest.raises(ValueError, match="multiple of 8 banks"):
        ActivationScratchpad(banks=8, word=16, size=1000, feed_bytes=16, lanes=16, dma_bytes=8)
