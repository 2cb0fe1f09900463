"""The fabrics between cocotbext-axi's masters and its memory: independent models of both ends, with pauses on every channel.

cocotb runs this module inside the simulator; `test_axi_masters.py` builds it and starts it.
"""

import itertools
import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Combine
from cocotbext.axi import AxiBus, AxiMaster, AxiRam

LONGEST = [16, 32, 64, 256]
"""Beats of each master's longest burst, and of its gates."""
REGION = 0x8000
"""Bytes of each master's own memory."""


def pause(rng, interface, names):
    """Random pauses on channels of a master or a memory."""
    for name in names:
        density = rng.choice((0.0, 0.3, 0.7))
        getattr(interface, f"{name}_channel").set_pause_generator(itertools.cycle([rng.random() < density for _ in range(97)]))


async def exchange(master, rng, base, shadow, count):
    """Writes, and reads back, pieces of any length at any address; now and then several at a time."""
    for _ in range(count):
        pieces = []
        for place in range(rng.randint(1, 4)):  # each in a part of its own, so that their order does not matter
            start = place * REGION // 4 + rng.randrange(REGION // 4 - 3000)
            pieces.append((start, rng.randbytes(rng.randint(1, rng.choice((8, 100, 3000))))))
        writes = [cocotb.start_soon(master.write(base + start, data)) for start, data in pieces]
        await Combine(*writes)
        for start, data in pieces:
            shadow[start : start + len(data)] = data
        reads = [(start, len(data), cocotb.start_soon(master.read(base + start, len(data)))) for start, data in pieces]
        for start, size, read in reads:
            answer = await read
            assert bytes(answer.data) == shadow[start : start + size], f"{size} bytes at {base + start:#x}"


@cocotb.test()
async def masters_read_what_they_wrote(dut):
    rng = random.Random(int(os.environ.get("WEFT_SEED", "1")))
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    size = REGION * len(LONGEST)
    ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=size)
    buses = [AxiBus.from_prefix(dut, f"s{number}_axi") for number in range(len(LONGEST))]
    masters = [AxiMaster(bus, dut.clk, dut.rst, max_burst_len=longest) for bus, longest in zip(buses, LONGEST)]
    dut.urgent.value, dut.age_limit.value = 0, 8
    for number in range(len(LONGEST)):
        getattr(dut, f"klass_{number}").value = number
        getattr(dut, f"rate_{number}").value = 0x4000 if number == 1 else 0
        getattr(dut, f"depth_{number}").value = 64
    dut.rst.value = 1
    await ClockCycles(dut.clk, 5)
    dut.rst.value = 0
    image = bytearray(rng.randbytes(size))
    ram.write(0, bytes(image))
    shadows = [image[number * REGION : (number + 1) * REGION] for number in range(len(LONGEST))]
    for paused in (False, True):
        if paused:
            for side in (ram, *masters):
                pause(rng, side.write_if, ("aw", "w", "b"))
                pause(rng, side.read_if, ("ar", "r"))
        tasks = [
            cocotb.start_soon(exchange(master, random.Random(rng.random()), number * REGION, shadows[number], 6))
            for number, master in enumerate(masters)
        ]
        await Combine(*tasks)
        assert ram.read(0, size) == b"".join(shadows), "the memory is not what the masters wrote"
