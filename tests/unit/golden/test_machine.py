"""The golden machine stops where hardware stops, and the hazard proof finds a wait that is missing."""

import dataclasses
import json

import numpy as np
import pytest

from golden.hazards import Hazard, check_hazards
from golden.machine import Machine, MachineError
from golden.program import Layer, Place, Planned, Program
from hw.npu.config import PRESETS
from hw.npu.interface.isa import EXECUTE, PLAIN_MULTIPLIER, Command, Error, Opcode, Region, Second
from tests.machine_checks import random_inputs
from tests.random_graphs import GraphMaker
from weft.compiler.driver import compile_graph
from weft.compiler.image import write_image

SMALL = PRESETS["small"]
LOOPS = {
    "block_rows": 1, "block_cols": 1, "taps_y": 1, "taps_x": 1, "lanes": 16, "span": 1, "column_tiles": 1, "last_cols": 16,
    "positions": 3, "stride": 1,
}  # fmt: skip
ROW = {"last_cols": 1}
"""What a SOFTMAX has instead."""
INPUT = {"height": 1, "image_row_bytes": 16}
IDENTITY = {"multiplier": 1 << 30, "left_shift": 1, "clamp_min": -128, "clamp_max": 127}


def program_of(*commands) -> Program:
    planned = tuple(Planned(command, 0) for command in commands)
    return Program("hand made", SMALL, planned, (Layer("layer", "TEST", (1,), 0),), bytes(256), 256, (), (), ())


def execute(opcode=Opcode.SUM, **groups) -> Command:
    given = {"loops": LOOPS, "input": INPUT, "output": IDENTITY}
    return Command(opcode, {name: {**given.get(name, {}), **groups.get(name, {})} for name in given | groups})


def transfer(opcode=Opcode.LOAD, **fields) -> Command:
    return Command(opcode, {"dma": {"region": 1, "row_bytes": 16, "rows": 1, **fields}})


@pytest.mark.parametrize(("command", "code"), [
    (execute(loops={"block_rows": 0}), Error.BAD_FIELD),
    (execute(loops={"block_rows": 257}), Error.BAD_FIELD),
    (execute(Opcode.MATMUL, loops={"lanes": 0}), Error.BAD_FIELD),
    (execute(Opcode.MATMUL, loops={"span": 0}), Error.BAD_FIELD),
    (execute(Opcode.MATMUL, loops={"span": 2, "taps_x": 2}), Error.BAD_FIELD),
    (execute(Opcode.DEPTHWISE, loops={"span": 0}), Error.BAD_FIELD),
    (execute(Opcode.DEPTHWISE, loops={"taps_x": 17}), Error.BAD_FIELD),
    (execute(Opcode.DEPTHWISE, loops={"span": 2, "taps_x": 9}), Error.BAD_FIELD),
    (execute(Opcode.DEPTHWISE, loops={"positions": 2}), Error.BAD_FIELD),
    (execute(Opcode.DEPTHWISE, loops={"stride": 0}), Error.BAD_FIELD),
    (execute(Opcode.DEPTHWISE, input={"address": SMALL.act_bytes * 2}), Error.ADDRESS),
    (execute(Opcode.SOFTMAX, loops=ROW | {"lanes": 0}), Error.BAD_FIELD),
    (execute(Opcode.SOFTMAX, loops=ROW | {"lanes": 4096}), Error.BAD_FIELD),
    (execute(Opcode.SOFTMAX, loops=ROW | {"column_tiles": 2}), Error.BAD_FIELD),
    (execute(Opcode.SOFTMAX, loops=ROW, weights={"load_table": 1}), Error.BAD_FIELD),
    (execute(Opcode.SOFTMAX, loops=ROW | {"partial_in": 1}), Error.BAD_FIELD),
    (execute(loops={"last_cols": 17}), Error.BAD_FIELD),
    (execute(loops={"column_tiles": 2, "partial_out": 1}), Error.BAD_FIELD),
    (execute(weights={"address": 8}), Error.BAD_FIELD),
    (execute(output={"right_shift": 32}), Error.BAD_FIELD),
    (execute(input={"address": -(1 << 20)}), Error.ADDRESS),
    (execute(output={"address": SMALL.act_bytes - 15}), Error.ADDRESS),
    (execute(second={"operation": Second.ADD, "multiplier": PLAIN_MULTIPLIER, "address": SMALL.act_bytes}), Error.ADDRESS),
    (execute(header={"wait_exec": 1}), Error.DEADLOCK),
    (execute(weights={"wait_load": 2}), Error.DEADLOCK),
    (transfer(rows=0), Error.BAD_FIELD),
    (transfer(region=2), Error.BAD_FIELD),
    (transfer(target=1, ddr_offset=4), Error.BAD_FIELD),
    (transfer(Opcode.STORE, target=1), Error.BAD_FIELD),
    (transfer(sram_address=SMALL.act_bytes - 15), Error.ADDRESS),
    (transfer(ddr_offset=256), Error.AXI_READ),
    (transfer(Opcode.STORE, ddr_offset=256), Error.AXI_WRITE),
])  # fmt: skip
def test_a_bad_command_stops_with_its_code_and_index(command, code):
    with pytest.raises(MachineError) as caught:
        Machine(program_of(transfer(), command)).run({})
    assert (caught.value.code, caught.value.index) == (code, 1)


@pytest.mark.parametrize("command", [
    execute(loops={"block_rows": 256}, input={"height": 256}),
    execute(input={"address": -16}),
    execute(input={"address": -(1 << 20), "y": -1}),
    execute(output={"address": SMALL.act_bytes - 16}),
    execute(output={"right_shift": 31}),
    execute(Opcode.MATMUL, loops={"span": 3}),
    execute(Opcode.MATMUL, loops={"lanes": 1, "taps_x": 2}),
    execute(Opcode.DEPTHWISE, loops={"taps_x": 16}),
    execute(Opcode.DEPTHWISE, loops={"span": 2, "taps_x": 8}),
    execute(Opcode.DEPTHWISE, loops={"span": 3, "taps_x": 5}),
    execute(Opcode.DEPTHWISE, input={"address": SMALL.act_bytes * 2 - 16}),
    execute(header={"wait_load": 1}),
    transfer(ddr_offset=240),
])  # fmt: skip
def test_the_last_good_value_of_a_limit_passes(command):
    Machine(program_of(transfer(), command)).run({})


def test_input_addresses_wrap_and_masked_lanes_become_the_pad_value():
    load = transfer(sram_address=SMALL.act_bytes - 16)
    copy = execute(input={"address": -16, "x_bytes": -4, "image_row_bytes": 8, "pad_value": 7}, output={"address": 0})
    result = Machine(program_of(load, copy), fill=3).run({})
    assert result.state.activations[:16].tolist() == [7] * 4 + [3] * 8 + [7] * 4


def test_a_store_may_write_to_the_constants_and_a_later_load_reads_it():
    there = {"region": Region.MODEL, "ddr_offset": 32}
    commands = transfer(ddr_offset=16), transfer(Opcode.STORE, **there), transfer(**there, sram_address=64)
    result = Machine(program_of(*commands), fill=np.random.default_rng(1)).run({})
    moved = result.state.regions[Region.ARENA][16:32]
    assert np.array_equal(result.state.regions[Region.MODEL], [*bytes(32), *moved, *bytes(208)])
    assert np.array_equal(result.state.activations[64:80], moved) and moved.any()


def test_partial_sums_are_carried_over_and_do_not_advance_the_half():
    first = execute(loops={"partial_out": 1})
    last = execute(loops={"partial_in": 1}, output={"address": 64})
    result = Machine(program_of(first, first, last), fill=5).run({})
    assert result.state.activations[64:80].tolist() == [10] * 16
    assert result.state.jobs == 1


def pieces_of(rows) -> Program:
    """A tensor of four rows of 16 bytes that passes through one place in the scratchpad, row by row; the second is stored."""
    commands = [transfer(ddr_offset=16 * row, sram_address=64) for row in range(4)]
    commands.insert(2, transfer(Opcode.STORE, sram_address=64, ddr_offset=192))
    done = (0, None, 3, 4)
    places = [Place("rows", (4, 16), "int8", 64, 1, 16, 16, None, done[row], row) for row in rows if row != 1]
    places += [Place("rows", (4, 16), "int8", 192, 1, 16, 16, Region.ARENA, 2, 1)] if 1 in rows else []
    source = Place("input", (64,), "int8", 0, 1, 64, 64, Region.ARENA)
    return dataclasses.replace(program_of(*commands), tensors=tuple(places), inputs=(source,))


def test_a_tensor_is_assembled_from_the_pieces_that_were_there_at_their_time():
    values = np.arange(64, dtype=np.int8)
    result = Machine(pieces_of((3, 1, 0, 2))).run({"input": values})
    np.testing.assert_array_equal(result.tensors["rows"], values.reshape(4, 16))


@pytest.mark.parametrize("rows", [(0, 1, 2), (1, 2, 3), (0, 1, 3), (0, 1, 2, 2, 3)])
def test_pieces_that_leave_out_or_repeat_a_row_are_refused(rows):
    with pytest.raises(ValueError, match="each of its 64 elements once"):
        Machine(pieces_of(rows)).run({"input": np.zeros(64, np.int8)})


def network():
    maker = GraphMaker(np.random.default_rng(0), (1, 12, 12, 16))
    first = maker.conv("input", 32, (3, 3))
    return maker.graph(maker.add(maker.conv(first, 32, (3, 3)), first))


def without(program, index, group, field) -> Program:
    """The program with one wait set to 0."""
    commands = list(program.commands)
    fields = {name: dict(values) for name, values in commands[index].command.fields.items()}
    fields[group][field] = 0
    commands[index] = dataclasses.replace(commands[index], command=Command(commands[index].command.opcode, fields))
    return dataclasses.replace(program, commands=tuple(commands))


@pytest.mark.parametrize(("group", "field", "opcodes"), [
    ("header", "wait_load", EXECUTE),
    ("header", "wait_exec", EXECUTE),
    ("header", "wait_exec", {Opcode.STORE}),
    ("weights", "wait_load", EXECUTE),
])  # fmt: skip
def test_a_missing_wait_is_found(group, field, opcodes):
    program = compile_graph(network(), SMALL).program
    check_hazards(program)
    waiting = [i for i, p in enumerate(program.commands) if p.command.opcode in opcodes and p.command[group][field]]
    with pytest.raises(Hazard):
        check_hazards(without(program, waiting[0], group, field))


def test_a_load_that_overwrites_weights_in_use_is_found():
    maker = GraphMaker(np.random.default_rng(0), (1, 512))
    graph = maker.graph(maker.fully_connected(maker.fully_connected("input", 64), 512))
    program = compile_graph(graph, SMALL.replace(weight_kib=8)).program
    check_hazards(program)
    waiting = [i for i, p in enumerate(program.commands) if p.command.opcode == Opcode.LOAD and p.command["header"]["wait_exec"]]
    with pytest.raises(Hazard, match="overwrites"):
        check_hazards(without(program, waiting[-1], "header", "wait_exec"))


def test_an_image_holds_what_the_program_holds(tmp_path):
    compiled = compile_graph(network(), SMALL)
    program = compiled.program
    folder = write_image(compiled, tmp_path / "image", base=1 << 20)
    described = json.loads((folder / "map.json").read_text())
    assert (folder / "commands.bin").read_bytes() == program.command_bytes()
    assert (folder / "constants.bin").read_bytes() == program.constants
    assert described["areas"]["commands"] == {"address": 1 << 20, "bytes": len(program.command_bytes())}
    written = {register["name"]: register["value"] for register in described["registers"]}
    assert (written["COMMANDS_BYTES"], written["COMMANDS_BASE_LO"]) == (len(program.command_bytes()), 1 << 20)
    assert [place["tensor"] for place in described["inputs"]] == ["input"]
    source = compiled.graph.tensors["input"]
    assert (described["inputs"][0]["scale"], described["inputs"][0]["zero_point"]) == (source.scale, source.zero_point)
    assert described["identity"]["ID"] == 0x57454654
    assert described["identity"]["CONFIG_ROWS"] == 0x40000010


def test_an_input_of_the_wrong_name_is_refused():
    with pytest.raises(Exception, match="no value for input 'input'"):
        Machine(compile_graph(network(), SMALL).program).run({"other": random_inputs(network(), 0)["input"]})
