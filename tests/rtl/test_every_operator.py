"""Every operator that the NPU computes, from file to generated Verilog: tensors against the operators, outputs against the reference."""

import numpy as np
import pytest

from hw.npu.errors import WeftError
from tests.random_operators import OPERATORS, random_value
from tests.random_operators.refused import ALWAYS_REFUSED, MOST_REFUSED, assert_refused_for_its_reason
from tests.random_operators.unsigned import UNSIGNED_OPERATORS
from tests.reference import run_reference
from tests.rtl.configurations import CORNERS, SIZES
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite
from weft.run.network import Prepared, run_samples
from weft.run.whole import whole_of

IN_TEST, IN_TEST_ALL = 5, 50
"""Random shapes of each operator."""
FEW = (SIZES[16, 16], CORNERS[0])
"""The reference array and the oddest one, in turn."""
ALL = (*SIZES.values(), *CORNERS)


def check(op, make, config, rng, path, simulator, *, keep_tensors) -> str | None:
    """One random network of one operator on the RTL; the line that refuses it, None where it ran and was right."""
    model = make(rng)
    path.write_bytes(model)
    graph = read_tflite(path)
    inputs = {name: random_value(rng, graph.tensors[name].shape, graph.tensors[name].dtype) for name in graph.inputs}
    try:
        compiled = compile_graph(graph, config, keep_tensors=keep_tensors)
    except WeftError as error:
        return str(error)
    (outcome,) = run_samples(Prepared(whole_of(compiled), simulator(config)), [inputs])
    what = f"{op} on {config.name} {config.rows}x{config.cols}, keep_tensors={keep_tensors}"
    assert outcome.mismatch is None, f"{what}: {outcome.mismatch}\n{graph}"
    assert sum(outcome.compared) >= len(graph.outputs), f"{what}: {sum(outcome.compared)} tensors were compared\n{graph}"
    expected = run_reference(model, [inputs[name] for name in graph.inputs])
    for name in graph.outputs:
        value = outcome.outputs[name]
        wrong = np.argwhere(value != expected[name])
        assert value.shape == expected[name].shape and not wrong.size, (
            f"{what}: output {name}: {len(wrong)} wrong, first {wrong[:1]}\n{graph}"
        )
    return None


def campaign(op, configs, count, seed, path, simulator, *, make=None):
    """As many random networks as are asked for, of `OPERATORS` or as `make` makes them; those refused are drawn again, and bounded."""
    rng, ran, refused = np.random.default_rng([seed, count, *op.encode()]), 0, []
    while ran < count and len(refused) < count / (1 - MOST_REFUSED):
        config, keep_tensors = configs[ran % len(configs)], ran // len(configs) % 2 == 1
        message = check(op, make or OPERATORS[op], config, rng, path, simulator, keep_tensors=keep_tensors)
        if message is None:
            ran += 1
        else:
            refused.append(message)
            assert_refused_for_its_reason(op, message)
    print(f"{op}: {ran} exact, {len(refused)} of {ran + len(refused)} draws refused")
    return ran, len(refused)


def assert_enough(op, ran, refused):
    if op in ALWAYS_REFUSED:
        assert ran == 0, f"{op} runs now: take it from ALWAYS_REFUSED"
    else:
        assert refused <= MOST_REFUSED * (ran + refused), f"{op}: {refused} of {ran + refused} random networks are refused"


@pytest.mark.parametrize("op", OPERATORS)
def test_random_operators_are_exact_on_the_rtl(op, simulator, seed, tmp_path):
    assert_enough(op, *campaign(op, FEW, IN_TEST, seed, tmp_path / "net.tflite", simulator))


@pytest.mark.parametrize("op", UNSIGNED_OPERATORS)
def test_random_operators_of_uint8_are_exact_on_the_rtl(op, simulator, seed, tmp_path):
    """Those that the NPU knows on uint8 are among the others too: here they follow, as int8, an operator that it does not."""
    assert_enough(op, *campaign(op, FEW, IN_TEST, seed, tmp_path / "net.tflite", simulator, make=UNSIGNED_OPERATORS[op]))


@pytest.mark.slow
@pytest.mark.parametrize("op", UNSIGNED_OPERATORS)
def test_many_random_operators_of_uint8_are_exact_on_the_rtl(op, simulator, seed, tmp_path):
    assert_enough(op, *campaign(op, ALL, IN_TEST_ALL, seed, tmp_path / "net.tflite", simulator, make=UNSIGNED_OPERATORS[op]))


@pytest.mark.slow
@pytest.mark.parametrize("op", OPERATORS)
def test_many_random_operators_are_exact_on_the_rtl(op, simulator, seed, tmp_path):
    assert_enough(op, *campaign(op, ALL, IN_TEST_ALL, seed, tmp_path / "net.tflite", simulator))
