"""The order of the rows of a weight stream, and what each of them is, against a list made by hand of the specification."""

import random

import pytest
from amaranth.sim import Simulator

from hw.npu.interface.isa import BIAS_ROWS, MAX_SPAN, PARAMETER_ROWS, Opcode, Params
from hw.npu.walks.reduction_walk import reduction_tiles
from hw.npu.weights.weight_rows import WeightRows

ROWS, COLS = 8, 16
OPCODES = (Opcode.MATMUL, Opcode.DEPTHWISE, Opcode.SUM, Opcode.MATMUL_INT4, Opcode.DEPTHWISE_INT4)
KINDS = {"table": {"table": 1}, "params": {"params": 1}, "weights": {}}


def _command(rng, int4):
    opcode = rng.choice([opcode for opcode in OPCODES if int4 or not opcode.int4])
    loops = {"span": rng.randint(1, MAX_SPAN), "taps_y": rng.randint(1, 5), "column_tiles": rng.randint(1, 3)}
    if opcode.operation == Opcode.DEPTHWISE:
        loops["taps_x"] = rng.randint(1, ROWS // loops["span"])
    else:
        loops |= {"taps_x": rng.randint(1, 3) if loops["span"] == 1 else 1, "lanes": rng.randint(1, 5 * ROWS)}
    return {"opcode": opcode, "loops": loops, "weights": {"params": rng.choice(list(Params)), "load_table": rng.randrange(2)}}


def _tiles(command):
    """Of each reduction tile, for each row of weights of the array or byte of a pair: whether it counts as 0."""
    opcode, loops = command["opcode"], command["loops"]
    if opcode.operation == Opcode.MATMUL:
        shape = {name: loops[name] for name in ("taps_y", "taps_x", "lanes", "span")}
        return [[0] * tile.rows for tile in reduction_tiles(**shape, rows=2 * ROWS if opcode.int4 else ROWS)]
    if opcode.operation == Opcode.DEPTHWISE:
        kernel_rows = [range(first, first + loops["span"]) for first in range(0, loops["taps_y"], loops["span"])]
        return [[int(ky >= loops["taps_y"]) for ky in rows for _ in range(loops["taps_x"])] for rows in kernel_rows]
    return []


def _set(kind, count):
    return [KINDS[kind] | {"row": row, "last": int(row == count - 1)} for row in range(count)]


def _expected(command):
    """Rows of the whole stream; of the weights what they are beside."""
    opcode, rows = command["opcode"], []
    if command["weights"]["load_table"]:
        rows += _set("table", 256 // COLS)
    for _ in range(command["loops"]["column_tiles"]):
        for zeros in _tiles(command):
            together = 2 if opcode.int4 else 1
            terms = [zeros[first : first + together] for first in range(0, len(zeros), together)]
            made = _set("weights", len(terms))
            for row, halves in zip(made, terms, strict=True):
                row["zero"] = halves[0]
                if opcode == Opcode.DEPTHWISE_INT4:
                    row |= {"pair": 1, "upper": len(halves) - 1} | ({"zero_upper": halves[1]} if len(halves) == 2 else {})
            rows += made
        rows += _set("params", {Params.NONE: 0, Params.BIAS: BIAS_ROWS, Params.FULL: PARAMETER_ROWS}[command["weights"]["params"]])
    return rows


@pytest.mark.parametrize("int4", [False, True], ids=["int8", "int4"])
def test_rows_come_in_the_order_of_the_specification(int4, seed):
    rng = random.Random(seed)
    dut, seen = WeightRows(rows=ROWS, cols=COLS, int4=int4), set()

    async def run(ctx):
        for _ in range(200):
            command = _command(rng, int4)
            want = _expected(command)
            ctx.set(dut.command, command)
            await ctx.tick().repeat(2)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            assert ctx.get(dut.empty) == (not want), f"seed {seed}: {command}"
            for number, row in enumerate(want):
                while not ctx.get(dut.valid):
                    await ctx.tick()
                kind = {"table": 0, "params": 0} | ({"pair": 0} if int4 else {})
                row = kind | row | {"end": int(number == len(want) - 1)}
                got = {name: ctx.get(getattr(dut, name)) for name in row}
                assert got == row, f"seed {seed}, row {number} of {command}"
                seen.add((row.get("pair"), row.get("upper"), row.get("zero"), row.get("zero_upper")))
                ctx.set(dut.step, 1)
                await ctx.tick()
                ctx.set(dut.step, 0)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(run)
    sim.run()
    pairs = {(1, 0, 0, None), (1, 0, 1, None), (1, 1, 0, 0), (1, 1, 0, 1), (1, 1, 1, 1)}
    assert not int4 or pairs <= seen, f"seed {seed}: not reached: {pairs - seen}"
