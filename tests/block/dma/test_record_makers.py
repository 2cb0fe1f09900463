"""Windows of the feeder, and the records of execute commands and transfers, against sums over a list of cycles."""

import random

import pytest

from hw.npu.dma.transfers import ACCOUNT_LAYOUT, TransferRecords
from hw.npu.execute_records import ExecuteRecords
from hw.npu.feed.feed_monitor import COUNTERS, FEED_EVENT, FEED_WINDOW, FeedMonitor
from hw.npu.interface.isa import Opcode
from tests.streams import expect, get, put, random_pattern, simulate

FLAGS = [name for name, field in FEED_EVENT if field.width == 1 and name != "command_end"]
ROWS, COLS = 8, 4
BYTES = {Opcode.MATMUL: ROWS, Opcode.MATMUL_INT4: 2 * ROWS, Opcode.SUM: COLS, Opcode.DEPTHWISE: COLS}
"""Bytes that a port reads for a step of each operation."""


def windows_of(events, begins):
    """Of the events of each cycle, the windows; before ``begins`` nothing counts."""
    windows, start, counted = [], 0, []
    for cycle, event in enumerate(events):
        counted += [event] if cycle >= begins else []
        if event["command_end"]:
            sums = {name: sum(each[flag] for each in counted for flag in flags) for name, flags in COUNTERS.items()}
            read = sum(each["reads"] * BYTES[each["opcode"]] for each in counted)
            where = {"index": event["index"], "opcode": event["opcode"], "start": start, "end": cycle + 1}
            windows.append(where | {"sram_read_bytes": read} | sums)
            start, counted = cycle + 1, []
    return windows


def test_windows_share_out_the_cycles_of_a_job(seed):
    rng, begins = random.Random(seed), 5
    dut = FeedMonitor(rows=ROWS, cols=COLS, depth=4, int4=True)
    events = []
    for cycle in range(400):
        event = {name: rng.random() < 0.3 for name in FLAGS} | {"reads": rng.randrange(4), "index": rng.getrandbits(32)}
        event |= {"opcode": rng.choice(list(BYTES)), "command_end": cycle > begins and rng.random() < 0.1}
        events.append(event)
    want = windows_of(events, begins)

    async def drive(ctx):
        for cycle, event in enumerate(events):
            ctx.set(dut.running, cycle >= begins)
            ctx.set(dut.cycle, cycle)
            ctx.set(dut.event, event)
            await ctx.tick()
        ctx.set(dut.event, dict.fromkeys(event, 0))

    simulate(dut, drive, lambda ctx: expect(ctx, dut.window, want, "1101"), watched=[dut.window])


def test_an_execute_record_joins_what_three_stages_know(seed):
    rng, dut = random.Random(seed), ExecuteRecords(cols=COLS, depth=4)
    windows = [{name: rng.randrange(1 << min(20, field.width)) for name, field in FEED_WINDOW} for _ in range(40)]
    rows, read, written = ([rng.randrange(500) for _ in windows] for _ in range(3))
    counts = {"loaded": 0, "taken": 0}

    async def load(ctx):
        total = 0
        for number, count in enumerate(rows):
            while number >= counts["taken"] + 3 or rng.random() < 0.5:
                await ctx.tick()
            ctx.set(dut.loader_end, 1)
            await ctx.tick()
            total += count
            ctx.set(dut.loader_end, 0)
            ctx.set(dut.loader_rows, total)
            await ctx.tick()

    async def retire(ctx):
        for number in range(len(windows)):
            while counts["taken"] < number or not ctx.get(dut.window.valid) or rng.random() < 0.3:
                await ctx.tick()
            ctx.set(dut.retire, 1)
            ctx.set(dut.read_bytes, read[number])
            ctx.set(dut.written_bytes, written[number])
            await ctx.tick()
            ctx.set(dut.retire, 0)
            while counts["taken"] == number:
                await ctx.tick()

    async def take(ctx):
        for number, window in enumerate(windows):
            (record,) = await get(ctx, dut.record, 1, random_pattern(rng))
            counts["taken"] += 1
            want = window | {"sram_write_bytes": written[number]}
            want["sram_read_bytes"] = window["sram_read_bytes"] + rows[number] * COLS + read[number]
            assert {name: record[name] for name in want} == want, f"seed {seed}, record {number}"

    offers = [lambda ctx: put(ctx, dut.window, windows, random_pattern(rng)), load, retire, take]
    simulate(dut, *offers, watched=[dut.record])


@pytest.mark.parametrize("opcode", [Opcode.LOAD, Opcode.STORE])
def test_a_transfer_record_has_its_account_and_its_end(opcode, seed):
    rng, beat, depth = random.Random(seed), 8, 3
    dut = TransferRecords(opcode=opcode, axi_bytes=beat, depth=depth)
    accounts = [{name: rng.randrange(1 << 20) for name, _ in ACCOUNT_LAYOUT} for _ in range(40)]
    given, ends = [0], []

    async def count(ctx):
        while True:
            *_, valid, ready = await ctx.tick().sample(dut.account.valid, dut.account.ready)
            given[0] += valid and ready

    async def complete(ctx):
        stalls = cycle = 0
        while len(ends) < len(accounts):
            ends_now, refused = len(ends) < given[0] and rng.random() < 0.3, rng.random() < 0.4
            ctx.set(dut.cycle, cycle)
            ctx.set(dut.complete, ends_now)
            ctx.set(dut.refused, refused)
            if ends_now:
                ends.append((cycle + 1, stalls))
            stalls = 0 if ends_now else stalls + refused
            cycle += 1
            await ctx.tick()
        ctx.set(dut.complete, 0)

    async def take(ctx):
        for number, account in enumerate(accounts):
            (record,) = await get(ctx, dut.records, 1, random_pattern(rng))
            end, stalls = ends[number]
            moved = account["beats"] * beat, account["bytes"]
            sides = ("ddr_read_bytes", "sram_write_bytes") if opcode == Opcode.LOAD else ("ddr_write_bytes", "sram_read_bytes")
            want = {name: account[name] for name in ("index", "start", "stall_activations", "stall_ddr_read", "stall_ddr_write")}
            want |= {"opcode": opcode, "active": account["beats"], "end": end, "stall_bank": stalls} | dict(zip(sides, moved, strict=True))
            assert {name: record[name] for name in want} == want, f"seed {seed}, record {number}"
            assert not any(value for name, value in record.items() if name not in want)

    simulate(
        dut, lambda ctx: put(ctx, dut.account, accounts, random_pattern(rng)), complete, take, background=[count], watched=[dut.records]
    )
