"""The whole SoC on one memory: all four masters at once, each with its own bytes; registers of both blocks; faults and their interrupt."""

import random

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.config import NpuConfig
from hw.npu.interface.axi import ReadChannels, WriteChannels
from hw.npu.interface.axi_lite import RESP_OKAY, RESP_SLVERR, AxiLite
from hw.npu.interface.isa import Command, Opcode, Region
from hw.npu.interface.registers import ADDRESS_OF, ID
from hw.soc.axi import PortRead, PortWrite
from hw.soc.camera import pattern_word
from hw.soc.config import SocConfig
from hw.soc.registers import CAMERA, CPU, DISPLAY, LITE_ADDRESS_BITS, MASTERS, NPU, soc_address_of
from hw.soc.registers import ID as SOC_ID
from hw.soc.soc import CHANNELS, Soc
from tests.axi_memory import AxiMemory
from tests.streams import get, put, simulate

TINY = NpuConfig(name="tiny", rows=4, cols=4, act_kib=16, weight_kib=8, axi_bits=32, max_burst=16)
CONFIG = SocConfig(npu=TINY, npu_gate=32, cpu_gate=256, camera_fifo=32, display_fifo=32, burst_beats=8)
ADDRESSES = ADDRESS_OF | soc_address_of()
COMMANDS, MODEL, ARENA, SHOWN, CAPTURED, CPU_BASE = 0x0000, 0x1000, 0x2000, 0x3000, 0x4000, 0x5000
LINE_BEATS, LINES, STEP = 12, 3, 64
PICTURE = {"line_beats": LINE_BEATS, "lines": LINES, "line_step": STEP, "rate": 1 << 13, "frame_blank_cycles": 200, "watermark": 16}


class Bench(wiring.Component):
    """The SoC with streams in the place of its flat ports."""

    def __init__(self):
        self.soc = Soc(CONFIG, observe=True)
        widths = {"address_bits": TINY.address_bits, "data_bits": TINY.axi_bits}
        super().__init__({
            "lite": In(AxiLite(address_bits=LITE_ADDRESS_BITS)),
            "cpu_read": In(ReadChannels(**widths)),
            "cpu_write": In(WriteChannels(**widths)),
            "read": Out(PortRead(**widths, masters=len(MASTERS))),
            "write": Out(PortWrite(**widths, masters=len(MASTERS))),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.soc = soc = self.soc
        both = {"aw": self.write.aw, "w": self.write.w, "b": self.write.b, "ar": self.read.ar, "r": self.read.r}
        cpu = {"aw": self.cpu_write.aw, "w": self.cpu_write.w, "b": self.cpu_write.b, "ar": self.cpu_read.ar, "r": self.cpu_read.r}
        soc.m_axi.connect(m, soc, both, outside=True)
        soc.s_axi.connect(m, soc, cpu, outside=True)
        soc.s_axil.connect(m, soc, {name: getattr(self.lite, name) for name in CHANNELS}, outside=True)
        return m

    async def poke(self, ctx, name, value):
        """Writes a register."""
        assert await self.write_at(ctx, ADDRESSES[name], value) == RESP_OKAY, name

    async def write_at(self, ctx, address, value):
        """Writes an address; gives the answer."""
        ctx.set(self.lite.w.payload, {"data": value, "strb": 15})
        ctx.set(self.lite.w.valid, 1)
        await put(ctx, self.lite.aw, [{"addr": address, "prot": 0}])
        while not ctx.get(self.lite.w.ready):
            await ctx.tick()
        await ctx.tick()
        ctx.set(self.lite.w.valid, 0)
        return (await get(ctx, self.lite.b, 1))[0]["resp"]

    async def read_at(self, ctx, address):
        """Reads an address; gives data and answer."""
        await put(ctx, self.lite.ar, [{"addr": address, "prot": 0}])
        answer = (await get(ctx, self.lite.r, 1))[0]
        return answer["data"], answer["resp"]

    async def start_video(self, ctx, name, **settings):
        """Sets a camera or a display, and switches it on."""
        for field, value in {**settings, "enable": 1}.items():
            await self.poke(ctx, f"{name}_{field}".upper(), value)

    async def start_npu(self, ctx, size):
        """Starts a job of so many bytes of commands."""
        for name, value in (("COMMANDS_BASE_LO", COMMANDS), ("MODEL_BASE_LO", MODEL), ("ARENA_BASE_LO", ARENA)):
            await self.poke(ctx, name, value)
        for name, value in (("COMMANDS_BYTES", size), ("IRQ_ENABLE", 3), ("CONTROL", 1)):
            await self.poke(ctx, name, value)


def copy_job():
    """500 bytes from region MODEL to region ARENA, through the scratchpad."""
    dma = {"sram_address": 0, "row_bytes": 500, "rows": 1, "ddr_stride": 500, "sram_stride": 500}
    load = Command(Opcode.LOAD, {"dma": {**dma, "region": Region.MODEL}})
    store = Command(Opcode.STORE, {"header": {"wait_load": 1}, "dma": {**dma, "region": Region.ARENA}})
    return load.pack() + store.pack()


def captured(memory, frame):
    """Whether a picture of the test pattern stands in memory."""
    return all(
        int.from_bytes(memory.bytes[CAPTURED + line * STEP + 4 * word :][:4], "little") == pattern_word(frame=frame, line=line, word=word)
        for line in range(LINES)
        for word in range(LINE_BEATS)
    )


def test_four_masters_share_the_memory(seed):
    rng = random.Random(seed)
    memory, bench = AxiMemory(rng, size=1 << 15, busy=0.1), Bench()
    commands = copy_job()
    memory.bytes[COMMANDS : COMMANDS + len(commands)] = commands
    before, pixels = bytes(memory.bytes), []
    data = [rng.getrandbits(32) for _ in range(16)]

    async def watch_pixels(ctx):
        while True:
            *_, valid, value = await ctx.tick().sample(bench.soc.pixels_valid, bench.soc.pixels)
            pixels.extend([value] * valid)

    async def run(ctx):
        assert await bench.read_at(ctx, 0x0000) == (ID, RESP_OKAY)
        assert await bench.read_at(ctx, 0x1000) == (SOC_ID, RESP_OKAY)
        for nobody in (0x0100, 0x0FFC, 0x1024, 0x1200, 0x1FFC):
            assert await bench.read_at(ctx, nobody) == (0, RESP_SLVERR), hex(nobody)
            assert await bench.write_at(ctx, nobody, 1) == RESP_SLVERR, hex(nobody)
        await bench.start_npu(ctx, len(commands))
        await bench.start_video(ctx, "camera", base=CAPTURED, **PICTURE)
        await bench.start_video(ctx, "display", base=SHOWN, **PICTURE)
        address = {"addr": CPU_BASE, "len": 15, "size": 2, "burst": 1, "id": 3}
        await put(ctx, bench.cpu_write.aw, [address])
        await put(ctx, bench.cpu_write.w, [{"data": word, "strb": 15, "last": i == 15} for i, word in enumerate(data)])
        assert await get(ctx, bench.cpu_write.b, 1) == [{"id": 3, "resp": 0}]
        await put(ctx, bench.cpu_read.ar, [{**address, "id": 2}])
        back = await get(ctx, bench.cpu_read.r, 16)
        assert back == [{"id": 2, "data": word, "resp": 0, "last": i == 15} for i, word in enumerate(data)]
        await ctx.tick().until(bench.soc.irq_npu)
        while (await bench.read_at(ctx, ADDRESSES["CAMERA_FRAMES"]))[0] == 0:
            pass
        await bench.poke(ctx, "CAMERA_ENABLE", 0)
        while (await bench.read_at(ctx, ADDRESSES["DISPLAY_FRAMES"]))[0] == 0:
            pass
        await ctx.tick().repeat(200)
        for fault in ("CAMERA_FAULTS", "DISPLAY_FAULTS", "SOC_IRQ_STATUS"):
            assert await bench.read_at(ctx, ADDRESSES[fault]) == (0, RESP_OKAY), fault
        frames = (await bench.read_at(ctx, ADDRESSES["CAMERA_FRAMES"]))[0]
        assert captured(memory, frames - 1) and not ctx.get(bench.soc.irq_soc)

    simulate(bench, run, background=[watch_pixels, memory.reads(bench.read), memory.writes(bench.write)])
    assert memory.bytes[ARENA : ARENA + 500] == before[MODEL : MODEL + 500], f"seed {seed}: the NPU's job"
    shown = [int.from_bytes(before[SHOWN + line * STEP + 4 * x :][:4], "little") for line in range(LINES) for x in range(LINE_BEATS)]
    assert pixels[: len(shown)] == shown, f"seed {seed}"
    assert {burst["id"]["master"] for burst in memory.read_bursts} == {DISPLAY, CPU, NPU}
    assert {burst["id"]["master"] for burst in memory.write_bursts} == {CAMERA, CPU, NPU}
    first = {"camera": 14, "cpu": 13, "npu": 12}  # 15 less the level after reset: 1 and the class; 15 where it was urgent
    for burst in memory.write_bursts:
        assert burst["qos"] in {first[MASTERS[burst["id"]["master"]]], 15 if burst["id"]["master"] == CAMERA else 0}, burst


def test_faults_raise_the_interrupt_where_it_is_enabled(seed):
    rng = random.Random(seed)
    memory, bench = AxiMemory(rng, size=1 << 15), Bench()
    memory.silent = True

    async def run(ctx):
        await bench.start_video(ctx, "camera", base=CAPTURED, **{**PICTURE, "rate": 65535})
        while (await bench.read_at(ctx, ADDRESSES["CAMERA_FAULTS"]))[0] == 0:
            pass
        assert await bench.read_at(ctx, ADDRESSES["SOC_IRQ_STATUS"]) == (1, RESP_OKAY)
        assert not ctx.get(bench.soc.irq_soc), "an event that is not enabled raises nothing"
        await bench.poke(ctx, "SOC_IRQ_ENABLE", 3)
        assert ctx.get(bench.soc.irq_soc)
        await bench.poke(ctx, "CAMERA_ENABLE", 0)
        await ctx.tick().repeat(400)  # a picture that has begun is finished
        await bench.poke(ctx, "SOC_IRQ_STATUS", 1)
        assert not ctx.get(bench.soc.irq_soc)
        await bench.start_video(ctx, "display", base=SHOWN, **PICTURE)
        await ctx.tick().until(bench.soc.irq_soc)
        assert await bench.read_at(ctx, ADDRESSES["SOC_IRQ_STATUS"]) == (2, RESP_OKAY)
        assert (await bench.read_at(ctx, ADDRESSES["DISPLAY_FAULTS"]))[0] > 0

    simulate(bench, run, background=[memory.reads(bench.read), memory.writes(bench.write)])
