"""Gates: the bus never waits for a master, and what passes is what was asked for and sent."""

import random

import pytest
from amaranth.hdl import unsigned

from hw.soc.beat_buffer import BeatBuffer
from hw.soc.read_gate import ReadGate
from hw.soc.write_gate import WriteGate
from tests.axi_memory import AxiMemory
from tests.streams import expect, get, patterns, put, random_pattern, simulate

BYTES, LONGEST = 8, 8
WIDTHS = {"address_bits": 32, "data_bits": 8 * BYTES}


def bursts(rng, count):
    return [{"id": rng.randrange(4), "addr": 64 * i, "len": rng.randrange(LONGEST), "size": 3, "burst": 1} for i in range(count)]


def beats_of(rng, bursts):
    lengths = [burst["len"] for burst in bursts]
    return [{"data": rng.getrandbits(64), "strb": rng.getrandbits(8), "last": int(k == n)} for n in lengths for k in range(n + 1)]


def never_waits(stream):
    """Fails when a stream's payload has to wait."""

    async def watcher(ctx):
        while True:
            *_, valid, ready = await ctx.tick().sample(stream.valid, stream.ready)
            assert ready or not valid, "the bus waits for the gate"

    return watcher


@pytest.mark.parametrize("depth", [1, 2, 3, 8])
def test_a_buffer_keeps_order(depth, seed):
    rng = random.Random(seed)

    def pass_through(pattern):
        dut, values = BeatBuffer(unsigned(8), depth=depth), [rng.randrange(256) for _ in range(3 * depth + 5)]
        simulate(dut, lambda ctx: put(ctx, dut.i, values, pattern), lambda ctx: expect(ctx, dut.o, values, pattern[::-1]), watched=[dut.o])

    for pattern in patterns(rng, count=2):
        pass_through(pattern)


@pytest.mark.parametrize("depth", [1, 2, 3, 8])
def test_a_buffer_has_room_for_its_depth_from_the_start(depth):
    dut = BeatBuffer(unsigned(8), depth=depth)

    async def fill(ctx):
        for value in range(depth):
            assert ctx.get(dut.i.ready), f"full with {value} of {depth}"
            await put(ctx, dut.i, [value])
        await ctx.tick().repeat(BeatBuffer.LATENCY)
        assert ctx.get(dut.level) == depth
        assert await get(ctx, dut.o, depth) == list(range(depth))

    simulate(dut, fill)


@pytest.mark.parametrize("depth", [LONGEST, LONGEST + 1, 4 * LONGEST])
def test_reads_come_back_in_order_and_the_bus_never_waits(depth, seed):
    rng = random.Random(seed)
    dut, ddr = ReadGate(**WIDTHS, depth=depth), AxiMemory(rng)
    asked = bursts(rng, 60)

    async def take(ctx):
        for burst in asked:
            for k, beat in enumerate(await get(ctx, dut.master.r, burst["len"] + 1, random_pattern(rng))):
                where = burst["addr"] + k * BYTES
                want = int.from_bytes(ddr.bytes[where : where + BYTES], "little")
                assert (beat["data"], beat["last"], beat["id"]) == (want, k == burst["len"], burst["id"]), f"seed {seed}, {burst}, beat {k}"

    simulate(
        dut,
        lambda ctx: put(ctx, dut.master.ar, asked, random_pattern(rng)),
        take,
        background=[ddr.reads(dut.port), never_waits(dut.port.r)],
        watched=[dut.port.ar, dut.master.r],
    )
    assert ddr.read_bursts == asked, f"seed {seed}"


def test_a_burst_longer_than_the_room_waits_and_a_shorter_one_goes():
    dut = ReadGate(**WIDTHS, depth=8)
    address = {"id": 0, "addr": 0, "size": 3, "burst": 1}

    async def offer(ctx):
        ctx.set(dut.port.ar.ready, 1)
        ctx.set(dut.master.ar.valid, 1)
        for length, goes in ((8, 0), (7, 1), (0, 0)):  # of 9 beats; 8, and then there is no room; 1
            ctx.set(dut.master.ar.payload, {**address, "len": length})
            assert ctx.get(dut.port.ar.valid) == goes and ctx.get(dut.master.ar.ready) == goes, length
            await ctx.tick()

    simulate(dut, offer)


@pytest.mark.parametrize(("depth", "counts"), [(LONGEST, (1, 1)), (LONGEST + 1, (2, 1)), (4 * LONGEST, (4, 16))])
def test_writes_pass_whole_and_the_bus_never_waits(depth, counts, seed):
    rng = random.Random(seed)
    dut, ddr = WriteGate(**WIDTHS, depth=depth, bursts=counts[0], outstanding=counts[1]), AxiMemory(rng)
    asked = bursts(rng, 60)
    beats, answered = beats_of(rng, asked), []
    want = bytearray(ddr.bytes)
    data = iter(beats)
    for burst in asked:
        for k in range(burst["len"] + 1):
            beat = next(data)
            for i, byte in enumerate(beat["data"].to_bytes(BYTES, "little")):
                if beat["strb"] >> i & 1:
                    want[burst["addr"] + k * BYTES + i] = byte

    async def collect(ctx):
        answered.extend(await get(ctx, dut.master.b, len(asked), random_pattern(rng)))

    async def prompt(ctx):  # beats of accepted addresses only, as the interconnect takes them, and then every one is there
        left, aw, w = 0, dut.port.aw, dut.port.w
        while True:
            *_, accepted, offered, taken, last = await ctx.tick().sample(aw.valid & aw.ready, w.valid, w.ready, w.payload.last)
            assert offered or not left, f"seed {seed}: a beat of an accepted burst is late"
            left += accepted - (offered and taken and last)

    simulate(
        dut,
        lambda ctx: put(ctx, dut.master.aw, asked, random_pattern(rng)),
        lambda ctx: put(ctx, dut.master.w, beats, random_pattern(rng)),
        collect,
        background=[gated(dut, ddr), prompt, never_waits(dut.port.b)],
        watched=[dut.port.aw, dut.port.w, dut.master.b],
    )
    assert ddr.write_bursts == asked and [b["id"] for b in answered] == [a["id"] for a in asked], f"seed {seed}"
    assert ddr.bytes == want, f"seed {seed}"


def gated(dut, ddr):
    """The memory behind an interconnect: beats are taken for accepted addresses only."""
    port = dut.port

    async def testbench(ctx):
        left, answers, now, offered = [], [], 0, None
        while True:
            ctx.set(port.aw.ready, len(left) < 3 and ddr.rng.random() < 0.5)
            ctx.set(port.w.ready, bool(left) and ddr.rng.random() < 0.7)
            if offered is None and answers and answers[0][0] <= now:
                offered = answers.pop(0)[1]
                ctx.set(port.b.payload, {"id": offered["id"], "resp": 0})
            ctx.set(port.b.valid, offered is not None)
            *_, aw, address, w, beat, taken = await ctx.tick().sample(
                port.aw.valid & port.aw.ready, port.aw.payload, port.w.valid & port.w.ready, port.w.payload, port.b.ready
            )
            offered = None if taken else offered
            if w:
                burst, where = left[0]
                ddr._store(where, {"data": beat.data, "strb": beat.strb}, BYTES)
                left[0] = (burst, where + BYTES)
                assert beat.last == (where == burst["addr"] + burst["len"] * BYTES)
                if beat.last:
                    answers.append((now + 5, left.pop(0)[0]))
            if aw:
                burst = {name: address[name] for name in ("id", "addr", "len", "size", "burst")}
                ddr.write_bursts.append(burst)
                left.append((burst, burst["addr"]))
            now += 1

    return testbench


def test_an_address_waits_for_its_last_beat():
    dut = WriteGate(**WIDTHS, depth=4)

    async def late(ctx):
        ctx.set(dut.port.aw.ready, 1)
        await put(ctx, dut.master.aw, [{"id": 1, "addr": 0, "len": 1, "size": 3, "burst": 1}])
        await put(ctx, dut.master.w, [{"data": 1, "strb": 255, "last": 0}])
        for _ in range(5):
            assert not ctx.get(dut.port.aw.valid), "the address goes before its last beat is here"
            await ctx.tick()
        await put(ctx, dut.master.w, [{"data": 2, "strb": 255, "last": 1}])
        assert ctx.get(dut.port.aw.valid)

    simulate(dut, late)


@pytest.mark.parametrize(
    ("gate", "arguments", "message"),
    [
        (ReadGate, {"depth": 0}, "depth must be 1 to 4096, not 0"),
        (ReadGate, {"depth": 4097}, "depth must be 1 to 4096, not 4097"),
        (WriteGate, {"depth": 0}, "depth must be at least 1, not 0"),
        (WriteGate, {"depth": 1, "bursts": 0}, "bursts must be at least 1, not 0"),
        (WriteGate, {"depth": 1, "outstanding": 0}, "outstanding must be at least 1, not 0"),
    ],
)
def test_gates_without_room_are_refused(gate, arguments, message):
    with pytest.raises(ValueError, match=message):
        gate(**WIDTHS, **arguments)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        BeatBuffer(unsigned(1), depth=0)
