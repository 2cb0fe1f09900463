"""What a video master must do, computed another way: when each beat is due, where it lies, and a record of what was seen."""

from dataclasses import dataclass
from itertools import pairwise

from tests.streams import plain

ONE = 1 << 16
"""A rate of one beat a cycle."""


@dataclass(frozen=True)
class Due:
    """A beat of a picture: cycle, number of the picture, line, place in the line, address, last of its line."""

    cycle: int
    frame: int
    line: int
    x: int
    address: int
    line_end: bool


def draw_settings(rng, beat_bytes, *, rate=None, most_beats=40):
    """Settings of a small picture near a multiple of 4 KiB, lines apart by more than their beats."""
    line_beats = rng.randint(1, most_beats)
    return {
        "enable": 1,
        "base": 4096 * rng.randint(1, 8) - beat_bytes * rng.randint(0, 50),
        "line_beats": line_beats,
        "lines": rng.randint(1, 5),
        "line_step": beat_bytes * (line_beats + rng.randint(0, 150)),
        "rate": rate or rng.choice([ONE - 1, ONE // 2, rng.randint(ONE // 20, ONE - 1)]),
        "blank_cycles": rng.choice([0, 1, rng.randint(0, 30)]),
        "frame_blank_cycles": rng.choice([0, 1, 2, rng.randint(0, 100)]),
        "watermark": rng.randint(0, 12),
    }


def picture(settings, *, start, frame, fraction, beat_bytes):
    """The beats of a picture that starts in cycle ``start``; with the cycle behind it, and the fraction of a beat that is left.

    Beat k of a line, from 1, is due in its first active cycle a with ``fraction + a * rate >= k * 65536``.
    """
    beats, cycle, rate = [], start + max(1, settings["frame_blank_cycles"]), settings["rate"]
    for line in range(settings["lines"]):
        for x in range(settings["line_beats"]):
            active = -(-((x + 1) * ONE - fraction) // rate)
            where = settings["base"] + line * settings["line_step"] + x * beat_bytes
            beats.append(Due(cycle + active - 1, frame, line, x, where, x == settings["line_beats"] - 1))
        cycle += active + settings["blank_cycles"]
        fraction += active * rate - settings["line_beats"] * ONE
    return beats, cycle, fraction


def line_bursts(settings, block, beat_bytes):
    """Address and beats of the bursts of a picture: each line's beats, parted at the multiples of ``block`` bytes."""
    bursts = []
    for line in range(settings["lines"]):
        first = settings["base"] + line * settings["line_step"]
        end = first + settings["line_beats"] * beat_bytes
        cuts = [first, *(cut for cut in range(first // block * block, end, block) if cut > first), end]
        bursts += [(a, (b - a) // beat_bytes) for a, b in pairwise(cuts)]
    return bursts


def record(rows, signals, streams):
    """A testbench that appends, each cycle, a dict of the signals, and of each stream None, or its payload and whether it was taken."""
    probes = [*signals.values(), *(part for s in streams.values() for part in (s.valid, s.ready, s.payload))]

    async def testbench(ctx):
        while True:
            _, _, *seen = await ctx.tick().sample(*probes)
            row = dict(zip(signals, seen))
            parts = iter(seen[len(signals) :])
            for name, valid, ready, payload in zip(streams, parts, parts, parts):
                row[name] = (plain(payload), bool(ready)) if valid else None
            rows.append(row)

    return testbench


def taken(row, name):
    """The payload that a stream passed on in the cycle, or None."""
    return row[name][0] if row[name] and row[name][1] else None


def show_pictures(dut, shown, rng, *, gap, cycles):
    """A testbench: a picture of each settings, which change just behind a start; off for ``gap`` cycles behind each third picture."""

    async def testbench(ctx):
        for number, settings in enumerate(shown):
            ctx.set(dut.settings, settings)
            while not ctx.get(dut.frame_start):
                await ctx.tick()
            await ctx.tick()
            if number % 3 == 2 or number == len(shown) - 1:  # off during the picture: it ends all the same
                ctx.set(dut.settings, settings | {"enable": 0})
                while ctx.get(dut.frames) <= number:
                    await ctx.tick()
                await ctx.tick().repeat(gap + settings["blank_cycles"] + rng.randint(1, 9))
            else:  # watermark is that of the present picture: it acts at once
                ctx.set(dut.settings, shown[number + 1] | {"watermark": settings["watermark"]})
        await ctx.tick().repeat(cycles)

    return testbench


def schedule(rows, shown, beat_bytes):
    """The beats of the pictures, from the cycles in which the first ones and those behind a pause start; the others follow from it.

    Fails where a picture starts in another cycle than the one behind the picture before.
    """
    starts = [cycle for cycle, row in enumerate(rows) if row["frame_start"]]
    assert len(starts) == len(shown), f"{len(starts)} pictures of {len(shown)}"
    dues, after, fraction = [], None, 0
    for number, (settings, start) in enumerate(zip(shown, starts)):
        if number % 3 == 0:
            assert after is None or start > after, f"picture {number} starts while it is off"
            fraction = 0
        else:
            assert start == after, f"picture {number} starts in cycle {start}, not {after}"
        beats, after, fraction = picture(settings, start=start, frame=number, fraction=fraction, beat_bytes=beat_bytes)
        dues.append(beats)
    return starts, dues
