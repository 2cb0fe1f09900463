"""The SoC's own register map, beside the NPU's: priorities and regulators of the masters, camera, display, and what went wrong."""

from amaranth.hdl import Shape
from amaranth.lib.data import StructLayout

from hw.npu.interface.register_table import REGISTER_BYTES, Access, Bits, Register, RegisterTable, whole
from hw.soc.fabric_settings import AGE_BITS, MASTER_SETTINGS
from hw.soc.random_master import RANDOM_SETTINGS
from hw.soc.video_timing import VIDEO_SETTINGS

CAMERA, DISPLAY, CPU, NPU = range(4)
"""Numbers of the masters; `MASTERS` has their names."""
MASTERS = ("camera", "display", "cpu", "npu")
"""Names of the masters, by number."""
WRITERS = (CAMERA, CPU, NPU)
"""Masters that write."""
READERS = (DISPLAY, CPU, NPU)
"""Masters that read."""
FIRST_CLASS = (0, 0, 1, 2)
"""Class of each master after reset: the real-time masters go first, the NPU gets what is left."""

LITE_ADDRESS_BITS = 13
"""Width of an address of the SoC's AXI4-Lite port."""
NPU_BASE = 0x0000
"""Where the NPU's registers lie on that port."""
SOC_BASE = 0x1000
"""Where this map lies on it."""
MAP_BITS = 9
"""Width of an offset in this map."""

ID = 0x57534F43
"""Contents of the register SOC_ID: "WSOC"."""
VERSION = 0x00010000
"""Contents of the register SOC_VERSION: major in the upper half, minor in the lower."""

MASTER_OFFSET, MASTER_STEP = 0x40, 0x10
"""Where the registers of master 0 lie, and how far on those of the next."""
CAMERA_OFFSET, DISPLAY_OFFSET, TRAFFIC_OFFSET = 0x80, 0xC0, 0x100
"""Where the registers of camera, display and random master lie."""

VIDEO_MEANING = {
    "enable": "pictures follow each other; taken away, the present one is finished",
    "base": "address of the first line, a multiple of a beat's bytes",
    "line_beats": "beats of a line",
    "lines": "lines of a picture",
    "line_step": "from a line's address to the next line's, bytes, a multiple of a beat's",
    "rate": "beats a cycle while a line is active, in 1/65536",
    "blank_cycles": "cycles of blanking behind each line",
    "frame_blank_cycles": "cycles of blanking before the first line, at least 1",
    "watermark": "beats in the FIFO that make the master urgent: camera at or above (0: always), display at or below",
}
"""What the settings of a camera or a display mean. All but the watermark are taken at the start of a picture."""
RANDOM_MEANING = {
    "enable": "requests are drawn; taken away, those under way are finished",
    "base": "address of its window of the memory, a multiple of 4096",
    "size_log2": "log2 of the window's bytes, at least 12",
    "intensity": "mean requests a cycle, in 1/65536, where the bus keeps up",
    "write_share": "part of them that write, in 1/256",
    "max_len": "beats of the longest burst; 0 counts as 1",
}
"""What the settings of the random master mean."""


def _master(number):
    """Class and regulators of a master."""
    name, offset = MASTERS[number], MASTER_OFFSET + number * MASTER_STEP
    width = _widths(MASTER_SETTINGS)
    klass = Bits(f"{name}_class", 0, width["klass"], Access.SETTING, "0 goes first", FIRST_CLASS[number])
    yield Register(f"{name.upper()}_CLASS", offset, (klass,), "priority")
    for place, (direction, masters) in enumerate((("read", READERS), ("write", WRITERS)), 1):
        if number in masters:
            part = f"{name}_{direction}"
            fields = (
                Bits(f"{part}_rate", 0, width["rate"], Access.SETTING, "beats a cycle in 1/65536; 0 is no limit"),
                Bits(f"{part}_depth", 16, width["depth"], Access.SETTING, "beats that it may have saved up"),
            )
            yield Register(f"{part.upper()}_REGULATOR", offset + place * REGISTER_BYTES, fields, "token bucket")


def _settings(name, offset, layout: StructLayout, meanings):
    """A register for each field of a structure of settings."""
    for place, (field, width) in enumerate(_widths(layout).items()):
        yield whole(f"{name}_{field}".upper(), offset + place * REGISTER_BYTES, Access.SETTING, meanings[field], width=width)


def _widths(layout):
    """Bits of each field of a structure."""
    return {field: Shape.cast(shape).width for field, shape in layout.members.items()}


def _video(name, offset, fault):
    """Settings of a camera or a display, and its counters behind them."""
    yield from _settings(name, offset, VIDEO_SETTINGS, VIDEO_MEANING)
    behind = offset + len(VIDEO_SETTINGS.members) * REGISTER_BYTES
    yield whole(f"{name}_FAULTS".upper(), behind, Access.STATUS, f"beats lost by {fault} since reset, modulo 2^32")
    yield whole(f"{name}_FRAMES".upper(), behind + REGISTER_BYTES, Access.STATUS, "pictures made since reset, modulo 2^32")


def soc_table(*, traffic=False) -> RegisterTable:
    """The map; with `traffic` it has the random master's registers."""
    events = ("overflow", "camera FIFO full: a beat was lost"), ("underrun", "display FIFO empty: a beat was late")
    registers = [
        whole("SOC_ID", 0x00, Access.CONSTANT, "0x57534F43, the letters WSOC"),
        whole("SOC_VERSION", 0x04, Access.CONSTANT, "version of this map: major in bits 31..16, minor in 15..0"),
        whole("BUS_BITS", 0x08, Access.CONSTANT, "width of a beat"),
        whole("CAMERA_FIFO", 0x0C, Access.CONSTANT, "depth of the camera's FIFO, beats"),
        whole("DISPLAY_FIFO", 0x10, Access.CONSTANT, "depth of the display's FIFO, beats"),
        Register(
            "SOC_IRQ_ENABLE",
            0x18,
            tuple(
                Bits(f"irq_enable_{name}", bit, 1, Access.SETTING, f"interrupt when that happens: {text}")
                for bit, (name, text) in enumerate(events)
            ),
            "which events raise the interrupt",
        ),
        Register(
            "SOC_IRQ_STATUS",
            0x1C,
            tuple(Bits(f"irq_{name}", bit, 1, Access.EVENT, text) for bit, (name, text) in enumerate(events)),
            "events since they were cleared; the interrupt is up while one of them is enabled",
        ),
        whole("AGE_LIMIT", 0x20, Access.SETTING, "grants to others behind which a waiting master goes first; 0: never", width=AGE_BITS),
    ]
    for number in range(len(MASTERS)):
        registers += _master(number)
    registers += _video("camera", CAMERA_OFFSET, "overflow")
    registers += _video("display", DISPLAY_OFFSET, "underrun")
    if traffic:
        registers += _settings("traffic", TRAFFIC_OFFSET, RANDOM_SETTINGS, RANDOM_MEANING)
    return RegisterTable(tuple(registers), MAP_BITS)


def soc_address_of(*, traffic=False) -> dict:
    """Address on the SoC's AXI4-Lite port by register: this map's registers."""
    return {name: SOC_BASE + offset for name, offset in soc_table(traffic=traffic).address_of.items()}


def soc_constants(config) -> dict:
    """Contents of the constant registers for a `SocConfig`, by the field's name."""
    return {
        "soc_id": ID,
        "soc_version": VERSION,
        "bus_bits": config.npu.axi_bits,
        "camera_fifo": config.camera_fifo,
        "display_fifo": config.display_fifo,
    }
