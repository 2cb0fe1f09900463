"""Networks of all kinds of operators: what fuses, and what runs in scratchpads that hold hardly a few rows."""

import re

import numpy as np
import pytest

from hw.npu.config import PRESETS
from tests.machine_checks import assert_exact
from tests.network_checks import refusal
from tests.random_mixtures import MixtureMaker
from tests.random_networks.batch import random_graph
from weft.compiler.driver import compile_graph

MOST_REMEDIES = 8
"""Sizes that a user tries at most, each as he is told: a remedy is of one step, and the next one may need more."""


@pytest.mark.parametrize("number", [21, 26, 47, 64])
def test_who_is_refused_is_told_of_a_larger_scratchpad_and_finds_one_soon(number):
    """Where one step alone would fit, too: the remedy had named 9 KiB to who has 16."""
    config, graph = (
        PRESETS["nano"].replace(rows=8, cols=4, act_kib=16, weight_kib=8, accumulator_bits=28),
        random_graph(number),
    )
    for _ in range(MOST_REMEDIES):
        line = refusal(compile_graph, graph, config)
        if line is None:
            break
        told = int(re.search(r"set act_kib to (\d+) or more", line)[1])
        assert told > config.act_kib, line
        config = config.replace(act_kib=told)
    assert line is None, f"network {number} is refused with {config.act_kib} KiB as well: {line}"
    assert config.act_kib > 16


def small_unet(kind: str):
    """Down and up again, with a join across: its largest tensor has 288 KiB."""
    maker = MixtureMaker(np.random.default_rng(0), (1, 96, 96, 3))
    across = maker.conv(maker.conv("input", 16, (3, 3)), 16, (3, 3))
    low = maker.conv(maker.pool("MAX_POOL_2D", across, (2, 2), stride=(2, 2), padding="VALID"), 16, (3, 3))
    if kind == "TRANSPOSE_CONV":
        high = maker.transposed(low, 16, (3, 3), (2, 2))
    else:
        options = {"align_corners": False, "half_pixel_centers": True}
        high = maker._operator(kind, (low, maker.numbers((96, 96))), (1, 96, 96, 16), options, like=maker.like(low))
    return maker.graph(maker.conv(maker.conv(maker.concatenate([high, across], 3), 16, (3, 3)), 2, (1, 1)))


@pytest.mark.parametrize("kind", ["TRANSPOSE_CONV", "RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"])
def test_a_join_larger_than_the_scratchpad_is_made_in_bands(kind, seed):
    program = assert_exact(small_unet(kind), PRESETS["small"].replace(act_kib=64), seed=seed).program
    assert any(layer.op == f"{kind}+CONCATENATION" for layer in program.layers)  # each phase goes to its place at once


def test_a_function_goes_into_the_steps_that_make_its_tensor():
    maker = MixtureMaker(np.random.default_rng(0), (1, 8, 8, 16))
    clamped = maker._operator("RELU", (maker.grouped("input", 4, 12, (3, 3)),), (1, 8, 8, 48), {}, like=maker.tensors["conv_2d_0_out"])
    graph = maker.graph(maker.function("TANH", maker.function("LEAKY_RELU", clamped)))
    program = assert_exact(graph, PRESETS["nano"]).program
    assert {layer.op for layer in program.layers} == {"CONV_2D+RELU+LEAKY_RELU+TANH"}


def test_branches_write_into_their_join():
    maker = MixtureMaker(np.random.default_rng(0), (1, 8, 8, 16))
    branches = [maker.conv("input", 24, (1, 1)), maker.depthwise("input", 1, (3, 3)), maker.function("TANH", "input")]
    program = assert_exact(maker.graph(maker.concatenate(branches, 3)), PRESETS["small"]).program
    assert [layer.op for layer in program.layers] == [f"{op}+CONCATENATION" for op in ("CONV_2D", "DEPTHWISE_CONV_2D", "TANH")]


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("swap", [False, True])
def test_a_pair_goes_into_the_step_that_makes_an_operand(op, swap):
    maker = MixtureMaker(np.random.default_rng(0), (1, 8, 8, 16))
    made, gate = maker.depthwise("input", 1, (3, 3)), maker.function("LOGISTIC", maker.mean("input"))
    first, second = (gate, made) if swap else (made, gate)
    program = assert_exact(maker.graph(maker.pair(op, first, second)), PRESETS["small"]).program
    fused = f"DEPTHWISE_CONV_2D+{op}" in [layer.op for layer in program.layers]
    assert fused == (op != "SUB" or not swap)  # what is subtracted comes second


def test_an_unread_part_of_a_split_is_not_computed():
    maker = MixtureMaker(np.random.default_rng(0), (1, 8, 8, 16))
    maker.slice("input", 3)
    program = assert_exact(maker.graph(maker.function("TANH", "input")), PRESETS["small"]).program
    assert [layer.op for layer in program.layers] == ["TANH"]


@pytest.mark.parametrize("kind", ["TRANSPOSE_CONV", "RESIZE_NEAREST_NEIGHBOR", "CONCATENATION"])
def test_an_output_larger_than_the_scratchpad_leaves_while_its_makers_go_on(kind, seed):
    maker = MixtureMaker(np.random.default_rng(0), (1, 64, 64, 3))
    image = maker.conv("input", 16, (3, 3))
    if kind == "TRANSPOSE_CONV":
        output = maker.transposed(image, 16, (3, 3), (2, 2))
    elif kind == "CONCATENATION":
        output = maker.concatenate([maker.conv(image, 20, (3, 3)), maker.conv(image, 30, (1, 1))], 3)
    else:
        options = {"align_corners": False, "half_pixel_centers": False}
        output = maker._operator(kind, (image, maker.numbers((128, 128))), (1, 128, 128, 16), options, like=maker.like(image))
    assert_exact(maker.graph(output), PRESETS["small"].replace(act_kib=32), seed=seed)
