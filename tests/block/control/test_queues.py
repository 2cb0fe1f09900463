"""Queues, tokens and the stream helpers themselves."""

import random

import pytest
from amaranth.hdl import Module, Signal, unsigned
from amaranth.sim import Simulator

from hw.npu.control.queues import CommandQueue, used_bits
from hw.npu.interface.isa import EXECUTE_LAYOUT, Command, Opcode, group_layout
from hw.npu.interface.queued import QUEUED_EXECUTE, QUEUED_TRANSFER
from hw.npu.interface.tokens import TOKEN_BITS, TokenBoard, reached
from hw.npu.parts.fifo import StreamFifo
from tests.streams import expect, patterns, plain, put, simulate


@pytest.mark.parametrize("depth", [1, 2, 3, 8])
def test_fifo_keeps_order_under_every_short_pattern(depth):
    rng = random.Random(depth)
    drawn = patterns(rng, count=2)

    def check(give, take):
        dut = StreamFifo(unsigned(8), depth=depth)
        values = [rng.randrange(256) for _ in range(30)]
        simulate(dut, lambda ctx: put(ctx, dut.i, values, give), lambda ctx: expect(ctx, dut.o, values, take), watched=[dut.o])

    for give, take in zip(drawn, rng.sample(drawn, len(drawn))):
        check(give, take)


def test_execute_queue_keeps_every_field():
    rng = random.Random(1)
    values = []
    for index in range(6):
        fields = {}
        for name, where in EXECUTE_LAYOUT:
            fields[name] = plain(where.shape.from_bits(rng.getrandbits(where.width)))
        values.append({"index": index, "command": fields})
    dut = CommandQueue(QUEUED_EXECUTE, depth=4, interpolation=True)
    simulate(dut, lambda ctx: put(ctx, dut.i, values, "1"), lambda ctx: expect(ctx, dut.o, values, "001"), watched=[dut.o])


def test_a_packed_command_decodes_to_its_fields():
    command = Command(Opcode.LOAD, {"dma": {"ddr_offset": 0x12345678, "rows": 3, "sram_stride": 99}})
    payload = {"index": 7, "command": QUEUED_TRANSFER["command"].shape.from_bits(int.from_bytes(command.pack(), "little"))}
    dut = CommandQueue(QUEUED_TRANSFER, depth=2)

    async def check(ctx):
        ctx.set(dut.o.ready, 1)
        *_, out = await ctx.tick().sample(dut.o.payload).until(dut.o.valid)
        assert plain(out)["command"]["dma"] == command["dma"]

    simulate(dut, lambda ctx: put(ctx, dut.i, [payload]), check)


def test_queues_store_used_bits_only():
    assert len(used_bits(Signal(QUEUED_TRANSFER))) < 300
    with_all, without = (len(used_bits(Signal(QUEUED_EXECUTE), interpolation=known)) for known in (True, False))
    assert without < 900 and with_all == without + group_layout("interpolation").size


def test_tokens_count_and_wrap():
    dut = TokenBoard()

    async def testbench(ctx):
        ctx.set(dut.load, 1)
        await ctx.tick().repeat(65537)
        ctx.set(dut.load, 0)
        ctx.set(dut.exec, 1)
        await ctx.tick()
        assert plain(ctx.get(dut.tokens)) == {"load": 1, "exec": 1, "store": 0}

    simulate(dut, testbench, cycles=70_000)


def test_tokens_are_compared_on_all_their_bits():
    """Up to 2^15 - 1 commands more than are waited for, or up to 2^15 less; counts wrap."""
    count, wait, answer = Signal(TOKEN_BITS), Signal(TOKEN_BITS), Signal()
    m = Module()
    m.d.comb += answer.eq(reached(count, wait))
    edges = [(1 << bits) + more for bits in range(TOKEN_BITS) for more in (-1, 0, 1)]

    async def testbench(ctx):
        for waited in (0, 1, 0x3FFF, 0x7FFF, 0x8000, 0xC000, 0xFFFF):
            for ahead in sorted({edge % 65536 for edge in edges} | {-edge % 65536 for edge in edges}):
                ctx.set(wait, waited)
                ctx.set(count, (waited + ahead) % 65536)
                assert ctx.get(answer) == (ahead < 1 << 15), f"{ahead} ahead of {waited}"

    sim = Simulator(m)
    sim.add_testbench(testbench)
    sim.run()
