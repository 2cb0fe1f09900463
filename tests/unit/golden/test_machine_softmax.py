"""What ends a command on the golden machine equals the operators: SOFTMAX, and second operands that are added, subtracted, multiplied."""

import numpy as np
import pytest

from golden.hazards import Hazard, check_hazards
from golden.machine import Machine, MachineError
from golden.operators.add import add, subtract
from golden.operators.mul import mul
from golden.operators.softmax import exponential_table, softmax
from golden.program import Layer, Place, Planned, Program
from golden.quantization import add_parameters, product_multiplier
from golden.requantize import split_exponent
from hw.npu.config import PRESETS
from hw.npu.interface.isa import SOFTMAX_TABLE_BYTES, Command, Error, Opcode, Region, Second, Target

CONFIG = PRESETS["nano"]


def load(target, region, size, address, **waits) -> Command:
    dma = {"target": target, "region": region, "row_bytes": size, "rows": 1, "sram_address": address}
    return Command(Opcode.LOAD, {"dma": dma, "header": waits})


def run(commands, constants, tensor):
    """Writes of each command; `tensor` is what the arena holds."""
    place = Place("x", tensor.shape, "int8", 0, 1, tensor.size, tensor.size, Region.ARENA)
    planned = tuple(Planned(command, 0) for command in commands)
    program = Program("hand made", CONFIG, planned, (Layer("layer", "TEST", (1,), 0),), constants, tensor.size, (place,), (), ())
    check_hazards(program)
    return Machine(program, fill=0x5A).run({"x": tensor}, writes=True).writes


def rows_command(rows, length, source, target, *, wait=2, pitch=None, weights=0) -> Command:
    steps = {"pixel_step": pitch or length, "row_step": 0}
    return Command(Opcode.SOFTMAX, {
        "header": {"wait_load": wait},
        "loops": {"block_rows": 1, "block_cols": rows, "taps_x": 1, "taps_y": 1, "lanes": length, "column_tiles": 1, "last_cols": 1},
        "input": steps | {"address": source},
        "weights": {"address": weights, "wait_load": wait},
        "output": steps | {"address": target},
    })  # fmt: skip


def table_bytes(scale, beta=1.0) -> bytes:
    return exponential_table(scale, beta).astype("<i4").tobytes()


@pytest.mark.parametrize("target", [0, 3000])
@pytest.mark.parametrize(("rows", "length"), [(1, 10), (7, 12), (3, 255), (1, 1000)])
def test_softmax_of_rows_is_the_operator_in_place_or_elsewhere(rows, length, target, seed):
    """The table lies across the end of the weight scratchpad."""
    x = np.random.default_rng(seed).integers(-128, 128, (rows, length)).astype(np.int8)
    last = CONFIG.weight_bytes - SOFTMAX_TABLE_BYTES // 2
    halves = [
        Command(Opcode.LOAD, {"dma": {
            "target": Target.WEIGHTS, "region": Region.MODEL, "rows": 1, "row_bytes": SOFTMAX_TABLE_BYTES // 2, "ddr_offset": begin,
            "sram_address": address,
        }})
        for begin, address in ((0, last), (SOFTMAX_TABLE_BYTES // 2, 0))
    ]  # fmt: skip
    commands = [*halves, load(Target.ACTIVATIONS, Region.ARENA, x.size, 0), rows_command(rows, length, 0, target, wait=3, weights=last)]
    addresses, values = run(commands, table_bytes(0.07), x)[3]
    assert addresses.tolist() == list(range(target, target + x.size))
    assert np.array_equal(values.view(np.int8).reshape(x.shape), softmax(x, scale=0.07, beta=1.0))


def test_only_the_bytes_of_a_row_are_written(seed):
    x = np.random.default_rng(seed).integers(-128, 128, (4, 16)).astype(np.int8)
    tables = load(Target.WEIGHTS, Region.MODEL, SOFTMAX_TABLE_BYTES, 0), load(Target.ACTIVATIONS, Region.ARENA, x.size, 0)
    addresses, values = run([*tables, rows_command(4, 9, 0, 500, pitch=16)], table_bytes(0.2), x)[2]
    assert addresses.tolist() == [500 + 16 * row + i for row in range(4) for i in range(9)]
    assert np.array_equal(values.view(np.int8).reshape(4, 9), softmax(x[:, :9], scale=0.2, beta=1.0))


@pytest.mark.parametrize(("source", "target"), [(-1, 0), (CONFIG.act_bytes - 19, 0), (0, CONFIG.act_bytes - 19)])
def test_a_row_outside_the_scratchpad_is_an_address_error(source, target):
    program = Program("hand made", CONFIG, (Planned(rows_command(2, 10, source, target, wait=0), 0),), (), bytes(8), 8, (), (), ())
    with pytest.raises(MachineError) as error:
        Machine(program).run({})
    assert (error.value.code, error.value.index) == (Error.ADDRESS, 0)


@pytest.mark.parametrize("wait", [0, 1])
def test_softmax_waits_for_its_rows_and_for_its_table(wait):
    """With fewer than both loads complete, one of the two is a hazard."""
    x = np.zeros((1, 8), np.int8)
    tables = load(Target.ACTIVATIONS, Region.ARENA, x.size, 0), load(Target.WEIGHTS, Region.MODEL, SOFTMAX_TABLE_BYTES, 0)
    with pytest.raises(Hazard):
        run([*tables, rows_command(1, 8, 0, 100, wait=wait)], table_bytes(0.1), x)


SCALES = {"right shift": (0.11, 0.034, 0.19), "left shift": (0.5, 0.9, 0.05)}
"""Of the tensors; a product's multiplier is below 1, or above."""
ZEROS = (3, -17, 5)
CLAMP = (-128, 127)


def _scaled(operation, scales):
    """The command's group ``second`` for the tensors' scales, and the operator's result of two tensors."""
    common = {"zero_point": ZEROS[1], "first_zero_point": ZEROS[0], "out_zero_point": ZEROS[2], "clamp_min": -128, "clamp_max": 127}
    if operation == Second.MUL:
        multiplier, exponent = product_multiplier(*scales)
        left, right = map(int, split_exponent(exponent))
        fields = {"first_shift": left, "out_multiplier": multiplier, "out_shift": right}
        return common | fields, lambda a, b: mul(a, b, multiplier=multiplier, exponent=exponent, zero_points=ZEROS, clamp=CLAMP)
    p = add_parameters(*scales)
    fields = {
        "first_multiplier": p.multiplier1, "first_shift": p.shift1, "multiplier": p.multiplier2, "shift": p.shift2,
        "out_multiplier": p.output_multiplier, "out_shift": p.output_shift,
    }  # fmt: skip
    function = subtract if operation == Second.SUB else add
    return common | fields, lambda a, b: function(a, b, p, zero_points=ZEROS, clamp=CLAMP)


@pytest.mark.parametrize("operation", [Second.ADD, Second.SUB, Second.MUL])
@pytest.mark.parametrize("scales", SCALES)
def test_a_second_operand_makes_what_the_operator_makes(operation, scales):
    """Every pair of two int8 values: a tensor goes through the accumulators unchanged, the other is the second operand."""
    values = np.arange(-128, 128)
    first, second = (grid.astype(np.int8).reshape(-1, 8) for grid in np.meshgrid(values, values))
    fields, operator = _scaled(operation, SCALES[scales])
    for begin in range(0, len(first), 256):
        x = np.stack([first[begin : begin + 256], second[begin : begin + 256]])
        command = Command(Opcode.SUM, {
            "header": {"wait_load": 1},
            "loops": {"block_rows": 1, "block_cols": 256, "taps_x": 1, "taps_y": 1, "span": 1, "column_tiles": 1, "last_cols": 8},
            "input": {"height": 1, "image_row_bytes": 2048, "pixel_step": 8},
            "output": {"address": 8192, "pixel_step": 8, "multiplier": 1 << 30, "left_shift": 1, "clamp_min": -128, "clamp_max": 127},
            "second": fields | {"operation": operation, "address": 2048, "pixel_step": 8},
        })  # fmt: skip
        _, got = run([load(Target.ACTIVATIONS, Region.ARENA, x.size, 0), command], bytes(8), x)[1]
        assert np.array_equal(got.view(np.int8).reshape(-1, 8), operator(*x))
