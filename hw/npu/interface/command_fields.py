"""Fields of commands, group by group: names, widths, meanings. `hw.npu.interface.isa` lays them out."""

from dataclasses import dataclass

from amaranth.hdl import signed, unsigned


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

INTERPOLATION = (
    Field("y", 10, "INTERPOLATE: how far pixel (0, 0) lies between kernel rows 0 and 1, in 1/1024 of their distance"),
    Field("step_y", 10, "the same from output row to output row, beside row_step; 1024 of them are tap_y_step"),
    Field("x", 10, "INTERPOLATE: how far pixel (0, 0) lies between kernel columns 0 and 1, in 1/1024 of their distance"),
    Field("step_x", 10, "the same from output pixel to output pixel, beside pixel_step; 1024 of them are tap_x_step"),
)

SECOND = (
    Field("operation", 2, "0 none, 1 ADD, 2 SUB (first less second), 3 MUL"),
    Field("address", 24, "activation address of the second operand's pixel (0, 0), channel 0"),
    Field("pixel_step", 20, "bytes from pixel to pixel"),
    Field("row_step", 24, "bytes from row to row"),
    _s("first_zero_point", 8, "zero point of the first operand (the value that left the clamp or the table)"),
    _s("first_multiplier", 32, "its Q31 multiplier (not in MUL); in ADD and SUB one operand's is 2^30, with a shift of 0"),
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

GROUPS = {
    "header": HEADER,
    "dma": DMA,
    "loops": LOOPS,
    "input": INPUT,
    "weights": WEIGHTS,
    "output": OUTPUT,
    "interpolation": INTERPOLATION,
    "second": SECOND,
}
"""Every group of fields, by the name it has in a command."""
