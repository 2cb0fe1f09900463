"""Writes the generated pages of `docs` from the tables in hw and weft: ``python -m weft.docs``. A test compares the files with them."""

import dataclasses
import inspect
import re
from pathlib import Path

from hw.npu.config import PRESETS, NpuConfig
from hw.npu.interface import command_fields, isa, records, registers
from hw.npu.interface.command_fields import Field
from hw.npu.interface.isa import Opcode
from hw.npu.interface.register_table import REGISTER_BYTES, Access
from hw.soc import registers as soc_registers
from weft.report.operators import operators_page
from weft.report.silicon import silicon_page

FOLDER = Path(__file__).parent.parent / "docs"

INTRODUCTION = f"""\
# Commands, registers, records

Generated from `isa.py`, `command_fields.py`, `registers.py` and `records.py` of `hw/npu/interface/` by `make docs`. Do not edit.

The NPU fetches commands from DDR, in order, and hands each to one of three queues: load, execute, store.
A command is a whole number of units of {isa.UNIT_BYTES} bytes, `header.units`: LOAD and STORE have {isa.TRANSFER_UNITS}, the others
{isa.EXECUTE_UNITS}, and {isa.MOST_UNITS} with the group `second`; where that is absent its fields are zero. Commands follow each other
without gaps, up to the end that COMMANDS_BYTES names.
Numbers are little-endian. A field's place is its bit in the command (byte `bit // 8`). R and C are the rows and columns of the array.
How queues wait for each other, and what the loops below mean, is in [architecture.md](architecture.md).
"""

CONFIGURATION = """\
# Configuration

Generated from `hw/npu/config.py` by `make docs`. Do not edit.

`--config` takes a preset or a TOML file with any of these fields at its top level.
Its key `preset` names the preset that the others change; `small` if there is none.

```
preset = "nano"      # my_npu.toml: weft run MODEL.tflite --config my_npu.toml
cols = 16
act_kib = 192
```

`--set FIELD=VALUE` overrides a field of either, and what it changes becomes part of the name in reports: `small+cols=32`.
A value outside its range is refused with the range; a network that does not fit is refused with the layer and the size that would do.
"""

SOC_REGISTERS = """\
# Registers of the SoC

Generated from `hw/soc/registers.py` by `make docs`. Do not edit.

What they do together is in [soc.md](soc.md); the NPU's own registers, at 0x0000 of the same port, are in [commands.md](commands.md).
TRAFFIC_* are there only where a random master stands in the place of the CPU's port, in simulations.
Settings of camera and display are taken at the start of a picture, except the watermark; all others act at once.
"""

TRANSFER_NEST = """\
for r in 0 .. rows - 1:
    {line}
"""
OUTPUT_NEST = """\
    unless partial_out:
        for by in block_rows: for bx in block_cols:
            scratchpad at output(by, bx, tile) = second(table(clamp(requantize(accumulators[by, bx] + bias))))
"""
MATMUL_NEST = f"""\
if load_table: table = next 256 bytes of the weight stream
for tile in column_tiles:
    for ky in taps_y: for kx in taps_x: for R of a tap's lanes:       # a reduction tile; with span 2 or 3, R bytes of the kernel rows laid
        n = the bytes of this reduction tile, R or fewer              #   end to end (taps_x is 1), of at most span kernel rows
        W[n, C] = next n rows of C bytes of the weight stream
        for by in block_rows: for bx in block_cols:                  # a wave, one a cycle
            v[n] = scratchpad at input(by, bx, ky, kx, byte of the tap), pad_value outside the image
            accumulators[by, bx][c] (+)= sum over i of v[i] * W[i, c]
    parameters = next 0, 4 or 9 rows of C bytes of the weight stream
{OUTPUT_NEST}"""
DEPTHWISE_NEST = f"""\
if load_table: table = next 256 bytes of the weight stream
for tile in column_tiles:
    for every span of the taps_y kernel rows:                         # a pass: its last kernel rows may be missing
        W[span, taps_x, C] = next span * taps_x rows of C bytes of the weight stream
        for by in block_rows: for step in positions:                 # a cycle each; a step reads C bytes of each kernel row
            v[span, C] = scratchpad at input(by, step, ky, tile), pad_value outside the image
            accumulators[by, bx][c] (+)= sum over g, k of v[g, c] at step bx * stride + k, times W[g, k, c]
    parameters = next 0, 4 or 9 rows of C bytes of the weight stream
{OUTPUT_NEST}"""
MATMUL_INT4_NEST = """\
as MATMUL, but a reduction tile is 2R bytes or fewer, and a row of the weight stream holds two rows of weights:
    W[2i + 0, c] = bits 3..0, W[2i + 1, c] = bits 7..4 of byte c of row i, signed; n bytes take (n + 1) / 2 rows of C bytes,
    and where n is odd the last row's upper bits mean nothing
"""
DEPTHWISE_INT4_NEST = """\
as DEPTHWISE, cycle for cycle, but a row of the weight stream holds two rows of weights:
    w = the span * taps_x rows of a pass, one behind the other
    w[2i + 0, c] = bits 3..0, w[2i + 1, c] = bits 7..4 of byte c of row i, signed; n rows take (n + 1) / 2 rows of C bytes,
    and where n is odd the last row's upper bits mean nothing
"""
VECTOR_NEST = """\
for tile in column_tiles:
    parameters = next 0, 4 or 9 rows of C bytes of the weight stream
    for ky in taps_y: for kx in taps_x:                               # a reduction tile
        for by in block_rows: for bx in block_cols:                  # a wave, one a cycle
            v[C] = scratchpad at input(by, bx, ky, kx, tile), pad_value outside the image
            accumulators[by, bx][c] {operation}
{output}"""
INTERPOLATE_NEST = f"""\
as SUM, with 1 or 2 kernel rows and columns, and positions in steps of 1/1024:
    below = interpolation.y + by * interpolation.step_y; beyond = interpolation.x + bx * interpolation.step_x
    input(by, bx, ky, kx, tile) lies below / 1024 kernel rows and beyond / 1024 kernel columns (whole ones) further than in SUM
    a row's weight = 1024 if taps_y is 1, or kernel row 0 or 1 lies outside the image; else below % 1024 if ky, 1024 - below % 1024 if not
    a column's weight likewise, of beyond and the byte of the image row at which the vector of each kernel column begins
    accumulators[by, bx][c] (+)= v[c] * the row's weight * the column's weight
{OUTPUT_NEST}"""
SOFTMAX_NEST = """\
table[256] = next 1024 bytes of the weight stream, int32: exponentials of the distance from the maximum, Q0.31
for by in block_rows: for bx in block_cols:
    row[lanes] = scratchpad at input.address + by * row_step + bx * pixel_step
    highest = max(row); total = sum of table[highest - row[i]]
    scratchpad at output(by, bx) = table[highest - row[i]] / total, in steps of 1/256 less 128
"""
PAGES = {
    Opcode.LOAD: (
        "Copies from DDR to a scratchpad (load queue).",
        TRANSFER_NEST.format(
            line="scratchpad[sram_address + r * sram_stride ...] = row_bytes bytes of DDR[base + ddr_offset + r * ddr_stride ...]"
        ),
    ),
    Opcode.STORE: (
        "Copies from the activation scratchpad to DDR (store queue).",
        TRANSFER_NEST.format(
            line="DDR[base + ddr_offset + r * ddr_stride ...] = row_bytes bytes of scratchpad[sram_address + r * sram_stride ...]"
        ),
    ),
    Opcode.MATMUL: ("Convolution or matrix product on the array (execute queue).", MATMUL_NEST),
    Opcode.SUM: (
        "Adds vectors past the array: average pooling, elementwise work (execute queue).",
        VECTOR_NEST.format(operation="(+)= v[c]", output=OUTPUT_NEST),
    ),
    Opcode.MAX: (
        "Maximum of vectors: max pooling (execute queue).",
        VECTOR_NEST.format(operation="= max(itself, v[c])", output=OUTPUT_NEST),
    ),
    Opcode.DEPTHWISE: ("Depthwise convolution on the array, a kernel row a group of array rows (execute queue).", DEPTHWISE_NEST),
    Opcode.SOFTMAX: ("Softmax of rows of int8, one element at a time (execute queue).", SOFTMAX_NEST),
    Opcode.MATMUL_INT4: ("MATMUL with weights of 4 bits; only where the configuration has `int4` (execute queue).", MATMUL_INT4_NEST),
    Opcode.DEPTHWISE_INT4: (
        "DEPTHWISE with weights of 4 bits; only where the configuration has `int4` (execute queue).",
        DEPTHWISE_INT4_NEST,
    ),
    Opcode.INTERPOLATE: (
        "Weighs vectors past the array by where a pixel lies between four others; only where the configuration has `interpolation` "
        "(execute queue).",
        INTERPOLATE_NEST,
    ),
}
"""What each command does, in a sentence and as a loop nest."""


def commands_page() -> str:
    """The text of `docs/commands.md`."""
    parts = [
        INTRODUCTION,
        "## Commands\n",
        _table(("opcode", "command", "does"), [(op.value, _link(op.name), PAGES[op][0]) for op in Opcode]),
    ]
    for opcode in Opcode:
        parts += _command(opcode)
    parts += ["## Values of fields\n", *(_enumeration(values) for values in (isa.Region, isa.Target, isa.Params, isa.Second))]
    parts += ["## Errors\n", "In register ERROR_CODE, with the index of the command in ERROR_INDEX.\n"]
    parts.append(_table(("code", "name", "meaning"), [(e.value, e.name, isa.ERROR_MEANING[e]) for e in isa.Error]))
    parts += ["## Registers\n", *_registers(registers.TABLE)]
    parts += ["## Records\n", f"{records.RECORD_BYTES} bytes a command, at record base + {records.RECORD_BYTES} * index.\n"]
    parts.append(_table(("byte", "word", "meaning"), [(4 * i, f.name, f.meaning) for i, f in enumerate(records.RECORD)]))
    return "\n".join(parts)


def configuration_page() -> str:
    """The text of `docs/configuration.md`: the fields with the words of `NpuConfig`'s docstring."""
    attributes = inspect.getdoc(NpuConfig).partition("Attributes\n")[2].partition("Raises\n")[0]
    meanings = {name: " ".join(text.split()) for name, text in re.findall(r"^(\w+) : \w+\n((?: +.*\n)+)", attributes, re.MULTILINE)}
    fields = [field.name for field in dataclasses.fields(NpuConfig)]
    presets = PRESETS.values()
    rows = [(f"`{name}`", *(getattr(preset, name) for preset in presets), meanings[name].replace("``", "`")) for name in fields]
    return f"{CONFIGURATION}\n{_table(('field', *PRESETS, 'meaning'), rows)}"


def _command(opcode):
    sentence, nest = PAGES[opcode]
    yield f"### {opcode.name}\n"
    yield f"{sentence}\n"
    yield f"```\n{nest}```\n"
    rows = []
    for group, where in isa.layout_of(opcode):
        inner = isa.group_layout(group)
        for field in command_fields.GROUPS[group]:
            low = where.offset + inner[field.name].offset
            rows.append((f"{group}.{field.name}", _bits(low, field), _type(field), field.meaning))
    yield _table(("field", "bits", "type", "meaning"), rows)


def soc_registers_page() -> str:
    """The text of `docs/soc_registers.md`."""
    return "\n".join([SOC_REGISTERS, *_registers(soc_registers.soc_table(traffic=True), soc_registers.SOC_BASE)])


def _registers(table, base=0):
    yield f"AXI4-Lite, {8 * REGISTER_BYTES} bits wide. Every other offset answers SLVERR.\n"
    yield _table(
        ("offset", "register", "bits", "field", "access", "reset", "meaning"),
        [
            (
                f"0x{base + register.offset:02X}",
                register.name,
                _span(bits.bit, bits.width),
                bits.name,
                bits.access.value,
                _reset(bits),
                bits.meaning,
            )
            for register in table.registers
            for bits in register.fields
        ],
    )


def _reset(bits):
    return "" if bits.access is Access.CONSTANT else bits.reset


def _bits(low, field: Field):
    return _span(low, field.bits)


def _span(low, width):
    return f"{low + width - 1}:{low}" if width > 1 else str(low)


def _type(field: Field):
    return f"{'s' if field.signed else 'u'}{field.bits}"


def _enumeration(values):
    return f"{values.__name__}: " + ", ".join(f"{value.value} {value.name}" for value in values) + ".\n"


def _link(name):
    return f"[{name}](#{name.lower()})"


def _table(head, rows):
    lines = [
        " | ".join(head),
        " | ".join("---" for _ in head),
        *(" | ".join(str(cell).replace("|", "\\|") for cell in row) for row in rows),
    ]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


PAGES_OF_DOCS = {
    "commands.md": commands_page,
    "configuration.md": configuration_page,
    "operators.md": operators_page,
    "silicon.md": silicon_page,
    "soc_registers.md": soc_registers_page,
}
"""The generated pages, and what gives their text."""


def main():
    """Write the files."""
    for name, text in PAGES_OF_DOCS.items():
        (FOLDER / name).write_text(text(), encoding="utf-8")
        print(f"wrote docs/{name}")


if __name__ == "__main__":
    main()
