"""A program that would read or write what it should not does not leave the compiler: faults planted in its passes are refused."""

from dataclasses import replace

import numpy as np
import pytest

from golden.footprint import Hazard
from hw.npu.config import PRESETS
from hw.npu.interface.isa import EXECUTE, Command, Opcode
from tests.random_graphs import inverted_residual
from tests.random_mixtures import MixtureMaker
from weft.analysis.search import search
from weft.compiler import driver
from weft.compiler.driver import compile_graph
from weft.compiler.select.selection import Selection

SMALL = PRESETS["small"]
SPILLING = SMALL.replace(act_kib=96)
"""The scratchpad in which the second tensor of `spilled` leaves for DDR and comes back."""
WIDE = "conv_2d_1_out"


def spilled():
    return inverted_residual(24, 24)


def change(monkeypatch, chosen, group, **moved):
    """Make the compiler add to fields of the last command that has them, chosen by opcode and note, behind the pass that makes commands."""
    lower = driver.lower

    def planted(*arguments):
        program = lower(*arguments)
        commands = list(program.commands)
        fit = [chosen(planned.command.opcode, planned.note) and group in planned.command.fields for planned in commands]
        index = [index for index, fits in enumerate(fit) if fits][-1]
        command = commands[index].command
        fields = {field: command[group][field] + number for field, number in moved.items()}
        changed = Command(command.opcode, {**command.fields, group: {**command[group], **fields}})
        commands[index] = replace(commands[index], command=changed)
        return replace(program, commands=tuple(commands))

    monkeypatch.setattr(driver, "lower", planted)


def of(opcode, tensor, first=None):
    """Transfers of a tensor's rows, or of those from one row on, or of weights."""
    begin, end = "" if first is None else f"rows {first}-", f" of {tensor}" if tensor else " bytes"
    return lambda its, note: its == opcode and note.startswith(begin) and note.endswith(end)


def test_the_network_is_compiled_as_it_is_and_spills():
    program = compile_graph(spilled(), SPILLING).program
    assert {WIDE} < compile_graph(spilled(), SPILLING).plan.spilled
    assert any(planned.tensor == WIDE and planned.command.opcode == Opcode.LOAD for planned in program.commands)


def test_a_view_that_takes_the_rows_of_memory_for_those_of_an_alias_is_refused(monkeypatch):
    maker = MixtureMaker(np.random.default_rng(0), (1, 4, 16, 16))
    graph = maker.graph(maker.grouped(maker.reshape("input", (1, 8, 8, 16)), 4, 3, (3, 3)))
    compile_graph(graph, SMALL)
    monkeypatch.setattr(Selection, "seen", lambda selection, name, view: view)
    with pytest.raises(AssertionError, match=r"conv_2d_1 sees reshape_0_out of"):
        compile_graph(graph, SMALL)


ROW, WIDE_ROW = 24 * 3, 24 * 144


@pytest.mark.parametrize(("chosen", "field", "moved", "where"), [
    (of(Opcode.LOAD, "input"), "ddr_offset", ROW, "DDR"),  # its last row comes from the next tensor in the arena
    (of(Opcode.LOAD, "input"), "sram_address", ROW, "the scratchpad"),  # and lies in the next one in the scratchpad
    (of(Opcode.LOAD, "input"), "row_bytes", 1, "DDR"),
    (of(Opcode.LOAD, WIDE, 0), "ddr_offset", -WIDE_ROW, "DDR"),
    (of(Opcode.STORE, WIDE, 0), "ddr_offset", -WIDE_ROW, "DDR"),
    (of(Opcode.STORE, WIDE, 16), "sram_address", 4 * WIDE_ROW, "the scratchpad"),
    (of(Opcode.LOAD, None), "ddr_offset", 8, "DDR"),  # weights: the first word is missing, the last is the next layer's
    (of(Opcode.LOAD, None), "ddr_offset", -8, "DDR"),
])  # fmt: skip
def test_a_transfer_that_leaves_its_tensor_but_not_its_region_is_refused(monkeypatch, chosen, field, moved, where):
    change(monkeypatch, chosen, "dma", **{field: moved})
    with pytest.raises(AssertionError, match=rf"moves bytes .* of {where}, what it names has"):
        compile_graph(spilled(), SPILLING)


def executes(opcode, note):
    return opcode in EXECUTE and note == "rows 16-23, channels 0-143"


@pytest.mark.parametrize(("chosen", "group", "moved", "memory"), [
    (of(Opcode.LOAD, "input"), "dma", {"row_bytes": -1}, "the activation scratchpad"),  # one byte of the input stays in DDR
    (of(Opcode.LOAD, None), "dma", {"row_bytes": -8}, "the weight scratchpad"),
    (of(Opcode.STORE, WIDE, 16), "dma", {"row_bytes": -1}, "region ARENA"),  # one byte is not there when it comes back
    (executes, "loops", {"last_cols": -1}, "the activation scratchpad"),  # a channel is not made, and stored
])  # fmt: skip
@pytest.mark.parametrize("searched", [False, True])
def test_a_read_of_bytes_that_nothing_has_written_is_refused(monkeypatch, chosen, group, moved, memory, searched):
    """Also where a search chooses among several programs."""
    change(monkeypatch, chosen, group, **moved)
    with pytest.raises(Hazard, match=f"reads bytes of {memory} that nothing has written"):
        (search if searched else compile_graph)(spilled(), SPILLING)


@pytest.mark.parametrize(("note", "group", "moved"), [
    ("rows 3-5, channels 0-23", "loops", {"last_cols": -1}),  # a channel is not made: what lay there before is stored
    ("rows 3-5, channels 0-23", "output", {"address": 1}),
    ("rows 21-23, channels 0-23", "input", {"address": 69440}),
    ("rows 0-2, channels 0-23", "second", {"address": -20000}),
])  # fmt: skip
def test_a_read_of_another_tensors_bytes_is_refused(monkeypatch, note, group, moved):
    """They were all written before, long ago."""
    change(monkeypatch, lambda opcode, its: opcode in EXECUTE and its == note, group, **moved)
    with pytest.raises(Hazard, match="bytes of the activation scratchpad that are another tensor's"):
        compile_graph(spilled(), SPILLING)
