"""Dilated convolutions of older exporters become what they mean, and still compute what the reference interpreter does."""

import numpy as np
import pytest

from golden.geometry import output_size
from tests.network_checks import assert_outputs_equal_the_reference, constant
from tests.random_operators import random_bytes
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model


def dilated(rng, op="CONV_2D", *, least=0, block=None, pads=None, crops=None, read_twice=False, scale=None):
    """SPACE_TO_BATCH_ND, a plain convolution, BATCH_TO_SPACE_ND, as exporters write a convolution with dilation."""
    block = block or [int(b) for b in rng.integers(1, 4, 2)]
    kernel = [int(k) for k in rng.integers(1, 4, 2)]
    channels = int(rng.integers(1, 6))
    cout = channels if op == "DEPTHWISE_CONV_2D" else int(rng.integers(1, 6))
    # what is not a multiple of the block is padded up, and cropped again
    size = [int((k - 1) * b + 1 + rng.integers(least, 8)) for k, b in zip(kernel, block)]
    first = [int(rng.integers(0, 4)) for _ in size]
    most = [(k - 1) * b - f if rng.random() < 0.5 else 0 for k, b, f in zip(kernel, block, first)]
    rest = [-(n + f + max(0, m)) % b for n, f, m, b in zip(size, first, most, block)]
    pads = pads or [[f, max(0, m) + r] for f, m, r in zip(first, most, rest)]
    crops = crops or [[0, r] for r in rest]
    phase = [(n + sum(p)) // b for n, p, b in zip(size, pads, block)]
    out = [output_size("VALID", n, k, 1) for n, k in zip(phase, kernel)]
    whole = [n * b - sum(c) for n, b, c in zip(out, block, crops)]
    depthwise = op == "DEPTHWISE_CONV_2D"
    shape = (1, *kernel, cout) if depthwise else (cout, *kernel, channels)
    values = np.maximum(random_bytes(rng, shape), -127)
    zero_point = int(rng.integers(-128, 128))
    scales = [float(np.float32(s)) for s in 2.0 ** rng.uniform(-8, -5, cout)]
    batch = int(rng.integers(1, 4)) if rng.random() < 0.4 else 1
    phases = block[0] * block[1] * batch
    result = {"scale": 0.5, "zero_point": int(rng.integers(-128, 128))}
    tensors = [
        BuilderTensor("x", (batch, *size, channels), scale=0.25, zero_point=zero_point), constant("block", block),
        constant("pads", pads), constant("crops", crops),
        BuilderTensor("phases", (phases, *phase, channels), scale=scale or 0.25, zero_point=zero_point),
        BuilderTensor("weights", shape, scale=scales, data=values, axis=3 if depthwise else 0),
        BuilderTensor("bias", (cout,), "int32", scale=[0.25 * s for s in scales], data=rng.integers(-999, 999, cout)),
        BuilderTensor("sums", (phases, *out, cout), **result), BuilderTensor("y", (batch, *whole, cout), **result),
        BuilderTensor("again", (phases, *phase, channels), scale=0.25),
    ]  # fmt: skip
    operators = [
        BuilderOperator("SPACE_TO_BATCH_ND", ("x", "block", "pads"), ("phases",)),
        BuilderOperator(op, ("phases", "weights", "bias"), ("sums",), {"padding": "VALID", "activation": "RELU"}),
        BuilderOperator("BATCH_TO_SPACE_ND", ("sums", "block", "crops"), ("y",)),
    ]
    if read_twice:
        operators.append(BuilderOperator("RELU", ("phases",), ("again",)))
    return build_model(tensors, operators, ["x"], ["y", "again"] if read_twice else ["y"])


@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_phases_around_a_convolution_become_a_dilation(op, seed, read):
    rng, padded = np.random.default_rng([seed, *op.encode()]), 0
    for trial in range(40):
        model = dilated(rng, op)
        graph = read(model)
        ops = [operator.op for operator in graph.operators]
        assert ops in ([op], ["PAD", op]), f"seed {seed}, trial {trial}"
        padded += len(ops) - 1
        assert_outputs_equal_the_reference(graph, model, seed + trial)
    assert 5 < padded < 40


def test_phases_that_somebody_else_reads_or_that_are_scaled_stay(read, seed):
    rng = np.random.default_rng(seed)
    for settings in ({"read_twice": True}, {"scale": 0.5}):
        model = dilated(rng, block=[2, 2], **settings)
        graph = read(model)
        assert {"SPACE_TO_BATCH_ND", "CONV_2D", "BATCH_TO_SPACE_ND"} <= {operator.op for operator in graph.operators}
        if "read_twice" in settings:  # of two scales the reference refuses the file
            assert_outputs_equal_the_reference(graph, model, seed)


def test_crops_that_padding_does_not_cover_stay(read, seed):
    model = dilated(np.random.default_rng(seed), least=2, block=[1, 1], pads=[[0, 0], [0, 0]], crops=[[0, 1], [1, 0]])
    graph = read(model)
    assert len(graph.operators) == 3
    assert_outputs_equal_the_reference(graph, model, seed)
