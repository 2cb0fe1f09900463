"""Activation scratchpad against a byte array: answers in order, writes made when the fence says so."""

import random

import pytest
from amaranth.sim import Simulator

from hw.npu.scratchpad.port_queue import PortQueue
from hw.npu.scratchpad.scratchpad import FEED, READERS, WRITERS, ActivationScratchpad

SIZE = 1024
REGION = 64
"""Writers have regions of their own, alternately, so that a byte's writes have an order."""
SHAPES = [(4, 4, 1, 4, 0.7), (8, 8, 8, 4, 1.0), (16, 16, 4, 8, 1.0), (16, 4, 2, 16, 0.5), (32, 16, 8, 32, 0.9)]
REGISTERS = pytest.mark.parametrize("registers", [0, 1])


def make(word, feed_bytes, lanes, dma_bytes, registers=0):
    widths = {"feed_bytes": feed_bytes, "lanes": lanes, "dma_bytes": dma_bytes}
    return ActivationScratchpad(banks=8, word=word, size=SIZE, **widths, registers=registers)


def _place(dut, address, first, end):
    """Where the bytes stand, as the feeder says it."""
    word, banks = dut.word, dut.banks
    bank, row, offset = address // word % banks, address // word // banks, address % word
    low = 1 << bank if offset + first < word else 0
    high = 1 << (bank + 1) % banks if offset + end > word else 0
    return {"offset": offset, "bank": bank, "row": row, "next_row": (row + 1) % dut.depth, "low": low, "high": high}


class Memory:
    """What each byte may hold: its writes, when they were accepted, and when they were surely made."""

    def __init__(self):
        self.writes = [[[-1, -1, 0]] for _ in range(SIZE)]

    def write(self, cycle, address, data, mask):
        made = [[cycle, None, byte] for byte in data]
        for i, write in enumerate(made):
            if mask >> i & 1:
                self.writes[(address + i) % SIZE].append(write)
        return made

    def may_be(self, place, asked, answered):
        """Values that a read may find that was accepted and answered in these cycles."""
        writes = [write for write in self.writes[place % SIZE] if write[0] <= answered]
        oldest = max(number for number, (_, made, _) in enumerate(writes) if made is not None and made <= asked)
        return {value for _, _, value in writes[oldest:]}


def _drive(dut, rng, accesses, density):
    memory, counts = Memory(), dict.fromkeys((*READERS, *WRITERS), 0)

    async def run(ctx):
        asked, offered, waits, answers, cycle = {name: [] for name in READERS}, {}, {}, {}, 0
        unsettled, told = {name: [] for name in WRITERS}, dict.fromkeys(WRITERS, 0)
        while min(counts.values()) < accesses:
            taken = 0
            for name in FEED:
                taken |= offered[name][3] if name in offered else 0
            for name in READERS:
                request, width = getattr(dut, name).request, dut.widths[name]
                if name not in offered and rng.random() < density:
                    address, first, end = rng.randrange(SIZE), 0, width
                    if name in FEED:
                        first = rng.randrange(width)
                        end = rng.randint(first + 1, width)
                        place = _place(dut, address, first, end)
                        banks = place["low"] | place["high"]
                        if banks & taken:  # the feeder takes turns
                            ctx.set(request.valid, 0)
                            continue
                        taken |= banks
                        ctx.set(request.payload, place)
                        offered[name] = address, first, end, banks
                    else:
                        ctx.set(request.payload, address)
                        offered[name] = address, first, end, 0
                ctx.set(request.valid, name in offered)
            for number, name in enumerate(WRITERS):
                port, width = getattr(dut, name), dut.widths[name]
                if name not in offered and rng.random() < density and len(unsettled[name]) < dut.FENCED:
                    address, mask = rng.randrange(SIZE), rng.randrange(1 << width)
                    for i in range(width):
                        if (address + i) % SIZE // REGION % 2 != number:
                            mask &= ~(1 << i)
                    offered[name] = address, bytes(rng.randrange(256) for _ in range(width)), mask
                    ctx.set(port.payload, {"address": address, "data": list(offered[name][1]), "mask": mask})
                ctx.set(port.valid, name in offered)
                ctx.set(dut.complete[number], told[name])
                told[name] = 0
            await ctx.delay(1e-9)
            for number, name in enumerate(WRITERS):
                if ctx.get(dut.settled[number]):
                    for write in unsettled[name].pop(0):
                        write[1] = cycle
                if name in offered and ctx.get(getattr(dut, name).ready):
                    unsettled[name].append(memory.write(cycle, *offered.pop(name)))
                    told[name] = 1
                    counts[name] += 1
            for name in READERS:
                port = getattr(dut, name)
                answer, came = ctx.get(port.data.as_value()), ctx.get(port.valid)
                assert came or name not in answers or answers[name] == answer, f"{name}, cycle {cycle}: an answer holds until the next"
                if came:
                    answers[name] = answer
                    when, address, first, end = asked[name].pop(0)
                    fed, answered = dut.read_latency(dut.registers), dut.answer_latency(dut.registers)
                    assert cycle == when + fed if name in FEED else cycle >= when + answered, f"{name}: {when}, {cycle}"
                    for i in range(first, end):
                        got, want = ctx.get(port.data[i]), memory.may_be(address + i, when, cycle)
                        assert got in want, f"{name}, cycle {cycle}, asked in {when}, byte {address + i}: {got} is none of {want}"
                if name in offered and ctx.get(port.request.ready):
                    address, first, end, _ = offered.pop(name)
                    asked[name].append((cycle, address, first, end))
                    counts[name] += 1
            for name in (*READERS, *WRITERS):
                waits[name] = waits.get(name, 0) + 1 if name in offered else 0
                assert waits[name] < 100, f"{name} waits for more than 100 cycles"
            await ctx.tick()
            cycle += 1

    return run


def _simulate(dut, testbench):
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()


@REGISTERS
@pytest.mark.parametrize(("word", "feed_bytes", "lanes", "dma_bytes", "density"), SHAPES)
def test_every_access_sees_the_writes_behind_the_fence(word, feed_bytes, lanes, dma_bytes, density, registers, seed):
    dut = make(word, feed_bytes, lanes, dma_bytes, registers)
    _simulate(dut, _drive(dut, random.Random(seed), 120, density))


@REGISTERS
def test_ports_on_different_banks_go_on_every_cycle(registers):
    """The feeder, the second operand and both writers: none is ever refused."""
    dut = make(16, 16, 16, 8, registers)
    ahead = PortQueue.LATENCY - dut.ahead(registers)  # the feeder's access meets those that the others asked for so many cycles before

    async def run(ctx):
        ports = {"second": dut.second.request, "write": dut.write, "dma_write": dut.dma_write}
        for stream in (dut.feed_0.request, *ports.values()):
            ctx.set(stream.valid, 1)
        for cycle in range(64):
            ctx.set(dut.feed_0.request.payload, _place(dut, 16 * cycle % SIZE, 3, 16))
            ctx.set(dut.second.request.payload, (16 * (cycle + ahead + 1) + 3) % SIZE)  # crosses into the next bank
            ctx.set(dut.write.payload, {"address": (16 * (cycle + ahead + 3) + 1) % SIZE, "mask": 0xFFFF})
            ctx.set(dut.dma_write.payload, {"address": (16 * (cycle + ahead + 5)) % SIZE, "mask": 0xFF})
            await ctx.delay(1e-9)
            for name, stream in (("feed", dut.feed_0.request), *ports.items()):
                assert ctx.get(stream.ready), f"{name} is refused in cycle {cycle}"
            await ctx.tick()

    _simulate(dut, run)


@REGISTERS
def test_a_port_that_the_feeder_blocks_gets_a_cycle_of_its_own(registers):
    dut = make(16, 16, 16, 8, registers)

    async def run(ctx):
        ctx.set(dut.feed_0.request.valid, 1)
        ctx.set(dut.feed_0.request.payload, _place(dut, 0, 0, 16))
        ctx.set(dut.dma_write.valid, 1)
        ctx.set(dut.dma_write.payload, {"address": 0, "mask": 0xFF})
        fed = written = 0
        for _ in range(400):
            *_, feeds, writes = await ctx.tick().sample(dut.feed_0.request.ready, dut.dma_write.ready)
            fed, written = fed + feeds, written + writes
        assert 400 // 24 <= written <= 400 // 16 + PortQueue.ROOM and fed >= 400 - written - 2, (fed, written)

    _simulate(dut, run)


@pytest.mark.parametrize(
    ("port", "address", "mask", "waits"),
    [
        ("write", 24, 0x00FF, False),  # bank 1 alone
        ("write", 24, 0x0100, True),  # with the byte behind its word bank 2 too, which the feeder has
        ("write", 16, 0xFFFF, False),
        ("second", 16, None, False),
        ("second", 17, None, True),
    ],
)
def test_an_access_asks_for_the_banks_of_its_bytes_only(port, address, mask, waits):
    """The feeder reads bank 2 in every cycle that it gets; an access that needs it too has to wait until it is aged."""
    dut = make(16, 16, 16, 8)
    made = []

    async def run(ctx):
        stream = dut.write if port == "write" else dut.second.request
        ctx.set(dut.feed_0.request.valid, 1)
        ctx.set(dut.feed_0.request.payload, _place(dut, 32, 0, 16))
        ctx.set(stream.payload, {"address": address, "mask": mask} if port == "write" else address)
        ctx.set(stream.valid, 1)
        await ctx.tick()
        ctx.set(stream.valid, 0)
        ctx.set(dut.complete[0], port == "write")
        for cycle in range(60):
            *_, settled, answered = await ctx.tick().sample(dut.settled[0], dut.second.valid)
            ctx.set(dut.complete[0], 0)
            made.extend([cycle] * (settled or answered))

    _simulate(dut, run)
    assert len(made) == 1 and (made[0] > 16) == waits, made


def test_size_that_is_no_multiple_of_the_banks_is_refused():
    with pytest.raises(ValueError, match="multiple of 8 banks"):
        ActivationScratchpad(banks=8, word=16, size=1000, feed_bytes=16, lanes=16, dma_bytes=8, registers=0)
