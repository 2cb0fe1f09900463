"""The proof of a program's order is exact to the byte, and refuses what hardware would compute otherwise than the golden machine."""

from dataclasses import replace

import numpy as np
import pytest

from golden.footprint import Hazard, footprint
from golden.hazards import check_hazards
from golden.machine_reads import input_bytes
from golden.machine_state import MachineState
from golden.program import Layer, Place, Planned, Program
from hw.npu.config import PRESETS
from hw.npu.interface.isa import Command, Opcode, Region, Second, Target

SMALL = PRESETS["small"]


def program_of(*commands) -> Program:
    planned = tuple(Planned(command, 0) for command in commands)
    return Program("hand made", SMALL, planned, (Layer("layer", "TEST", (1,), 0),), bytes(4096), 4096, (), (), ())


def execute(opcode=Opcode.SUM, **groups) -> Command:
    """Two rows of three pixels of 16 channels, read at 0 and written at 4096."""
    given = {
        "loops": {"block_rows": 2, "block_cols": 3, "taps_y": 1, "taps_x": 1, "lanes": 16, "span": 1, "column_tiles": 1, "last_cols": 16},
        "input": {"height": 9, "image_row_bytes": 48, "pixel_step": 16, "row_step": 48, "row_step_y": 1, "tap_y_step": 48, "tap_y_rows": 1},
        "output": {"address": 4096, "pixel_step": 16, "row_step": 48, "clamp_max": 127},
    }
    return Command(opcode, {name: {**given.get(name, {}), **groups.get(name, {})} for name in given | groups})


def load(address, size=1, **fields) -> Command:
    return Command(Opcode.LOAD, {"dma": {"region": 1, "row_bytes": size, "rows": 1, "sram_address": address, **fields}})


def passes(*commands) -> bool:
    try:
        check_hazards(program_of(*commands))
    except Hazard:
        return False
    return True


DEPTHWISE = {"taps_y": 3, "taps_x": 3, "span": 3, "stride": 1, "positions": 5}
SINGLE = {"block_cols": 1, "taps_x": 1, "positions": 3, "last_cols": 7}
"""Steps that the accumulators need and no tap sees."""


@pytest.mark.parametrize(("command", "first", "end"), [
    (execute(), 0, 96),
    (execute(loops={"last_cols": 5}), 0, 85),
    (execute(Opcode.MATMUL, loops={"taps_y": 3, "lanes": 20}), 0, 192),
    (execute(Opcode.MATMUL, loops={"taps_y": 3, "lanes": 16, "span": 3}), 0, 192),
    (execute(input={"y": -1, "address": -48}), 0, 48),
    (execute(input={"x_bytes": -16, "address": -16}), 0, 80),
    (execute(input={"y": 7, "address": 300, "height": 8}), 300, 348),
    (execute(input={"address": SMALL.act_bytes - 96}), SMALL.act_bytes - 96, SMALL.act_bytes),
    (execute(Opcode.DEPTHWISE, loops=DEPTHWISE), 0, 192),
    (execute(Opcode.DEPTHWISE, loops=DEPTHWISE | {"taps_y": 2}), 0, 144),
    (execute(Opcode.DEPTHWISE, loops=DEPTHWISE | SINGLE, input={"row_step": 0}), 0, 103),
])  # fmt: skip
def test_a_load_over_the_first_or_last_byte_that_is_read_is_a_hazard(command, first, end):
    assert passes(command, load(end % SMALL.act_bytes)) and passes(command, load((first - 1) % SMALL.act_bytes))
    assert not passes(command, load(first)) and not passes(command, load(end - 1))


@pytest.mark.parametrize("rows", [1, 2, 40])
def test_rows_of_a_transfer_leave_the_bytes_between_them_free(rows):
    """Few and many intervals are the same to the proof."""
    command = execute(input={"address": 20000})
    for step in (0, 15, 16, 17):
        strided = load(20000 - 31 * 16 + step, 1, rows=rows, sram_stride=31)
        hits = any(20000 <= 20000 - 31 * 16 + step + 31 * row < 20096 for row in range(rows))
        assert passes(command, strided) == (not hits)


def test_a_read_across_the_end_is_seen_on_both_sides():
    command = execute(input={"address": SMALL.act_bytes - 40})
    for address, free in ((SMALL.act_bytes - 41, True), (SMALL.act_bytes - 1, False), (0, False), (55, False), (56, True)):
        assert passes(command, load(address)) == free


def test_a_ring_is_read_where_its_rows_lie():
    """Image rows 2 and 3 of a ring of three rows: the second lies at its beginning."""
    command = execute(input={"address": 1000 + 2 * 48, "y": 2, "wrap_row": 3, "wrap_bytes": 3 * 48})
    for row, free in ((0, False), (1, True), (2, False)):
        assert passes(command, load(1000 + 48 * row + 20)) == free


def test_a_wait_makes_an_overwriting_load_legal():
    late = load(0)
    waiting = Command(Opcode.LOAD, {**late.fields, "header": {"wait_exec": 1}})
    assert passes(execute(), waiting) and not passes(execute(), late)


@pytest.mark.parametrize(("opcode", "loops", "rows"), [
    (Opcode.MATMUL, {"taps_y": 3, "lanes": 20}, 60),
    (Opcode.DEPTHWISE, DEPTHWISE | {"taps_y": 4, "span": 3}, 18),
    (Opcode.SUM, {}, 0),
])  # fmt: skip
def test_the_weight_stream_has_the_rows_that_the_array_takes(opcode, loops, rows):
    command = execute(opcode, loops=loops, weights={"params": 2, "address": 160})
    size = (9 + rows) * 16

    def weights(address):
        return load(address, 8, target=Target.WEIGHTS)

    assert passes(command, weights(152)) and passes(command, weights(160 + size))
    assert not passes(command, weights(160)) and not passes(command, weights(160 + size - 8))


def test_the_weight_stream_of_a_softmax_is_its_table():
    command = execute(Opcode.SOFTMAX, loops={"last_cols": 1, "lanes": 10})
    assert passes(command, load(1024, 8, target=Target.WEIGHTS)) and not passes(command, load(1016, 8, target=Target.WEIGHTS))
    assert not passes(command, load(48 + 2 * 16 + 9)) and passes(command, load(48 + 2 * 16 + 10))


IN_PLACE = {"address": 0, "pixel_step": 16, "row_step": 48}


@pytest.mark.parametrize(("command", "sound"), [
    (execute(output=IN_PLACE), True),
    (execute(output=IN_PLACE | {"address": 1}), False),
    (execute(loops={"taps_y": 2}, output=IN_PLACE), False),
    (execute(Opcode.MATMUL, output=IN_PLACE), False),
    (execute(Opcode.MATMUL, output={"address": 96}), True),
    (execute(Opcode.MATMUL, output={"address": 95}), False),
    (execute(second=IN_PLACE | {"operation": Second.MUL, "address": 4096}), True),
    (execute(second=IN_PLACE | {"operation": Second.MUL, "address": 4097}), False),
    (execute(second=IN_PLACE | {"operation": Second.MUL, "address": 4096 + 96}), True),
    (execute(second={"operation": Second.ADD, "address": 4096, "pixel_step": 8}, output={"pixel_step": 8}), False),
    (execute(loops={"partial_out": 1}, output=IN_PLACE | {"address": 1}), True),
])  # fmt: skip
def test_results_may_lie_only_where_their_own_operand_lay(command, sound):
    assert passes(command) == sound


SHARING = {"x_bytes": -16, "address": -16, "image_row_bytes": 48, "row_step": 48}


@pytest.mark.parametrize(("loops", "source", "sound"), [
    ({"positions": 5}, {}, True),  # all steps
    ({"positions": 4}, SHARING, True),  # both ends are padding
    ({"positions": 4}, {}, False),
    ({"positions": 4}, {"x_bytes": -16, "image_row_bytes": 80}, False),  # what is left out lies in the image
    ({"positions": 4}, {"image_row_bytes": 48}, False),  # what the next row begins with does
    ({"positions": 3}, SHARING, False),  # two steps of padding would be needed on each side
    ({"positions": 3}, {"x_bytes": -32, "image_row_bytes": 16}, True),
    ({"positions": 2 + 1, "block_cols": 4}, {"x_bytes": -64, "image_row_bytes": 1}, False),  # no step is left for the last output
    ({"positions": 6}, {}, True),  # one more than the taps see
    ({"positions": 4}, SHARING | {"y": -9, "x_bytes": 0}, True),  # every row is padding
])  # fmt: skip
def test_steps_are_shared_only_where_both_are_padding(loops, source, sound):
    command = execute(Opcode.DEPTHWISE, loops=DEPTHWISE | loops, input=source)
    assert passes(command) == sound


def test_transposed_steps_are_shared_where_both_are_padding():
    source = {"y": -1, "height": 3, "x_bytes": 0, "image_row_bytes": 96, "row_step": 16, "tap_y_step": 16, "pixel_step": 96, "address": -96}
    loops = DEPTHWISE | {"transposed": 1, "positions": 4}
    assert passes(execute(Opcode.DEPTHWISE, loops=loops, input=source))
    assert not passes(execute(Opcode.DEPTHWISE, loops=loops, input=source | {"height": 4}))
    assert not passes(execute(Opcode.DEPTHWISE, loops=loops, input=source | {"y": 0}))


def test_the_inputs_of_a_footprint_are_the_bytes_that_are_read(seed):
    """The memory holds the address of every byte, bit by bit in several readings."""
    rng, config, sizes = np.random.default_rng(seed), SMALL.replace(act_kib=16), []
    state = MachineState.fresh(Program("", config, (), (Layer("", "", (), 0),), b"", 0, (), (), ()), 0)
    for _ in range(60):
        opcode = Opcode(rng.choice([Opcode.MATMUL, Opcode.SUM, Opcode.DEPTHWISE]))
        loops = {
            "taps_y": int(rng.integers(1, 4)),
            "lanes": int(rng.integers(1, 40)),
            "partial_out": 1,
            "last_cols": int(rng.integers(1, 17)),
        }
        loops |= {"stride": 1, "positions": 3} if opcode == Opcode.DEPTHWISE else {}
        source = {"address": int(rng.integers(-100, 16384)), "x_bytes": int(rng.integers(-20, 20)), "y": int(rng.integers(-2, 9))}
        command = execute(opcode, loops=loops, input=source | {"pixel_step": int(rng.integers(0, 30)), "pad_value": 1})
        addresses = 0
        for bit in range(14):
            state.activations[:] = 2 + (np.arange(16384) >> bit & 1)
            values = input_bytes(state, 0, command).astype(np.int64)
            addresses = addresses + ((values & 1) << bit)
        read = set(addresses[values != 1].tolist())
        area = footprint(config, 0, command).inputs
        assert read == {byte for place in area.places() for byte in np.arange(16384)[place].tolist()}, f"seed {seed}: {command}"
        sizes.append(area.size)
    assert min(sizes) == 0 and max(sizes) > 100


def transfer(opcode, region, offset, address, **waits) -> Command:
    """Sixteen bytes between DDR and the activation scratchpad."""
    dma = {"region": region, "ddr_offset": offset, "row_bytes": 16, "rows": 1, "sram_address": address}
    return Command(opcode, {"header": waits, "dma": dma})


def brought(offset, address=0, **waits) -> Command:
    return transfer(Opcode.LOAD, Region.ARENA, offset, address, **waits)


def whole_passes(*commands) -> bool:
    """As a whole program, whose input lies in the first 16 bytes of the arena."""
    source = Place("input", (16,), "int8", 0, 1, 16, 16, Region.ARENA)
    try:
        check_hazards(replace(program_of(*commands), inputs=(source,)), whole=True)
    except Hazard:
        return False
    return True


STORED = transfer(Opcode.STORE, Region.ARENA, 64, 0, wait_load=1)


@pytest.mark.parametrize(("commands", "sound"), [
    ((brought(0),), True),
    ((brought(1),), False),  # one byte behind the input
    ((brought(0), STORED), True),
    ((brought(0, 1), STORED), False),  # the first byte was never written
    ((brought(0, 16), STORED), False),
    ((brought(0), STORED, brought(64, 32, wait_store=1)), True),
    ((brought(0), STORED, brought(64, 32)), False),  # before it is there
    ((brought(0), STORED, brought(65, 32, wait_store=1)), False),
    ((brought(0), transfer(Opcode.STORE, Region.ARENA, 0, 0, wait_load=1)), True),  # over the input, which is read by then
    ((brought(0), brought(0, 32), transfer(Opcode.STORE, Region.ARENA, 0, 0, wait_load=1)), False),
    ((brought(0), transfer(Opcode.STORE, Region.ARENA, 4096 - 15, 0, wait_load=1)), False),  # behind the arena's end
    ((transfer(Opcode.LOAD, Region.MODEL, 0, 0),), True),
    ((load(0, 64, region=0), execute(loops={"block_cols": 2, "block_rows": 1}, header={"wait_load": 1})), True),
    ((load(0, 31, region=0), execute(loops={"block_cols": 2, "block_rows": 1}, header={"wait_load": 1})), False),
    ((load(0, 31, region=0), execute(loops={"block_cols": 2, "block_rows": 1, "last_cols": 15}, header={"wait_load": 1})), True),
    ((load(0, 96, region=0), execute(header={"wait_load": 1}, weights={"params": 2})), False),  # parameters that were not loaded
])  # fmt: skip
def test_a_whole_program_reads_only_what_was_written(commands, sound):
    assert whole_passes(*commands) == sound
