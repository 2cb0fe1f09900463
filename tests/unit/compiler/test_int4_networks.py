"""Networks with 4-bit weights, wholly or in part, on the golden machine: every tensor as the golden operators make it; and their cycles."""

import numpy as np
import pytest

from golden.machine_stream import PARAMETER_ROWS_OF
from hw.npu.config import PRESETS, NpuConfig
from hw.npu.interface.isa import Opcode, Params
from tests.int4_graphs import inner, layers_with_weights, with_int4_weights
from tests.machine_checks import assert_exact
from tests.random_graphs import GraphMaker, random_network
from tests.unit.compiler.test_compiler import random_config
from weft.analysis.search import search
from weft.analysis.timing import replay
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.graph import Graph, Operator, Tensor

SMALL = PRESETS["small"]
SMALL_INT4 = SMALL.replace(int4=True)
CONFIGURATIONS = {
    "small": SMALL_INT4,
    "96 KiB": SMALL_INT4.replace(act_kib=96),
    "8x8": NpuConfig(rows=8, cols=8, act_kib=128, weight_kib=32, int4=True),
    "32x32": NpuConfig(rows=32, cols=32, act_kib=384, weight_kib=64, axi_bits=128, int4=True),
}
NETWORKS = (
    "mlperf_ad_fcae_int8", "mlperf_ic_resnet8_int8", "mlperf_kws_dscnn_int8", "mlperf_sww_int8", "mlperf_vww_mbv1_025_96_int8",
    "tflm_person_detect_int8",
)  # fmt: skip
LARGE_NETWORKS = ("coral_mbv2_224_ptq_int8", "synth_mobilenet_v1_224_int8", "synth_resnet50_224_int8")


def opcodes_of(compiled) -> set[Opcode]:
    return {planned.command.opcode for planned in compiled.program.commands}


def read(models, name) -> Graph:
    return read_tflite(models / f"{name}.tflite")


@pytest.mark.parametrize("shape", CONFIGURATIONS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_4_bit_weights_is_exact(models, name, shape, seed):
    compiled = assert_exact(with_int4_weights(read(models, name)), CONFIGURATIONS[shape], seed=seed)
    assert opcodes_of(compiled).isdisjoint({Opcode.MATMUL, Opcode.DEPTHWISE})
    assert Opcode.MATMUL_INT4 in opcodes_of(compiled)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_both_widths_is_exact(models, name, seed):
    graph = read(models, name)
    mixed = with_int4_weights(graph, lambda number: number % 2 == 1)
    compiled = assert_exact(mixed, SMALL_INT4, keep_tensors=True, seed=seed)
    opcodes = opcodes_of(compiled)
    assert {opcode.int4 for opcode in opcodes if opcode.operation in (Opcode.MATMUL, Opcode.DEPTHWISE)} == {False, True}


@pytest.mark.parametrize("name", NETWORKS)
def test_without_int4_the_same_weights_are_computed_as_8_bits(models, name, seed):
    compiled = assert_exact(with_int4_weights(read(models, name)), SMALL, seed=seed)
    assert not any(opcode.int4 for opcode in opcodes_of(compiled))


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE_NETWORKS)
def test_a_large_network_of_4_bit_weights_is_exact(models, name, seed):
    assert_exact(with_int4_weights(read(models, name)), SMALL_INT4, seed=seed)


@pytest.mark.parametrize("case", range(16))
def test_random_networks_of_random_widths_are_exact(seed, case):
    rng = np.random.default_rng([seed, case])
    graph = random_network(1000 * seed + case)
    widths = rng.integers(0, 2, len(layers_with_weights(graph)))
    config = random_config(rng).replace(int4=True)
    assert_exact(with_int4_weights(graph, lambda number: bool(widths[number])), config, seed=seed)


@pytest.mark.parametrize("case", range(12))
def test_random_layers_of_4_bit_weights_are_exact(seed, case):
    rng = np.random.default_rng([seed, case])
    height, width, channels = int(rng.integers(1, 20)), int(rng.integers(1, 20)), int(rng.integers(1, 150))
    maker = GraphMaker(rng, (1, height, width, channels))
    kernel = int(rng.integers(1, min(7, height) + 1)), int(rng.integers(1, min(7, width) + 1))
    stride, padding = tuple(int(n) for n in rng.integers(1, 4, 2)), str(rng.choice(["SAME", "VALID"]))
    if case % 2:
        output = maker.depthwise("input", kernel, stride=stride, padding=padding)
    else:
        output = maker.conv("input", int(rng.integers(1, 150)), kernel, stride=stride, padding=padding)
    small_scratchpad = {"weight_kib": 8} if case % 3 == 0 else {}  # reductions in parts
    assert_exact(with_int4_weights(maker.graph(output)), random_config(rng).replace(int4=True, **small_scratchpad), seed=seed)


def test_a_fully_connected_layer_in_parts_of_its_reduction_is_exact(seed):
    maker = GraphMaker(np.random.default_rng(seed), (1, 9001))
    graph = with_int4_weights(maker.graph(maker.fully_connected("input", 40)))
    compiled = assert_exact(graph, SMALL_INT4.replace(weight_kib=8), seed=seed)
    assert any(planned.command["loops"]["partial_in"] for planned in compiled.program.commands if planned.command.opcode.int4)


def test_a_sum_over_channels_has_weights_of_one_which_are_4_bits(seed):
    maker = GraphMaker(np.random.default_rng(seed), (1, 8, 8, 24))
    maker.tensors["axes"] = Tensor("axes", (1,), "int32", None, np.array([3], np.int32))
    mean = Operator("mean_0", "MEAN", ("input", "axes"), (maker.tensor("mean_out", (1, 8, 8, 1)),), {"keep_dims": True})
    maker.operators.append(mean)
    graph = maker.graph("mean_out")
    assert Opcode.MATMUL_INT4 in opcodes_of(assert_exact(graph, SMALL_INT4, seed=seed))
    assert Opcode.MATMUL in opcodes_of(assert_exact(graph, SMALL, seed=seed))


def test_resnet8_takes_60_percent_of_its_cycles_with_4_bits_in_all_inner_layers(models):
    graph = read(models, "mlperf_ic_resnet8_int8")
    cycles = search(with_int4_weights(graph, inner(graph)), SMALL_INT4).cycles
    assert cycles <= 0.57 * search(graph, SMALL).cycles


@pytest.mark.parametrize(("inputs", "outputs"), [(1024, 1024), (1000, 1000), (4096, 256)])
def test_a_layer_that_waits_for_weights_takes_half_its_cycles(inputs, outputs, seed):
    maker = GraphMaker(np.random.default_rng(seed), (1, inputs))
    graph = maker.graph(maker.fully_connected("input", outputs))
    narrow, wide = compile_graph(with_int4_weights(graph), SMALL_INT4).program, compile_graph(graph, SMALL).program
    bias = PARAMETER_ROWS_OF[Params.BIAS] * SMALL.cols * -(-outputs // SMALL.cols)
    assert len(narrow.constants) <= (len(wide.constants) - bias) / 2 + bias + 1024
    assert replay(narrow).cycles <= 0.51 * replay(wide).cycles


def test_a_filter_of_4_bit_weights_takes_as_long_and_half_the_bytes():
    maker = GraphMaker(np.random.default_rng(5), (1, 28, 28, 64))
    graph = maker.graph(maker.depthwise("input", (3, 3)))
    wide, narrow = (compile_graph(each, SMALL_INT4).program for each in (graph, with_int4_weights(graph)))
    executed = [[record for record in replay(program).records if record["opcode"] > Opcode.STORE] for program in (wide, narrow)]
    assert [record["active"] for record in executed[0]] == [record["active"] for record in executed[1]]
    # of each column tile 5 rows of weights instead of 9, and 9 of parameters
    assert (len(wide.constants), len(narrow.constants)) == (4 * 18 * 16, 4 * 14 * 16)
