"""Video timing: each beat in its cycle, pictures without a gap, and a rate that does not drift."""

import random
from fractions import Fraction

import pytest
from amaranth.sim import Simulator

from hw.soc.video_timing import RATE_ONE, VideoTiming, frame_cycles
from tests.soc.video_twin import ONE, draw_settings, picture, record, schedule, show_pictures
from tests.streams import simulate

PLACE = ("x", "line", "line_end", "frame_end", "frames")


def run_timing(testbench, cycles=100_000):
    """The rows of a run: what each member showed in each cycle."""
    dut, rows = VideoTiming(), []
    seen = {name: getattr(dut, name) for name in ("frame_start", "beat", *PLACE)}
    simulate(dut, lambda ctx: testbench(dut, ctx), background=[record(rows, seen, {})], cycles=cycles)
    return rows


def test_every_beat_is_due_in_its_cycle(seed):
    rng = random.Random(seed)
    shown = [draw_settings(rng, 8) for _ in range(24)]
    rows = run_timing(lambda dut, ctx: show_pictures(dut, shown, rng, gap=5, cycles=20)(ctx))
    _, dues = schedule(rows, shown, 8)
    want = {beat.cycle: beat for beats in dues for beat in beats}
    for cycle, row in enumerate(rows):
        assert row["beat"] == (cycle in want), f"seed {seed}, cycle {cycle}: {row}"
        if row["beat"]:
            beat, settings = want[cycle], shown[want[cycle].frame]
            last = beat.line_end and beat.line == settings["lines"] - 1
            expected = (beat.x, beat.line, beat.line_end, last, beat.frame)
            assert tuple(row[name] for name in PLACE) == expected, f"seed {seed}, cycle {cycle}"
    assert rows[-1]["frames"] == len(shown)


@pytest.mark.parametrize("rate", [1, 1521, 4866, 32768, 65535])
def test_the_rate_is_exact_over_any_time(rate):
    """floor(n * rate / 65536) beats in n active cycles: without blanking (but the start) all cycles are active."""
    cycles = 66_000 if rate == 1 else 20_000
    settings = {"enable": 1, "line_beats": 65535, "lines": 65535, "rate": rate}
    dut, count = VideoTiming(), 0

    async def testbench(ctx):
        nonlocal count
        ctx.set(dut.settings, settings)
        assert ctx.get(dut.frame_start)
        await ctx.tick()
        for active in range(1, cycles):
            count += ctx.get(dut.beat)
            assert count == active * rate // RATE_ONE, f"{active} cycles"
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    assert count == (cycles - 1) * rate // RATE_ONE > 0


def test_mean_cycles_of_a_picture_are_the_stated_ones():
    shape = {"line_beats": 7, "lines": 5, "rate": 3001, "blank_cycles": 11, "frame_blank_cycles": 0}
    mean, pictures = frame_cycles(**shape), 3001
    assert mean == 1 + 5 * 11 + Fraction(35 * ONE, 3001)
    cycle, fraction = 0, 0
    for frame in range(pictures):
        _, cycle, fraction = picture(shape | {"base": 0, "line_step": 0}, start=cycle, frame=frame, fraction=fraction, beat_bytes=4)
    assert cycle == pictures * mean and fraction == 0


@pytest.mark.parametrize("missing", ["enable", "line_beats", "lines", "rate"])
def test_a_picture_without_beats_is_none(missing):
    async def testbench(dut, ctx):
        ctx.set(dut.settings, {"enable": 1, "line_beats": 3, "lines": 2, "rate": 40000} | {missing: 0})
        await ctx.tick().repeat(50)
        ctx.set(dut.settings[missing], 1)
        await ctx.tick()

    rows = run_timing(testbench)
    assert not any(row["frame_start"] or row["beat"] for row in rows[:50])
    assert rows[50]["frame_start"]
