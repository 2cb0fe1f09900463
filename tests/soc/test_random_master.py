"""Random master: the requests are those of its random numbers, anywhere in the window, never across 4 KiB; what it writes is known."""

import random
from collections import Counter

import pytest

from hw.soc.random_master import PATTERN, RandomMaster
from tests.axi_memory import AxiMemory
from tests.soc.video_twin import record, taken
from tests.streams import simulate

SETTINGS = {"enable": 1, "base": 0x4000, "size_log2": 14, "intensity": 6000, "write_share": 100, "max_len": 16}


def numbers():
    """The states of the generator: xorshift, 13, 7, 17."""
    state, mask = RandomMaster.SEED, (1 << 64) - 1
    while True:
        yield state
        state ^= state << 13 & mask
        state ^= state >> 7
        state ^= state << 17 & mask


def request(state, settings, beat_bytes):
    """None, or what is drawn from a state: whether it writes, ID, address, beats."""
    if not settings["enable"] or state % 65536 >= settings["intensity"]:
        return None
    page_beats = 4096 // beat_bytes
    longest = min(settings["max_len"], page_beats)
    beats = (state >> 24) % 256 * longest // 256 + 1
    place = min((state >> 33) % page_beats, page_beats - beats)
    page = (state >> 44) % (1 << max(0, settings["size_log2"] - 12))
    address = settings["base"] // 4096 * 4096 + 4096 * page + place * beat_bytes
    return (state >> 16) % 256 < settings["write_share"], (state >> 32) % 2, address, beats


def work(seed, settings, *, beat_bytes=8, cycles=4000, memory=None):
    """A run: the memory before and behind it, and the rows; the master is switched off before the end and becomes idle."""
    rng = random.Random(seed)
    dut, ddr, rows = RandomMaster(address_bits=32, data_bits=8 * beat_bytes), AxiMemory(rng, **(memory or {})), []
    before = bytearray(ddr.bytes)

    async def testbench(ctx):
        ctx.set(dut.settings, settings)
        await ctx.tick().repeat(cycles)
        ctx.set(dut.settings.enable, 0)
        await ctx.tick()
        while not ctx.get(dut.idle):
            await ctx.tick()
        await ctx.tick().repeat(30)
        assert ctx.get(dut.idle)

    streams = {"ar": dut.read.ar, "r": dut.read.r, "aw": dut.write.aw, "w": dut.write.w, "b": dut.write.b}
    background = [ddr.reads(dut.read), ddr.writes(dut.write), record(rows, {"enable": dut.settings.enable}, streams)]
    simulate(dut, testbench, background=background, watched=[dut.read.ar, dut.write.aw, dut.write.w], cycles=cycles + 4000)
    return before, ddr, rows


def replay(settings, rows, beat_bytes):
    """Reads and writes that must have been made, given the cycles in which the bus moved: a request that finds its place taken is none."""
    reads, writes = [], []
    read_waits, write_waits, read_open, write_open = False, None, 0, 0
    for state, row in zip(numbers(), rows):
        assert (row["ar"] is not None) == read_waits
        made = request(state, settings | {"enable": row["enable"]}, beat_bytes)
        read_free, was_open = not read_waits or taken(row, "ar") is not None, read_open
        if taken(row, "r"):
            read_open -= taken(row, "r")["last"]
        if write_waits:
            write_waits["address"] |= taken(row, "aw") is not None
            write_waits["beats"] -= taken(row, "w") is not None
            if write_waits["address"] and not write_waits["beats"]:
                write_waits = None
        read_waits = not read_free
        if made and made[0] and write_waits is None:
            writes.append(made[1:])
            write_waits = {"address": False, "beats": made[3]}
        elif made and not made[0] and read_free and was_open < RandomMaster.OUTSTANDING:
            reads.append(made[1:])
            read_waits, read_open = True, read_open + 1
        write_open += (taken(row, "aw") is not None) - (taken(row, "b") is not None)
        assert write_open <= RandomMaster.OUTSTANDING
    assert not read_waits and write_waits is None and not read_open and not write_open
    return reads, writes


@pytest.mark.parametrize("busy", [0.0, 0.6])
@pytest.mark.parametrize(
    ("beat_bytes", "changed"),
    [
        (8, {}),
        (4, {"max_len": 0, "intensity": 65535}),
        (16, {"max_len": 255, "size_log2": 3, "base": 0x7FFC}),
        (64, {"max_len": 255, "size_log2": 15, "write_share": 128}),
        (8, {"write_share": 0, "intensity": 40000, "max_len": 3}),
        (8, {"write_share": 255, "intensity": 40000, "max_len": 3}),
    ],
)
def test_requests_are_those_of_the_random_numbers(beat_bytes, changed, busy, seed):
    settings = SETTINGS | changed
    before, ddr, rows = work(seed, settings, beat_bytes=beat_bytes, cycles=1500, memory={"busy": busy, "latency": 12})
    reads, writes = replay(settings, rows, beat_bytes)
    seen = [[(burst["id"], burst["addr"], burst["len"] + 1) for burst in bursts] for bursts in (ddr.read_bursts, ddr.write_bursts)]
    for kind, got, want in zip(("reads", "writes"), seen, (reads, writes)):
        wrong = next((number for number, pair in enumerate(zip(got, want)) if pair[0] != pair[1]), None)
        assert wrong is None, f"seed {seed}: of the {kind}, number {wrong} is {got[wrong]}, expected {want[wrong]}"
        assert len(got) == len(want), f"seed {seed}: {len(got)} {kind}, expected {len(want)}"
    assert len(reads) + len(writes) > 10
    for _, address, beats in writes:
        for place in range(address, address + beats * beat_bytes, 4):
            before[place : place + 4] = (place ^ PATTERN).to_bytes(4, "little")
    differs = [place for place in range(len(before)) if before[place] != ddr.bytes[place]]
    assert not differs, f"seed {seed}: memory differs first at {differs[0]:#x}"


def test_an_idle_bus_gets_the_stated_requests(seed):
    """Rare and short requests never find their place taken: each that is drawn is made."""
    settings = SETTINGS | {"intensity": 800, "max_len": 2}
    _, ddr, rows = work(seed, settings, cycles=6000, memory={"busy": 0.0, "latency": 1})
    drawn = [made for state, row in zip(numbers(), rows) if (made := request(state, settings | {"enable": row["enable"]}, 8))]
    assert len(ddr.read_bursts) + len(ddr.write_bursts) == len(drawn) > 50


def test_the_random_numbers_are_spread_as_stated():
    """100 000 draws with intensity 1/4: each count within five standard deviations of its mean."""
    settings = SETTINGS | {"intensity": 1 << 14, "write_share": 64, "max_len": 16, "base": 0, "size_log2": 20}
    draws = 100_000
    made = [drawn for state, _ in zip(numbers(), range(draws)) if (drawn := request(state, settings, 16))]

    def check(count, of, share, what):
        assert abs(count - of * share) <= 5 * (of * share * (1 - share)) ** 0.5, f"{what}: {count} of {of}, expected a share of {share}"

    check(len(made), draws, 1 / 4, "requests")
    check(sum(write for write, *_ in made), len(made), 1 / 4, "writes")
    check(sum(number for _, number, *_ in made), len(made), 1 / 2, "ID 1")
    for beats, count in Counter(beats for *_, beats in made).items():
        check(count, len(made), 1 / 16, f"bursts of {beats} beats")
    pages = Counter(address // 4096 for _, _, address, _ in made)
    assert pages.keys() == set(range(256))
    for page, count in pages.items():
        check(count, len(made), 1 / 256, f"page {page}")
    pairs = sum(bool(request(a, settings, 16)) and bool(request(b, settings, 16)) for a, b in zip(*neighbours(draws)))
    check(pairs, draws - 1, 1 / 16, "requests in two cycles one behind the other")


def neighbours(count):
    """The first ``count - 1`` states, and those behind each."""
    states = [state for state, _ in zip(numbers(), range(count))]
    return states[:-1], states[1:]


def test_widths_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="RandomMaster data_bits must be a power of two from 32, not 48"):
        RandomMaster(address_bits=32, data_bits=48)
