"""Diagnosis: a planted fault is found at its command, with its element, and its author is named."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from golden.program import Layer, Place, Planned, Program
from hw.npu.config import PRESETS
from hw.npu.interface.isa import Command, Error, Opcode, Region
from sim.compare import diagnose

SHAPE = (1, 2, 3, 4)
SIZE = 24


@pytest.fixture
def agreeing():
    """Two layers of one command each, a store behind; operators, machine and RTL agree."""
    rng = np.random.default_rng(1)
    commands = tuple(
        Planned(Command(op, {}), layer, note, tensor)
        for op, layer, note, tensor in (
            (Opcode.LOAD, 0, "input", None),
            (Opcode.MATMUL, 0, "rows 0-1", "first"),
            (Opcode.SUM, 1, "rows 0-1", "second"),
            (Opcode.STORE, 1, "output", None),
        )
    )
    places = (Place("first", SHAPE, "int8", 0x100, 2, 12, 16, None, 1), Place("second", SHAPE, "int8", 0x400, 1, 24, 24, None, 2))
    output = Place("second", SHAPE, "int8", 64, 1, 24, 24, Region.ARENA, 3)
    program = Program(
        "two layers",
        PRESETS["nano"],
        commands,
        (Layer("conv", "CONV_2D", SHAPE, 1), Layer("pool", "POOL", SHAPE, 1)),
        b"",
        128,
        (),
        (output,),
        places,
    )
    tensors = {place.tensor: rng.integers(-128, 128, SHAPE, dtype=np.int8) for place in places}
    writes = {place.complete_after: (place.byte_addresses(), tensors[place.tensor].reshape(-1).view(np.uint8)) for place in places}
    machine = SimpleNamespace(tensors=tensors, outputs={"second": tensors["second"]}, states={}, writes=writes)
    rtl = SimpleNamespace(error=Error.NONE, error_index=0, outputs=dict(machine.outputs), states={}, writes=lambda: dict(writes))
    return program, rtl, machine, {name: value.copy() for name, value in tensors.items()}


def test_agreement_is_none(agreeing):
    assert diagnose(*agreeing) is None


def test_a_wrong_tensor_of_the_machine_is_the_compilers(agreeing):
    program, rtl, machine, operators = agreeing
    expected = operators["first"][0, 1, 2, 3] = machine.tensors["first"][0, 1, 2, 3] ^ 1
    found = diagnose(program, rtl, machine, operators)
    assert (found.blame, found.layer, found.command, found.wrong, found.total) == ("compiler", "conv", 1, 1, SIZE)
    text = "the compiler is at fault: the machine and the operators differ, first at layer conv, command 1 (rows 0-1)"
    assert str(found).startswith(text)
    assert f"first[y=1, x=2, channel=3]: expected {expected}, got {machine.tensors['first'][0, 1, 2, 3]} (1 of 24 differ)" in str(found)
    assert "MATMUL" in str(found)


def test_a_wrong_write_is_the_rtls(agreeing):
    program, rtl, machine, operators = agreeing
    addresses, values = machine.writes[2]
    wrong = values.copy()
    wrong[5:7] ^= 0x80
    rtl.writes = lambda: {**machine.writes, 2: (addresses, wrong)}
    found = diagnose(program, rtl, machine, operators)
    assert (found.blame, found.layer, found.command, found.wrong) == ("RTL", "pool", 2, 2)
    assert found.what == "second[y=0, x=1, channel=1], byte 5 of the command"
    assert (found.expected, found.got) == (int(values[5:6].view(np.int8)[0]), int(wrong[5:6].view(np.int8)[0]))


def test_a_wrong_address_is_told_from_a_wrong_value(agreeing):
    program, rtl, machine, operators = agreeing
    addresses, values = machine.writes[1]
    rtl.writes = lambda: {**machine.writes, 1: (addresses + (addresses >= 0x110), values)}
    found = diagnose(program, rtl, machine, operators)
    assert found.what == "first[y=1, x=0, channel=0], byte 12 of the command, address" and (found.expected, found.got) == (0x110, 0x111)


def test_missing_writes_are_counted(agreeing):
    program, rtl, machine, operators = agreeing
    addresses, values = machine.writes[1]
    rtl.writes = lambda: {**machine.writes, 1: (addresses[:20], values[:20])}
    found = diagnose(program, rtl, machine, operators)
    assert (found.what, found.expected, found.got, found.wrong) == ("bytes written", 24, 20, 4)


def test_the_earlier_of_two_faults_is_shown(agreeing):
    program, rtl, machine, operators = agreeing
    operators["second"] = operators["second"] ^ 1
    rtl.writes = lambda: {**machine.writes, 1: (machine.writes[1][0], machine.writes[1][1] ^ 1)}
    assert diagnose(program, rtl, machine, operators).blame == "RTL"


def test_a_wrong_output_in_ddr_is_found_behind_right_writes(agreeing):
    program, rtl, machine, operators = agreeing
    rtl.outputs["second"] = machine.outputs["second"] ^ 1
    found = diagnose(program, rtl, machine, operators)
    assert (found.command, found.what) == (3, "second[y=0, x=0, channel=0] in DDR") and found.wrong == SIZE


def test_an_error_of_the_job_is_a_mismatch(agreeing):
    program, rtl, machine, operators = agreeing
    rtl.error, rtl.error_index = Error.AXI_READ, 0
    rtl.writes = dict
    found = diagnose(program, rtl, machine, operators)
    assert (found.command, found.got) == (0, "AXI_READ at command 0")


@pytest.fixture
def in_pieces():
    """A tensor of two rows: the first made in a ring and stored, the second made over it and left there."""
    dma = {"region": Region.ARENA, "ddr_offset": 32, "sram_address": 0x100, "row_bytes": 12, "rows": 1}
    commands = tuple(
        Planned(Command(op, fields), layer, note, tensor)
        for op, fields, layer, note, tensor in (
            (Opcode.MATMUL, {}, 0, "row 0", "banded"),
            (Opcode.STORE, {"dma": dma}, 1, "row 0", None),
            (Opcode.MATMUL, {}, 0, "row 1", "banded"),
        )
    )
    pieces = (
        Place("banded", SHAPE, "int8", 32, 1, 12, 12, Region.ARENA, 1),
        Place("banded", SHAPE, "int8", 0x100, 1, 12, 12, None, 2, first_row=1),
    )
    layers = (Layer("conv", "CONV_2D", SHAPE, 1), Layer("store", "-", SHAPE, 0))
    program = Program("bands", PRESETS["nano"], commands, layers, b"", 128, (), (), pieces)
    tensor = np.random.default_rng(2).integers(-128, 128, SHAPE, dtype=np.int8)
    addresses, values = np.arange(0x100, 0x10C), tensor.reshape(2, 12).view(np.uint8)
    machine = SimpleNamespace(
        tensors={"banded": tensor}, outputs={}, states={}, writes={0: (addresses, values[0]), 2: (addresses, values[1])}
    )
    rtl = SimpleNamespace(error=Error.NONE, error_index=0, outputs={}, states={}, writes=lambda: dict(machine.writes))
    return program, rtl, machine, {"banded": tensor.copy()}


@pytest.mark.parametrize(("row", "command"), [(0, 0), (1, 2)])
def test_a_wrong_element_of_a_piece_is_found_at_the_command_that_wrote_it(in_pieces, row, command):
    program, rtl, machine, operators = in_pieces
    operators["banded"][0, row, 1, 3] ^= 1
    found = diagnose(program, rtl, machine, operators)
    assert (found.blame, found.layer, found.command, found.wrong, found.total) == ("compiler", "conv", command, 1, SIZE)
    assert found.what == f"banded[y={row}, x=1, channel=3]"


@pytest.mark.parametrize(("row", "command"), [(0, 0), (1, 2)])
def test_a_wrong_write_in_a_ring_is_named_by_the_row_that_was_there(in_pieces, row, command):
    program, rtl, machine, operators = in_pieces
    addresses, values = machine.writes[command]
    rtl.writes = lambda: {**machine.writes, command: (addresses, values ^ (np.arange(12) == 7))}
    found = diagnose(program, rtl, machine, operators)
    assert (found.blame, found.command, found.what) == ("RTL", command, f"banded[y={row}, x=1, channel=3], byte 7 of the command")


def test_pieces_that_agree_are_none(in_pieces):
    assert diagnose(*in_pieces) is None


def test_the_first_wrong_command_is_named_though_another_tensor_is_whole_before(agreeing):
    """The first tensor is whole behind the second one, which was made of it: command 1 is wrong, and all that follows from it."""
    program, rtl, machine, operators = agreeing
    first, second = program.tensors
    program = replace(program, tensors=(second, replace(first, complete_after=3)))
    for name in ("first", "second"):
        operators[name] = operators[name] ^ 1
    found = diagnose(program, rtl, machine, operators)
    assert (found.command, found.what, found.wrong) == (1, "first[y=0, x=0, channel=0]", SIZE)


@pytest.mark.parametrize("wrong", [(0, 23), (0,), (23,)])
def test_of_the_commands_that_write_a_tensor_the_first_wrong_one_is_named(agreeing, wrong):
    """The first command writes the tensor's second half: of a tensor whose elements all are wrong it is the first."""
    program, rtl, machine, operators = agreeing
    commands = list(program.commands)
    commands[2] = replace(commands[2], tensor="first")
    program = replace(program, commands=tuple(commands), tensors=(replace(program.tensors[0], complete_after=2),))
    addresses, values = machine.writes[1]
    machine.writes.update({1: (addresses[12:], values[12:]), 2: (addresses[:12], values[:12])})
    operators["first"].reshape(-1)[list(wrong)] ^= 1
    found = diagnose(program, rtl, machine, operators)
    assert (found.command, found.wrong) == (1 if 23 in wrong else 2, len(wrong))


def test_bytes_that_were_never_made_are_the_completing_commands(agreeing):
    """What lies there is another tensor's, right as it is."""
    program, rtl, machine, operators = agreeing
    place = replace(program.tensors[0], address=0x400, row_pitch=12, complete_after=3)
    program = replace(program, tensors=(place, program.tensors[1]))
    operators["first"] = operators["first"] ^ 1
    assert diagnose(program, rtl, machine, operators).command == 3
