"""Command layout: the one source of truth that RTL decodes, the compiler packs and the golden machine unpacks.

A command is a whole number of units of `UNIT_BYTES`, little-endian, and starts with the `HEADER` group, which says how many.
What follows depends on the opcode: `DMA` for LOAD and STORE, or the groups `LOOPS`, `INPUT`, `WEIGHTS`, `OUTPUT`, `INTERPOLATION`, `SECOND`
for the operations of the execute queue, one group for each stage that reads it. `SECOND` has the last unit to itself: a command without a
second operand ends before it. Offsets and widths come from the tables of `hw.npu.interface.command_fields` and nowhere else.
"""

import enum
import functools
from dataclasses import dataclass

from amaranth.lib import data

from hw.npu.errors import WeftError
from hw.npu.interface.command_fields import GROUPS

UNIT_BYTES = 32
"""A command in DDR is a whole number of these."""
TRANSFER_UNITS = 1
"""Units of a LOAD or STORE."""
EXECUTE_UNITS = 3
"""Units of a command of the execute queue without a second operand; with one, a unit more."""
MOST_UNITS = EXECUTE_UNITS + 1
"""Units of the longest command."""

PARAMETER_ROWS = 9
"""Rows of the weight stream that hold the parameters of one column tile: bias, multiplier (4 each) and exponent, byte-planar."""
BIAS_ROWS = 4
"""Rows when only the bias is per channel."""

ADD_LEFT_SHIFT = 20
"""Left shift of both operands of an int8 ADD (TFLite ``reference_ops::AddElementwise``, ``params.left_shift``)."""
PLAIN_MULTIPLIER = 1 << 30
"""Multiplier, with a shift of 0, of an operand of ADD or SUB that is only shifted: a half. One of both operands has it, in TFLite that of
the larger scale, so that the hardware scales the other one alone."""
TABLE_BYTES = 256
"""Bytes of the output stage's table in the weight stream: an int8 for each byte."""
EXPONENTIALS, EXPONENTIAL_BYTES = 256, 4
"""Entries and bytes of an entry of the table in the weight stream of a SOFTMAX: little-endian, Q0.31, the sign bit is not read."""
SOFTMAX_TABLE_BYTES = EXPONENTIALS * EXPONENTIAL_BYTES
"""Bytes of that table; a SOFTMAX has nothing else in its stream."""
FRACTION_BITS = 10
"""Positions between pixels are Q10 in an int8 RESIZE_BILINEAR (TFLite ``reference_ops::ResizeBilinearInteger``)."""
MAX_BETWEEN = 2
"""Kernel rows, and columns, of an INTERPOLATE."""
MAX_PRODUCT_SHIFT = 12
"""Largest left shift of a MUL's product: 17 bits become 29, one less than the sums of ADD have."""


class Opcode(enum.IntEnum):
    """What a command does; the value is the header's first byte. 0 is illegal, so that empty memory stops with an error."""

    LOAD = 1
    STORE = 2
    MATMUL = 3
    SUM = 4
    MAX = 5
    DEPTHWISE = 6
    SOFTMAX = 7
    MATMUL_INT4 = 8
    DEPTHWISE_INT4 = 9
    INTERPOLATE = 10

    @property
    def operation(self) -> "Opcode":
        """What it computes, whatever the width of its weights."""
        return WIDE_TWIN.get(self, self)

    @property
    def int4(self) -> bool:
        """Its weight stream holds 4-bit weights; only an NPU with ``int4`` knows it."""
        return self in WIDE_TWIN


WIDE_TWIN = {Opcode.MATMUL_INT4: Opcode.MATMUL, Opcode.DEPTHWISE_INT4: Opcode.DEPTHWISE}
"""The same with weights of 8 bits."""
INT4_TWIN = {wide: narrow for narrow, wide in WIDE_TWIN.items()}
"""The same with weights of 4 bits."""
QUEUES = ("load", "exec", "store")
"""The queues, as the header's fields ``wait_load``, ``wait_exec`` and ``wait_store`` call them, in their order."""
QUEUE_OF = {Opcode.LOAD: "load", Opcode.STORE: "store"} | dict.fromkeys(set(Opcode) - {Opcode.LOAD, Opcode.STORE}, "exec")
"""The queue to which the dispatcher gives a command."""
EXECUTE = frozenset(opcode for opcode, queue in QUEUE_OF.items() if queue == "exec")
"""Opcodes of the execute queue."""


VECTORS = frozenset({Opcode.SUM, Opcode.MAX, Opcode.INTERPOLATE})
"""Opcodes whose vectors of C bytes go around the array."""


def opcodes(int4: bool, interpolation: bool) -> frozenset:
    """Opcodes that an NPU knows: with or without 4-bit weights, with or without INTERPOLATE."""
    return frozenset(code for code in Opcode if (int4 or not code.int4) and (interpolation or code != Opcode.INTERPOLATE))


def is_operation(code, operation, int4: bool):
    """Expression: an opcode computes this, with weights of any width that the NPU knows.

    Parameters
    ----------
    code : Signal
        Header's opcode.
    operation : Opcode
        MATMUL or DEPTHWISE.
    int4 : bool
        The NPU knows 4-bit weights.
    """
    return (code == operation) | (code == INT4_TWIN[operation]) if int4 else code == operation


def is_plain(multiplier, shift):
    """Whether an operand of ADD or SUB is only shifted; of numbers, or an expression."""
    return (multiplier == PLAIN_MULTIPLIER) & (shift == 0)


class Region(enum.IntEnum):
    """Which base register a DDR offset is relative to."""

    MODEL = 0
    ARENA = 1


class Target(enum.IntEnum):
    """Which scratchpad a transfer reads or writes."""

    ACTIVATIONS = 0
    WEIGHTS = 1


class Params(enum.IntEnum):
    """What the weight stream holds behind the weights of each column tile."""

    NONE = 0
    BIAS = 1
    FULL = 2


class Second(enum.IntEnum):
    """What the second operand does to the first."""

    NONE = 0
    ADD = 1
    SUB = 2
    MUL = 3


class Error(enum.IntEnum):
    """Why a job stopped; stands in the register ERROR_CODE."""

    NONE = 0
    BAD_OPCODE = 1
    BAD_FIELD = 2
    ADDRESS = 3
    AXI_READ = 4
    AXI_WRITE = 5
    DEADLOCK = 6
    TIMEOUT = 7


ERROR_MEANING = {
    Error.NONE: "no error",
    Error.BAD_OPCODE: "the command's opcode is not one of the table",
    Error.BAD_FIELD: "a field of the command is outside its limits",
    Error.ADDRESS: "the command touches a scratchpad address outside its memory",
    Error.AXI_READ: "a read transaction of the command was answered with an AXI error",
    Error.AXI_WRITE: "a write transaction of the command was answered with an AXI error",
    Error.DEADLOCK: "every queue waits and nothing is outstanding",
    Error.TIMEOUT: "the bus was silent for TIMEOUT cycles with a transaction outstanding",
}

MAX_SPAN = 3
"""Kernel rows that are read side by side: read ports of the feeder."""
MOST_LAG = 16
"""DEPTHWISE: steps that the last of these kernel rows may be behind the first."""
MAX_SOFTMAX_LANES = 4095
"""Elements of a SOFTMAX row: the sum of more exponentials could overflow."""
LEAST_POSITIONS = 3
"""DEPTHWISE: steps of a run, at least: the accumulators' read-modify-write."""


@functools.cache
def group_layout(name) -> data.StructLayout:
    """The named group as a structure of signals, fields in the order of the table, no gaps."""
    return data.StructLayout({field.name: field.shape for field in GROUPS[name]})


def _command_layout(units, *groups, apart=()):
    """Groups one behind the other, each on a 32-bit word, so that a dump can be read; then each of ``apart`` in a unit of its own."""
    unit = 8 * UNIT_BYTES
    offset, members = 0, {}
    for name in (*groups, *apart):
        layout = group_layout(name)
        if name in apart:
            offset = -(-offset // unit) * unit
        members[name] = data.Field(layout, offset)
        offset += -(-layout.size // 32) * 32
    assert offset <= units * unit, f"{groups} have {offset} bits, more than {units} units"
    return data.FlexibleLayout(units * unit, members)


TRANSFER_LAYOUT = _command_layout(TRANSFER_UNITS, "header", "dma")
"""A command of the load or store queue."""
EXECUTE_LAYOUT = _command_layout(MOST_UNITS, "header", "loops", "input", "weights", "output", "interpolation", apart=("second",))
"""A command of the execute queue; where it has `EXECUTE_UNITS` only, the fields of the last unit are zero."""
assert EXECUTE_LAYOUT["second"].offset == 8 * UNIT_BYTES * EXECUTE_UNITS, "only the second operand is left out"


def layout_of(opcode) -> data.FlexibleLayout:
    """Layout of a command with this opcode."""
    return EXECUTE_LAYOUT if opcode in EXECUTE else TRANSFER_LAYOUT


def units_of(opcode) -> range:
    """Lengths, in units, that a command with this opcode may have."""
    return range(EXECUTE_UNITS, MOST_UNITS + 1) if opcode in EXECUTE else range(TRANSFER_UNITS, TRANSFER_UNITS + 1)


def groups_of(opcode) -> tuple[str, ...]:
    """Names of the groups of a command with this opcode, in their order."""
    return tuple(name for name, _ in layout_of(opcode))


def measure(stream, *, int4: bool, interpolation: bool) -> tuple[Error, int]:
    """Whether a command begins here, as the hardware looks at it, and its length in units; BAD_FIELD where the stream ends within it.

    Parameters
    ----------
    stream : bytes
        Packed commands, a whole number of units, at least one.
    int4, interpolation : bool
        The hardware knows commands with 4-bit weights, and INTERPOLATE.
    """
    opcode, units = stream[0], stream[1]
    if opcode not in opcodes(int4, interpolation):
        return Error.BAD_OPCODE, units
    legal = units in units_of(opcode) and len(stream) >= units * UNIT_BYTES
    return Error.NONE if legal else Error.BAD_FIELD, units


_ZEROS = {group: dict.fromkeys((field.name for field in fields), 0) for group, fields in GROUPS.items()}


@functools.lru_cache
def _places(opcode) -> dict[str, dict[str, tuple[int, int, int, int]]]:
    """Of each field of a command with this opcode, by group and name: least and most, mask, first bit."""
    places: dict = {}
    for group, where in layout_of(opcode):
        for field in GROUPS[group]:
            mask, low = (1 << field.bits) - 1, -(1 << field.bits - 1) if field.signed else 0
            places.setdefault(group, {})[field.name] = low, low + mask, mask, where.offset + group_layout(group)[field.name].offset
    return places


@dataclass(frozen=True)
class Command:
    """One command as values.

    Attributes
    ----------
    opcode : Opcode
    fields : dict of str to dict of str to int
        ``fields[group][field]``; what is absent is zero. The header's ``opcode`` and ``units`` follow from the rest.
    """

    opcode: Opcode
    fields: dict

    def __getitem__(self, group) -> dict:
        """All fields of a group, zero where not given."""
        own = {"opcode": int(self.opcode), "units": self.units} if group == "header" else {}
        return _ZEROS[group] | {name: int(value) for name, value in self.fields.get(group, {}).items()} | own

    @property
    def operation(self) -> Opcode:
        """What it computes, whatever the width of its weights."""
        return self.opcode.operation

    @property
    def units(self) -> int:
        """Length in units: the last one stands only where a field of the second operand is not zero."""
        return units_of(self.opcode)[-1 if any(self.fields.get("second", {}).values()) else 0]

    def pack(self) -> bytes:
        """The command as ``units * UNIT_BYTES`` bytes.

        Raises
        ------
        WeftError
            If a group or field is unknown, or a value does not fit its field.
        """
        word, places = 0, _places(self.opcode)
        for group in {"header": 0} | self.fields:
            if group not in places:
                raise WeftError(f"a {self.opcode.name} command has no group {group!r}")
            for name, value in self[group].items():
                if name not in places[group]:
                    raise WeftError(f"command group {group} has no field {name!r}")
                low, high, mask, offset = places[group][name]
                if not low <= value <= high:
                    raise WeftError(f"{self.opcode.name} command: {group}.{name} = {value} does not fit, it must be from {low} to {high}")
                word |= (value & mask) << offset
        return word.to_bytes(self.units * UNIT_BYTES, "little")

    @classmethod
    def unpack(cls, packed) -> "Command":
        """The command that `pack` made.

        Raises
        ------
        WeftError
            If the opcode or the length is wrong.
        """
        code, units = measure(packed, int4=True, interpolation=True)
        if code != Error.NONE or len(packed) != units * UNIT_BYTES:
            raise WeftError(f"{len(packed)} bytes with opcode {packed[0]} and units {packed[1]} are no command")
        opcode = Opcode(packed[0])
        word = int.from_bytes(packed, "little")
        fields = {}
        for group, where in layout_of(opcode):
            inner, values = group_layout(group), {}
            for field in GROUPS[group]:
                value = word >> (where.offset + inner[field.name].offset) & ((1 << field.bits) - 1)
                values[field.name] = value - (1 << field.bits) if field.signed and value >> (field.bits - 1) else value
            if group == "header":
                del values["opcode"], values["units"]
            fields[group] = values
        return cls(opcode, fields)

    def __str__(self):
        """One line of disassembly: the opcode and every field that is not zero."""
        parts = []
        for group in groups_of(self.opcode):
            shown = {name: value for name, value in self[group].items() if value and name != "opcode"}
            if shown:
                parts.append(f"{group}(" + " ".join(f"{name}={value}" for name, value in shown.items()) + ")")
        return " ".join([f"{self.opcode.name:<6}", *parts])


def unpack_stream(stream, *, int4: bool = False, interpolation: bool = False) -> tuple[list[Command], Error]:
    """The commands of a stream up to its end or to the first that is none, and why that is none.

    Parameters
    ----------
    stream : bytes
        Packed commands, a whole number of units.
    int4, interpolation : bool
        The hardware knows commands with 4-bit weights, and INTERPOLATE.
    """
    commands, place = [], 0
    while place < len(stream):
        code, units = measure(stream[place : place + MOST_UNITS * UNIT_BYTES], int4=int4, interpolation=interpolation)
        if code != Error.NONE:
            return commands, code
        commands.append(Command.unpack(stream[place : place + units * UNIT_BYTES]))
        place += units * UNIT_BYTES
    return commands, Error.NONE
