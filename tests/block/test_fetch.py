"""Command fetch and dispatcher: every command reaches its queue, in order, with its index and fields."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from hw.npu.command_fetch import CommandFetch
from hw.npu.dispatcher import QUEUES, WAITS, Dispatcher
from hw.npu.isa import COMMAND_BYTES, GROUPS, Command, Error, Opcode, group_layout, groups_of
from tests.axi_memory import AxiMemory
from tests.streams import plain, simulate

BASE = 0x1000


QUEUE_OF = {opcode: queue for queue, opcodes in QUEUES.items() for opcode in opcodes}


def random_command(rng, opcode, counts=None):
    """A command with random values in all fields; its waits name what stands before it, ``counts`` commands of each queue."""
    counts = counts or dict.fromkeys(QUEUES, 0)
    fields = {}
    for group in groups_of(opcode):
        layout = group_layout(group)
        fields[group] = plain(layout.from_bits(rng.getrandbits(layout.size)))
    fields["header"].pop("opcode")
    waits = [("header", WAITS[queue], queue) for queue in QUEUES] + [("weights", "wait_load", "load")] * ("weights" in fields)
    for group, field, queue in waits:
        fields[group][field] = (counts[queue] - rng.randrange((1 << 15) - 64)) % (1 << 16)
    return Command(opcode, fields)


def random_commands(rng, number):
    """Commands of all queues, each with waits that are legal where it stands."""
    commands, counts = [], dict.fromkeys(QUEUES, 0)
    for _ in range(number):
        commands.append(random_command(rng, rng.choice(list(Opcode)), counts))
        counts[QUEUE_OF[commands[-1].opcode]] += 1
    return commands


class FrontEnd(wiring.Component):
    """Fetch and dispatcher, as the top connects them."""

    def __init__(self, *, axi_bytes, max_burst, ahead=4, tracked=4):
        self.fetch = CommandFetch(axi_bytes=axi_bytes, address_bits=32, max_burst=max_burst, ahead=ahead)
        self.dispatch = Dispatcher(axi_bytes=axi_bytes, tracked=tracked)
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.fetch, m.submodules.dispatch = self.fetch, self.dispatch
        wiring.connect(m, self.fetch.words, self.dispatch.words)
        m.d.comb += [
            self.dispatch.start.eq(self.fetch.start),
            self.dispatch.command_count.eq(self.fetch.command_count),
            self.dispatch.halt.eq(self.fetch.halt),
        ]
        return m


class Bench:
    """The front end, a memory with commands, and a unit at each queue that completes commands at random."""

    def __init__(self, seed, commands, **numbers):
        self.rng = random.Random(seed)
        self.ddr = AxiMemory(self.rng, busy=numbers.pop("busy", 0.2), latency=numbers.pop("latency", 20))
        self.count = len(commands)
        image = b"".join(command if isinstance(command, bytes) else command.pack() for command in commands)
        self.ddr.bytes[BASE : BASE + len(image)] = image
        self.dut = FrontEnd(**numbers)
        self.got, self.open = [], set()

    async def start(self, ctx):
        ctx.set(self.dut.fetch.commands_base, BASE)
        ctx.set(self.dut.fetch.command_count, self.count)
        ctx.set(self.dut.fetch.start, 1)
        await ctx.tick()
        ctx.set(self.dut.fetch.start, 0)
        self.open = set(range(self.count))

    def unit(self, queue):
        """Takes commands, holds up to three, and completes them in order."""
        port, done = getattr(self.dut.dispatch, queue), getattr(self.dut.dispatch, f"{queue}_done")

        async def testbench(ctx):
            held = []
            while True:
                ctx.set(port.ready, len(held) < 3 and self.rng.random() < 0.7)
                finish = bool(held) and self.rng.random() < 0.1
                ctx.set(done, finish)
                *_, valid, ready, payload = await ctx.tick().sample(port.valid, port.ready, port.payload)
                if finish:
                    self.open.discard(held.pop(0))
                if valid and ready:
                    payload = plain(payload)
                    held.append(payload["index"])
                    self.got.append((queue, payload))

        return testbench

    def run(self, check):
        background = [self.ddr.reads(self.dut.fetch.axi), *(self.unit(queue) for queue in QUEUES)]
        watched = [self.dut.fetch.axi.ar, *(getattr(self.dut.dispatch, queue) for queue in QUEUES)]
        simulate(self.dut, check, background=background, watched=watched, cycles=20_000)


@pytest.mark.parametrize(("axi_bytes", "max_burst", "ahead", "tracked"), [(8, 64, 4, 4), (4, 2, 1, 1), (16, 1, 2, 8), (32, 256, 8, 3)])
def test_every_command_reaches_its_queue(axi_bytes, max_burst, ahead, tracked, seed):
    rng = random.Random(seed)
    commands = random_commands(rng, 40)
    bench = Bench(seed, commands, axi_bytes=axi_bytes, max_burst=max_burst, ahead=ahead, tracked=tracked)

    async def check(ctx):
        await bench.start(ctx)
        before = min(bench.open)
        while not ctx.get(bench.dut.dispatch.complete):
            await ctx.tick()
            oldest = ctx.get(bench.dut.dispatch.oldest)
            assert before <= oldest <= min(bench.open, default=bench.count), "the oldest command is at most the first that is open"
            before = oldest
        assert not bench.open
        assert not ctx.get(bench.dut.fetch.outstanding) and not ctx.get(bench.dut.dispatch.error.valid)

    bench.run(check)
    assert [payload["index"] for _, payload in bench.got] == list(range(len(commands)))
    for queue, payload in bench.got:
        command = commands[payload["index"]]
        assert command.opcode in QUEUES[queue]
        for group in groups_of(command.opcode):
            assert payload["command"][group] == command[group], f"seed {seed}, command {payload['index']}: {group}"
    assert all(group in GROUPS for group in bench.got[0][1]["command"])


def test_a_job_without_commands_is_complete_at_once():
    bench = Bench(1, [], axi_bytes=8, max_burst=16)

    async def check(ctx):
        await bench.start(ctx)
        assert ctx.get(bench.dut.dispatch.complete)
        await ctx.tick().repeat(10)
        assert not ctx.get(bench.dut.fetch.axi.ar.valid)

    bench.run(check)


@pytest.mark.parametrize("opcode", [0, 6, 255])
def test_an_unknown_opcode_stops_at_its_index(opcode):
    rng = random.Random(2)
    good = [random_command(rng, Opcode.LOAD) for _ in range(3)]
    bench = Bench(2, [*good, bytes([opcode]) + bytes(COMMAND_BYTES - 1), *good], axi_bytes=8, max_burst=16)

    async def check(ctx):
        await bench.start(ctx)
        while not ctx.get(bench.dut.dispatch.error.valid):
            await ctx.tick()
        assert plain(ctx.get(bench.dut.dispatch.error)) == {"valid": 1, "code": Error.BAD_OPCODE, "index": 3}
        ctx.set(bench.dut.fetch.halt, 1)
        await ctx.tick().repeat(400)
        assert not ctx.get(bench.dut.fetch.outstanding) and len(bench.got) == 3

    bench.run(check)


@pytest.mark.parametrize(
    ("group", "field", "queue"),
    [
        ("header", "wait_load", "load"),
        ("header", "wait_exec", "execute"),
        ("header", "wait_store", "store"),
        ("weights", "wait_load", "load"),
    ],
)
def test_a_wait_for_a_later_command_is_a_deadlock(group, field, queue):
    rng = random.Random(4)
    commands = random_commands(rng, 12)
    before = sum(QUEUE_OF[command.opcode] == queue for command in commands)
    last = Command(Opcode.SUM, {"header": {}, "weights": {}})
    last.fields[group][field] = before
    bench = Bench(4, [*commands, last, Command(Opcode.SUM, {group: {field: before + (queue == "execute") + 1}})], axi_bytes=8, max_burst=16)

    async def check(ctx):
        await bench.start(ctx)
        while not ctx.get(bench.dut.dispatch.error.valid):
            await ctx.tick()
        assert plain(ctx.get(bench.dut.dispatch.error)) == {"valid": 1, "code": Error.DEADLOCK, "index": 13}

    bench.run(check)


def test_a_bus_error_names_the_command():
    rng = random.Random(3)
    bench = Bench(3, [random_command(rng, Opcode.STORE) for _ in range(5)], axi_bytes=8, max_burst=16)
    bench.ddr.bad = range(BASE + 2 * COMMAND_BYTES + 8, BASE + 2 * COMMAND_BYTES + 16)

    async def check(ctx):
        await bench.start(ctx)
        while not ctx.get(bench.dut.dispatch.error.valid):
            await ctx.tick()
        assert plain(ctx.get(bench.dut.dispatch.error)) == {"valid": 1, "code": Error.AXI_READ, "index": 2}
        assert len(bench.got) == 2

    bench.run(check)


def test_a_free_bus_delivers_a_beat_a_cycle():
    rng = random.Random(5)
    commands = [random_command(rng, rng.choice(list(Opcode))) for _ in range(16)]
    bench = Bench(5, commands, axi_bytes=8, max_burst=16, ahead=8, busy=0, latency=64, tracked=8)

    async def check(ctx):
        for queue in QUEUES:
            ctx.set(getattr(bench.dut.dispatch, queue).ready, 1)
            ctx.set(getattr(bench.dut.dispatch, f"{queue}_done"), 1)
        await bench.start(ctx)
        for _ in range(16 * 16 + 64 + 10):
            await ctx.tick()
        assert ctx.get(bench.dut.dispatch.complete)

    simulate(bench.dut, check, background=[bench.ddr.reads(bench.dut.fetch.axi)])
