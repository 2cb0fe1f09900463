"""Random configurations, far from the presets, each with random networks of all operators: tensors exact on the generated Verilog."""

import numpy as np
import pytest

from hw.npu.config import KIB, NpuConfig
from hw.npu.errors import WeftError
from tests.int4_graphs import layers_with_weights, with_int4_weights
from tests.machine_checks import random_inputs
from tests.random_graphs import random_network
from tests.random_mixtures import MixtureMaker
from tests.random_networks.batch import random_graph
from weft.compiler.driver import compile_graph
from weft.compiler.evaluate import evaluate
from weft.run.network import Prepared, run_samples
from weft.run.whole import whole_of

CONFIGURATIONS = 12
NETWORKS = 9
"""Networks that run on each configuration: 108 pairs."""
MOST_REFUSED = 0.6
"""Share of the draws that may be too large for a scratchpad, of the least configurations too."""
REASONS = ("activation scratchpad", "weight scratchpad", "accumulator")
"""A refused network names what is too small."""
SIDES = (4, 8, 16, 32)


def random_config(seed: int, number: int) -> NpuConfig:
    """Any array to 32x32, memories from the smallest to ones that hold everything, every width, depth and length of the interfaces."""
    rng = np.random.default_rng([seed, number])

    def pick(*values):
        return int(rng.choice(values))

    fields = {
        "rows": pick(*SIDES),
        "cols": pick(*SIDES),
        "axi_bits": pick(32, 64, 128, 256),
        "lane_divisor": pick(1, 2, 4),
        "broadcast": pick(1, 2, 4, 8, 16, 32),
        "accumulator_bits": pick(24, 28, 32),
        "outstanding": pick(1, 2, 5, 8, 16),
        "max_burst": pick(1, 4, 16, 64, 256),
        "queue_depth": pick(2, 4, 16),
    }
    # apart: what else is drawn does not depend on them
    int4, interpolation = (bool(np.random.default_rng([seed, number, salt]).integers(2)) for salt in (4, 6))
    word = max(fields["rows"] * (2 if int4 else 1), fields["cols"], fields["axi_bits"] // 8)
    step = max(1, NpuConfig.BANKS * word // KIB)  # KiB that are a whole number of words in each bank
    act_kib = -(-pick(16, 17, 24, 40, 96, 384, 1024) // step) * step
    memory, streams, multipliers = (int(np.random.default_rng([seed, number, salt]).integers(2)) for salt in (8, 10, 12))
    switches = {
        "int4": int4,
        "interpolation": interpolation,
        "memory_registers": memory,
        "stream_registers": streams,
        "multiplier_registers": multipliers,
    }
    return NpuConfig(name=f"random{number}", act_kib=act_kib, weight_kib=pick(8, 9, 16, 64, 256), **switches, **fields)


def random_depthwise(seed: int):
    """Separable blocks as mobile networks have them, of any filter, step and number of channels."""
    rng = np.random.default_rng(seed)
    maker = MixtureMaker(rng, (1, int(rng.integers(5, 24)), int(rng.integers(5, 24)), int(rng.integers(1, 40))))
    image = "input"
    for _ in range(int(rng.integers(1, 4))):
        height, width = maker.shape(image)[1:3]
        kernel = [int(rng.integers(1, min(8, side + 1))) for side in (height, width)]
        stride = (1, 1) if min(height, width) < 4 else tuple(int(s) for s in rng.integers(1, 3, 2))
        image = maker.depthwise(image, 1, kernel, stride=stride, padding=str(rng.choice(["SAME", "VALID"])))
        image = maker.conv(image, int(rng.integers(1, 48)), (1, 1))
    return maker.graph(image)


def of_random_widths(graph, seed: int):
    """The weights of each layer cut to 4 bits, or not."""
    narrow = np.random.default_rng([seed, 4]).integers(0, 2, len(layers_with_weights(graph)))
    return with_int4_weights(graph, lambda layer: bool(narrow[layer]))


KINDS = (random_network, random_graph, random_depthwise)


def check(compiled, config, simulator, seed):
    """Each write as the machine's, each tensor as the operators', and the outputs in DDR."""
    graph, inputs = compiled.graph, random_inputs(compiled.graph, seed)
    (outcome,) = run_samples(Prepared(whole_of(compiled), simulator(config)), [inputs])
    assert outcome.mismatch is None, f"network {seed}, {config}: {outcome.mismatch}\n{graph}"
    expected = evaluate(graph, inputs)
    for name in graph.outputs:
        assert np.array_equal(outcome.outputs[name], expected[name]), f"network {seed}, {config}: output {name} in DDR differs\n{graph}"


def campaign(config, first, count, simulator):
    """As many networks as are asked for, of each kind in turn, fused and not; those that do not fit are drawn again, and bounded.

    With ``int4`` some layers have 4-bit weights.
    """
    ran, refused = 0, []
    for number in range(first, first + int(count / (1 - MOST_REFUSED))):
        if ran == count:
            break
        keep_tensors = ran % 2 == 1
        graph = KINDS[ran % len(KINDS)](number)
        if config.int4:
            graph = of_random_widths(graph, number)
        try:
            compiled = compile_graph(graph, config, keep_tensors=keep_tensors)
        except WeftError as error:
            refused.append(str(error))
            continue
        check(compiled, config, simulator, number)
        ran += 1
    print(f"{config}: {ran} networks exact, {len(refused)} refused")
    assert all("\n" not in line and any(reason in line for reason in REASONS) for line in refused), refused
    assert ran == count, f"{config}: only {ran} of {ran + len(refused)} random networks fit: {refused}"


@pytest.mark.slow
@pytest.mark.parametrize("number", range(CONFIGURATIONS))
def test_random_networks_are_exact_on_a_random_configuration(number, simulator, seed):
    campaign(random_config(seed, number), 100_000 * seed + 1000 * number, NETWORKS, simulator)


def test_random_configurations_reach_both_ends_of_every_field(seed):
    """What the campaign draws: configurations that differ, arrays of either shape, the smallest memories and large ones."""
    configs = [random_config(seed, number) for number in range(200)]
    reached = {
        "rows": SIDES,
        "cols": SIDES,
        "axi_bits": (32, 64, 128, 256),
        "lane_divisor": (1, 2, 4),
        "broadcast": (1, 32),
        "act_kib": (16, 1024),
        "weight_kib": (8, 256),
        "outstanding": (1, 16),
        "max_burst": (1, 256),
        "queue_depth": (2, 16),
        "accumulator_bits": (24, 32),
        "int4": (False, True),
        "interpolation": (False, True),
        "multiplier_registers": (0, 1),
    }
    for field, values in reached.items():
        assert set(values) <= {getattr(config, field) for config in configs}, field
