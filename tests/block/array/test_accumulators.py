"""Accumulators against a dictionary of vectors: jobs of several tiles, alternating halves, read out while the other half fills."""

import random

import pytest
from amaranth.sim import Simulator

from hw.npu.array.accumulators import Accumulators

COLS = 3


def _wrap(value, bits):
    return (value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


@pytest.mark.parametrize("registers", [0, 1])
@pytest.mark.parametrize(("bits", "gap"), [(32, 0.0), (20, 0.3)])
def test_entries_are_sums_or_maxima_of_their_waves(bits, gap, registers, seed):
    rng = random.Random(seed)
    dut = Accumulators(cols=COLS, depth=16, sum_bits=20, accumulator_bits=bits, memory_registers=registers)
    jobs, waves = [], []
    for number in range(12):
        entries, tiles, maximum = (3, 4, 5, 6)[number] if number < 4 else rng.randint(3, 16), rng.randint(1, 4), rng.random() < 0.4
        values = [[[rng.randrange(-1 << 19, 1 << 19) for _ in range(COLS)] for _ in range(entries)] for _ in range(tiles)]
        fold = max if maximum else lambda xs: _wrap(sum(xs), bits)
        jobs.append([
            [fold([_wrap(values[tile][entry][col], bits) for tile in range(tiles)]) for col in range(COLS)] for entry in range(entries)
        ])
        for tile in range(tiles):
            for entry in range(entries):
                last = tile == tiles - 1
                tag = {
                    "entry": entry,
                    "half": number % 2,
                    "overwrite": tile == 0,
                    "maximum": maximum,
                    "final": last,
                    "job_end": last and entry == entries - 1,
                }
                waves.append((number, tag, values[tile][entry]))
    state = {"drained": 0}

    async def feed(ctx):
        for number, tag, sums in waves:
            while number > state["drained"] + 1 or rng.random() < gap:  # a half is free only when it was read out
                ctx.set(dut.valid, 0)
                await ctx.tick()
            ctx.set(dut.valid, 1)
            ctx.set(dut.tag, tag)
            for col in range(COLS):
                ctx.set(dut.sums[col], sums[col])
            await ctx.tick()
        ctx.set(dut.valid, 0)

    async def drain(ctx):
        final = 0
        for number, want in enumerate(jobs):
            for entry, vector in enumerate(want):
                while not final:
                    final += ctx.get(dut.entry_final)
                    await ctx.tick()
                final -= 1
                ctx.set(dut.read_enable, 1)
                ctx.set(dut.read_half, number % 2)
                ctx.set(dut.read_entry, entry)
                final += ctx.get(dut.entry_final)
                await ctx.tick()
                ctx.set(dut.read_enable, 0)
                for _ in range(dut.read_latency(registers) - 1):
                    final += ctx.get(dut.entry_final)
                    await ctx.tick()
                got = [ctx.get(dut.read_data[col]) for col in range(COLS)]
                assert got == vector, f"seed {seed}, job {number}, entry {entry}: expected {vector}, got {got}"
            state["drained"] = number + 1
        assert final == 0

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(feed)
    sim.add_testbench(drain)
    sim.run()
