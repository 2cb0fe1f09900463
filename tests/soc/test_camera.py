"""Camera: pictures in memory, beat for beat; what a slow memory loses is counted and moves nothing else."""

import random

import pytest

from hw.soc.camera import Camera, pattern_word
from tests.axi_memory import AxiMemory
from tests.soc.video_twin import draw_settings, line_bursts, record, schedule, show_pictures, taken
from tests.streams import simulate

SIGNALS = ("frame_start", "frames", "faults", "fault", "urgent")


def capture(seed, *, beat_bytes=8, fifo_beats=16, burst_beats=4, pictures=9, memory=None, stalls=(), gap=40, **drawn):
    """A run of pictures with random settings: the camera, the settings, the memory before and behind it, the rows of the record."""
    rng = random.Random(seed)
    dut = Camera(address_bits=32, data_bits=8 * beat_bytes, fifo_beats=fifo_beats, burst_beats=burst_beats)
    shown = [draw_settings(rng, beat_bytes, **drawn) for _ in range(pictures)]
    ddr, rows = AxiMemory(rng, **(memory or {})), []
    before = bytearray(ddr.bytes)

    async def stall(ctx):
        for start, cycles in stalls:
            while len(rows) < start:
                await ctx.tick()
            ddr.silent = True
            await ctx.tick().repeat(cycles)
            ddr.silent = False

    signals = {name: getattr(dut, name) for name in SIGNALS} | {"watermark": dut.settings.watermark}
    streams = {"aw": dut.axi.aw, "w": dut.axi.w, "b": dut.axi.b}
    simulate(
        dut,
        show_pictures(dut, shown, rng, gap=gap, cycles=60 * fifo_beats),
        stall,
        background=[ddr.writes(dut.axi), record(rows, signals, streams)],
        watched=[dut.axi.aw, dut.axi.w],
        cycles=60_000,
    )
    return dut, shown, before, ddr, rows


def beat_data(due, beat_bytes):
    """The bytes of the test pattern at a beat."""
    words = beat_bytes // 4
    numbers = (pattern_word(frame=due.frame, line=due.line, word=due.x * words + i) for i in range(words))
    return b"".join(number.to_bytes(4, "little") for number in numbers)


class Twin:
    """The camera by its docstring: what is stored and what is lost, given in which cycles the bus took addresses and beats.

    Attributes
    ----------
    runs : list of (int, int)
        Address and beats of each burst.
    stored : list of Due
        In their order.
    lost, levels : list of int
        Cycles with a lost beat; beats in the FIFO in each cycle.
    """

    def __init__(self, dut, dues, rows, block):
        self.runs, self.stored, self.lost, self.levels = [], [], [], []
        due = {beat.cycle: beat for beats in dues for beat in beats}
        open_run, level, addresses, lasts, done = [], 0, 0, 0, 0
        waiting = 0
        for cycle, row in enumerate(rows):
            self.levels.append(level)
            beat, ends = due.get(cycle), False
            room_before = waiting < dut.runs.depth
            keep = beat and level < dut.fifo_beats and (open_run or room_before)
            if keep:
                open_run.append(beat)
                self.stored.append(beat)
                level += 1
                ends = beat.line_end or (beat.address + dut.data_bits // 8) % block == 0
            elif beat:
                self.lost.append(cycle)
                ends = bool(open_run)
            if ends:
                self.runs.append((open_run[0].address, len(open_run)))
                open_run, waiting = [], waiting + 1
            # A burst leaves its queue when both its address and its last beat were taken.
            level -= bool(taken(row, "w"))
            addresses += bool(taken(row, "aw"))
            lasts += bool(taken(row, "w") and taken(row, "w")["last"])
            if min(addresses, lasts) > done:
                done, waiting = done + 1, waiting - 1
        assert not open_run and not level and not waiting, "a run is left"


def check(dut, shown, before, ddr, rows):
    """Everything of a run against the twin; returns the twin."""
    beat_bytes = dut.data_bits // 8
    _, dues = schedule(rows, shown, beat_bytes)
    twin = Twin(dut, dues, rows, dut.burst_beats * beat_bytes)
    bursts = [(burst["addr"], burst["len"] + 1) for row in rows if (burst := taken(row, "aw"))]
    assert bursts == twin.runs
    for beat in twin.stored:
        before[beat.address : beat.address + beat_bytes] = beat_data(beat, beat_bytes)
    differs = [place for place in range(len(before)) if before[place] != ddr.bytes[place]]
    assert not differs, f"memory differs first at {differs[0]:#x}"
    lost = set(twin.lost)
    for cycle, row in enumerate(rows[1:]):
        assert row["fault"] == (cycle in lost), f"cycle {cycle}"
        level, watermark = twin.levels[cycle], rows[cycle]["watermark"]
        assert row["urgent"] == (level >= watermark), f"cycle {cycle}: {level} beats, watermark {watermark}"
    assert rows[-1]["faults"] == len(twin.lost)
    assert rows[-1]["frames"] == len(shown)
    return twin


FAST, SLOW = {"busy": 0.0, "latency": 3}, {"busy": 0.7, "latency": 20}


@pytest.mark.parametrize("beat_bytes", [4, 8, 16])
def test_a_fast_memory_gets_every_beat_and_whole_bursts(beat_bytes, seed):
    dut, shown, before, ddr, rows = capture(seed, beat_bytes=beat_bytes, memory=FAST)
    twin = check(dut, shown, before, ddr, rows)
    assert not twin.lost
    assert twin.runs == [burst for settings in shown for burst in line_bursts(settings, 4 * beat_bytes, beat_bytes)]


@pytest.mark.parametrize(("beat_bytes", "fifo_beats", "burst_beats"), [(4, 1, 1), (8, 4, 4), (8, 16, 4), (16, 20, 8), (16, 32, 16)])
def test_a_slow_memory_loses_beats_that_are_counted_and_the_picture_keeps_its_place(beat_bytes, fifo_beats, burst_beats, seed):
    sizes = {"beat_bytes": beat_bytes, "fifo_beats": fifo_beats, "burst_beats": burst_beats}
    twin = check(*capture(seed, **sizes, memory=SLOW, stalls=[(200, 150), (700, 90)]))
    assert twin.lost, f"seed {seed}: nothing was lost"


def test_beats_are_lost_while_the_memory_is_silent_and_no_longer(seed):
    """At half a beat a cycle, and not more than a burst of 4 and a beat before, the FIFO of 16 is full after 22 cycles at the earliest."""
    dut, shown, before, ddr, rows = capture(seed, memory=FAST, stalls=[(400, 100)], rate=1 << 15, most_beats=60)
    twin = check(dut, shown, before, ddr, rows)
    assert twin.lost and min(twin.lost) >= 400 + 22 and max(twin.lost) <= 500 + 4, twin.lost


def test_many_short_runs_fill_their_queue(seed):
    """Lines of one beat are bursts of one beat: the queue of bursts is full before the FIFO, and what it refuses is lost."""
    dut, shown, before, ddr, rows = capture(seed, pictures=30, most_beats=1, fifo_beats=64, burst_beats=64, memory=SLOW, rate=60000, gap=0)
    twin = check(dut, shown, before, ddr, rows)
    assert twin.lost and max(twin.levels) < 64


def test_responses_that_do_not_come_stop_the_addresses(seed):
    dut = Camera(address_bits=32, data_bits=64, fifo_beats=16, burst_beats=2)
    rows = []

    async def testbench(ctx):
        ctx.set(
            dut.settings,
            draw_settings(random.Random(seed), 8, rate=1 << 15) | {"base": 4096, "line_step": 16, "line_beats": 2, "lines": 99},
        )
        ctx.set(dut.axi.aw.ready, 1)
        ctx.set(dut.axi.w.ready, 1)
        await ctx.tick().repeat(300)

    simulate(dut, testbench, background=[record(rows, {}, {"aw": dut.axi.aw, "w": dut.axi.w})])
    assert sum(bool(taken(row, "aw")) for row in rows) == Camera.OUTSTANDING
    assert sum(bool(taken(row, "w")) for row in rows) == 2 * Camera.OUTSTANDING


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fifo_beats": 3}, "fifo_beats must be 4"),
        ({"burst_beats": 3}, "power of two from 1 to 256, not 3"),
        ({"burst_beats": 512, "fifo_beats": 512}, "power of two from 1 to 256, not 512"),
        ({"burst_beats": 128, "fifo_beats": 512, "data_bits": 512}, "power of two from 1 to 64, not 128"),
        ({"data_bits": 16}, "data_bits must be a power of two from 32, not 16"),
        ({"address_bits": 12}, "address_bits must be at least 13, not 12"),
    ],
)
def test_sizes_that_cannot_be_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        Camera(**{"address_bits": 32, "data_bits": 64, "fifo_beats": 16, "burst_beats": 4} | changed)
