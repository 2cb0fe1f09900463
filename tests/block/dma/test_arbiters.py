"""Arbiters: two masters share a port, and each sees only its own transactions, in order."""

import random
from itertools import pairwise

import pytest

from hw.npu.dma.read_arbiter import ReadArbiter
from hw.npu.dma.write_arbiter import RECORD_ID, STORE_ID, WriteArbiter
from tests.axi_memory import AxiMemory
from tests.streams import get, put, random_pattern, simulate

BYTES = 8


def bursts(rng, base, count):
    return [{"id": 0, "addr": base + 256 * i, "len": rng.randint(0, 7), "size": 3, "burst": 1} for i in range(count)]


def test_each_master_reads_what_it_asked_for(seed):
    rng = random.Random(seed)
    dut = ReadArbiter(address_bits=32, data_bits=8 * BYTES)
    ddr = AxiMemory(rng)
    checks = []
    for master, base in ((dut.fetch, 0), (dut.load, 0x8000)):
        asked = bursts(rng, base, 30)

        async def read(ctx, master=master, asked=asked):
            for burst in asked:
                beats = await get(ctx, master.r, burst["len"] + 1, random_pattern(rng))
                for k, beat in enumerate(beats):
                    where = burst["addr"] + k * BYTES
                    assert beat["data"] == int.from_bytes(ddr.bytes[where : where + BYTES], "little"), f"seed {seed}, {burst}, beat {k}"
                    assert beat["last"] == (k == burst["len"])

        checks += [lambda ctx, master=master, asked=asked: put(ctx, master.ar, asked, random_pattern(rng)), read]
    simulate(dut, *checks, background=[ddr.reads(dut.port)], watched=[dut.port.ar, dut.fetch.r, dut.load.r])
    assert len(ddr.read_bursts) == 60


@pytest.mark.parametrize("depth", [1, 2, 8])
def test_beats_follow_the_order_of_the_addresses(depth, seed):
    rng = random.Random(seed)
    dut = WriteArbiter(address_bits=32, data_bits=8 * BYTES, depth=depth)
    ddr = AxiMemory(rng)
    want, checks = bytearray(ddr.bytes), []
    for master, base in ((dut.store, 0), (dut.record, 0x8000)):
        asked = bursts(rng, base, 30)
        beats = []
        for burst in asked:
            for k in range(burst["len"] + 1):
                beats.append({"data": rng.getrandbits(64), "strb": 0xFF, "last": int(k == burst["len"])})
                where = burst["addr"] + k * BYTES
                want[where : where + BYTES] = beats[-1]["data"].to_bytes(BYTES, "little")
        checks += [
            lambda ctx, master=master, asked=asked: put(ctx, master.aw, asked, random_pattern(rng)),
            lambda ctx, master=master, beats=beats: put(ctx, master.w, beats, random_pattern(rng)),
            lambda ctx, master=master, asked=asked: get(ctx, master.b, len(asked), random_pattern(rng)),
        ]
    simulate(dut, *checks, background=[ddr.writes(dut.port)], watched=[dut.port.aw, dut.port.w, dut.store.b, dut.record.b])
    assert ddr.bytes == want, f"seed {seed}"


def test_bursts_alternate_where_both_ask():
    rng = random.Random(3)
    dut = WriteArbiter(address_bits=32, data_bits=8 * BYTES, depth=4)
    ddr = AxiMemory(rng, busy=0)
    checks = []
    for master, base in ((dut.store, 0), (dut.record, 0x8000)):
        asked = [{"id": 0, "addr": base + 8 * i, "len": 0, "size": 3, "burst": 1} for i in range(20)]
        checks += [
            lambda ctx, master=master, asked=asked: put(ctx, master.aw, asked),
            lambda ctx, master=master: put(ctx, master.w, [{"data": 0, "strb": 0, "last": 1}] * 20),
            lambda ctx, master=master: get(ctx, master.b, 20),
        ]
    simulate(dut, *checks, background=[ddr.writes(dut.port)])
    owners = [burst["id"] for burst in ddr.write_bursts]
    assert all(a != b for a, b in pairwise(owners)) and set(owners) == {STORE_ID, RECORD_ID}


def test_depth_zero_is_refused():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        WriteArbiter(address_bits=32, data_bits=64, depth=0)
