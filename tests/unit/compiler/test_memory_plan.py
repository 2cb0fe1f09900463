"""Buffers that are there together never overlap, whatever the network, and every operand is there when a step reads it."""

import numpy as np
import pytest

from golden.program import Program
from hw.npu.config import PRESETS
from tests.random_graphs import random_network
from weft.compiler.driver import compile_graph
from weft.compiler.fuse import fuse
from weft.compiler.memory_plan import memory_plan
from weft.compiler.select import select
from weft.compiler.tile import StepTiler

SMALL = PRESETS["small"]


def planned(network, config):
    """The memory plan of a network."""
    tilers = [StepTiler(index, step, config) for index, step in enumerate(network.steps)]
    return memory_plan(network, config, tilers)


@pytest.mark.parametrize("act_kib", [24, 1024])
@pytest.mark.parametrize("seed", range(20))
def test_living_tensors_never_overlap(seed, act_kib):
    selected = select(random_network(seed), SMALL)
    for network in (selected, fuse(selected)):
        memory = planned(network, SMALL.replace(act_kib=act_kib))
        for number in range(len(memory.plan.segments)):
            owner = np.full(act_kib * 1024, -1)
            for index, ((segment, _), buffer) in enumerate(memory.buffers.items()):
                if segment != number or buffer.tensor == memory.plan.segments[number].overwritten:
                    continue
                bytes_of = (buffer.address + np.arange(buffer.rows)[:, None] * buffer.row_pitch + np.arange(buffer.row_bytes)).reshape(-1)
                assert (owner[bytes_of] == -1).all(), f"seed {seed}, segment {number}: {buffer} overlaps another"
                owner[bytes_of] = index


@pytest.mark.parametrize("act_kib", [24, 1024])
@pytest.mark.parametrize("seed", range(10))
def test_every_operand_has_a_buffer_when_a_step_reads_it(seed, act_kib):
    network = fuse(select(random_network(seed), SMALL))
    memory = planned(network, SMALL.replace(act_kib=act_kib))
    for number, segment in enumerate(memory.plan.segments):
        for step in network.steps[segment.first : segment.end]:
            for name in (*step.reads, step.output):
                assert (number, network.root[name]) in memory.buffers


@pytest.mark.parametrize("seed", range(10))
def test_segments_are_the_steps_in_their_order(seed):
    network = fuse(select(random_network(seed), SMALL))
    segments = planned(network, SMALL.replace(act_kib=24)).plan.segments
    assert [index for segment in segments for index in range(segment.first, segment.end)] == list(range(len(network.steps)))
    for segment in segments:
        rows = {index: [] for index in range(segment.first, segment.end)}
        for band in segment.bands:
            rows[band.step] += range(band.y, band.y + band.rows)
        assert all(made == list(range(network.steps[index].result.height)) for index, made in rows.items())


def test_pitches_avoid_a_multiple_of_all_banks():
    program: Program = compile_graph(random_network(1), SMALL.replace(act_kib=1024)).program
    for place in program.tensors:
        assert place.rows == 1 or place.row_pitch == place.row_bytes or place.row_pitch == place.row_bytes + SMALL.word_bytes
