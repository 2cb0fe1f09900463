"""Display: every pixel from its place in memory; what comes too late is counted, shown as zero and moves nothing else."""

import random

import pytest

from hw.soc.beat_buffer import BeatBuffer
from hw.soc.display import Display
from tests.axi_memory import AxiMemory
from tests.soc.video_twin import draw_settings, line_bursts, record, schedule, show_pictures
from tests.streams import simulate

SIGNALS = ("frame_start", "frames", "faults", "fault", "urgent", "pixels_valid", "pixels")


def show(seed, *, beat_bytes=8, fifo_beats=16, burst_beats=4, pictures=9, memory=None, stalls=(), changed=None, **drawn):
    """A run of pictures with random settings: the display, the settings, the memory, the rows of the record."""
    rng = random.Random(seed)
    dut = Display(address_bits=32, data_bits=8 * beat_bytes, fifo_beats=fifo_beats, burst_beats=burst_beats)
    shown = [draw_settings(rng, beat_bytes, **drawn) | (changed or {}) for _ in range(pictures)]
    ddr, rows = AxiMemory(rng, **(memory or {})), []
    signals = {name: getattr(dut, name) for name in SIGNALS} | {"watermark": dut.settings.watermark}

    async def stall(ctx):
        for start, cycles in stalls:
            while len(rows) < start:
                await ctx.tick()
            ddr.silent = True
            await ctx.tick().repeat(cycles)
            ddr.silent = False

    simulate(
        dut,
        show_pictures(dut, shown, rng, gap=20, cycles=10),
        stall,
        background=[ddr.reads(dut.axi), record(rows, signals, {"ar": dut.axi.ar, "r": dut.axi.r})],
        watched=[dut.axi.ar],
        cycles=60_000,
    )
    return dut, shown, ddr, rows


class Twin:
    """The display by its docstring, given in which cycles addresses stood on the bus and beats came.

    Attributes
    ----------
    bursts : list of lists of (int, int)
        Address and beats of the bursts that each picture asked for.
    missed : list of int
        Cycles in which a beat was due and not there.
    urgent : list of bool
        What `urgent` must be in the cycle behind each.
    """

    def __init__(self, dut, starts, dues, rows):
        self.dut, self.missed, self.urgent = dut, [], []
        self.bursts = [[] for _ in starts]
        due = {beat.cycle for beats in dues for beat in beats}
        totals = [len(beats) for beats in dues]
        picture, late, asked, gone, ready_at = -1, 0, 0, 0, 0
        came = []  # cycle of each beat
        for cycle, row in enumerate(rows):
            # An address is asked for in the cycle before it stands on AR for the first time.
            offered = self._new_address(rows, cycle + 1)
            level = len(came) - gone
            wanted = picture >= 0 and sum(beats for _, beats in self.bursts[picture]) < totals[picture]
            self.urgent.append((wanted or asked - gone != level) and level <= row["watermark"])
            there = level > 0 and max(came[gone] + BeatBuffer.LATENCY, ready_at) <= cycle
            drop, missed = there and late > 0, cycle in due and not (there and late == 0)
            if missed:
                self.missed.append(cycle)
            if there and (late > 0 or cycle in due):
                gone, ready_at = gone + 1, cycle + 1
            late += missed - drop
            if row["frame_start"]:
                assert not offered, "asked for in the cycle of a start"
                picture, late = picture + 1, asked - gone
            if offered:
                asked += offered["len"] + 1
                assert asked - gone <= dut.fifo_beats, f"cycle {cycle}: more beats on their way than there is room for"
                self.bursts[picture].append((offered["addr"], offered["len"] + 1))
            if row["r"]:
                assert row["r"][1], "R waits"
                came.append(cycle)

    @staticmethod
    def _new_address(rows, cycle):
        """The address that stands on AR since this cycle, or None."""
        if cycle == len(rows) or not rows[cycle]["ar"] or (rows[cycle - 1]["ar"] and not rows[cycle - 1]["ar"][1]):
            return None
        return rows[cycle]["ar"][0]


def check(dut, shown, ddr, rows):
    """Everything of a run against the twin; returns the twin."""
    beat_bytes = dut.data_bits // 8
    starts, dues = schedule(rows, shown, beat_bytes)
    twin = Twin(dut, starts, dues, rows)
    for settings, bursts in zip(shown, twin.bursts):
        assert bursts == line_bursts(settings, dut.burst_beats * beat_bytes, beat_bytes)[: len(bursts)]
    due, missed = {beat.cycle: beat for beats in dues for beat in beats}, set(twin.missed)
    for cycle, row in enumerate(rows[1:]):
        assert row["pixels_valid"] == (cycle in due), f"cycle {cycle}"
        assert row["fault"] == (cycle in missed), f"cycle {cycle}"
        assert row["urgent"] == twin.urgent[cycle], f"cycle {cycle}, watermark {rows[cycle]['watermark']}"
        if cycle in due:
            where = due[cycle].address
            want = 0 if cycle in missed else int.from_bytes(ddr.bytes[where : where + beat_bytes], "little")
            assert row["pixels"] == want, f"{due[cycle]}: expected {want:#x}, got {row['pixels']:#x}"
    assert rows[-1]["faults"] == len(twin.missed)
    assert rows[-1]["frames"] == len(shown)
    return twin


FAST, SLOW = {"busy": 0.0, "latency": 2}, {"busy": 0.6, "latency": 25}
BLANKING = {"frame_blank_cycles": 30}
"""Time for the first burst."""


@pytest.mark.parametrize("beat_bytes", [4, 8, 16])
def test_a_fast_memory_shows_every_pixel(beat_bytes, seed):
    """A burst of 4 takes about 10 cycles from its address to the last beat: two under way keep up with 0.4 beats a cycle."""
    dut, shown, ddr, rows = show(seed, beat_bytes=beat_bytes, memory=FAST, changed=BLANKING, rate=26000)
    twin = check(dut, shown, ddr, rows)
    assert not twin.missed
    assert [sum(beats for _, beats in bursts) for bursts in twin.bursts] == [s["line_beats"] * s["lines"] for s in shown]


@pytest.mark.parametrize(("beat_bytes", "fifo_beats", "burst_beats"), [(4, 1, 1), (8, 4, 4), (8, 16, 4), (16, 20, 8), (16, 64, 16)])
def test_a_slow_memory_makes_faults_that_are_counted_and_the_picture_keeps_its_place(beat_bytes, fifo_beats, burst_beats, seed):
    sizes = {"beat_bytes": beat_bytes, "fifo_beats": fifo_beats, "burst_beats": burst_beats}
    twin = check(*show(seed, **sizes, memory=SLOW, stalls=[(200, 150), (700, 90)]))
    assert twin.missed, f"seed {seed}: nothing was late"


def test_behind_a_stall_the_picture_catches_up(seed):
    """The memory is silent for 300 cycles of a picture of 8 lines; the faults end soon, and the rest is shown."""
    changed = BLANKING | {"line_beats": 60, "lines": 8, "line_step": 512, "blank_cycles": 10}
    dut, shown, ddr, rows = show(seed, pictures=1, memory=FAST, stalls=[(400, 300)], rate=1 << 14, changed=changed)
    twin = check(dut, shown, ddr, rows)
    assert twin.missed and min(twin.missed) > 400 and max(twin.missed) < 900
    assert rows[-1]["faults"] > 40


def test_a_picture_that_is_cut_short_leaves_nothing_to_the_next(seed):
    """A memory of a quarter of the rate never reads a picture to its end: the next one begins in its place all the same."""
    dut, shown, ddr, rows = show(seed, memory={"busy": 0.8, "latency": 5}, rate=(1 << 16) - 1, changed={"line_beats": 30, "lines": 4})
    twin = check(dut, shown, ddr, rows)
    totals = [settings["line_beats"] * settings["lines"] for settings in shown]
    assert any(sum(beats for _, beats in bursts) < total for bursts, total in zip(twin.bursts, totals))
    assert len(twin.missed) < sum(totals), "not one pixel was shown"


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"fifo_beats": 3}, "fifo_beats must be 4"), ({"fifo_beats": 65536}, "not 65536"), ({"burst_beats": 0}, "power of two from 1 to 256")],
)
def test_sizes_that_cannot_be_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        Display(**{"address_bits": 32, "data_bits": 64, "fifo_beats": 16, "burst_beats": 4} | changed)
