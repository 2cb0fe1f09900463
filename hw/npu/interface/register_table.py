"""What a register map is: registers and their fields, and the structures of signals that follow from them."""

import enum
from dataclasses import dataclass
from functools import cached_property

from amaranth.hdl import unsigned
from amaranth.lib import data

REGISTER_BYTES = 4
"""Registers are 32 bits wide; offsets are multiples of 4."""


class Access(enum.Enum):
    """What the host may do with a field."""

    CONSTANT = "constant"
    """Read; fixed when the hardware is generated."""
    STATUS = "read"
    """Read; what the hardware shows."""
    SETTING = "read/write"
    """Read and write; where the map has a lock, a write is refused (SLVERR) while it is up."""
    PULSE = "write 1"
    """Writing 1 acts once; reads 0."""
    EVENT = "write 1 to clear"
    """Set by the hardware, cleared by writing 1."""


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


def whole(name, offset, access, meaning, reset=0, low=0, width=32) -> Register:
    """A register of one field with its name, bits ``low`` to ``width - 1``."""
    field = Bits(name.lower(), low, width - low, access, meaning, reset)
    return Register(name, offset, (field,), meaning)


def wide(name, offset, access, meaning, low=0) -> tuple:
    """Two registers that hold 64 bits."""
    return (
        whole(f"{name}_LO", offset, access, f"{meaning}, bits 31..0", low=low),
        whole(f"{name}_HI", offset + 4, access, f"{meaning}, bits 63..32"),
    )


@dataclass(frozen=True)
class RegisterTable:
    """A register map: what a `RegisterFile` has, and its software knows.

    An event ``irq_x`` raises the interrupt where the setting ``irq_enable_x`` is 1.

    Attributes
    ----------
    registers : tuple of Register
        Every register. Other offsets answer SLVERR.
    map_bits : int
        Width of an offset in the map.
    lock : str, optional
        The status field that locks settings while it is 1; without one they are never locked.
    unlocked : frozenset of str
        Registers whose settings are never locked.
    """

    registers: tuple
    map_bits: int
    lock: str | None = None
    unlocked: frozenset = frozenset()

    def fields_with(self, access) -> dict:
        """Fields of the map with this access, by name."""
        return {field.name: field for register in self.registers for field in register.fields if field.access is access}

    def layout(self, access) -> data.StructLayout:
        """The fields with this access as a structure of signals."""
        return data.StructLayout({name: unsigned(field.width) for name, field in self.fields_with(access).items()})

    @cached_property
    def address_of(self) -> dict:
        """Offset by name."""
        return {register.name: register.offset for register in self.registers}
