"""Where accesses stand among the banks, in which turn the feeder's ports read, and the answers, against plain bytes."""

import random

import pytest
from amaranth.sim import Simulator

from hw.npu.feed.port_turns import PortTurns
from hw.npu.interface.isa import MAX_SPAN
from hw.npu.scratchpad.answer_select import AnswerSelect
from hw.npu.scratchpad.bank import Bank
from hw.npu.scratchpad.bank_place import BankGeometry, BankPlace
from hw.npu.scratchpad.port_queue import PortQueue
from tests.streams import put, random_pattern, simulate

GEOMETRY = BankGeometry(banks=4, word=8, depth=12)
SIZE = GEOMETRY.banks * GEOMETRY.word * GEOMETRY.depth


def place_of(address, first, end):
    """Where bytes ``first`` to ``end - 1`` of a vector stand, by division."""
    word = address // GEOMETRY.word
    bank, row = word % GEOMETRY.banks, word // GEOMETRY.banks
    words = {(address + byte) // GEOMETRY.word - word for byte in range(first, end)}
    place = {"offset": address % GEOMETRY.word, "bank": bank, "row": row, "next_row": (row + 1) % GEOMETRY.depth}
    return place | {"low": (0 in words) << bank, "high": (1 in words) << (bank + 1) % GEOMETRY.banks}


def play(dut, bench):
    """Runs one coroutine on a component with a clock."""
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()


def placed(ctx, place):
    """A simulated place as a dictionary."""
    return {name: ctx.get(place[name]) for name in ("offset", "bank", "row", "next_row", "low", "high")}


def drawn_part(rng, width):
    first = rng.randrange(width)
    return rng.randrange(SIZE), first, rng.randint(first + 1, width)


def test_a_part_asks_for_the_banks_of_its_bytes(seed):
    rng, dut = random.Random(seed), BankPlace(width=GEOMETRY.word, geometry=GEOMETRY)

    async def bench(ctx):
        for _ in range(300):
            address, first, end = drawn_part(rng, GEOMETRY.word)
            ctx.set(dut.part, {"address": address, "first": first, "end": end})
            assert placed(ctx, dut.place) == place_of(address, first, end), f"seed {seed}: {address}, {first}, {end}"

    sim = Simulator(dut)
    sim.add_testbench(bench)
    sim.run()


def turns_of(needs):
    """The turn of each port, one-hot: the first in which it meets none of the ports before it; 0 for one that reads nothing."""
    turns = []
    for port, banks in enumerate(needs):
        busy = [0] * MAX_SPAN
        for turn, others in zip(turns, needs[:port], strict=True):
            for number in range(MAX_SPAN):
                busy[number] |= others if turn >> number & 1 else 0
        turns.append(1 << next(number for number in range(MAX_SPAN) if not busy[number] & banks) if banks else 0)
    return turns


@pytest.mark.parametrize("registers", [0, 1])
def test_ports_take_turns_where_they_share_a_bank(registers, seed):
    rng, dut = random.Random(seed), PortTurns(width=4, geometry=GEOMETRY, registers=registers)
    late = dut.latency(registers)
    steps = [[(*drawn_part(rng, 4), rng.random() < 0.8) for _ in range(MAX_SPAN)] for _ in range(300)]

    async def bench(ctx):
        for cycle in range(len(steps) + late):
            for window, (address, first, end, reads) in zip(dut.windows, steps[min(cycle, len(steps) - 1)], strict=True):
                ctx.set(window.part, {"address": address, "first": first, "end": end})
                ctx.set(window.reads, reads)
                ctx.set(window.real, address & 15)
            if cycle >= late:
                step = steps[cycle - late]
                places = [place_of(*part) for *part, _ in step]
                want = turns_of([(place["low"] | place["high"]) * reads for place, (*_, reads) in zip(places, step, strict=True)])
                assert [ctx.get(port.turn) for port in dut.placed] == want, f"seed {seed}, step {cycle - late}: {step}"
                assert [placed(ctx, port.part) for port in dut.placed] == places
                assert [ctx.get(port.real) for port in dut.placed] == [part[0] & 15 for part in step]
            await ctx.tick()

    play(dut, bench)


@pytest.mark.parametrize(("picked", "held"), [(0, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("width", [1, 5, 8])
def test_an_answer_is_the_bytes_from_its_place_on(width, picked, held, seed):
    rng, dut = random.Random(seed), AnswerSelect(width=width, geometry=GEOMETRY, picked=picked, held=held)
    memory = bytes(rng.randrange(256) for _ in range(SIZE))
    asked = [rng.randrange(SIZE) if rng.random() < 0.7 else None for _ in range(200)]
    row_bytes = GEOMETRY.banks * GEOMETRY.word

    async def bench(ctx):
        answer = None
        for cycle in range(len(asked) + dut.latency):
            now = asked[cycle] if cycle < len(asked) else None
            ctx.set(dut.valid, now is not None)
            if now is not None:
                ctx.set(dut.bank, place_of(now, 0, 1)["bank"])
                ctx.set(dut.offset, now % GEOMETRY.word)
            before = asked[cycle - 1] if 0 < cycle <= len(asked) else None
            for bank, word in enumerate(dut.words):  # of the request before: each bank at the row in which the vector has it
                start = None if before is None else before // row_bytes * row_bytes + bank * GEOMETRY.word
                if start is not None and start + GEOMETRY.word <= before:
                    start = (start + row_bytes) % SIZE
                value = rng.getrandbits(8 * GEOMETRY.word) if start is None else int.from_bytes(memory[start : start + 8], "little")
                ctx.set(word, value)
            late = asked[cycle - dut.latency] if cycle >= dut.latency else None
            answer = answer if late is None else [memory[(late + byte) % SIZE] for byte in range(width)]
            assert ctx.get(dut.answered) == (late is not None), f"seed {seed}, cycle {cycle}"
            if answer:
                assert [ctx.get(dut.answer[byte]) for byte in range(width)] == answer, f"seed {seed}, cycle {cycle}: address {late}"
            await ctx.tick()

    play(dut, bench)


def access_of(width, request):
    """What a write does to a word and the one behind it: its bytes in their lanes, and the masks."""
    address, data, mask = request
    offset, lanes = address % GEOMETRY.word, [0] * GEOMETRY.word
    masks = [0, 0]
    for byte in range(width):
        lanes[(offset + byte) % GEOMETRY.word] = data[byte]
        masks[(offset + byte) // GEOMETRY.word] |= (mask >> byte & 1) << (offset + byte) % GEOMETRY.word
    place = place_of(address, 0, 1) | {"high": bool(masks[1]) << (address // GEOMETRY.word + 1) % GEOMETRY.banks}
    return {"place": place, "low_mask": masks[0], "high_mask": masks[1]}, lanes


@pytest.mark.parametrize("writes", [False, True])
def test_accesses_leave_a_port_queue_in_order_each_once(writes, seed):
    rng, width = random.Random(seed), 5
    dut = PortQueue(width=width, geometry=GEOMETRY, writes=writes)
    requests = [(rng.randrange(SIZE), [rng.randrange(256) for _ in range(width)], rng.getrandbits(width)) for _ in range(150)]
    offered = [{"address": a, "data": d, "mask": k} for a, d, k in requests] if writes else [address for address, *_ in requests]

    async def check(ctx):
        for number, request in enumerate(requests):
            want, lanes = access_of(width, request) if writes else ({"place": place_of(request[0], 0, width)}, None)
            while True:
                ctx.set(dut.o.ready, rng.random() < 0.6)
                *_, valid, ready, banks = await ctx.tick().sample(dut.o.valid, dut.o.ready, dut.banks)
                assert valid or banks == 0, f"seed {seed}: banks without an access"
                if valid and ready:
                    break
            assert banks == want["place"]["low"] | want["place"]["high"], f"seed {seed}, access {number}"
            seen.append((want, lanes))

    seen = []
    taken = []

    async def watch(ctx):
        while True:
            *_, valid, ready, payload = await ctx.tick().sample(dut.o.valid, dut.o.ready, dut.o.payload)
            if valid and ready:
                taken.append(payload)

    simulate(dut, lambda ctx: put(ctx, dut.i, offered, random_pattern(rng)), check, background=[watch], watched=[dut.o])
    assert len(seen) == len(requests) and len(taken) >= len(requests)
    for number, ((want, lanes), got) in enumerate(zip(seen, taken)):
        assert {name: got.place[name] for name in want["place"]} == want["place"], f"seed {seed}, access {number}"
        if lanes:
            assert (got.low_mask, got.high_mask) == (want["low_mask"], want["high_mask"]), f"seed {seed}, access {number}"
            count = got.low_mask | got.high_mask
            bytes_ = [got.data >> 8 * lane & 255 for lane in range(GEOMETRY.word)]
            assert all(bytes_[lane] == lanes[lane] for lane in range(GEOMETRY.word) if count >> lane & 1), f"seed {seed}, access {number}"


@pytest.mark.parametrize(("width", "lane"), [(4, 8), (16, 8), (4, 1)])
def test_a_bank_keeps_the_bytes_that_the_mask_names(width, lane, seed):
    rng, depth = random.Random(seed), 5
    dut, memory = Bank(width=width, depth=depth, lane=lane), [[0] * width for _ in range(depth)]

    async def bench(ctx):
        read = None
        for _ in range(300):
            if read is not None:
                assert ctx.get(dut.read_data) == int.from_bytes(bytes(read), "little"), f"seed {seed}"
            enable, write, row = rng.random() < 0.8, rng.random() < 0.5, rng.randrange(depth)
            data, mask = [rng.randrange(256) for _ in range(width)], rng.getrandbits(width)
            word = int.from_bytes(bytes(data), "little")
            for signal, value in ((dut.enable, enable), (dut.write, write), (dut.row, row), (dut.write_data, word), (dut.mask, mask)):
                ctx.set(signal, value)
            if enable and write:
                memory[row] = [new if mask >> byte & 1 else old for byte, (new, old) in enumerate(zip(data, memory[row], strict=True))]
            elif enable:
                read = list(memory[row])
            await ctx.tick()

    play(dut, bench)
