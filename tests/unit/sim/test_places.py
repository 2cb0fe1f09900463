"""The verdict, tensor by tensor: a wrong command is named, and a tensor whose place is used again before it is whole is none."""

from dataclasses import replace

import numpy as np
import pytest

from golden.machine import Machine
from hw.npu.config import PRESETS, NpuConfig
from hw.npu.interface.isa import EXECUTE, Command, Opcode
from sim.compare import diagnose
from tests.machine_checks import assert_exact, random_inputs
from tests.random_aliases import random_alias_network
from tests.random_graphs import inverted_residual, random_network
from tests.unit.compiler.test_lowering import random_config
from weft.compiler import estimate
from weft.compiler.driver import compile_graph
from weft.compiler.evaluate import evaluate
from weft.compiler.frontends.tflite import read_tflite

SMALL = PRESETS["small"]
SPILLING = SMALL.replace(act_kib=80)
TINY = NpuConfig(rows=4, cols=4, act_kib=32, weight_kib=8)
NETWORKS, FAULTS = 3, 5


def with_one_value(program, index):
    """The program with a command that gives one value for everything."""
    commands = list(program.commands)
    command = commands[index].command
    output = {**command["output"], "clamp_min": 77, "clamp_max": 77, "use_table": 0}
    commands[index] = replace(commands[index], command=Command(command.opcode, {**command.fields, "output": output}))
    return replace(program, commands=tuple(commands))


def faults(compiled, inputs, rng):
    """Commands whose results a fault in them changes, each with the run of the faulty program."""
    program = compiled.program
    right = Machine(program).run(inputs, writes=True)
    alone = [
        index
        for index, planned in enumerate(program.commands)
        if planned.command.opcode in EXECUTE
        and planned.command.opcode != Opcode.SOFTMAX
        and not planned.command["second"]["operation"]
        and len(right.writes[index][0])
        and compiled.network.steps[planned.layer].output_view is None  # what is written over again is no fault
    ]
    for index in rng.choice(alone, min(FAULTS, len(alone)), replace=False):
        wrong = with_one_value(program, int(index))
        result = Machine(wrong).run(inputs, writes=True)
        if (result.writes[index][1] != right.writes[index][1]).any():
            yield int(index), wrong, result


@pytest.mark.parametrize("config", [SMALL, SPILLING, TINY], ids=["small", "spilling", "tiny"])
def test_the_first_wrong_command_is_named_wherever_it_stands(config, seed):
    """In networks whose tensors are whole, in rings of rows and in DDR: everything made of its results is wrong too, and is not named."""
    rng, planted = np.random.default_rng(seed), 0
    for graph in [
        *(random_network(int(number)) for number in rng.integers(0, 1000, NETWORKS)),
        inverted_residual(24, 20 if config is SPILLING else 8),
    ]:
        compiled, inputs = compile_graph(graph, config), random_inputs(graph, seed)
        expected = evaluate(graph, inputs)
        for index, wrong, result in faults(compiled, inputs, rng):
            found = diagnose(wrong, None, result, expected)
            assert found is not None and (found.blame, found.command) == ("compiler", index), f"command {index}: {found}"
            planted += 1
    assert planted > NETWORKS


def in_pieces(program, name) -> int:
    """Pieces in which a tensor is compared."""
    return sum(place.tensor == name for place in program.tensors)


def test_a_tensor_that_its_own_reload_overwrites_is_compared_row_by_row():
    """It is made whole, row by row, leaves for DDR, and comes back into a ring of rows over rows that are still on their way."""
    compiled = assert_exact(inverted_residual(24, 20), SPILLING)
    assert "conv_2d_1_out" in compiled.plan.spilled and in_pieces(compiled.program, "conv_2d_1_out") > 1
    assert in_pieces(compiled.program, "conv_2d_0_out") == 1


def test_a_row_whose_bytes_are_gone_before_it_is_whole_is_compared_byte_by_byte(monkeypatch):
    """Nobody reads the minimum: a constant of the next layer takes its first bytes while its last ones are made.

    It must come in several blocks for that, as where a half of the accumulators is free sooner than it is.
    """
    monkeypatch.setattr(estimate, "HALF_CYCLES", -1000)
    number = 371
    compiled = assert_exact(random_alias_network(number), random_config(np.random.default_rng([number, True])), keep_tensors=True)
    assert in_pieces(compiled.program, "minimum_3_out") > 1


def test_a_spilled_residual_is_exact(cases):
    """It was blamed on the compiler, with right outputs."""
    graph = read_tflite(cases / "d01_spill_residual.tflite")
    for act_kib in (64, 384):
        assert_exact(graph, SMALL.replace(act_kib=act_kib))
    assert "functional_1/conv2d_1_2/Relu6;functional_1/conv2d_1_2/convolution" in compile_graph(graph, SMALL).plan.spilled


@pytest.mark.slow
def test_movenet_is_exact(models):
    """The same in the field: 192x192, 2 tensors leave and come back."""
    compiled = assert_exact(read_tflite(models / "openmv_movenet_singlepose_192.tflite"), SMALL)
    assert [host.operator.op for host in compiled.host_ops] == ["DEQUANTIZE"]
