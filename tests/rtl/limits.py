"""Limits of the fields of commands, and of scratchpad addresses: by name a legal command and an illegal one, for any configuration."""

from hw.npu.config import NpuConfig
from hw.npu.interface.isa import MAX_PRODUCT_SHIFT, MOST_LAG, PLAIN_MULTIPLIER, Opcode, Region, Second, Target
from tests.rtl.simple import execute, transfer

LOAD, STORE, MATMUL, SUM, MAX = Opcode.LOAD, Opcode.STORE, Opcode.MATMUL, Opcode.SUM, Opcode.MAX

MASKED = {"height": 0}
"""Nothing of the input is read, so that its addresses do not matter."""
SUM_OF_PLAIN = {"operation": Second.ADD, "first_multiplier": PLAIN_MULTIPLIER, "multiplier": PLAIN_MULTIPLIER}
"""A second operand that is added, both operands only shifted."""


def weights(**fields):
    return transfer(LOAD, target=Target.WEIGHTS, region=Region.MODEL, **fields)


def loops(opcode=MATMUL, **fields):
    return execute(opcode, loops=fields, input=MASKED, output={"pixel_step": 0, "row_step": 0})


def depthwise(**fields):
    return loops(Opcode.DEPTHWISE, **{"taps_x": 2, "stride": 1, "positions": 4, **fields})


def softmax(**groups):
    """Rows of 5 bytes; results may overlap."""
    fields = {"taps_x": 1, "last_cols": 1, **groups.pop("loops", {})}
    return execute(Opcode.SOFTMAX, loops=fields, **groups)


def limits(config: NpuConfig) -> dict:
    """Every limit of docs/architecture.md."""
    found = _of_transfers(config.axi_bytes) | _of_loops(config.rows, config.cols) | _of_outputs(config)
    return found | (_of_interpolations() if config.interpolation else {})


def _of_transfers(beat):
    return {
        "row_bytes": (transfer(LOAD, row_bytes=1), transfer(LOAD, row_bytes=0)),
        "rows": (transfer(LOAD, rows=1), transfer(LOAD, rows=0)),
        "region": (transfer(LOAD, region=1), transfer(LOAD, region=2)),
        "region 3": (transfer(LOAD, region=0), transfer(LOAD, region=3)),
        "store row_bytes": (transfer(STORE, row_bytes=1), transfer(STORE, row_bytes=0)),
        "store rows": (transfer(STORE, rows=1), transfer(STORE, rows=0)),
        "store region": (transfer(STORE, region=1), transfer(STORE, region=2)),
        "store target": (transfer(STORE, target=0), transfer(STORE, target=1)),
        **{
            f"weights {name}": (weights(**{name: beat}), weights(**{name: beat + offset}))
            for offset in (1, beat // 2)
            for name in ("ddr_offset", "ddr_stride", "sram_address", "sram_stride", "row_bytes")
        },
    }


def _of_loops(rows, cols):
    taps = min(rows // 2, MOST_LAG)  # of two kernel rows that fill the array, or that lag behind each other as far as they may
    packed = {"taps_x": taps, "positions": taps + 4}
    return {
        "pixels": (loops(block_rows=16, block_cols=16), loops(block_rows=1, block_cols=257)),
        "pixels in a row": (loops(block_rows=1, block_cols=256), loops(block_rows=511, block_cols=511)),
        "pixels in a column": (loops(block_rows=256, block_cols=1), loops(block_rows=257, block_cols=1)),
        **{
            name: (loops(**{name: 1}), loops(**{name: 0}))
            for name in ("block_rows", "block_cols", "taps_y", "taps_x", "column_tiles", "lanes", "span")
        },
        "packed taps": (loops(span=2, taps_x=1), loops(span=2, taps_x=2)),
        "packed taps, three rows": (loops(span=3, taps_x=1, taps_y=3), loops(span=3, taps_x=3)),
        "last_cols low": (loops(last_cols=1), loops(last_cols=0)),
        "last_cols high": (loops(last_cols=cols), loops(last_cols=cols + 1)),
        "last_cols of a maximum": (loops(MAX, last_cols=cols), loops(MAX, last_cols=cols + 1)),
        "partial_in": (loops(column_tiles=2), loops(partial_in=1, column_tiles=2)),
        "partial_out": (loops(partial_out=1), loops(partial_out=1, column_tiles=2)),
        **{
            f"{name} of a filter": (depthwise(**legal), depthwise(**illegal))
            for name, legal, illegal in (
                ("rows", {"span": 2} | packed, {"span": 3} | packed),
                ("taps of two rows", {"span": 2} | packed, {"span": 2} | packed | {"taps_x": packed["taps_x"] + 1}),
                ("taps", {"taps_x": rows, "positions": rows + 3}, {"taps_x": rows + 1, "positions": rows + 4}),
                ("span", {"span": 1}, {"span": 0}),
                ("stride", {"stride": 1}, {"stride": 0}),
                ("positions", {"block_cols": 1, "taps_x": 2, "positions": 3}, {"block_cols": 1, "taps_x": 2, "positions": 2}),
                ("last wave", {"stride": 2, "positions": 6}, {"stride": 2, "positions": 4}),
            )
        },
    }


def _of_interpolations():
    return {
        f"{name} of an interpolation": (loops(Opcode.INTERPOLATE, **{name: 2}), loops(Opcode.INTERPOLATE, **{name: 3}))
        for name in ("taps_y", "taps_x")
    }


def _of_outputs(config):
    weight_bytes, cols = config.weight_bytes, config.cols
    return {
        "weights.address": (execute(weights={"address": cols}), execute(weights={"address": cols + 1})),
        "weights.address high": (execute(weights={"address": weight_bytes - cols}), execute(weights={"address": weight_bytes})),
        "weights.params": (execute(weights={"params": 1}), execute(weights={"params": 3})),
        "right_shift": (execute(output={"right_shift": 31}), execute(output={"right_shift": 32})),
        **{
            f"{name} of a softmax": (softmax(), softmax(loops={name: value}))
            for name, value in (("taps_y", 2), ("taps_x", 2), ("column_tiles", 2), ("last_cols", 2), ("lanes", 0), ("lanes", 4096))
        },
        "table of a softmax": (softmax(weights={"load_table": 0}), softmax(weights={"load_table": 1})),
        "parameters of a softmax": (softmax(weights={"params": 0}), softmax(weights={"params": 1})),
        "partial_in of a softmax": (softmax(), softmax(loops={"partial_in": 1})),
        "partial_out of a softmax": (softmax(), softmax(loops={"partial_out": 1})),
        "second.first_shift of a product": (
            execute(second={"operation": Second.MUL, "first_shift": MAX_PRODUCT_SHIFT}),
            execute(second={"operation": Second.MUL, "first_shift": MAX_PRODUCT_SHIFT + 1}),
        ),
        "second.first_shift of a sum": (
            execute(second=SUM_OF_PLAIN | {"first_shift": 31}),
            execute(second={"operation": Second.MUL, "first_shift": 31}),
        ),
        **{
            f"second {operand}{name} of {operation.name}": (
                execute(second=SUM_OF_PLAIN | {"operation": operation, f"{operand}multiplier": 5}),
                execute(second=SUM_OF_PLAIN | {"operation": operation, f"{operand}multiplier": 5, f"{other}{name}": value}),
            )
            for operation in (Second.ADD, Second.SUB)
            for operand, other in (("first_", ""), ("", "first_"))
            for name, value in (("multiplier", PLAIN_MULTIPLIER + 1), ("shift", 1))
        },
    }


def addresses(config: NpuConfig) -> dict:
    """Scratchpad addresses."""
    size, weight_bytes = config.act_bytes, config.weight_bytes
    return {
        "load": (transfer(LOAD, sram_address=size - 64), transfer(LOAD, sram_address=size - 63)),
        "load, second row": (
            transfer(LOAD, rows=2, row_bytes=8, sram_stride=size - 8),
            transfer(LOAD, rows=2, row_bytes=8, sram_stride=size - 7),
        ),
        "load, far": (transfer(LOAD, row_bytes=1, sram_address=size - 1), transfer(LOAD, row_bytes=1, sram_address=(1 << 24) - 1)),
        "weights": (weights(sram_address=weight_bytes - 64), weights(sram_address=weight_bytes - 64 + config.axi_bytes)),
        "store": (transfer(STORE, sram_address=size - 64), transfer(STORE, sram_address=size - 63)),
        "store, second row": (
            transfer(STORE, rows=2, row_bytes=8, sram_stride=size - 8),
            transfer(STORE, rows=2, row_bytes=8, sram_stride=size - 7),
        ),
        "input above": (execute(input={"address": size - 1}), execute(input={"address": 2 * size})),
        "input below": (execute(input={"address": -size}), execute(input={"address": -size - 1})),
        "input, a later row": (execute(input={"row_step": 2 * size - 64}), execute(input={"row_step": 2 * size})),
        "input of a sum": (execute(SUM, input={"address": size}), execute(SUM, input={"address": 2 * size})),
        "input, masked": (execute(input={"address": 3 * size, "height": 0}), execute(input={"address": 3 * size, "height": 1})),
        "input, masked in part": (
            execute(input={"address": 3 * size, "x_bytes": -29}),
            execute(input={"address": 3 * size, "x_bytes": -28}),
        ),
        "output": (execute(output={"address": size - 23}), execute(output={"address": size - 22})),
        "output, far": (execute(output={"row_step": 8192}), execute(output={"row_step": (1 << 24) - 1})),
        "second operand": (
            execute(second=SUM_OF_PLAIN | {"address": size - 23, "pixel_step": 4, "row_step": 12}),
            execute(second=SUM_OF_PLAIN | {"address": size - 22, "pixel_step": 4, "row_step": 12}),
        ),
    }
