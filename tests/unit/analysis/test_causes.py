"""The table of causes leaves no cycle out and counts none twice."""

import numpy as np
import pytest

from hw.npu.config import NpuConfig
from hw.npu.interface.isa import EXECUTE
from tests.random_graphs import GraphMaker, random_network
from weft.analysis.causes import CAUSES, causes, layer_table, rounded, summed
from weft.analysis.timing import replay
from weft.compiler.driver import compile_graph

WAVES = ("products", "zeros", "rows", "columns", "steps", "vectors")


def explained(graph, config):
    """The program, what was predicted, and the causes of each layer."""
    program = compile_graph(graph, config).program
    timing = replay(program)
    return program, timing, causes(program, timing.records, timing.cycles)


@pytest.mark.parametrize("act_kib", [24, 384])
def test_causes_sum_to_the_cycles_of_the_job(act_kib, seed):
    for network in map(int, np.random.default_rng(seed).integers(0, 1000, 4)):
        program, timing, layers = explained(random_network(network), NpuConfig(act_kib=act_kib))
        assert sum(summed(layers).values()) == timing.cycles, f"network {network}"
        assert sum(sum(rounded(parts).values()) for parts in layers.values()) == timing.cycles
        assert min(part for parts in layers.values() for part in parts.values()) >= 0, f"network {network}: {layers}"
        execute = np.isin(timing.records["opcode"], list(EXECUTE))
        waves = sum(parts[cause] for parts in layers.values() for cause in WAVES)
        assert waves == timing.records["active"][execute].sum()
        assert layer_table(program, layers).row_count == len(layers)


def test_what_an_array_multiplies_and_what_it_leaves_idle_are_told_apart(seed):
    maker = GraphMaker(np.random.default_rng(seed), (1, 4, 5, 24))
    _, _, layers = explained(maker.graph(maker.conv("input", 20, (1, 1))), NpuConfig())
    (parts,) = layers.values()
    assert parts["products"] == 20 * 24 * 20 / 256  # pixels * channels * channels
    assert parts["columns"] == 20 * 2 * 12 / 16  # 12 of the second column tile's 16 columns, two reduction tiles
    assert parts["rows"] == 20 * 2 * (20 / 16) * 8 / 32  # 8 of the second reduction tile's 16 rows
    assert set(parts) == set(CAUSES)
