"""Activation scratchpad against a byte array: random accesses of any alignment on all seven ports at once."""

import random

import pytest
from amaranth.sim import Simulator

from hw.npu.scratchpad.scratchpad import FEED, READERS, WRITERS, ActivationScratchpad

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
                    width = dut.widths[name]
                    first = rng.randrange(width) if name in FEED else 0
                    end = rng.randint(first + 1, width) if name in FEED else width
                    offered[name] = address, first, end = rng.randrange(SIZE), first, end
                    ctx.set(port.request.payload, {"address": address, "first": first, "end": end} if name in FEED else address)
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
                    due, first, want = expected[name].pop(0)
                    got = bytes(ctx.get(port.data[i]) for i in range(first, first + len(want)))
                    assert (due, want) == (cycle, got), f"{name}, cycle {cycle}: expected {want.hex()} in cycle {due}, got {got.hex()}"
                if name in offered and ctx.get(port.request.ready):
                    address, first, end = offered.pop(name)
                    want = bytes(before[(address + i) % SIZE] for i in range(first, end))
                    expected[name].append((cycle + dut.READ_LATENCY, first, want))
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
        ctx.set(dut.feed_0.request.valid, 1)
        ctx.set(dut.dma_write.valid, 1)
        for cycle in range(64):
            ctx.set(dut.feed_0.request.payload, {"address": 16 * (cycle % 8) + 3, "end": 16})  # crosses into the next bank
            ctx.set(dut.dma_write.payload.address, (16 * (cycle % 8) + 64) % SIZE)
            await ctx.delay(1e-9)
            assert ctx.get(dut.feed_0.request.ready) and ctx.get(dut.dma_write.ready), f"refused in cycle {cycle}"
            await ctx.tick()

    _simulate(dut, run)


def _granted(dut, requests, masks):
    """Which of the feeder's ports, ``{port: (address, first, end)}``, and of the writers, ``{port: (address, mask)}``, go together."""
    granted = {}

    async def run(ctx):
        for name, (address, first, end) in requests.items():
            ctx.set(getattr(dut, name).request.payload, {"address": address, "first": first, "end": end})
            ctx.set(getattr(dut, name).request.valid, 1)
        for name, (address, mask) in masks.items():
            ctx.set(getattr(dut, name).payload, {"address": address, "mask": mask})
            ctx.set(getattr(dut, name).valid, 1)
        await ctx.delay(1e-9)
        granted.update({name: ctx.get(getattr(dut, name).request.ready) for name in requests})
        granted.update({name: ctx.get(getattr(dut, name).ready) for name in masks})

    _simulate(dut, run)
    return {name for name, ready in granted.items() if ready}


@pytest.mark.parametrize(
    ("second", "mask", "together"),
    [
        ((8, 0, 8), 0x00FF, {"feed_0", "write"}),  # bank 0, which feed_0 has
        ((8, 8, 16), 0x00FF, {"feed_0", "feed_1"}),  # bank 1 only, where the write would go
        ((8, 7, 16), 0x00FF, {"feed_0", "write"}),  # banks 0 and 1
        ((40, 0, 8), 0x00FF, {"feed_0", "feed_1", "write"}),  # bank 2: a whole vector of the write would reach it, its mask does not
        ((40, 0, 8), 0xFF00, {"feed_0", "feed_1"}),
        ((40, 8, 16), 0xFF00, {"feed_0", "feed_1", "write"}),  # bank 3 only
    ],
)
def test_an_access_asks_for_the_banks_of_its_bytes_only(second, mask, together):
    """feed_0 reads bank 0; the write at byte 24 stands in bank 1, and with the upper half of its mask in bank 2 too."""
    dut = ActivationScratchpad(banks=8, word=16, size=SIZE, feed_bytes=16, lanes=16, dma_bytes=8)
    assert _granted(dut, {"feed_0": (0, 0, 16), "feed_1": second}, {"write": (16 + 8, mask)}) == together


def test_size_that_is_no_multiple_of_the_banks_is_refused():
    with pytest.raises(ValueError, match="multiple of 8 banks"):
        ActivationScratchpad(banks=8, word=16, size=1000, feed_bytes=16, lanes=16, dma_bytes=8)
