"""Pixels side by side: the same bytes in fewer waves, and only where pixels lie as the array reads them."""

import numpy as np
import pytest

from hw.npu.config import NpuConfig
from hw.npu.interface.isa import EXECUTE, Opcode
from tests.machine_checks import assert_exact
from tests.random_graphs import GraphMaker
from weft.analysis.timing import replay
from weft.compiler import driver
from weft.compiler.driver import compile_graph
from weft.compiler.pairs import pair
from weft.compiler.select import select

CONFIG = NpuConfig()


def one_layer(seed, shape, kind, **fields):
    """A network of one layer of a few channels."""
    maker = GraphMaker(np.random.default_rng(seed), shape)
    made = maker.depthwise("input", (3, 3), **fields) if kind == "depthwise" else maker.conv("input", fields.pop("channels", 8), **fields)
    return maker.graph(made)


def waves(program) -> int:
    """Cycles in which the feeder issues a wave."""
    records = replay(program).records
    return int(records["active"][np.isin(records["opcode"], list(EXECUTE))].sum())


PAIRED = {
    "filter": ((1, 12, 12, 8), "depthwise", {}),
    "filter of 5 channels": ((1, 9, 18, 5), "depthwise", {"padding": "VALID"}),
    "filter, dilated": ((1, 12, 16, 4), "depthwise", {"dilation": (1, 2)}),
    "first convolution": ((1, 24, 24, 3), "conv", {"kernel": (3, 3), "stride": (2, 2)}),
    "single pixels": ((1, 6, 10, 5), "conv", {"kernel": (1, 1), "channels": 3}),
    "one column of taps, dilated": ((1, 12, 16, 8), "conv", {"kernel": (3, 1), "channels": 4, "dilation": (1, 2)}),
    "one channel": ((1, 9, 8, 1), "conv", {"kernel": (3, 3), "channels": 7, "per_channel": False}),
}
AS_THEY_ARE = {
    "filter with a stride": ((1, 12, 12, 8), "depthwise", {"stride": (1, 2)}),
    "odd width": ((1, 12, 11, 8), "depthwise", {}),
    "channels enough": ((1, 12, 12, 12), "depthwise", {}),
    "dilated convolution": ((1, 12, 12, 8), "conv", {"kernel": (3, 3), "dilation": (2, 2)}),
}


@pytest.mark.parametrize("name", PAIRED)
def test_pixels_side_by_side_are_exact_and_take_fewer_waves(name, seed, monkeypatch):
    graph = one_layer(seed, *PAIRED[name][:2], **PAIRED[name][2])
    step, layer = assert_exact(graph, CONFIG, seed=seed).network.steps[0], select(graph, CONFIG).steps[0]
    assert step.result.channels >= 2 * layer.result.channels and step.result.size == layer.result.size, f"seed {seed}: {step}"
    paired = waves(compile_graph(graph, CONFIG).program)
    monkeypatch.setattr(driver, "pair", lambda network, config: network)
    assert paired < 0.8 * waves(compile_graph(graph, CONFIG).program)


@pytest.mark.parametrize("name", AS_THEY_ARE)
def test_steps_whose_pixels_are_no_neighbours_stay_as_they_are(name, seed):
    graph = one_layer(seed, *AS_THEY_ARE[name][:2], **AS_THEY_ARE[name][2])
    network = select(graph, CONFIG)
    assert pair(network, CONFIG) == network
    assert_exact(graph, CONFIG, seed=seed)


def test_a_paired_filter_keeps_its_taps_along_the_height(seed):
    """Along the width a step would hold two pixels of which one is the other's neighbour: padding could not be shared."""
    compiled = compile_graph(one_layer(seed, (1, 12, 12, 8), "depthwise"), CONFIG)
    filters = [planned.command for planned in compiled.program.commands if planned.command.opcode == Opcode.DEPTHWISE]
    assert filters and all(command["loops"]["transposed"] for command in filters)


def test_a_second_operand_is_seen_side_by_side_too(seed):
    maker = GraphMaker(np.random.default_rng(seed), (1, 8, 12, 8))
    first = maker.conv("input", 8, (3, 3))
    made = maker.graph(maker.add(maker.conv(first, 8, (3, 3)), first))
    steps = assert_exact(made, CONFIG, seed=seed).network.steps
    assert any(step.second is not None and step.result.channels == 16 for step in steps), f"seed {seed}"
