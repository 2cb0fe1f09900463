"""Command fetch and dispatcher: every command reaches its queue, in order, with its index and fields."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from hw.npu.control.command_fetch import CommandFetch
from hw.npu.control.dispatcher import WAITS, Dispatcher, queues
from hw.npu.interface.command_fields import GROUPS
from hw.npu.interface.isa import EXECUTE, UNIT_BYTES, Command, Error, Opcode, Second, group_layout, groups_of, units_of
from tests.axi_memory import AxiMemory
from tests.streams import plain, simulate
from tests.thin import thin

BASE = 0x1000


QUEUES = queues(int4=True, interpolation=True)
QUEUE_OF = {opcode: queue for queue, opcodes in QUEUES.items() for opcode in opcodes}


def random_command(rng, opcode, counts=None):
    """A command with random values in all fields; its waits name what stands before it, ``counts`` commands of each queue.

    Half of those that may have a second operand have none.
    """
    counts = counts or dict.fromkeys(QUEUES, 0)
    fields = {}
    for group in groups_of(opcode):
        layout = group_layout(group)
        fields[group] = plain(layout.from_bits(rng.getrandbits(layout.size)))
    del fields["header"]["opcode"], fields["header"]["units"]
    if "second" in fields and rng.random() < 0.5:
        del fields["second"]
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

    def __init__(self, *, axi_bytes, max_burst, ahead=4, tracked=4, int4=True, interpolation=True):
        self.fetch = CommandFetch(axi_bytes=axi_bytes, address_bits=32, max_burst=max_burst, ahead=ahead)
        self.dispatch = Dispatcher(axi_bytes=axi_bytes, tracked=tracked, int4=int4, interpolation=interpolation)
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.fetch, m.submodules.dispatch = self.fetch, self.dispatch
        wiring.connect(m, self.fetch.words, self.dispatch.words)
        m.d.comb += [
            self.dispatch.start.eq(self.fetch.start),
            self.dispatch.units.eq(self.fetch.units),
            self.dispatch.halt.eq(self.fetch.halt),
        ]
        return m


class Bench:
    """The front end, a memory with commands, and a unit at each queue that completes commands at random."""

    def __init__(self, seed, commands, **numbers):
        self.rng = random.Random(seed)
        self.ddr = AxiMemory(self.rng, busy=numbers.pop("busy", 0.2), latency=numbers.pop("latency", 20))
        self.count = len(commands)
        self.image = b"".join(command if isinstance(command, bytes) else command.pack() for command in commands)
        self.ddr.bytes[BASE : BASE + len(self.image)] = self.image
        self.dut = FrontEnd(**numbers)
        self.got, self.open = [], set()

    async def start(self, ctx):
        ctx.set(self.dut.fetch.commands_base, BASE)
        ctx.set(self.dut.fetch.units, len(self.image) // UNIT_BYTES)
        ctx.set(self.dut.fetch.start, 1)
        await ctx.tick()
        ctx.set(self.dut.fetch.start, 0)
        self.open = set(range(self.count))

    def unit(self, queue):
        """Takes commands, holds up to three, and completes them in order."""
        port, done = getattr(self.dut.dispatch, queue), getattr(self.dut.dispatch, f"{queue}_done")

        async def testbench(ctx):
            held, taken = [], []
            while True:
                ctx.set(port.ready, len(held) + len(taken) < 3 and self.rng.random() < 0.7)
                finish = bool(held) and self.rng.random() < 0.1
                held, taken = held + taken, []  # no command is over in the cycle behind the one in which it was taken
                ctx.set(done, finish)
                *_, valid, ready, payload = await ctx.tick().sample(port.valid, port.ready, port.payload)
                if finish:
                    self.open.discard(held.pop(0))
                if valid and ready:
                    payload = plain(payload)
                    taken.append(payload["index"])
                    self.got.append((queue, payload))

        return testbench

    def run(self, check):
        background = [self.ddr.reads(self.dut.fetch.axi), *(self.unit(queue) for queue in QUEUES)]
        watched = [self.dut.fetch.axi.ar, *(getattr(self.dut.dispatch, queue) for queue in QUEUES)]
        simulate(self.dut, check, background=background, watched=watched, cycles=20_000)


BUSES = [(4, 256), (4, 16), (4, 2), (4, 1), (8, 64), (8, 2), (16, 8), (16, 1), (32, 256), (32, 2), (32, 1)]
"""Bytes of a beat and beats of the longest burst: bursts of a block, of some units, of one, of a part of one."""


@pytest.mark.parametrize(
    ("axi_bytes", "max_burst", "ahead", "tracked", "busy"),
    thin([(*bus, *numbers) for bus in BUSES for numbers in ((1, 1, 0.5), (4, 4, 0.2), (8, 3, 0))]),
)
def test_every_command_reaches_its_queue(axi_bytes, max_burst, ahead, tracked, busy, seed):
    rng = random.Random(seed)
    commands = random_commands(rng, 24)
    bench = Bench(seed, commands, axi_bytes=axi_bytes, max_burst=max_burst, ahead=ahead, tracked=tracked, busy=busy)

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
    read = [(burst["addr"], (burst["len"] + 1) * axi_bytes) for burst in bench.ddr.read_bursts]
    longest = min(128, max_burst * axi_bytes)
    expected = [(BASE + at, min(longest, len(bench.image) - at)) for at in range(0, len(bench.image), longest)]
    assert read == expected, "aligned bursts, and not a byte behind the stream"


@pytest.mark.parametrize("axi_bytes", [4, 8, 16, 32])
@pytest.mark.parametrize("units", range(1, 10))
def test_a_stream_of_every_length_is_read_to_its_end(axi_bytes, units):
    rng = random.Random(units)
    commands = [random_command(rng, Opcode.LOAD) for _ in range(units)]
    bench = Bench(units, commands, axi_bytes=axi_bytes, max_burst=16)

    async def check(ctx):
        await bench.start(ctx)
        while not ctx.get(bench.dut.dispatch.complete):
            await ctx.tick()
        assert not ctx.get(bench.dut.fetch.outstanding)

    bench.run(check)
    assert len(bench.got) == units
    assert sum(burst["len"] + 1 for burst in bench.ddr.read_bursts) == units * UNIT_BYTES // axi_bytes


@pytest.mark.parametrize("axi_bytes", [4, 32])
def test_an_absent_second_operand_is_zero_behind_one_that_was_there(axi_bytes):
    rng = random.Random(6)
    full = [Command(opcode, {"second": {field.name: -1 if field.signed else 1 for field in GROUPS["second"]}}) for opcode in EXECUTE]
    commands = [command for both in full for command in (both, random_command(rng, Opcode.LOAD), Command(both.opcode, {}))]
    bench = Bench(6, commands, axi_bytes=axi_bytes, max_burst=16)

    async def check(ctx):
        await bench.start(ctx)
        while not ctx.get(bench.dut.dispatch.complete):
            await ctx.tick()

    bench.run(check)
    second = {payload["index"]: payload["command"]["second"] for queue, payload in bench.got if queue == "execute"}
    assert [any(second[index].values()) for index in sorted(second)] == [True, False] * len(EXECUTE)
    assert second[0] == commands[0]["second"] and commands[2].units == commands[0].units - 1


def test_a_job_without_commands_is_complete_at_once():
    bench = Bench(1, [], axi_bytes=8, max_burst=16)

    async def check(ctx):
        await bench.start(ctx)
        assert ctx.get(bench.dut.dispatch.complete)
        await ctx.tick().repeat(10)
        assert not ctx.get(bench.dut.fetch.axi.ar.valid)

    bench.run(check)


def assert_stops(bench, code, index):
    """The dispatcher shows the error, hands on what stands before, and nothing stays open on the bus once it is halted."""

    async def check(ctx):
        await bench.start(ctx)
        while not ctx.get(bench.dut.dispatch.error.valid):
            await ctx.tick()
        assert plain(ctx.get(bench.dut.dispatch.error)) == {"valid": 1, "code": code, "index": index}
        ctx.set(bench.dut.fetch.halt, 1)
        await ctx.tick().repeat(100)
        assert not ctx.get(bench.dut.fetch.outstanding) and len(bench.got) == index

    bench.run(check)


def with_header(command, *, opcode=None, units=None) -> bytes:
    """A packed command with another opcode or length in its header."""
    packed = command.pack()
    return bytes([packed[0] if opcode is None else opcode, packed[1] if units is None else units]) + packed[2:]


@pytest.mark.parametrize("axi_bytes", [4, 32])
@pytest.mark.parametrize("units", [0, 1, 3, 255])
@pytest.mark.parametrize("opcode", [0, max(Opcode) + 1, 255])
def test_an_unknown_opcode_stops_at_its_index(opcode, units, axi_bytes):
    rng = random.Random(2)
    good = [random_command(rng, Opcode.LOAD) for _ in range(3)]
    bad = with_header(good[0], opcode=opcode, units=units)
    assert_stops(Bench(2, [*good, bad, *good], axi_bytes=axi_bytes, max_burst=16), Error.BAD_OPCODE, 3)


@pytest.mark.parametrize(
    ("opcode", "switch"), [*((opcode, "int4") for opcode in Opcode if opcode.int4), (Opcode.INTERPOLATE, "interpolation")]
)
def test_without_its_switch_an_opcode_is_unknown(opcode, switch):
    rng = random.Random(2)
    good = [random_command(rng, Opcode.LOAD) for _ in range(3)]
    bench = Bench(2, [*good, random_command(rng, opcode), *good], axi_bytes=8, max_burst=16, **{switch: False})
    assert_stops(bench, Error.BAD_OPCODE, 3)


@pytest.mark.parametrize(("opcode", "axi_bytes"), thin([(opcode, axi_bytes) for axi_bytes in (8, 32) for opcode in Opcode]))
def test_a_length_that_is_wrong_for_the_opcode_is_a_bad_field(opcode, axi_bytes):
    rng = random.Random(8)
    good = random_commands(rng, 3)
    command, longest = random_command(rng, opcode), Command(Opcode.SUM, {"second": {"operation": Second.ADD}}).units
    for units in {0, *range(1, longest + 2), 1 << 7, 255} - set(units_of(opcode)):
        bench = Bench(8, [*good, with_header(command, units=units), *good, *good], axi_bytes=axi_bytes, max_burst=16)
        assert_stops(bench, Error.BAD_FIELD, 3)


@pytest.mark.parametrize("axi_bytes", [4, 8, 16, 32])
@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_command_that_the_stream_ends_in_is_a_bad_field(missing, axi_bytes):
    rng = random.Random(10)
    commands = [random_command(rng, Opcode.LOAD) for _ in range(4)]
    commands.append(Command(Opcode.SUM, {"second": {"operation": Second.ADD}}))
    bench = Bench(10, commands, axi_bytes=axi_bytes, max_burst=16)
    bench.image = bench.image[: -missing * UNIT_BYTES]
    assert_stops(bench, Error.BAD_FIELD, 4)


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
    bench = Bench(
        4,
        [*commands, last, Command(Opcode.SUM, {group: {field: before + (queue == "execute") + 1}})],
        axi_bytes=8,
        max_burst=16,
    )

    async def check(ctx):
        await bench.start(ctx)
        while not ctx.get(bench.dut.dispatch.error.valid):
            await ctx.tick()
        assert plain(ctx.get(bench.dut.dispatch.error)) == {"valid": 1, "code": Error.DEADLOCK, "index": 13}

    bench.run(check)


@pytest.mark.parametrize(("axi_bytes", "beat"), [(4, 0), (4, 1), (4, 23), (8, 0), (8, 5), (8, 11), (32, 0), (32, 1), (32, 2)])
def test_a_bus_error_names_the_command(axi_bytes, beat):
    rng = random.Random(3)
    bench = Bench(
        3,
        [random_command(rng, Opcode.STORE) for _ in range(2)] + [Command(Opcode.MAX, {})] * 3,
        axi_bytes=axi_bytes,
        max_burst=16,
    )
    start = BASE + 2 * UNIT_BYTES + beat * axi_bytes
    bench.ddr.bad = range(start, start + axi_bytes)
    bench.ddr.bytes[start : start + axi_bytes] = bytes(axi_bytes)  # nothing that such a beat says counts
    assert_stops(bench, Error.AXI_READ, 2)


@pytest.mark.parametrize(("axi_bytes", "ahead"), [(4, 4), (8, 8), (16, 16), (32, 32)])
def test_a_free_bus_delivers_a_beat_a_cycle_but_six_a_command(axi_bytes, ahead):
    rng = random.Random(5)
    commands = [random_command(rng, rng.choice(list(Opcode))) for _ in range(80)]
    bench = Bench(5, commands, axi_bytes=axi_bytes, max_burst=256, ahead=ahead, busy=0, latency=64, tracked=8)
    beats = len(bench.image) // axi_bytes

    async def check(ctx):
        for queue in QUEUES:
            ctx.set(getattr(bench.dut.dispatch, queue).ready, 1)
            ctx.set(getattr(bench.dut.dispatch, f"{queue}_done"), 1)
        await bench.start(ctx)
        # latency, six cycles more a command, and a cycle each for the burst's length, AR, buffer, register, last beat and hand-over
        await ctx.tick().repeat(64 + beats + 6 * len(commands) + 8)
        assert ctx.get(bench.dut.dispatch.complete)

    simulate(bench.dut, check, background=[bench.ddr.reads(bench.dut.fetch.axi)])
