"""Random execute commands on the execute unit against the golden machine: every kind next to every other, with ports refused."""

from itertools import count

import numpy as np
import pytest

from golden.machine import Machine
from golden.program import Layer, Planned, Program
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import INT4_TWIN, Command, Opcode
from tests.block.execute_bench import check_windows, run
from tests.block.execute_commands import CommandMaker
from tests.thin import thin

ALL = (Opcode.MATMUL, Opcode.DEPTHWISE, Opcode.DEPTHWISE, Opcode.SUM, Opcode.MAX, Opcode.INTERPOLATE)
BOTH_WIDTHS = (*ALL, *[Opcode.MATMUL_INT4] * 4, *[Opcode.DEPTHWISE_INT4] * 2)


def compare(program, **options):
    """Runs a program on RTL and machine, and fails at the first byte that differs; gives the records."""
    machine = Machine(program).run({}, writes=True)
    writes, records = run(program, {}, **options)
    for index, (addresses, values) in writes.items():
        want_addresses, want = machine.writes[index]
        text = f"command {index}: {program.commands[index].command}"
        assert addresses == want_addresses.tolist(), text
        wrong = [i for i, (a, b) in enumerate(zip(values, want.tolist(), strict=True)) if a != b]
        assert not wrong, f"{text}: {len(wrong)} of {len(want)} wrong, first {wrong[0]}: expected {want[wrong[0]]}, got {values[wrong[0]]}"
    check_windows(records)
    return records


def _program(seed, opcodes, *, rows, cols, count=8, **fields):
    rng = np.random.default_rng(seed)
    interpolation = Opcode.INTERPOLATE in opcodes
    config = NpuConfig(rows=rows, cols=cols, act_kib=16, weight_kib=8, axi_bits=64, interpolation=interpolation, **fields)
    maker = CommandMaker(rng, config, opcodes, small=bool(rng.integers(2)))
    maker.grow(count)
    return maker.program()


@pytest.mark.parametrize(
    ("rows", "cols", "broadcast", "busy"),
    thin([(*shape, busy) for shape in ((4, 4, 16), (8, 4, 2), (16, 16, 4), (4, 8, 8), (32, 8, 2)) for busy in (0, 6, 13)], 4),
)
def test_any_command_follows_any_other(rows, cols, broadcast, busy, seed):
    program = _program([seed, rows, cols, busy], ALL, rows=rows, cols=cols, broadcast=broadcast)
    compare(program, busy=busy)


@pytest.mark.parametrize(("rows", "busy"), thin([(8, 6), (16, 0)]))
def test_any_command_follows_any_other_on_a_quarter_of_the_lanes(rows, busy, seed):
    compare(_program([seed, rows, busy], ALL, rows=rows, cols=8, broadcast=2, lane_divisor=4), busy=busy)


@pytest.mark.parametrize(
    ("rows", "cols", "broadcast", "busy"),
    thin([(4, 4, 16, 0), (4, 4, 16, 6), (8, 4, 2, 13), (4, 8, 4, 6), (4, 16, 8, 10)]),
)
def test_4_bit_weights_follow_any_other_command(rows, cols, broadcast, busy, seed):
    """On arrays whose two bytes a row are more than, as many as, and fewer than the channels of a vector."""
    for attempt in count():
        program = _program([seed, rows, cols, busy, attempt], BOTH_WIDTHS, rows=rows, cols=cols, broadcast=broadcast, int4=True)
        if set(INT4_TWIN.values()) <= {planned.command.opcode for planned in program.commands}:
            break
    compare(program, busy=busy)


@pytest.mark.parametrize("case", thin([0, 1, 3, 2]))
def test_depthwise_commands_follow_each_other(case, seed):
    """Alike or not: rows are grouped anew, streams end and begin."""
    compare(_program([seed, case], [Opcode.DEPTHWISE], rows=16, cols=8, count=10), busy=4 * case)


@pytest.mark.parametrize(("cols", "busy"), thin([(8, 6), (8, 0), (4, 13)], 3))
def test_pixels_between_others_follow_each_other(cols, busy, seed):
    """Weights stay with their vectors where others stand between them, and where ports are refused."""
    opcodes = [*[Opcode.INTERPOLATE] * 4, Opcode.SUM, Opcode.MATMUL]
    compare(_program([seed, busy], opcodes, rows=4, cols=cols, count=10), busy=busy)


def _filter_cycles(*, pitch, positions):
    """Cycles of a DEPTHWISE of 3x3 taps on 9 rows of a 28x28x64 image with padding all round, on 16x16, and multiplications by 256.

    What it reads and writes is all zeros.
    """
    channels, width, rows = 64, 28, 9
    config = NpuConfig(rows=16, cols=16, act_kib=64, weight_kib=8, axi_bits=64)
    loops = {"block_rows": rows, "block_cols": width, "taps_y": 3, "taps_x": 3, "span": 3, "stride": 1, "positions": positions}
    source = {
        "address": -channels,
        "x_bytes": -channels,
        "height": 28,
        "image_row_bytes": width * channels,
        "row_step_y": 1,
        "tap_y_rows": 1,
    }
    command = Command(
        Opcode.DEPTHWISE,
        {
            "loops": loops | {"column_tiles": channels // config.cols, "last_cols": config.cols},
            "input": source | {"pixel_step": channels, "row_step": pitch, "tap_y_step": pitch},
            "output": {"address": 32 * 1024, "pixel_step": channels, "row_step": width * channels, "multiplier": 1 << 30},
        },
    )
    program = Program("", config, (Planned(command, 0),), (Layer("", "", (), 0),), bytes(64), 64, (), (), ())
    (record,) = compare(program)
    cycles, ideal = record["end"] - record["start"], rows * width * channels * 9 // (config.rows * config.cols)
    print(f"{cycles} cycles, {100 * ideal / cycles:.1f} % of the multipliers: {record}")
    assert record["active"] == channels // config.cols * rows * positions
    return cycles, ideal


START = 45
"""Cycles of a command that is alone, before its first step and behind its last."""


def test_a_filter_of_3x3_keeps_half_of_the_multipliers_at_work():
    """9 of 16 rows, and 30 steps for 28 pixels: 52.5 % at most. The planner's pitch, a word more than the pixels take: no conflicts."""
    cycles, ideal = _filter_cycles(pitch=28 * 64 + 16, positions=30)
    assert cycles <= 4 * 9 * 30 + START and 2 * ideal >= cycles


def test_shared_padding_may_cost_more_than_it_saves():
    """With 29 steps, 26 pixels lie between two kernel rows where one has begun the next block row: the same bank, four times a row.

    A pixel is four words here, so that only pixels of the same parity meet: planning can avoid it (30 steps above).
    """
    cycles, _ = _filter_cycles(pitch=28 * 64 + 16, positions=29)
    assert 4 * 9 * (29 + 3) < cycles - START < 4 * 9 * (29 + 5)


def test_kernel_rows_in_the_same_bank_take_turns():
    """A pitch of a multiple of eight words: the first and the third kernel row, six pixels apart, meet in a bank in almost every step."""
    cycles, ideal = _filter_cycles(pitch=28 * 64, positions=30)
    assert 0.25 < ideal / cycles < 0.35
