"""The NPU's ports against cocotbext-axi: an independent AXI4 memory and AXI4-Lite master, with pauses on every channel.

The jobs move data only (LOAD and STORE), so that what is compared is what the bus carries. cocotb runs this module inside the
simulator; `test_axi_protocol.py` builds it and starts it.
"""

import itertools
import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

from hw.npu.config import PRESETS
from hw.npu.interface.isa import UNIT_BYTES, Command, Opcode, Region
from hw.npu.interface.records import RECORD_BYTES
from hw.npu.interface.registers import ADDRESS_OF

CONFIG = PRESETS["nano"].replace(rows=4, cols=4, act_kib=16, weight_kib=8, max_burst=16)
COMMANDS, MODEL, ARENA, RECORDS, SIZE = 0x0000, 0x4000, 0x8000, 0xC000, 0x10000
SLOT = 512
DONE, ERROR = 2, 4
"""Bits of STATUS."""


def random_job(rng, pairs):
    """Alternating loads and stores through slots of the scratchpad; each store waits for its load, each load for the slot's last store."""
    commands, slots = [], CONFIG.act_bytes // SLOT
    for number in range(pairs):
        rows = rng.choice([1, rng.randint(1, 6)])
        row_bytes = rng.randint(1, 400 // rows)
        pitch = row_bytes + rng.randint(0, 12)
        sram = number % slots * SLOT + rng.randint(0, 30)
        stored = max(0, number - slots + 1)
        commands.append(
            Command(
                Opcode.LOAD,
                {
                    "header": {"wait_store": stored},
                    "dma": {
                        "region": Region.MODEL,
                        "ddr_offset": rng.randrange(0x3000),
                        "sram_address": sram,
                        "row_bytes": row_bytes,
                        "rows": rows,
                        "ddr_stride": rng.randint(row_bytes, 600),
                        "sram_stride": pitch,
                    },
                },
            )
        )
        commands.append(
            Command(
                Opcode.STORE,
                {
                    "header": {"wait_load": number + 1},
                    "dma": {
                        "region": Region.ARENA,
                        "ddr_offset": number % 16 * 1000 + rng.randint(0, 9),
                        "sram_address": sram,
                        "row_bytes": row_bytes,
                        "rows": rows,
                        "ddr_stride": row_bytes + rng.randint(0, 50),
                        "sram_stride": pitch,
                    },
                },
            )
        )
    return commands


def expected(memory, commands):
    """DDR after the commands, in stream order."""
    memory, scratchpad = bytearray(memory), bytearray(CONFIG.act_bytes)
    for command in commands:
        dma = command["dma"]
        for row in range(dma["rows"]):
            there = (MODEL, ARENA)[dma["region"]] + dma["ddr_offset"] + row * dma["ddr_stride"]
            here, n = dma["sram_address"] + row * dma["sram_stride"], dma["row_bytes"]
            if command.opcode == Opcode.LOAD:
                scratchpad[here : here + n] = memory[there : there + n]
            else:
                memory[there : there + n] = scratchpad[here : here + n]
    return memory


class Host:
    """Clock, reset, memory and register access."""

    def __init__(self, dut):
        self.dut = dut
        cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=SIZE)

    async def reset(self):
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 5)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)

    def pause(self, rng):
        """Random pauses on all channels."""

        def draw():
            density = rng.choice((0.1, 0.5, 0.8))
            return itertools.cycle([rng.random() < density for _ in range(97)])

        read, write = self.ram.read_if, self.ram.write_if
        for channel in (read.ar_channel, read.r_channel, write.aw_channel, write.w_channel, write.b_channel):
            channel.set_pause_generator(draw())

    async def set(self, name, value):
        await self.registers.write_dword(ADDRESS_OF[name], value)

    async def get(self, name):
        return await self.registers.read_dword(ADDRESS_OF[name])

    async def run(self, packed):
        """Starts a job of packed commands, which are in memory, and waits for its interrupt; returns STATUS."""
        for name, value in (
            ("COMMANDS_BASE_LO", COMMANDS),
            ("MODEL_BASE_LO", MODEL),
            ("ARENA_BASE_LO", ARENA),
            ("RECORD_BASE_LO", RECORDS),
            ("COMMANDS_BYTES", len(packed)),
            ("RECORD_ENABLE", 1),
            ("IRQ_ENABLE", 3),
            ("IRQ_STATUS", 3),
            ("CONTROL", 1),
        ):
            await self.set(name, value)
        for _ in range(50_000):
            await RisingEdge(self.dut.clk)
            if self.dut.irq.value:
                return await self.get("STATUS")
        raise AssertionError("no interrupt after 50000 cycles")


@cocotb.test()
async def random_jobs_move_the_right_bytes(dut):
    rng = random.Random(int(os.environ.get("WEFT_SEED", "1")))
    host = Host(dut)
    await host.reset()
    for number in range(3):
        commands = random_job(rng, 30)
        image = bytearray(rng.randbytes(SIZE))
        packed = b"".join(command.pack() for command in commands)
        image[COMMANDS : COMMANDS + len(packed)] = packed
        host.ram.write(0, bytes(image))
        if number:
            host.pause(rng)
        status = await host.run(packed)
        assert status == DONE, f"job {number}: STATUS {status:#x}, ERROR_CODE {await host.get('ERROR_CODE')}"
        want, got = expected(image, commands), host.ram.read(0, SIZE)
        assert got[:RECORDS] == want[:RECORDS], f"job {number}: DDR differs"
        for index, command in enumerate(commands):
            where = RECORDS + index * RECORD_BYTES
            record = [int.from_bytes(got[where + 4 * i : where + 4 * i + 4], "little") for i in range(4)]
            assert record[:2] == [index, command.opcode] and record[2] < record[3] <= await host.get("CYCLES_LO"), (index, record)


@cocotb.test()
async def soft_reset_in_the_middle_leaves_a_working_npu(dut):
    rng = random.Random(7)
    host = Host(dut)
    await host.reset()
    host.pause(rng)
    commands = random_job(rng, 30)
    image = bytearray(rng.randbytes(SIZE))
    packed = b"".join(command.pack() for command in commands)
    image[COMMANDS : COMMANDS + len(packed)] = packed
    for wait in (1, 50, 333, 1000):
        host.ram.write(0, bytes(image))
        await host.set("COMMANDS_BYTES", len(packed))
        await host.set("IRQ_STATUS", 3)
        await host.set("CONTROL", 1)
        await ClockCycles(dut.clk, wait)
        await host.set("CONTROL", 2)
        while await host.get("STATUS"):
            pass
        assert not dut.irq.value
        host.ram.write(0, bytes(image))
        assert await host.run(packed) == DONE, f"after a soft reset at {wait}"
        assert host.ram.read(0, RECORDS) == expected(image, commands)[:RECORDS]


@cocotb.test()
async def a_bad_command_stops_with_its_index(dut):
    rng = random.Random(9)
    host = Host(dut)
    await host.reset()
    commands = random_job(rng, 8)
    packed = [command.pack() for command in commands]
    good = b"".join(packed)
    packed[11] = bytes(UNIT_BYTES)
    host.ram.write(COMMANDS, b"".join(packed))
    assert await host.run(good) == ERROR
    assert (await host.get("ERROR_CODE"), await host.get("ERROR_INDEX")) == (1, 11)
    host.ram.write(COMMANDS, good)
    assert await host.run(good) == DONE
