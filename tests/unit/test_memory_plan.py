"""Tensors that live together never overlap, whatever the network."""

import numpy as np
import pytest

from golden.program import Program
from hw.npu.config import PRESETS
from tests.random_graphs import random_network
from weft.compiler.driver import compile_graph
from weft.compiler.fuse import fuse
from weft.compiler.memory_plan import memory_plan
from weft.compiler.select import select

SMALL = PRESETS["small"]


@pytest.mark.parametrize("seed", range(40))
def test_living_tensors_never_overlap(seed):
    selected = select(random_network(seed))
    for network in (selected, fuse(selected)):
        plan = memory_plan(network, SMALL.replace(act_kib=1024))
        for index in range(-1, len(network.steps) + 1):
            owner = np.full(1024 * 1024, -1)
            for number, slot in enumerate(plan.slots.values()):
                if not slot.first <= index <= slot.last:
                    continue
                bytes_of = (slot.address + np.arange(slot.rows)[:, None] * slot.row_pitch + np.arange(slot.row_bytes)).reshape(-1)
                assert (owner[bytes_of] == -1).all(), f"seed {seed}, step {index}: {slot} overlaps another tensor"
                owner[bytes_of] = number


@pytest.mark.parametrize("seed", range(10))
def test_every_operand_lives_when_a_step_reads_it(seed):
    network = fuse(select(random_network(seed)))
    plan = memory_plan(network, SMALL.replace(act_kib=1024))
    for index, step in enumerate(network.steps):
        for name in (*step.reads, step.output):
            slot = plan.slots[network.root[name]]
            assert slot.first <= index <= slot.last


def test_pitches_avoid_a_multiple_of_all_banks():
    program: Program = compile_graph(random_network(1), SMALL.replace(act_kib=1024)).program
    for place in program.tensors:
        assert place.rows == 1 or place.row_pitch == place.row_bytes or place.row_pitch == place.row_bytes + SMALL.word_bytes
