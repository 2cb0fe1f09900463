"""Random operators and small networks on the generated Verilog, each write compared with the machine, each tensor with the operators."""

import itertools
import math

import numpy as np
import pytest

from golden.geometry import output_size
from hw.npu.errors import WeftError
from tests.large_images import large_image
from tests.machine_checks import random_inputs
from tests.random_graphs import GraphMaker, random_network
from tests.random_networks.batch import networks
from tests.rtl.configurations import CORNERS, SIZES
from tests.rtl.jobs import TINY
from weft.compiler.driver import compile_graph
from weft.compiler.evaluate import evaluate
from weft.run.network import Prepared, run_samples
from weft.run.whole import whole_of

CONFIGS = {config.name if config.name != "small" else f"{config.rows}x{config.cols}": config for config in (*SIZES.values(), *CORNERS)}
FEW = ("16x16", "narrow")
"""What `make test` runs: a build of a simulator takes longer than what runs on it, and other tests need these."""
EVERY = pytest.mark.parametrize("name", [name if name in FEW else pytest.param(name, marks=pytest.mark.slow) for name in CONFIGS])
MOST_MACS = 1_500_000
"""Of one convolution: keeps a run below a second."""
LARGE = ("MAXIMUM", "SOFTMAX", "MEAN of rows", "AVERAGE_POOL_2D", "squeeze and excite")
"""Kinds of images that are larger than the scratchpad: each way to walk them."""
LEAST_RUN = 0.6
"""Share of random networks that must fit a configuration."""
FEW_MORE = 4
"""Draws that may be refused besides, where few are asked for."""
IN_TEST, IN_TEST_ALL = 5, 38
"""Convolutions for each configuration: on two of the eight in `make test`, on all in `make test-all`, and 304 more there."""


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
        check_compiled(compiled, random_inputs(graph, number), simulator(config), f"graph {number}")


def check_compiled(compiled, inputs, npu, what):
    """Each write as the machine's, each tensor as the operators', and the outputs in DDR."""
    (outcome,) = run_samples(Prepared(whole_of(compiled), npu), [inputs])
    assert outcome.mismatch is None, f"{what}, {compiled.graph}: {outcome.mismatch}"
    expected = evaluate(compiled.graph, inputs)
    for name, value in outcome.outputs.items():
        assert np.array_equal(value, expected[name]), f"{what}, {compiled.graph}: output {name} in DDR differs"


@EVERY
def test_random_convolutions_are_exact(name, simulator, seed):
    streams = np.random.default_rng([seed, list(CONFIGS).index(name)]).spawn(IN_TEST)
    check((random_convolution(rng) for rng in streams), CONFIGS[name], simulator)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CONFIGS))
def test_many_random_convolutions_are_exact(name, simulator, seed):
    streams = np.random.default_rng([seed, 1000 + list(CONFIGS).index(name)]).spawn(IN_TEST_ALL)
    check((random_convolution(rng) for rng in streams), CONFIGS[name], simulator)


@EVERY
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


def check_networks(number, wanted, config, simulator, folder):
    """So many random networks of all operators on the RTL; those that are refused are drawn again, and bounded."""
    ran, refused = 0, []
    for network in networks(number, math.ceil(wanted / LEAST_RUN) + FEW_MORE, config):
        if ran == wanted:
            break
        try:
            graph = network.graph(folder)
            compiled = compile_graph(graph, config, keep_tensors=network.keep_tensors, tuning=network.tuning)
        except WeftError as error:
            refused.append(str(error))
            continue
        check_compiled(compiled, network.sample(graph), simulator(config), f"network {ran} of number {number}")
        ran += 1
    assert ran == wanted, refused


@EVERY
def test_random_networks_of_all_operators_are_exact(name, simulator, seed, tmp_path):
    """Their steps see aliases, slices, broadcasts and interleaved pixels, and several make one tensor."""
    check_networks(10_000 * seed + 8_000 + list(CONFIGS).index(name), 4, CONFIGS[name], simulator, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CONFIGS))
def test_many_random_networks_of_all_operators_are_exact(name, simulator, seed, tmp_path):
    check_networks(10_000 * seed + 9_000 + list(CONFIGS).index(name), 60, CONFIGS[name], simulator, tmp_path)


@pytest.mark.parametrize("kind", LARGE)
def test_an_image_larger_than_the_scratchpad_is_exact(kind, simulator, seed):
    """Rings of rows go round under a window that is summed part by part, and under SOFTMAX, whose rows cannot."""
    check([large_image(kind, np.random.default_rng([seed, *kind.encode()]), TINY.act_bytes, row=240)], TINY, simulator)
