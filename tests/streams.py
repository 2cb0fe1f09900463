"""Stream helpers of the block tests: drive, collect and watch `amaranth.lib.stream` interfaces.

Back-pressure is data: a pattern such as ``"1101"`` says, cycle by cycle and again from its start, in which cycles a side takes part.

    simulate(dut, lambda ctx: put(ctx, dut.i, values, "110"), lambda ctx: expect(ctx, dut.o, values, "01"), watched=[dut.o])
"""

import itertools
import random

from amaranth.lib import data
from amaranth.sim import Simulator


def plain(value):
    """A simulated value as int, dict (structures) or list (arrays), so that it can be compared and printed."""
    if isinstance(value, data.Const):
        layout = value.shape()
        if isinstance(layout, data.ArrayLayout):
            return [plain(value[i]) for i in range(layout.length)]
        return {name: plain(value[name]) for name, _ in layout}
    return value


def _cycles(pattern):
    if "1" not in pattern:
        raise ValueError(f"a pattern needs a 1, or nothing ever moves: {pattern!r}")
    return itertools.cycle(bit == "1" for bit in pattern)


def patterns(rng: random.Random, count=8, longest=12):
    """All patterns of up to three cycles, then ``count`` random ones."""
    short = ["".join(bits) for length in (1, 2, 3) for bits in itertools.product("01", repeat=length)]
    drawn = ["".join(rng.choice("01") for _ in range(rng.randint(4, longest))) + "1" for _ in range(count)]
    return [pattern for pattern in short if "1" in pattern] + drawn


def random_pattern(rng: random.Random, longest=16) -> str:
    """One pattern: now and then always on, else random with a random density."""
    if rng.random() < 0.25:
        return "1"
    density = rng.choice((0.2, 0.5, 0.8))
    return "".join("01"[rng.random() < density] for _ in range(rng.randint(2, longest))) + "1"


async def put(ctx, stream, payloads, pattern="1"):
    """Offers each payload until it is taken; ``valid`` is low for a cycle before it where the pattern says 0."""
    turn = _cycles(pattern)
    for payload in payloads:
        while not next(turn):
            await ctx.tick()
        ctx.set(stream.payload, payload)
        ctx.set(stream.valid, 1)
        ready = 0
        while not ready:
            *_, ready = await ctx.tick().sample(stream.ready)
        ctx.set(stream.valid, 0)


async def get(ctx, stream, count, pattern="1") -> list:
    """Takes ``count`` payloads, ready in the cycles that the pattern names; returns them as plain values."""
    turn, taken = _cycles(pattern), []
    while len(taken) < count:
        ready = next(turn)
        ctx.set(stream.ready, ready)
        *_, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
        if ready and valid:
            taken.append(plain(payload))
    ctx.set(stream.ready, 0)
    return taken


async def expect(ctx, stream, expected, pattern="1"):
    """Takes as many payloads as expected, and fails at the first that differs."""
    for number, want in enumerate(expected):
        pass_on = pattern[number % len(pattern) :] + pattern[: number % len(pattern)]
        (got,) = await get(ctx, stream, 1, pass_on)
        assert got == want, f"payload {number} of {len(expected)}: expected {want}, got {got} (pattern {pattern})"


def watch(stream, name="stream"):
    """A background testbench that fails when ``valid`` falls, or the payload changes, before ``ready``."""

    async def watcher(ctx):
        held, cycle = None, 0
        while True:
            _, reset, valid, ready, payload = await ctx.tick().sample(stream.valid, stream.ready, stream.payload)
            payload = plain(payload)
            if held is not None and not reset:
                assert valid, f"{name}, cycle {cycle}: valid fell before ready; payload was {held}"
                assert payload == held, f"{name}, cycle {cycle}: payload changed before ready, from {held} to {payload}"
            held = payload if valid and not ready and not reset else None
            cycle += 1

    return watcher


def simulate(dut, *testbenches, watched=(), background=(), cycles=20_000, vcd=None):
    """Runs testbenches until all end, and fails when that takes more than ``cycles``.

    Parameters
    ----------
    dut : Elaboratable
    testbenches : functions of a simulator context to a coroutine
    watched : streams that `watch` observes (outputs of the component)
    background : testbenches that may run for ever
    cycles : int
        A test that has not ended by then hangs.
    vcd : str, optional
        Waveform to write.
    """

    async def deadline(ctx):
        for _ in range(cycles):  # not repeat(): its generator complains when the simulation ends first
            await ctx.tick()
        raise AssertionError(f"not finished after {cycles} cycles")

    def testbench(function):
        async def run(ctx):  # the simulator takes async functions only, and a lambda is none
            await function(ctx)

        return run

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    for number, stream in enumerate(watched):
        sim.add_testbench(watch(stream, f"watched stream {number}"), background=True)
    for function in (*background, deadline):  # first, so that what they have seen is known to the others in the same cycle
        sim.add_testbench(testbench(function), background=True)
    for function in testbenches:
        sim.add_testbench(testbench(function))
    if vcd is None:
        sim.run()
    else:
        with sim.write_vcd(vcd):
            sim.run()
