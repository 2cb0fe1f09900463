"""Command layout: the one source of truth that RTL decodes, the compiler packs and the golden machine unpacks.

A command is a whole number of units of `UNIT_BYTES`, little-endian, and starts with the `HEADER` group, which says how many.
What follows depends on the opcode: `DMA` for LOAD and STORE, or the groups `LOOPS`, `INPUT`, `WEIGHTS`, `OUTPUT`, `SECOND` for the
operations of the execute queue, one group for each stage that reads it. `SECOND` has the last unit to itself: a command without a
second operand ends before it. Offsets and widths come from the tables below and nowhere else.
"""

import enum
import functools
from dataclasses import dataclass

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from hw.npu.errors import WeftError

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
EXPONENTIALS, EXPONENTIAL_BYTES = 256, 4
"""Entries and bytes of an entry of the table in the weight stream of a SOFTMAX: little-endian, Q0.31, the sign bit is not read."""
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
EXECUTE = frozenset(set(Opcode) - {Opcode.LOAD, Opcode.STORE})
"""Opcodes of the execute queue."""


def opcodes(int4: bool) -> frozenset:
    """Opcodes that an NPU knows: with or without 4-bit weights."""
    return frozenset(opcode for opcode in Opcode if int4 or not opcode.int4)


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


@dataclass(frozen=True)
class Field:
    """One field of a command: name, width in bits, sign, and what it means."""

    name: str
    bits: int
    meaning: str
    signed: bool = False

    @property
    def shape(self):
        return signed(self.bits) if self.signed else unsigned(self.bits)


def _s(name, bits, meaning):
    return Field(name, bits, meaning, signed=True)


HEADER = (
    Field("opcode", 8, "what the command does"),
    Field("units", 8, "length of the command in units of 32 bytes: LOAD and STORE 1; the others 3, or 4 with the group second"),
    Field("wait_load", 16, "transfers of the load queue that must be complete before the command starts"),
    Field("wait_exec", 16, "commands of the execute queue that must be complete before the command starts"),
    Field("wait_store", 16, "transfers of the store queue that must be complete before the command starts"),
)

DMA = (
    Field("region", 2, "base register of the DDR offset: 0 MODEL, 1 ARENA"),
    Field("target", 1, "scratchpad: 0 activations, 1 weights (loads only; addresses and lengths are multiples of the AXI width)"),
    Field("ddr_offset", 32, "first byte in DDR, relative to the region's base"),
    Field("sram_address", 24, "first byte in the scratchpad"),
    Field("row_bytes", 24, "bytes of one row, at least 1"),
    Field("rows", 16, "number of rows, at least 1"),
    Field("ddr_stride", 32, "bytes from row to row in DDR"),
    Field("sram_stride", 24, "bytes from row to row in the scratchpad"),
)

MAX_SPAN = 3
"""Kernel rows that are read side by side: read ports of the feeder."""
MOST_LAG = 16
"""DEPTHWISE: steps that the last of these kernel rows may be behind the first."""
MAX_SOFTMAX_LANES = 4095
"""Elements of a SOFTMAX row: the sum of more exponentials could overflow."""
LEAST_POSITIONS = 3
"""DEPTHWISE: steps of a run, at least: the accumulators' read-modify-write."""

LOOPS = (
    Field("block_rows", 9, "rows of output pixels; block_rows * block_cols is 1 to 256"),
    Field("block_cols", 9, "columns of output pixels"),
    Field("taps_y", 8, "kernel rows, at least 1"),
    Field("taps_x", 8, "kernel columns: visited one by one (1 where a whole kernel row is contiguous); DEPTHWISE: taps of a kernel row"),
    Field("lanes", 16, "MATMUL: consecutive bytes of a tap, at least 1; R (INT4: 2R) make a tile. SOFTMAX: elements of a row, 1 to 4095"),
    Field(
        "span",
        2,
        "kernel rows that one reduction tile may hold, 1 to 3; MATMUL with 2 or 3: taps_x is 1; DEPTHWISE: span * taps_x is at most R",
    ),
    Field("column_tiles", 12, "column tiles of C output channels, at least 1"),
    Field("last_cols", 7, "columns that the last column tile uses, 1 to C"),
    Field("partial_in", 1, "continue the partial sums that the previous command left (column_tiles is 1)"),
    Field("partial_out", 1, "leave the partial sums for the next command, write nothing (column_tiles is 1)"),
    Field("positions", 12, "DEPTHWISE: steps along a block row, at least 3"),
    Field("stride", 4, "DEPTHWISE: steps from output pixel to output pixel, at least 1"),
    Field("transposed", 1, "DEPTHWISE: steps go along the image's height, block rows and kernel rows along its width"),
)

INPUT = (
    _s("address", 25, "activation address of the first byte of pixel (0, 0), tap (0, 0), chunk 0; may lie outside where masked"),
    _s("y", 16, "image row of pixel (0, 0), tap (0, 0)"),
    Field("height", 16, "rows of the image: a row outside 0 .. height-1 is padding"),
    _s("x_bytes", 24, "position of that byte in its image row"),
    Field("image_row_bytes", 24, "bytes of an image row: a byte outside 0 .. image_row_bytes-1 is padding"),
    Field("pixel_step", 20, "bytes from output pixel to output pixel (stride * channels)"),
    Field("row_step", 24, "bytes from output row to output row (stride * row pitch)"),
    Field("row_step_y", 8, "image rows from output row to output row (stride)"),
    Field("tap_y_step", 24, "bytes from kernel row to kernel row (dilation * row pitch)"),
    Field("tap_y_rows", 8, "image rows from kernel row to kernel row (dilation)"),
    Field("tap_x_step", 20, "bytes from kernel column to kernel column (dilation * channels)"),
    _s("pad_value", 8, "value of a byte outside the image"),
    Field("wrap_row", 16, "image rows from this one on lie wrap_bytes lower: the image is a ring of rows"),
    Field("wrap_bytes", 24, "size of the ring; 0 where the image is none"),
)

WEIGHTS = (
    Field("address", 24, "weight-scratchpad address of the stream, a multiple of C; addresses wrap at the scratchpad's end"),
    Field("wait_load", 16, "transfers of the load queue that must be complete before the stream is read"),
    Field("params", 2, "parameters behind the weights of each column tile: 0 none, 1 bias (4 rows), 2 bias, multiplier, exponent (9 rows)"),
    Field("load_table", 1, "the stream starts with a 256-byte table for the output stage"),
)

OUTPUT = (
    Field("address", 24, "activation address of output pixel (0, 0), channel 0"),
    Field("pixel_step", 20, "bytes from output pixel to output pixel"),
    Field("row_step", 24, "bytes from output row to output row"),
    _s("multiplier", 32, "Q31 multiplier for all channels, where the parameters hold none"),
    Field("left_shift", 5, "left shift before the multiplication, where the parameters hold none"),
    Field("right_shift", 6, "rounding right shift after it, where the parameters hold none; 0 to 31"),
    Field("single_rounding", 1, "0: double rounding (CONV_2D, ADD), 1: single rounding (FULLY_CONNECTED)"),
    _s("zero_point", 8, "added after requantization"),
    _s("clamp_min", 8, "lower bound of the output"),
    _s("clamp_max", 8, "upper bound of the output"),
    Field("use_table", 1, "map the clamped value (as an unsigned byte) through the 256-byte table"),
)

SECOND = (
    Field("operation", 2, "0 none, 1 ADD, 2 SUB (first less second), 3 MUL"),
    Field("address", 24, "activation address of the second operand's pixel (0, 0), channel 0"),
    Field("pixel_step", 20, "bytes from pixel to pixel"),
    Field("row_step", 24, "bytes from row to row"),
    _s("first_zero_point", 8, "zero point of the first operand (the value that left the clamp or the table)"),
    _s("first_multiplier", 32, "its Q31 multiplier (not in MUL)"),
    Field("first_shift", 5, "its rounding right shift; in MUL the left shift of the product, at most 12"),
    _s("zero_point", 8, "zero point of the second operand"),
    _s("multiplier", 32, "its Q31 multiplier (not in MUL)"),
    Field("shift", 5, "its rounding right shift (not in MUL)"),
    _s("out_multiplier", 32, "Q31 multiplier of the sum or product"),
    Field("out_shift", 5, "rounding right shift of the sum or product"),
    _s("out_zero_point", 8, "added to the requantized sum"),
    _s("clamp_min", 8, "lower bound of the result"),
    _s("clamp_max", 8, "upper bound of the result"),
)

GROUPS = {"header": HEADER, "dma": DMA, "loops": LOOPS, "input": INPUT, "weights": WEIGHTS, "output": OUTPUT, "second": SECOND}
"""Every group of fields, by the name it has in a command."""


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
EXECUTE_LAYOUT = _command_layout(MOST_UNITS, "header", "loops", "input", "weights", "output", apart=("second",))
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


def measure(stream, *, int4: bool) -> tuple[Error, int]:
    """Whether a command begins here, as the hardware looks at it, and its length in units; BAD_FIELD where the stream ends within it.

    Parameters
    ----------
    stream : bytes
        Packed commands, a whole number of units, at least one.
    int4 : bool
        The hardware knows commands with 4-bit weights.
    """
    opcode, units = stream[0], stream[1]
    if opcode not in opcodes(int4):
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
        code, units = measure(packed, int4=True)
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


def unpack_stream(stream, *, int4: bool = False) -> tuple[list[Command], Error]:
    """The commands of a stream up to its end or to the first that is none, and why that is none.

    Parameters
    ----------
    stream : bytes
        Packed commands, a whole number of units.
    int4 : bool
        The hardware knows commands with 4-bit weights.
    """
    commands, place = [], 0
    while place < len(stream):
        code, units = measure(stream[place : place + MOST_UNITS * UNIT_BYTES], int4=int4)
        if code != Error.NONE:
            return commands, code
        commands.append(Command.unpack(stream[place : place + units * UNIT_BYTES]))
        place += units * UNIT_BYTES
    return commands, Error.NONE
