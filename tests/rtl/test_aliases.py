"""Groups behind aliases, and a residual that is spilled, on the generated Verilog: what once was wrong, and what was called wrong."""

import numpy as np
import pytest

from tests.machine_checks import random_inputs
from tests.random_graphs import inverted_residual
from tests.random_mixtures import MixtureMaker
from tests.rtl.configurations import CORNERS, SIZES
from weft.compiler.driver import compile_graph
from weft.run.network import Prepared, run_samples
from weft.run.whole import whole_of


def shuffled_groups():
    """Groups, their channels dealt out to the next groups, and a filter with two outputs a channel on other rows again."""
    maker = MixtureMaker(np.random.default_rng(0), (1, 1024))
    first = maker.grouped(maker.reshape("input", (1, 8, 8, 16)), 2, 8, (3, 3))
    dealt = maker.transpose(maker.reshape(first, (1, 8, 8, 2, 8)), (0, 1, 2, 4, 3))
    second = maker.grouped(maker.reshape(dealt, (1, 8, 8, 16)), 2, 8, (3, 3))
    return maker.graph(maker.depthwise(maker.reshape(second, (1, 4, 16, 16)), 2, (3, 3)))


def check(graph, config, simulator, seed):
    compiled = compile_graph(graph, config)
    (outcome,) = run_samples(Prepared(whole_of(compiled), simulator(config)), [random_inputs(graph, seed)])
    assert outcome.mismatch is None, outcome.mismatch
    assert sum(outcome.compared) > 2
    return compiled


@pytest.mark.parametrize("config", [SIZES[16, 16], CORNERS[0]], ids=lambda config: f"{config.rows}x{config.cols}")
def test_groups_behind_aliases_are_exact(simulator, config, seed):
    check(shuffled_groups(), config, simulator, seed)


def test_a_residual_that_its_own_reload_overwrites_is_exact_and_said_to_be(simulator, seed):
    compiled = check(inverted_residual(48, 24), SIZES[16, 16], simulator, seed)
    assert "conv_2d_1_out" in compiled.plan.spilled
