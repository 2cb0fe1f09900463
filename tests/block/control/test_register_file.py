"""Register file: the table is what the bus sees."""

import random

import pytest

from hw.npu.config import PRESETS
from hw.npu.control.register_file import RegisterFile
from hw.npu.interface.axi_lite import RESP_OKAY, RESP_SLVERR
from hw.npu.interface.register_table import Access
from hw.npu.interface.registers import ADDRESS_OF, ID, REGISTERS, STATUS, TABLE, VERSION, constants
from tests.streams import get, plain, put, random_pattern, simulate

FULL = 0xF


class Host:
    """An AXI4-Lite master with random waits."""

    def __init__(self, seed=1):
        self.rng = random.Random(seed)
        self.dut = RegisterFile(values=constants(PRESETS["small"]))
        self.pulses = []

    async def write(self, ctx, offset, value, strb=FULL):
        bus = self.dut.bus
        if self.rng.random() < 0.5:  # data first, then the address
            ctx.set(bus.w.payload, {"data": value, "strb": strb})
            ctx.set(bus.w.valid, 1)
            await ctx.tick()
        ctx.set(bus.w.payload, {"data": value, "strb": strb})
        ctx.set(bus.w.valid, 1)
        await put(ctx, bus.aw, [{"addr": offset, "prot": 0}])
        ctx.set(bus.w.valid, 0)
        return (await get(ctx, bus.b, 1, random_pattern(self.rng)))[0]["resp"]

    async def read(self, ctx, offset):
        await put(ctx, self.dut.bus.ar, [{"addr": offset, "prot": 0}])
        answer = (await get(ctx, self.dut.bus.r, 1, random_pattern(self.rng)))[0]
        return answer["data"], answer["resp"]

    async def observe(self, ctx):
        while True:
            *_, pulses = await ctx.tick().sample(self.dut.pulses)
            self.pulses += [name for name, up in plain(pulses).items() if up]

    def run(self, check):
        simulate(self.dut, check, background=[self.observe], watched=[self.dut.bus.r, self.dut.bus.b])


def test_constants_and_resets_read_as_the_table_says():
    host = Host()

    async def check(ctx):
        for register in REGISTERS:
            value, answer = await host.read(ctx, register.offset)
            want = sum(field.reset << field.bit for field in register.fields if field.access is Access.SETTING)
            want += {
                "ID": ID,
                "VERSION": VERSION,
                "CONFIG_ROWS": 0x40000010,
                "CONFIG_COLS": 16,
                "CONFIG_LANES": 16,
                "CONFIG_AXI_BITS": 64,
                "CONFIG_ACT_KIB": 384,
                "CONFIG_WEIGHT_KIB": 64,
            }.get(register.name, 0)
            assert (value, answer) == (want, RESP_OKAY), register.name

    host.run(check)


def test_the_number_of_rows_says_what_commands_are_known():
    plain = PRESETS["small"].replace(interpolation=False)
    assert constants(plain)["config_rows"] == 16
    assert constants(plain.replace(int4=True))["config_rows"] == 0x80000010
    assert constants(plain.replace(interpolation=True))["config_rows"] == 0x40000010


@pytest.mark.parametrize("busy", [0, 1])
def test_random_writes_change_the_writable_bits_only(busy, seed):
    host = Host(seed)
    settings = {register.name: [field for field in register.fields if field.access is Access.SETTING] for register in REGISTERS}
    model = {name: sum(field.reset << field.bit for field in fields) for name, fields in settings.items()}

    async def check(ctx):
        ctx.set(host.dut.status.busy, busy)
        for _ in range(150):
            register = host.rng.choice(REGISTERS)
            value, strb = host.rng.getrandbits(32), host.rng.choice([FULL, FULL, host.rng.randrange(16)])
            answer = await host.write(ctx, register.offset, value, strb)
            locked = busy and settings[register.name] and register.name not in TABLE.unlocked
            assert answer == (RESP_SLVERR if locked else RESP_OKAY), register.name
            lanes = sum(0xFF << 8 * i for i in range(4) if strb >> i & 1) & sum(field.mask for field in settings[register.name])
            if not locked:
                model[register.name] = (model[register.name] & ~lanes) | (value & lanes)
            for name in (register.name, "COMMANDS_BASE_LO", "TIMEOUT"):
                if settings[name]:
                    assert await host.read(ctx, ADDRESS_OF[name]) == (model[name], RESP_OKAY), f"seed {seed}, {name}"
                    for field in settings[name]:
                        assert ctx.get(host.dut.settings[field.name]) == (model[name] & field.mask) >> field.bit

    host.run(check)


def test_control_makes_pulses():
    host = Host()

    async def check(ctx):
        await host.write(ctx, ADDRESS_OF["CONTROL"], 1)
        await host.write(ctx, ADDRESS_OF["CONTROL"], 2)
        await host.write(ctx, ADDRESS_OF["CONTROL"], 1, strb=0b1110)
        assert host.pulses == ["start", "soft_reset"]
        assert await host.read(ctx, ADDRESS_OF["CONTROL"]) == (0, RESP_OKAY)

    host.run(check)


def test_status_is_read_where_the_table_says():
    host = Host()

    async def check(ctx):
        for register in REGISTERS:
            for field in register.fields:
                if field.access is Access.STATUS:
                    ctx.set(host.dut.status, dict.fromkeys((name for name, _ in STATUS), 0) | {field.name: (1 << field.width) - 1})
                    assert await host.read(ctx, register.offset) == (field.mask, RESP_OKAY), field.name

    host.run(check)


def test_interrupt_follows_enabled_events_until_cleared():
    host = Host()

    async def check(ctx):
        ctx.set(host.dut.events.irq_error, 1)
        await ctx.tick()
        ctx.set(host.dut.events.irq_error, 0)
        assert not ctx.get(host.dut.irq)
        await host.write(ctx, ADDRESS_OF["IRQ_ENABLE"], 2)
        assert ctx.get(host.dut.irq)
        assert await host.read(ctx, ADDRESS_OF["IRQ_STATUS"]) == (2, RESP_OKAY)
        await host.write(ctx, ADDRESS_OF["IRQ_STATUS"], 1)
        assert ctx.get(host.dut.irq), "clearing another event leaves it"
        ctx.set(host.dut.events.irq_error, 1)
        await host.write(ctx, ADDRESS_OF["IRQ_STATUS"], 2)
        assert ctx.get(host.dut.irq), "an event in the cycle of the clearing is not lost"
        ctx.set(host.dut.events.irq_error, 0)
        await host.write(ctx, ADDRESS_OF["IRQ_STATUS"], 2)
        assert not ctx.get(host.dut.irq)

    host.run(check)


def test_an_event_in_the_one_cycle_of_its_clearing_is_not_lost():
    host = Host()

    async def check(ctx):
        await host.write(ctx, ADDRESS_OF["IRQ_ENABLE"], 3)
        bus, events = host.dut.bus, host.dut.events
        for name, bit in (("irq_done", 1), ("irq_error", 2)):
            for channel, payload in ((bus.aw, {"addr": ADDRESS_OF["IRQ_STATUS"], "prot": 0}), (bus.w, {"data": bit, "strb": FULL})):
                ctx.set(channel.payload, payload)
                ctx.set(channel.valid, 1)
            ctx.set(events[name], 1)
            assert ctx.get(bus.aw.ready) and ctx.get(bus.w.ready), "the write is done in this cycle"
            await ctx.tick()
            ctx.set(events[name], 0)
            ctx.set(bus.aw.valid, 0)
            ctx.set(bus.w.valid, 0)
            await get(ctx, bus.b, 1)
            assert ctx.get(host.dut.irq), name
            assert await host.read(ctx, ADDRESS_OF["IRQ_STATUS"]) == (bit, RESP_OKAY)
            await host.write(ctx, ADDRESS_OF["IRQ_STATUS"], bit)
            assert not ctx.get(host.dut.irq), name

    host.run(check)


@pytest.mark.parametrize("offset", [0x44, 0x70, 0xFC])
def test_an_offset_outside_the_table_is_refused(offset):
    host = Host()

    async def check(ctx):
        assert await host.read(ctx, offset) == (0, RESP_SLVERR)
        assert await host.write(ctx, offset, 1) == RESP_SLVERR

    host.run(check)


def test_the_table_has_no_overlap():
    offsets = [register.offset for register in REGISTERS]
    assert len(set(offsets)) == len(offsets) and all(offset % 4 == 0 and offset < 256 for offset in offsets)
    names = [field.name for register in REGISTERS for field in register.fields]
    assert len(set(names)) == len(names)
    for register in REGISTERS:
        used = 0
        for field in register.fields:
            assert not used & field.mask and field.mask < 1 << 32, register.name
            used |= field.mask


def test_missing_constants_are_refused():
    with pytest.raises(ValueError, match="config_rows"):
        RegisterFile(values={name: value for name, value in constants(PRESETS["small"]).items() if name != "config_rows"})
