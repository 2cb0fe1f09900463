"""The waits of compiled networks suffice, and none is there for nothing: each that is left out is a hazard, or follows from the others."""

from dataclasses import replace

import numpy as np
import pytest

from golden.footprint import Hazard
from golden.hazards import HazardChecker, check_hazards
from golden.program import Program
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import EXECUTE, QUEUE_OF, QUEUES, Command
from tests.machine_checks import assert_exact
from tests.random_graphs import random_network
from weft.compiler import lower
from weft.compiler.driver import compile_graph

SAMPLES = 8
NETWORKS = 6


def waits_of(program: Program):
    """Every wait that is not 0: (command, queue that is waited for, whether by the weight loader)."""
    for index, planned in enumerate(program.commands):
        for queue, name in enumerate(QUEUES):
            if planned.command["header"][f"wait_{name}"]:
                yield index, queue, False
        if planned.command.opcode in EXECUTE and planned.command["weights"]["wait_load"]:
            yield index, 0, True


def without(program: Program, index: int, queue: int, weights: bool) -> Program:
    """The program with one wait left out."""
    command = program.commands[index].command
    group, field = ("weights", "wait_load") if weights else ("header", f"wait_{QUEUES[queue]}")
    changed = Command(command.opcode, {**command.fields, group: {**command[group], field: 0}})
    commands = list(program.commands)
    commands[index] = replace(commands[index], command=changed)
    return replace(program, commands=tuple(commands))


def follows(program: Program, index: int, queue: int, weights: bool) -> bool:
    """Whether a wait of a command is met by its other waits and by those of the commands before it in its queue."""
    checker = HazardChecker(program)
    for number in range(index):
        checker.step(number, program.commands[number].command)
    command = program.commands[index].command
    if weights:
        return checker.loader[queue] >= command["weights"]["wait_load"]
    own = QUEUES.index(QUEUE_OF[command.opcode])
    others = [0 if name == queue else command["header"][f"wait_{QUEUES[name]}"] for name in range(3)]
    return checker.clock(checker.started[own], others)[queue] >= command["header"][f"wait_{QUEUES[queue]}"]


def is_sound(program: Program) -> bool:
    try:
        check_hazards(program)
    except Hazard:
        return False
    return True


@pytest.mark.parametrize("act_kib", [24, 384])
def test_a_wait_that_is_left_out_is_a_hazard_or_follows_from_the_others(act_kib, seed):
    rng, hazards = np.random.default_rng(seed), 0
    for network in map(int, rng.integers(0, 1000, NETWORKS)):
        program = compile_graph(random_network(network), NpuConfig(act_kib=act_kib)).program
        assert is_sound(program), f"network {network}"
        waits = list(waits_of(program))
        for number in rng.choice(len(waits), min(SAMPLES, len(waits)), replace=False):
            index, queue, weights = waits[number]
            hazard = not is_sound(without(program, index, queue, weights))
            of = f"network {network}, command {index}: {program.commands[index].command}, queue {QUEUES[queue]}, weights {weights}"
            assert hazard or follows(program, index, queue, weights), f"a wait for nothing: {of}"
            hazards += hazard
    assert hazards > NETWORKS


@pytest.mark.parametrize("longest", [0, 1, 5])
def test_a_wait_never_names_a_command_that_is_too_far_behind_for_a_token_of_16_bits(longest, seed, monkeypatch):
    """With a short limit, as if the program had tens of thousands of commands; results stay exact."""
    monkeypatch.setattr(lower, "LONGEST_WAIT", longest)
    program = assert_exact(random_network(seed), NpuConfig(act_kib=24), seed=seed).program
    issued = [0, 0, 0]
    for planned in program.commands:
        header = planned.command["header"]
        assert all(0 <= issued[queue] - header[f"wait_{name}"] <= longest for queue, name in enumerate(QUEUES))
        issued[QUEUES.index(QUEUE_OF[planned.command.opcode])] += 1
    assert is_sound(program)
