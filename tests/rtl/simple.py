"""Commands written by hand, legal and short, of which tests change a field."""

import numpy as np

from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Command, Opcode, Region, Target
from tests.rtl.jobs import TINY, Stream

ARENA_BYTES = 2048


def changed(command, group, **fields) -> Command:
    """The command with some fields of a group set."""
    return Command(command.opcode, {**command.fields, group: {**command.fields.get(group, {}), **fields}})


def transfer(opcode, *, header=None, **fields) -> Command:
    """A LOAD or STORE of 64 bytes."""
    return Command(opcode, {"header": header or {}, "dma": {"region": Region.ARENA, "row_bytes": 64, "rows": 1, **fields}})


def execute(opcode=Opcode.MATMUL, **groups) -> Command:
    """A MATMUL, SUM or MAX of 2x3 pixels, reading at 0 and writing at 4096; ``groups`` change fields."""
    fields = {
        "header": {},
        "loops": {
            "block_rows": 2,
            "block_cols": 3,
            "taps_y": 1,
            "taps_x": 2,
            "lanes": 5,
            "span": 1,
            "column_tiles": 1,
            "last_cols": 3,
        },
        "input": {"height": 8, "image_row_bytes": 64, "pixel_step": 8, "row_step": 64, "row_step_y": 1, "tap_x_step": 8, "pad_value": 3},
        "weights": {},
        "output": {"address": 4096, "pixel_step": 4, "row_step": 12, "multiplier": 1 << 30, "clamp_min": -128, "clamp_max": 127},
        "second": {},
    }
    return Command(opcode, {group: {**values, **groups.get(group, {})} for group, values in fields.items()})


def stream_with(command, *, before=3, after=3, seed=0, config: NpuConfig = TINY) -> Stream:
    """A command among short loads and stores, each of which waits for all that stand before it. The first two fill both scratchpads."""
    rng = np.random.default_rng(seed)
    commands = [
        transfer(Opcode.LOAD, region=Region.MODEL, row_bytes=config.act_bytes),
        transfer(Opcode.LOAD, target=Target.WEIGHTS, region=Region.MODEL, row_bytes=config.weight_bytes),
    ]
    commands += [transfer(Opcode.LOAD, sram_address=8192 + 64 * number) for number in range(before - len(commands))]
    commands = [*commands[:before], command]
    commands += [transfer(Opcode.STORE, ddr_offset=1024 + 64 * number, sram_address=4096) for number in range(after)]
    model = rng.integers(-31, 32, config.act_bytes).astype(np.int8).tobytes()
    arena = rng.integers(0, 256, ARENA_BYTES).astype(np.uint8)
    return Stream(in_order(commands), model, arena, config)


def in_order(commands) -> tuple:
    """Each command waits for all before it; waits that are given stay. Packed commands stay as they are and count for nothing."""
    counts, ordered = {"load": 0, "exec": 0, "store": 0}, []
    for command in commands:
        if not isinstance(command, bytes):
            waits = {f"wait_{queue}": count for queue, count in counts.items()}
            given = dict(command.fields)
            command = changed(command, "header", **(waits | given.get("header", {})))
            if command.opcode not in (Opcode.LOAD, Opcode.STORE):
                command = changed(command, "weights", **({"wait_load": counts["load"]} | given.get("weights", {})))
            counts[{Opcode.LOAD: "load", Opcode.STORE: "store"}.get(command.opcode, "exec")] += 1
        ordered.append(command)
    return tuple(ordered)
