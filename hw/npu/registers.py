"""The register map: one table that the register file, the test bench and the documentation read."""

import enum
from dataclasses import dataclass

from amaranth.hdl import unsigned
from amaranth.lib import data

from hw.npu.isa import MOST_UNITS, UNIT_BYTES, Error

REGISTER_BYTES = 4
"""Registers are 32 bits wide; offsets are multiples of 4."""
MAP_BITS = 8
"""Width of an offset in the map."""
BASE_ALIGNMENT = UNIT_BYTES * MOST_UNITS
"""The base registers' low bits read zero: bases are multiples of 128, so that commands can be fetched in aligned bursts."""

ID = 0x57454654
"""Contents of the register ID: "WEFT"."""
VERSION = 0x00010000
"""Contents of the register VERSION: major in the upper half, minor in the lower."""


class Access(enum.Enum):
    """What the host may do with a field."""

    CONSTANT = "constant"
    """Read; fixed when the NPU is generated."""
    STATUS = "read"
    """Read; what the NPU shows."""
    SETTING = "read/write"
    """Read and write; a write while a job runs is refused (SLVERR), except to IRQ_ENABLE."""
    PULSE = "write 1"
    """Writing 1 acts once; reads 0."""
    EVENT = "write 1 to clear"
    """Set by the NPU, cleared by writing 1."""


@dataclass(frozen=True)
class Bits:
    """A field of a register: name, lowest bit, width, access, value after reset, meaning."""

    name: str
    bit: int
    width: int
    access: Access
    meaning: str
    reset: int = 0

    @property
    def mask(self) -> int:
        """Its bits in the register."""
        return (1 << self.width) - 1 << self.bit


@dataclass(frozen=True)
class Register:
    """A register: name, offset in bytes, fields, meaning."""

    name: str
    offset: int
    fields: tuple
    meaning: str


def _whole(name, offset, access, meaning, reset=0, low=0, width=32):
    field = Bits(name.lower(), low, width - low, access, meaning, reset)
    return Register(name, offset, (field,), meaning)


def _wide(name, offset, access, meaning, low=0):
    return (
        _whole(f"{name}_LO", offset, access, f"{meaning}, bits 31..0", low=low),
        _whole(f"{name}_HI", offset + 4, access, f"{meaning}, bits 63..32"),
    )


_INT4_BIT = 31
_LOW = (BASE_ALIGNMENT - 1).bit_length()
_UNIT = (UNIT_BYTES - 1).bit_length()

REGISTERS = (
    _whole("ID", 0x00, Access.CONSTANT, "0x57454654, the letters WEFT"),
    _whole("VERSION", 0x04, Access.CONSTANT, "version of the register map and of the commands: major in bits 31..16, minor in 15..0"),
    _whole("CONFIG_ROWS", 0x08, Access.CONSTANT, "rows of the array; bit 31 is set where it knows commands with 4-bit weights"),
    _whole("CONFIG_COLS", 0x0C, Access.CONSTANT, "columns of the array"),
    _whole("CONFIG_LANES", 0x10, Access.CONSTANT, "output lanes"),
    _whole("CONFIG_AXI_BITS", 0x14, Access.CONSTANT, "data width of the AXI4 port"),
    _whole("CONFIG_ACT_KIB", 0x18, Access.CONSTANT, "activation scratchpad, KiB"),
    _whole("CONFIG_WEIGHT_KIB", 0x1C, Access.CONSTANT, "weight scratchpad, KiB"),
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
    _whole("ERROR_INDEX", 0x2C, Access.STATUS, "index of the command that the error belongs to"),
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
    _whole("COMMANDS_BYTES", 0x38, Access.SETTING, "size of the job's commands, a multiple of 32; they end where it says", low=_UNIT),
    _whole(
        "TIMEOUT", 0x3C, Access.SETTING, "cycles of a silent bus, with a transaction outstanding, that stop the job; 0 never", reset=65536
    ),
    Register(
        "RECORD_ENABLE",
        0x40,
        (Bits("record_enable", 0, 1, Access.SETTING, "write the record of each command to RECORD_BASE + 64 * index"),),
        "records",
    ),
    *_wide("COMMANDS_BASE", 0x48, Access.SETTING, "address of the first command, a multiple of 128", low=_LOW),
    *_wide("MODEL_BASE", 0x50, Access.SETTING, "address of region MODEL, a multiple of 128", low=_LOW),
    *_wide("ARENA_BASE", 0x58, Access.SETTING, "address of region ARENA, a multiple of 128", low=_LOW),
    *_wide("RECORD_BASE", 0x60, Access.SETTING, "address of record 0, a multiple of 128", low=_LOW),
    *_wide("CYCLES", 0x68, Access.STATUS, "cycles of the last job, from start to interrupt"),
)
"""Every register. Other offsets answer SLVERR."""

ALWAYS_WRITABLE = frozenset({"IRQ_ENABLE"})
"""Settings that a running job does not read."""
ADDRESS_OF = {register.name: register.offset for register in REGISTERS}
"""Offset by name."""


def fields_with(access) -> dict:
    """Fields of the map with this access, by name."""
    return {field.name: field for register in REGISTERS for field in register.fields if field.access is access}


def access_layout(access) -> data.StructLayout:
    """The fields with this access as a structure of signals."""
    return data.StructLayout({name: unsigned(field.width) for name, field in fields_with(access).items()})


SETTINGS = access_layout(Access.SETTING)
"""What the host has set."""
STATUS = access_layout(Access.STATUS)
"""What the NPU shows the host."""
PULSES = access_layout(Access.PULSE)
"""What the host asks for, one cycle each."""
EVENTS = access_layout(Access.EVENT)
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
        "config_rows": config.rows | config.int4 << _INT4_BIT,
        "config_cols": config.cols,
        "config_lanes": config.lanes,
        "config_axi_bits": config.axi_bits,
        "config_act_kib": config.act_kib,
        "config_weight_kib": config.weight_kib,
    }
