"""The register map: one table that the register file, the test bench and the documentation read."""

from hw.npu.interface.isa import MOST_UNITS, UNIT_BYTES, Error
from hw.npu.interface.register_table import Access, Bits, Register, RegisterTable, whole, wide

MAP_BITS = 8
"""Width of an offset in the map."""
BASE_ALIGNMENT = UNIT_BYTES * MOST_UNITS
"""The base registers' low bits read zero: bases are multiples of 128, so that commands can be fetched in aligned bursts."""

ID = 0x57454654
"""Contents of the register ID: "WEFT"."""
VERSION = 0x00010000
"""Contents of the register VERSION: major in the upper half, minor in the lower."""

_INT4_BIT, _INTERPOLATION_BIT = 31, 30
_LOW = (BASE_ALIGNMENT - 1).bit_length()
_UNIT = (UNIT_BYTES - 1).bit_length()

REGISTERS = (
    whole("ID", 0x00, Access.CONSTANT, "0x57454654, the letters WEFT"),
    whole("VERSION", 0x04, Access.CONSTANT, "version of the register map and of the commands: major in bits 31..16, minor in 15..0"),
    whole(
        "CONFIG_ROWS",
        0x08,
        Access.CONSTANT,
        "rows of the array; bit 31: it knows commands with 4-bit weights, bit 30: it knows INTERPOLATE",
    ),
    whole("CONFIG_COLS", 0x0C, Access.CONSTANT, "columns of the array"),
    whole("CONFIG_LANES", 0x10, Access.CONSTANT, "output lanes"),
    whole("CONFIG_AXI_BITS", 0x14, Access.CONSTANT, "data width of the AXI4 port"),
    whole("CONFIG_ACT_KIB", 0x18, Access.CONSTANT, "activation scratchpad, KiB"),
    whole("CONFIG_WEIGHT_KIB", 0x1C, Access.CONSTANT, "weight scratchpad, KiB"),
    Register(
        "CONTROL",
        0x20,
        (
            Bits("start", 0, 1, Access.PULSE, "start a job; ignored while busy"),
            Bits("soft_reset", 1, 1, Access.PULSE, "end the job without an interrupt: transactions are completed, then all is idle"),
        ),
        "what to do",
    ),
    Register(
        "STATUS",
        0x24,
        (
            Bits("busy", 0, 1, Access.STATUS, "a job runs, or draining"),
            Bits("done", 1, 1, Access.STATUS, "the last job ended well"),
            Bits("error", 2, 1, Access.STATUS, "the last job stopped with ERROR_CODE"),
            Bits("draining", 3, 1, Access.STATUS, "the job is over, transactions on the bus are being completed"),
        ),
        "how the job stands; done and error are cleared by start and soft_reset",
    ),
    Register(
        "ERROR_CODE",
        0x28,
        (Bits("error_code", 0, max(Error).bit_length(), Access.STATUS, "why the last job stopped; see the table of errors"),),
        "why the last job stopped",
    ),
    whole("ERROR_INDEX", 0x2C, Access.STATUS, "index of the command that the error belongs to"),
    Register(
        "IRQ_ENABLE",
        0x30,
        (
            Bits("irq_enable_done", 0, 1, Access.SETTING, "interrupt when a job ends well"),
            Bits("irq_enable_error", 1, 1, Access.SETTING, "interrupt when a job stops with an error"),
        ),
        "which events raise the interrupt",
    ),
    Register(
        "IRQ_STATUS",
        0x34,
        (
            Bits("irq_done", 0, 1, Access.EVENT, "a job ended well"),
            Bits("irq_error", 1, 1, Access.EVENT, "a job stopped with an error"),
        ),
        "events since they were cleared; the interrupt is up while one of them is enabled",
    ),
    whole("COMMANDS_BYTES", 0x38, Access.SETTING, "size of the job's commands, a multiple of 32; they end where it says", low=_UNIT),
    whole(
        "TIMEOUT", 0x3C, Access.SETTING, "cycles of a silent bus, with a transaction outstanding, that stop the job; 0 never", reset=65536
    ),
    Register(
        "RECORD_ENABLE",
        0x40,
        (Bits("record_enable", 0, 1, Access.SETTING, "write the record of each command to RECORD_BASE + 64 * index"),),
        "records",
    ),
    *wide("COMMANDS_BASE", 0x48, Access.SETTING, "address of the first command, a multiple of 128", low=_LOW),
    *wide("MODEL_BASE", 0x50, Access.SETTING, "address of region MODEL, a multiple of 128", low=_LOW),
    *wide("ARENA_BASE", 0x58, Access.SETTING, "address of region ARENA, a multiple of 128", low=_LOW),
    *wide("RECORD_BASE", 0x60, Access.SETTING, "address of record 0, a multiple of 128", low=_LOW),
    *wide("CYCLES", 0x68, Access.STATUS, "cycles of the last job, from start to interrupt"),
)
"""Every register. Other offsets answer SLVERR."""

TABLE = RegisterTable(REGISTERS, MAP_BITS, lock="busy", unlocked=frozenset({"IRQ_ENABLE"}))
"""The NPU's map. A running job locks the settings that it reads."""
ADDRESS_OF = TABLE.address_of
"""Offset by name."""

SETTINGS = TABLE.layout(Access.SETTING)
"""What the host has set."""
STATUS = TABLE.layout(Access.STATUS)
"""What the NPU shows the host."""
PULSES = TABLE.layout(Access.PULSE)
"""What the host asks for, one cycle each."""
EVENTS = TABLE.layout(Access.EVENT)
"""What happened, one cycle each."""


def base(settings, name, address_bits):
    """Expression: the address in the registers ``<name>_lo`` and ``<name>_hi`` of a view of `SETTINGS`."""
    whole = (settings[f"{name}_lo"] << _LOW) | (settings[f"{name}_hi"] << 32)
    return whole[:address_bits]


def command_units(settings):
    """Expression: units of the job's commands, from a view of `SETTINGS`."""
    return settings.commands_bytes  # its low bits are no part of the field


def constants(config) -> dict:
    """Contents of the constant registers for a configuration, by the field's name."""
    return {
        "id": ID,
        "version": VERSION,
        "config_rows": config.rows | config.int4 << _INT4_BIT | config.interpolation << _INTERPOLATION_BIT,
        "config_cols": config.cols,
        "config_lanes": config.lanes,
        "config_axi_bits": config.axi_bits,
        "config_act_kib": config.act_kib,
        "config_weight_kib": config.weight_kib,
    }
