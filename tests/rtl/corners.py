"""Corner cases that random streams should reach, seen in commands and records."""

import numpy as np

from golden.machine_reads import packed_tiles, read_runs, steps_of
from golden.machine_stream import stream_bytes, tile_terms
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import EXECUTE, INT4_TWIN, VECTORS, Command, Opcode, Second, opcodes
from hw.npu.interface.records import STALLS
from tests.rtl.jobs import TINY, TINY_INT4, Outcome, Stream

PAGE = 4096


def _stalls(outcome):
    execute = np.isin(outcome.records["opcode"], [int(opcode) for opcode in EXECUTE])
    names = {f"feeder stalled: {stall}" for stall in STALLS if outcome.records[f"stall_{stall}"][execute].any()}
    for name, opcode in (("load", Opcode.LOAD), ("store", Opcode.STORE)):
        if outcome.records["stall_bank"][outcome.records["opcode"] == opcode].any():
            names.add(f"{name} refused by a bank")
    return names


def _transfer(command):
    dma = command["dma"]
    name = command.opcode.name.lower()
    yield f"{name} across 4 KiB", dma["ddr_offset"] % PAGE + dma["row_bytes"] > PAGE
    yield f"{name} of rows without alignment", dma["rows"] > 1 and dma["ddr_offset"] % 8 and dma["sram_address"] % 8
    yield f"{name} of a byte", dma["row_bytes"] == 1
    stride = dma["sram_stride"] if command.opcode == Opcode.LOAD else dma["ddr_stride"]
    yield f"{name} of rows in the same place", dma["rows"] > 1 and stride == 0


def _feeder(command):
    """Where reads wrap: begin beyond either end, cross it, or lie in both turns of a ring."""
    loops, source, size = command["loops"], command["input"], TINY.act_bytes
    for runs in read_runs(TINY_INT4, 0, command):
        yield "a read across the end", ((runs.address + runs.low < size) & (runs.address + runs.high > size)).any()
    if command.operation in (Opcode.DEPTHWISE, Opcode.SOFTMAX):
        return
    by, bx = np.arange(loops["block_rows"])[:, None], np.arange(loops["block_cols"])
    row, along = source["y"] + by * source["row_step_y"], source["x_bytes"] + bx * source["pixel_step"]
    inside = (row >= 0) & (row < source["height"]) & (along >= 0) & (along < source["image_row_bytes"])
    ring = np.where(row >= source["wrap_row"], source["wrap_bytes"], 0)
    address = (source["address"] + by * source["row_step"] + bx * source["pixel_step"] - ring)[inside]  # of the first byte of a tile
    yield "feeder wrapped above", (address >= size).any()
    yield "feeder wrapped below", (address < 0).any()
    turned = inside & (row >= source["wrap_row"])
    yield "a ring turned within a block", source["wrap_bytes"] and turned.any() and (inside & ~turned).any()


def _depthwise(command):
    loops = command["loops"]
    read, seen = steps_of(command)
    yield "DEPTHWISE transposed", loops["transposed"]
    yield "DEPTHWISE in several passes", loops["taps_y"] > loops["span"]
    yield "DEPTHWISE with a kernel row missing in its last pass", loops["taps_y"] % loops["span"]
    yield "DEPTHWISE of three kernel rows", loops["span"] == 3 and loops["taps_y"] >= 3 and loops["taps_x"] > 1
    yield "DEPTHWISE of as many taps as rows", loops["taps_x"] == TINY.rows
    yield "DEPTHWISE with a stride", loops["stride"] > 1 and loops["block_cols"] > 1
    yield "DEPTHWISE with several column tiles", loops["column_tiles"] > 1
    yield "DEPTHWISE on partial sums", loops["partial_in"]
    yield "DEPTHWISE with more steps than its taps see", read > seen
    for name, which in (("DEPTHWISE sharing padding", 0), ("DEPTHWISE sharing padding, transposed", 1)):
        yield name, read < seen and loops["transposed"] == which and loops["block_rows"] > 1


def _matmul(command):
    loops, depth = command["loops"], TINY_INT4.tile_depth(command.opcode.int4)
    tiles = list(packed_tiles(loops["taps_y"], loops["lanes"], loops["span"], depth)) if loops["span"] > 1 else []
    partial = loops["lanes"] % depth and loops["last_cols"] < TINY.cols
    yield "last tile partial in both axes", loops["lanes"] > depth and loops["column_tiles"] > 1 and partial
    yield "a tile of three kernel rows", any(len(tile) == 3 for tile in tiles)
    yield "a tile that begins within a kernel row and ends in another", any(len(tile) > 1 and tile[0][1] for tile in tiles)


def _int4(command):
    """Of 4-bit weights; in the last row of an odd tile every second weight means nothing, and is random here."""
    loops, name = command["loops"], command.opcode.name
    terms = tile_terms(TINY_INT4, command)
    odd = [count % 2 for count in terms]
    yield f"{name} of an odd tile behind which another one follows", any(odd[:-1]) or (any(odd) and loops["column_tiles"] > 1)
    yield f"{name} of an odd tile, its parameters behind it", odd[-1] and command["weights"]["params"]
    if command.opcode == Opcode.MATMUL_INT4:
        tiles = list(packed_tiles(loops["taps_y"], loops["lanes"], loops["span"], TINY_INT4.tile_depth(True))) if loops["span"] > 1 else []
        yield f"{name} of a full tile", max(terms) == 2 * TINY.rows
        yield f"{name} of a tile of one byte", min(terms) == 1
        yield f"{name} of a tap of one tile that were two of 8 bits", TINY.rows < loops["lanes"] <= 2 * TINY.rows
        yield f"{name} of a pair that belongs to two kernel rows", any(part[3] % 2 for tile in tiles for part in tile)
    else:
        missing = loops["taps_y"] % loops["span"]  # kernel rows of the last pass that the kernel has
        yield f"{name} of a pair whose upper row alone is behind the kernel", missing and missing * loops["taps_x"] % 2


def _neighbours(before, command):
    """One command behind another that the weight loader takes while the first computes."""
    both = before.opcode, command.opcode
    partial = before["loops"]["partial_out"] and command["loops"]["partial_in"]
    for narrow, wide in (pair for twin, other in INT4_TWIN.items() for pair in ((other, twin), (twin, other))):
        yield f"{narrow.name} behind {wide.name}", both == (wide, narrow)
    yield "8-bit weights go on with partial sums of 4-bit ones", partial and before.opcode.int4 and command.opcode == Opcode.MATMUL
    yield "4-bit weights go on with partial sums of 8-bit ones", partial and before.opcode == Opcode.MATMUL and command.opcode.int4


def _execute(command, carried):
    loops, weights, second, output = (command[group] for group in ("loops", "weights", "second", "output"))
    pixels = loops["block_rows"] * loops["block_cols"]
    stream = stream_bytes(TINY_INT4, command)
    yield command.opcode.name, True
    yield from {Opcode.MATMUL: _matmul, Opcode.DEPTHWISE: _depthwise}.get(command.operation, lambda command: ())(command)
    yield from _int4(command) if command.opcode.int4 else ()
    yield "weight ring wrapped", weights["address"] + stream > TINY.weight_bytes
    yield "partial sums carried in and out", loops["partial_in"] and loops["partial_out"]
    yield "partial sums finished", loops["partial_in"] and not loops["partial_out"]
    yield "partial sums dropped", carried and not loops["partial_in"]
    yield "256 pixels", pixels == TINY.ACCUMULATOR_DEPTH
    yield (
        "one pixel, many reduction tiles",
        pixels == 1 and command.opcode in VECTORS and loops["taps_y"] * loops["taps_x"] > 3,
    )
    yield "command without weights", not stream
    yield "parameters of each channel behind a table", weights["params"] == 2 and weights["load_table"]
    yield "table used", output["use_table"] and not loops["partial_out"]
    yield "single rounding", output["single_rounding"]
    yield f"second operand: {Second(second['operation']).name}", True
    yield "second operand in place", second["operation"] and second["address"] == output["address"]
    yield "second operand elsewhere", second["operation"] and second["address"] != output["address"]
    yield "padding", command["input"]["y"] < 0 and command["input"]["x_bytes"] < 0
    yield from _feeder(command)


def corners(stream: Stream, outcome: Outcome) -> set:
    """Names of the corner cases of a job that ended well."""
    reached, carried, run, before, last = _stalls(outcome), False, 0, None, None
    for packed in stream.packed():
        command = Command.unpack(packed)
        queue = "execute" if command.opcode in EXECUTE else command.opcode.name.lower()
        run, before = run + 1 if queue == before else 1, queue
        if run > TINY.queue_depth + TINY.outstanding + 2:
            reached.add(f"{queue} queue full")
        cases = _execute(command, carried) if command.opcode in EXECUTE else _transfer(command)
        reached |= {name for name, holds in cases if holds}
        if command.opcode in EXECUTE:
            reached |= {name for name, holds in (_neighbours(last, command) if last else ()) if holds}
            carried, last = bool(command["loops"]["partial_out"]), command
    return reached


EXPECTED = frozenset({
    *(f"feeder stalled: {stall}" for stall in STALLS),
    "load refused by a bank",
    "store refused by a bank",
    *(
        f"{name} {case}"
        for name in ("load", "store")
        for case in ("across 4 KiB", "of rows without alignment", "of a byte", "of rows in the same place", "queue full")
    ),
    "feeder wrapped above",
    "feeder wrapped below",
    "a read across the end",
    *(opcode.name for opcode in EXECUTE & opcodes(int4=False, interpolation=False)),
    "a ring turned within a block",
    "DEPTHWISE transposed",
    "DEPTHWISE in several passes",
    "DEPTHWISE with a kernel row missing in its last pass",
    "DEPTHWISE of three kernel rows",
    "DEPTHWISE of as many taps as rows",
    "DEPTHWISE with a stride",
    "DEPTHWISE with several column tiles",
    "DEPTHWISE on partial sums",
    "DEPTHWISE with more steps than its taps see",
    "DEPTHWISE sharing padding",
    "DEPTHWISE sharing padding, transposed",
    "last tile partial in both axes",
    "a tile of three kernel rows",
    "a tile that begins within a kernel row and ends in another",
    *(f"second operand: {operation.name}" for operation in Second),
    "weight ring wrapped",
    "partial sums carried in and out",
    "partial sums finished",
    "partial sums dropped",
    "256 pixels",
    "one pixel, many reduction tiles",
    "command without weights",
    "parameters of each channel behind a table",
    "table used",
    "single rounding",
    "second operand in place",
    "second operand elsewhere",
    "padding",
    "execute queue full",
})
"""All of them with 8-bit weights: the legal campaign of `make test` reaches each."""

EXPECTED_INT4 = frozenset({
    *(opcode.name for opcode in INT4_TWIN.values()),
    *(f"{pair[0].name} behind {pair[1].name}" for twin in INT4_TWIN.items() for pair in (twin, twin[::-1])),
    "8-bit weights go on with partial sums of 4-bit ones",
    "4-bit weights go on with partial sums of 8-bit ones",
    *(
        f"{opcode.name} of an odd tile{rest}"
        for opcode in INT4_TWIN.values()
        for rest in (" behind which another one follows", ", its parameters behind it")
    ),
    "MATMUL_INT4 of a full tile",
    "MATMUL_INT4 of a tile of one byte",
    "MATMUL_INT4 of a tap of one tile that were two of 8 bits",
    "MATMUL_INT4 of a pair that belongs to two kernel rows",
    "DEPTHWISE_INT4 of a pair whose upper row alone is behind the kernel",
})
"""Those of 4-bit weights: the campaign of both widths reaches each."""

EXPECTED_OF: dict[NpuConfig, frozenset] = {TINY: EXPECTED, TINY_INT4: EXPECTED_INT4}
"""By the configuration of a campaign of legal commands."""
