"""Random operators and small networks on the generated Verilog, each write compared with the machine, each tensor with the operators."""

import itertools

import numpy as np
import pytest

from golden.geometry import output_size
from hw.npu.errors import WeftError
from tests.machine_checks import random_inputs
from tests.random_graphs import GraphMaker, random_network
from tests.random_mixtures import random_mixture
from tests.rtl.configurations import CORNERS, SIZES
from weft.compiler.driver import compile_graph
from weft.compiler.evaluate import evaluate
from weft.job import Prepared, run_samples

CONFIGS = {config.name if config.name != "small" else f"{config.rows}x{config.cols}": config for config in (*SIZES.values(), *CORNERS)}
MOST_MACS = 1_500_000
"""Of one convolution: keeps a run below a second."""
IN_TEST, IN_TEST_ALL = 5, 38
"""Convolutions for each of the eight configurations: 40 in `make test`, 304 more in `make test-all`."""


def random_convolution(rng):
    """CONV_2D with any stride, padding and dilation, and 1 to 200 channels on either side."""
    while True:
        kernel = tuple(int(k) for k in rng.integers(1, 8 if rng.random() < 0.2 else 4, 2))
        stride = tuple(int(s) for s in rng.integers(1, 4, 2))
        dilation = tuple(int(d) for d in rng.integers(1, 4, 2)) if rng.random() < 0.3 else (1, 1)
        padding = str(rng.choice(["SAME", "VALID"]))
        least = [(k - 1) * d + 1 if padding == "VALID" else 1 for k, d in zip(kernel, dilation, strict=True)]
        size = [int(low + rng.integers(0, 24)) for low in least]
        # small, middle and large channel counts alike
        cin, cout = (int(rng.integers(1, rng.choice([5, 40, 201]))) for _ in range(2))
        out = [output_size(padding, size[i], kernel[i], stride[i], dilation[i]) for i in (0, 1)]
        if np.prod(out) * np.prod(kernel) * cin * cout <= MOST_MACS:
            break
    maker = GraphMaker(rng, (1, *size, cin))
    result = maker.conv("input", cout, kernel, stride=stride, dilation=dilation, padding=padding, per_channel=bool(rng.random() < 0.7))
    if rng.random() < 0.3:  # a residual: the second operand of the output stage
        other = maker.conv("input", cout, (1, 1), stride=stride, padding="SAME") if padding == "SAME" else result
        result = maker.add(result, other)
    return maker.graph(result)


def check(graphs, config, simulator, *, keep_tensors=False):
    """Runs each graph on the RTL and fails at the first difference, with what the diagnosis says of it."""
    for number, graph in enumerate(graphs):
        compiled = compile_graph(graph, config, keep_tensors=keep_tensors)
        inputs = random_inputs(graph, number)
        (outcome,) = run_samples(Prepared(compiled, simulator(config)), [inputs])
        assert outcome.mismatch is None, f"graph {number}, {graph.operators}: {outcome.mismatch}"
        expected = evaluate(graph, inputs)
        for name, value in outcome.outputs.items():
            assert np.array_equal(value, expected[name]), f"graph {number}: output {name} in DDR differs"


@pytest.mark.parametrize("name", list(CONFIGS))
def test_random_convolutions_are_exact(name, simulator, seed):
    streams = np.random.default_rng([seed, list(CONFIGS).index(name)]).spawn(IN_TEST)
    check((random_convolution(rng) for rng in streams), CONFIGS[name], simulator)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CONFIGS))
def test_many_random_convolutions_are_exact(name, simulator, seed):
    streams = np.random.default_rng([seed, 1000 + list(CONFIGS).index(name)]).spawn(IN_TEST_ALL)
    check((random_convolution(rng) for rng in streams), CONFIGS[name], simulator)


@pytest.mark.parametrize("name", list(CONFIGS))
def test_random_networks_are_exact(name, simulator, seed):
    """Pools, sums, pads, vectors and tables beside convolutions, fused and not."""
    first = 10_000 * seed + 100 * list(CONFIGS).index(name)
    for keep_tensors in (False, True):
        check((random_network(first + number) for number in range(3)), CONFIGS[name], simulator, keep_tensors=keep_tensors)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CONFIGS))
def test_many_random_networks_are_exact(name, simulator, seed):
    first = 10_000 * seed + 5_000 + 100 * list(CONFIGS).index(name)
    for keep_tensors, half in itertools.product((False, True), (0, 20)):
        check((random_network(first + half + number) for number in range(20)), CONFIGS[name], simulator, keep_tensors=keep_tensors)


@pytest.mark.parametrize("name", list(CONFIGS))
def test_random_mixtures_are_exact(name, simulator, seed):
    """Operators of all kinds: their steps see slices, broadcasts and interleaved pixels, and several make one tensor."""
    first = 10_000 * seed + 8_000 + 100 * list(CONFIGS).index(name)
    check(fitting(range(first, first + 3), CONFIGS[name]), CONFIGS[name], simulator)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CONFIGS))
def test_many_random_mixtures_are_exact(name, simulator, seed):
    first = 10_000 * seed + 9_000 + 100 * list(CONFIGS).index(name)
    for keep_tensors in (False, True):
        check(fitting(range(first, first + 12), CONFIGS[name], keep_tensors), CONFIGS[name], simulator, keep_tensors=keep_tensors)


def fitting(seeds, config, keep_tensors=False):
    """Random mixtures that are not too large for the scratchpad."""
    for number in seeds:
        graph = random_mixture(number)
        try:
            compile_graph(graph, config, keep_tensors=keep_tensors)
        except WeftError as error:
            if "activation scratchpad" in str(error):
                continue
            raise
        yield graph
