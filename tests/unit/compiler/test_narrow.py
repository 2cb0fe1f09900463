"""Inputs of narrow rows: one transfer and a copy instead of a burst for each row."""

import numpy as np

from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Opcode
from tests.machine_checks import assert_exact
from tests.random_graphs import GraphMaker
from weft.analysis.timing import replay
from weft.compiler import driver
from weft.compiler.driver import compile_graph

CONFIG = NpuConfig()


def spectrogram(seed, width):
    """A convolution over 49 rows of a spectrogram."""
    maker = GraphMaker(np.random.default_rng(seed), (1, 49, width, 1))
    return maker.graph(maker.conv("input", 64, (10, 4), stride=(2, 2)))


def loads(program):
    """Rows of the transfers of the input."""
    return [
        planned.command["dma"]["rows"]
        for planned in program.commands
        if planned.command.opcode == Opcode.LOAD and planned.tensor == "input"
    ]


def test_an_input_of_narrow_rows_comes_without_gaps_and_sooner(seed, monkeypatch):
    graph = spectrogram(seed, 10)
    program = assert_exact(graph, CONFIG, seed=seed).program
    assert set(loads(program)) == {1}
    monkeypatch.setattr(driver, "spread", lambda network, config: network)
    apart = compile_graph(graph, CONFIG).program
    assert max(loads(apart)) > 1, "the rows have no pitch of their own: the case shows nothing"
    assert replay(program).cycles < replay(apart).cycles


def test_an_input_of_wide_rows_is_read_where_it_comes(seed):
    assert len(compile_graph(spectrogram(seed, 80), CONFIG).network.steps) == 1
