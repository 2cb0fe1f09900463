"""Address decoder: every transaction reaches the block of its window and nobody else, whatever the pauses."""

import random

import pytest

from hw.npu.interface.axi_lite import RESP_OKAY, RESP_SLVERR
from hw.soc.address_decoder import AddressDecoder
from tests.streams import get, put, random_pattern, simulate

BITS, WINDOWS = 13, ((0x0000, 8), (0x1000, 9), (0x0400, 4))


class Block:
    """Registers behind a port: takes address and data in any order, answers later."""

    def __init__(self, rng, bus, answer):
        self.rng, self.bus, self.answer, self.words, self.writes = rng, bus, answer, {}, []

    async def write(self, ctx):
        while True:
            if self.rng.random() < 0.5:
                (address,) = await get(ctx, self.bus.aw, 1, random_pattern(self.rng))
                (data,) = await get(ctx, self.bus.w, 1, random_pattern(self.rng))
            else:
                while not ctx.get(self.bus.w.valid & self.bus.aw.valid):
                    await ctx.tick()
                (data,) = await get(ctx, self.bus.w, 1)
                (address,) = await get(ctx, self.bus.aw, 1)
            self.writes.append((address["addr"], data["data"], data["strb"]))
            self.words[address["addr"]] = data["data"]
            await put(ctx, self.bus.b, [{"resp": self.answer}], random_pattern(self.rng))

    async def read(self, ctx):
        while True:
            (address,) = await get(ctx, self.bus.ar, 1, random_pattern(self.rng))
            answer = {"data": self.words.get(address["addr"], 0), "resp": self.answer}
            await put(ctx, self.bus.r, [answer], random_pattern(self.rng))


def owner(address):
    """Number of the block, and the address inside it; None for nobody's."""
    for number, (base, bits) in enumerate(WINDOWS):
        if base <= address < base + (1 << bits):
            return number, address - base
    return None


def test_reads_and_writes_reach_their_block_and_nobody_else(seed):
    rng = random.Random(seed)
    dut = AddressDecoder(address_bits=BITS, windows=WINDOWS)
    answers = (RESP_OKAY, RESP_SLVERR, RESP_OKAY)
    blocks = [Block(rng, getattr(dut, f"block_{number}"), answer) for number, answer in enumerate(answers)]
    words, written = {}, [[] for _ in blocks]
    edges = [edge for base, bits in WINDOWS for edge in (base - 1, base, base + (1 << bits) - 1, base + (1 << bits)) if edge >= 0]
    addresses = edges + [rng.randrange(1 << BITS) for _ in range(30)]
    rng.shuffle(addresses)

    async def host(ctx):
        for address in addresses:
            place = owner(address)
            data, strb, answer = rng.getrandbits(32), rng.randrange(16), answers[place[0]] if place else RESP_SLVERR
            await put(ctx, dut.bus.aw, [{"addr": address, "prot": 0}], random_pattern(rng))
            await put(ctx, dut.bus.w, [{"data": data, "strb": strb}], random_pattern(rng))
            assert await get(ctx, dut.bus.b, 1, random_pattern(rng)) == [{"resp": answer}], f"seed {seed}, write {address:#x}"
            if place:
                written[place[0]].append((place[1], data, strb))
                words[address] = data
            back = rng.choice(addresses)
            there = owner(back)
            await put(ctx, dut.bus.ar, [{"addr": back, "prot": 0}], random_pattern(rng))
            want = {"data": words.get(back, 0), "resp": answers[there[0]] if there else RESP_SLVERR}
            assert await get(ctx, dut.bus.r, 1, random_pattern(rng)) == [want], f"seed {seed}, read {back:#x}"

    inner = [stream for block in blocks for stream in (block.bus.aw, block.bus.w, block.bus.ar)]
    background = [function for block in blocks for function in (block.write, block.read)]
    simulate(dut, host, background=background, watched=[dut.bus.b, dut.bus.r, *inner])
    assert [block.writes for block in blocks] == written, f"seed {seed}"


def test_a_read_and_a_write_go_at_the_same_time():
    """Neither waits for the other's answer."""
    dut = AddressDecoder(address_bits=BITS, windows=WINDOWS)

    async def host(ctx):
        await put(ctx, dut.bus.aw, [{"addr": 0x2000 - 4, "prot": 0}])  # no data yet
        await put(ctx, dut.bus.ar, [{"addr": 0x2000 - 4, "prot": 0}])
        assert await get(ctx, dut.bus.r, 1) == [{"data": 0, "resp": RESP_SLVERR}]
        assert not ctx.get(dut.bus.b.valid)
        await put(ctx, dut.bus.w, [{"data": 1, "strb": 15}])
        assert await get(ctx, dut.bus.b, 1) == [{"resp": RESP_SLVERR}]

    simulate(dut, host, cycles=100)


@pytest.mark.parametrize("windows", [((0x0004, 3),), ((0x2000, 8),), ((0x0000, 8), (0x0080, 7)), ((0x0000, 13),), ((0x0000, 0),)])
def test_wrong_windows_are_refused(windows):
    with pytest.raises(ValueError, match="AddressDecoder window"):
        AddressDecoder(address_bits=BITS, windows=windows)
