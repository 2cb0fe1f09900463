"""Load and store DMA against byte copies, with a DDR and scratchpads that wait at random."""

import random

import pytest

from hw.npu.dma.load_dma import LoadDma
from hw.npu.dma.store_dma import StoreDma
from hw.npu.interface.isa import Command, Error, Opcode, Region, Target
from hw.npu.interface.queued import QUEUED_TRANSFER
from tests.axi_memory import AxiMemory, read_server, write_acceptor
from tests.streams import get, plain, put, simulate

ACT, WEIGHT, DDR = 4096, 2048, 1 << 16
BASES = {Region.MODEL: 0x1000, Region.ARENA: 0x8000}
READ_LATENCY = 3


def queued(index, command):
    return {"index": index, "command": QUEUED_TRANSFER["command"].shape.from_bits(int.from_bytes(command.pack(), "little"))}


def random_transfer(rng, opcode, axi_bytes):
    target = Target(rng.randrange(2)) if opcode == Opcode.LOAD else Target.ACTIVATIONS
    unit, size = (axi_bytes, WEIGHT) if target == Target.WEIGHTS else (1, ACT)
    rows = rng.choice([1, rng.randint(1, 5)])
    row_bytes = unit * rng.randint(1, (rng.choice([20, 600]) // rows) // unit + 1)
    pitch = row_bytes + unit * rng.randint(0, 4)
    last = size - (rows - 1) * pitch - row_bytes
    address = rng.choice([0, last // unit * unit, rng.randrange(last // unit + 1) * unit])
    return Command(
        opcode,
        {
            "dma": {
                "region": rng.choice(list(Region)),
                "target": target,
                "ddr_offset": unit * rng.randrange(0x4000 // unit),
                "sram_address": address,
                "row_bytes": row_bytes,
                "rows": rows,
                "ddr_stride": row_bytes + unit * rng.randint(0, 100),
                "sram_stride": pitch,
            }
        },
    )


def copy(command, ddr, scratchpads):
    dma = command["dma"]
    local = scratchpads[dma["target"]]
    for row in range(dma["rows"]):
        there = BASES[dma["region"]] + dma["ddr_offset"] + row * dma["ddr_stride"]
        here, n = dma["sram_address"] + row * dma["sram_stride"], dma["row_bytes"]
        if command.opcode == Opcode.LOAD:
            local[here : here + n] = ddr[there : there + n]
        else:
            ddr[there : there + n] = local[here : here + n]


class Bench:
    """A DMA, its memories, and what was seen of it."""

    def __init__(self, opcode, seed, *, axi_bytes=8, max_burst=16, outstanding=4, busy=0.3, latency=5):
        self.rng, self.opcode, self.axi_bytes = random.Random(seed), opcode, axi_bytes
        numbers = {"axi_bytes": axi_bytes, "address_bits": 32, "max_burst": max_burst, "outstanding": outstanding, "act_bytes": ACT}
        self.ddr = AxiMemory(self.rng, size=DDR, busy=busy, latency=latency)
        self.scratchpads = [bytearray(self.rng.randbytes(ACT)), bytearray(self.rng.randbytes(WEIGHT))]
        if opcode == Opcode.LOAD:
            self.dut = LoadDma(weight_bytes=WEIGHT, **numbers)
            ports = [(self.dut.activations, self.scratchpads[0]), (self.dut.weights, self.scratchpads[1])]
            self.memories = [self.ddr.reads(self.dut.axi), *(write_acceptor(port, memory, self.rng, busy) for port, memory in ports)]
            self.watched = [self.dut.axi.ar, self.dut.activations, self.dut.weights, self.dut.records]
        else:
            self.dut = StoreDma(read_latency=READ_LATENCY, **numbers)
            server = read_server(self.dut.activations, self.scratchpads[0], self.rng, latency=READ_LATENCY, busy=busy)
            self.memories = [self.ddr.writes(self.dut.axi), server]
            self.watched = [self.dut.axi.aw, self.dut.axi.w, self.dut.activations.request, self.dut.records]
        self.cycle, self.done = 0, []

    async def observe(self, ctx):
        ctx.set(self.dut.model_base, BASES[Region.MODEL])
        ctx.set(self.dut.arena_base, BASES[Region.ARENA])
        while True:
            ctx.set(self.dut.cycle, self.cycle)
            *_, done = await ctx.tick().sample(self.dut.done)
            if done:
                self.done.append(self.cycle)
            self.cycle += 1

    def run(self, *testbenches, cycles=20_000):
        simulate(self.dut, *testbenches, background=[self.observe, *self.memories], watched=self.watched, cycles=cycles)


@pytest.mark.parametrize("opcode", [Opcode.LOAD, Opcode.STORE])
@pytest.mark.parametrize(("axi_bytes", "max_burst", "outstanding"), [(8, 16, 4), (4, 1, 1), (16, 4, 2), (32, 256, 16)])
def test_random_transfers_move_the_right_bytes(opcode, axi_bytes, max_burst, outstanding, seed):
    bench = Bench(opcode, seed, axi_bytes=axi_bytes, max_burst=max_burst, outstanding=outstanding)
    commands = [random_transfer(bench.rng, opcode, axi_bytes) for _ in range(25 if outstanding > 1 else 8)]
    want_ddr, want_local = bytearray(bench.ddr.bytes), [bytearray(memory) for memory in bench.scratchpads]
    for command in commands:
        copy(command, want_ddr, want_local)
    records = []

    async def collect(ctx):
        for command in commands:
            (record,) = await get(ctx, bench.dut.records, 1, "01")
            assert record["end"] == bench.done[len(records)] + 1 and record["start"] < record["end"]
            records.append(record)
            dma = command["dma"]
            side = ("ddr_read_bytes", "sram_write_bytes") if opcode == Opcode.LOAD else ("ddr_write_bytes", "sram_read_bytes")
            assert record["opcode"] == opcode and record["index"] == 10 + len(records) - 1
            assert record[side[1]] == dma["rows"] * dma["row_bytes"]
            assert record[side[0]] == record["active"] * axi_bytes
        await ctx.tick().repeat(5)
        assert not ctx.get(bench.dut.outstanding) and not ctx.get(bench.dut.error.valid)

    bench.run(lambda ctx: put(ctx, bench.dut.commands, [queued(10 + i, c) for i, c in enumerate(commands)], "110"), collect)
    assert len(bench.done) == len(commands)
    assert bench.scratchpads == want_local, f"seed {seed}"
    assert bench.ddr.bytes == want_ddr, f"seed {seed}"
    beats = bench.ddr.read_beats if opcode == Opcode.LOAD else bench.ddr.write_beats
    assert sum(record["active"] for record in records) == len(beats)


@pytest.mark.parametrize("opcode", [Opcode.LOAD, Opcode.STORE])
def test_a_free_bus_moves_a_beat_a_cycle_across_commands(opcode):
    bench = Bench(opcode, 1, busy=0, latency=20, outstanding=8)
    commands = [Command(opcode, {"dma": {"ddr_offset": 1024 * i, "sram_address": 512 * i, "row_bytes": 512, "rows": 1}}) for i in range(4)]

    async def collect(ctx):
        await get(ctx, bench.dut.records, 4)

    bench.run(lambda ctx: put(ctx, bench.dut.commands, [queued(i, c) for i, c in enumerate(commands)]), collect)
    beats = bench.ddr.read_beats if opcode == Opcode.LOAD else bench.ddr.write_beats
    assert len(beats) == 256
    assert beats[-1] - beats[0] == 255, f"{beats[-1] - beats[0] - 255} idle cycles"


@pytest.mark.parametrize("opcode", [Opcode.LOAD, Opcode.STORE])
def test_the_bus_never_waits_for_a_record(opcode):
    """A memory may hold up writes, and so the record writer, until its responses are taken: they may not wait for the writer."""
    bench = Bench(opcode, 4)
    commands = [Command(opcode, {"dma": {"ddr_offset": 64 * i, "sram_address": 64 * i, "row_bytes": 64, "rows": 1}}) for i in range(20)]

    async def check(ctx):
        quiet = 0
        while quiet < 300:
            await ctx.tick()
            quiet = 0 if ctx.get(bench.dut.progress) else quiet + 1
        assert not ctx.get(bench.dut.outstanding), "a burst is on the bus that nobody ends"
        assert 0 < len(bench.done) < 20
        await get(ctx, bench.dut.records, 20)

    bench.run(check, lambda ctx: put(ctx, bench.dut.commands, [queued(i, c) for i, c in enumerate(commands)]))


@pytest.mark.parametrize("opcode", [Opcode.LOAD, Opcode.STORE])
def test_a_command_waits_for_its_tokens_and_counts_the_cycles(opcode):
    bench = Bench(opcode, 2, busy=0)
    dma = {"row_bytes": 8, "rows": 1}
    command = Command(opcode, {"header": {"wait_exec": 1, "wait_load": 0xFFFF, "wait_store": 2}, "dma": dma})

    async def check(ctx):
        late = 2  # it stands in a register, and what it waits for is known a cycle later
        await ctx.tick().repeat(10)
        ctx.set(bench.dut.tokens.exec, 1)
        await ctx.tick().repeat(7)
        assert not bench.ddr.read_bursts and not bench.ddr.write_bursts
        ctx.set(bench.dut.tokens.store, 2)
        (record,) = await get(ctx, bench.dut.records, 1)
        assert (record["stall_activations"], record["stall_ddr_write"], record["stall_ddr_read"]) == (10 - late // 2, 7, 0)
        assert record["start"] == late

    bench.run(check, lambda ctx: put(ctx, bench.dut.commands, [queued(0, command)]))


GOOD = {"row_bytes": 16, "rows": 2, "ddr_stride": 16, "sram_stride": 16}
WRONG = [
    (Opcode.LOAD, {"rows": 0}, Error.BAD_FIELD),
    (Opcode.LOAD, {"row_bytes": 0}, Error.BAD_FIELD),
    (Opcode.LOAD, {"region": 2}, Error.BAD_FIELD),
    (Opcode.LOAD, {"target": 1, "row_bytes": 12}, Error.BAD_FIELD),
    (Opcode.LOAD, {"target": 1, "ddr_offset": 4}, Error.BAD_FIELD),
    (Opcode.LOAD, {"target": 1, "sram_address": 1}, Error.BAD_FIELD),
    (Opcode.LOAD, {"target": 1, "sram_stride": 17}, Error.BAD_FIELD),
    (Opcode.LOAD, {"target": 1, "ddr_stride": 20}, Error.BAD_FIELD),
    (Opcode.STORE, {"target": 1}, Error.BAD_FIELD),
    (Opcode.LOAD, {"sram_address": ACT - 31}, Error.ADDRESS),
    (Opcode.STORE, {"sram_address": ACT - 31}, Error.ADDRESS),
    (Opcode.STORE, {"sram_address": 0xFFFFF0, "sram_stride": 0xFFFFFF}, Error.ADDRESS),
    (Opcode.LOAD, {"target": 1, "sram_address": WEIGHT}, Error.ADDRESS),
    (Opcode.LOAD, {"ddr_offset": 0x2000}, Error.AXI_READ),
    (Opcode.STORE, {"ddr_offset": 0x2000}, Error.AXI_WRITE),
]


@pytest.mark.parametrize(("opcode", "change", "code"), WRONG)
def test_a_wrong_command_stops_with_its_code_and_index(opcode, change, code):
    bench = Bench(opcode, 3)
    bench.ddr.bad = range(0x3000, 0x3020)
    commands = [Command(opcode, {"dma": fields}) for fields in (GOOD, GOOD, {**GOOD, **change}, GOOD)]

    async def check(ctx):
        while not ctx.get(bench.dut.error.valid):
            await ctx.tick()
        assert plain(ctx.get(bench.dut.error)) == {"valid": 1, "code": code, "index": 7}
        ctx.set(bench.dut.halt, 1)
        await ctx.tick()
        while ctx.get(bench.dut.outstanding):
            await ctx.tick()
        await ctx.tick().repeat(20)
        assert not ctx.get(bench.dut.outstanding)

    async def feed(ctx):
        await put(ctx, bench.dut.commands, [queued(5 + i, c) for i, c in enumerate(commands[:3])])

    async def drain(ctx):
        await get(ctx, bench.dut.records, 10)

    bench.memories.append(drain)
    bench.run(check, feed)


@pytest.mark.parametrize("opcode", [Opcode.LOAD, Opcode.STORE])
@pytest.mark.parametrize("when", range(8, 60, 7))
def test_halt_finishes_what_is_on_the_bus(opcode, when):
    bench = Bench(opcode, when)
    command = Command(opcode, {"dma": {"ddr_offset": 3, "sram_address": 0, "row_bytes": 2000, "rows": 1}})
    before = {}

    async def check(ctx):
        await ctx.tick().repeat(when)
        ctx.set(bench.dut.halt, 1)
        await ctx.tick()
        before.update(bursts=len(bench.ddr.read_bursts) + len(bench.ddr.write_bursts))
        while ctx.get(bench.dut.outstanding):
            await ctx.tick()
        before.update(local=bytes(bench.scratchpads[0]))
        await ctx.tick().repeat(60)
        assert len(bench.ddr.read_bursts) + len(bench.ddr.write_bursts) <= before["bursts"] + 1
        assert not ctx.get(bench.dut.axi.ar.valid if opcode == Opcode.LOAD else bench.dut.axi.w.valid)

    bench.memories.append(lambda ctx: put(ctx, bench.dut.commands, [queued(0, command)]))
    bench.run(check)


@pytest.mark.parametrize("when", [20, 33, 50])
def test_no_beat_behind_a_halt_writes_a_byte(when):
    """The beat that is offered as the halt comes may not change; all behind it have no strobe, and memory stays as it is."""
    bench = Bench(Opcode.STORE, when)
    command = Command(Opcode.STORE, {"dma": {"ddr_offset": 3, "sram_address": 0, "row_bytes": 2000, "rows": 1}})
    strobes = []

    async def check(ctx):
        w = bench.dut.axi.w
        await ctx.tick().repeat(when)
        ctx.set(bench.dut.halt, 1)
        offered = ctx.get(w.valid)
        for _ in range(300):
            *_, valid, ready, strobe = await ctx.tick().sample(w.valid, w.ready, w.payload.strb)
            if valid and ready:
                strobes.append(strobe)
        assert not ctx.get(bench.dut.outstanding) and len(strobes) > 4, "beats of bursts whose address was out"
        assert not any(strobes[offered:]), f"strobes {strobes}"

    bench.memories.append(lambda ctx: put(ctx, bench.dut.commands, [queued(0, command)]))
    bench.run(check)
