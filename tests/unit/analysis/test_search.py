"""The search keeps the program that the timing model finds fastest."""

import numpy as np
import pytest

from hw.npu.config import NpuConfig
from tests.random_graphs import random_network
from weft.analysis.search import search
from weft.analysis.timing import replay
from weft.compiler.driver import compile_graph
from weft.compiler.tuning import USUAL


@pytest.mark.parametrize("act_kib", [24, 384])
def test_the_program_found_is_the_fastest_of_all_that_were_tried_and_never_slower_than_the_usual(act_kib, seed):
    graph, config, seen = random_network(seed), NpuConfig(act_kib=act_kib), []
    found = search(graph, config, announce=seen.append)
    assert tuple(seen) == found.trials and found.trials[0].tuning == USUAL
    assert found.trials[0].cycles == replay(compile_graph(graph, config).program).cycles
    assert found.cycles == min(trial.cycles for trial in found.trials) <= found.trials[0].cycles
    assert found.cycles == replay(found.compiled.program).cycles
    assert found.compiled.tuning == next(trial.tuning for trial in found.trials if trial.cycles == found.cycles)
    assert len({trial.tuning for trial in found.trials}) == len(found.trials), "a tuning was tried twice"


def test_some_network_gains_by_the_search(seed):
    networks = [random_network(int(n)) for n in np.random.default_rng(seed).integers(0, 1000, 4)]
    gains = [found.trials[0].cycles - found.cycles for found in (search(graph, NpuConfig()) for graph in networks)]
    assert max(gains) > 0
