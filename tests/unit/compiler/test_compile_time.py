"""Compile time grows as the network does, and a search does once what its tunings share: calls are counted, no time is taken."""

import numpy as np
import pytest

from hw.npu.config import PRESETS
from tests.cell_networks import cell_network
from tests.random_graphs import GraphMaker
from weft.analysis import search as searching
from weft.compiler import driver, segments
from weft.compiler.driver import compile_graph
from weft.compiler.graph import Tensor
from weft.compiler.segments import BANDS, SegmentMaker

SMALL = PRESETS["small"]


@pytest.fixture
def counted(monkeypatch):
    """``counted(owner, name)``: the calls of a function from now on, a list of their arguments."""

    def count(owner, name) -> list:
        calls, function = [], getattr(owner, name)

        def call(*arguments, **fields):
            calls.append(arguments)
            return function(*arguments, **fields)

        monkeypatch.setattr(owner, name, call)
        return calls

    return count


@pytest.mark.parametrize("layers", [60, 240])
def test_the_plan_makes_a_few_segments_a_step_however_long_the_network(layers, counted):
    """Which tensors are in the scratchpad besides its own makes no other segment of a step: states are many more."""
    made, asked = counted(SegmentMaker, "_segment"), counted(SegmentMaker, "segment")
    steps = len(compile_graph(cell_network(layers), SMALL).program.layers)
    assert len(asked) > 60 * steps
    assert len(made) < 6 * steps


def test_runs_of_steps_that_cannot_be_a_segment_are_not_laid_out_in_bands(counted):
    """Sixteen steps make a tensor together that does not fit: of 136 runs of them only the whole one can be a segment."""
    maker = GraphMaker(np.random.default_rng(1), (1, 192, 192, 16))
    maker.tensors["axes"] = Tensor("axes", (4,), "int32", None, np.array([0, 1, 3, 2], np.int32))
    graph = maker.graph(maker._operator("TRANSPOSE", ("input", "axes"), (1, 192, 16, 192), {}, like=maker.tensors["input"]))
    cascades = counted(segments, "cascade")
    assert len(compile_graph(graph, SMALL).program.layers) == 16
    assert len(cascades) <= len(BANDS)


def test_a_search_plans_once_for_each_order_of_steps_and_replays_each_program_once(counted):
    maker = GraphMaker(np.random.default_rng(1), (1, 16, 16, 16))
    first = maker.conv("input", 16, (3, 3))
    graph = maker.graph(maker.add(first, maker.conv(maker.conv(first, 16, (1, 1)), 16, (3, 3))))
    selected, plans, replays = counted(driver, "select"), counted(driver, "memory_plan"), counted(searching, "replay")
    found = searching.search(graph, SMALL)
    orders = {(tuple(step.name for step in network.steps), tilers[0].tuning.halves) for network, _, tilers in plans}
    assert len(selected) == 1 and len(plans) == len(orders) <= 4
    streams = {b"".join(planned.command.pack() for planned in program.commands) for (program,) in replays}
    assert len(replays) == len(streams) < len(found.trials)
