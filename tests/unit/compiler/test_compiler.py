"""The compiler and the command machine together: every tensor equals the golden operators'."""

import dataclasses
import json

import numpy as np
import pytest

from golden.machine import Machine
from hw.npu.config import PRESETS, NpuConfig
from hw.npu.errors import WeftError
from hw.npu.interface.isa import EXECUTE, Opcode
from tests.machine_checks import assert_exact, random_inputs
from tests.random_graphs import GraphMaker, random_network
from weft.analysis.timing import replay
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.graph import Operator, Quantization, Tensor
from weft.compiler.image import write_image

SIZES = (4, 8, 16, 32, 64)
SMALL = PRESETS["small"]


def random_config(rng) -> NpuConfig:
    def pick(*values):
        return int(rng.choice(values))

    return NpuConfig(
        rows=pick(*SIZES),
        cols=pick(*SIZES),
        act_kib=1024,
        weight_kib=pick(8, 16, 64),
        axi_bits=pick(32, 64, 128, 256),
        lane_divisor=pick(1, 2, 4),
    )


@pytest.mark.parametrize("seed", range(24))
def test_random_convolutions_are_exact(seed):
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(1, 24, 2))
    maker = GraphMaker(rng, (1, height, width, int(rng.integers(1, 200 if seed % 2 else 20))))
    kernel = (int(rng.integers(1, min(7, height) + 1)), int(rng.integers(1, min(7, width) + 1)))
    dilation = tuple(int(rng.integers(1, 3)) if (k - 1) * 2 < size else 1 for k, size in zip(kernel, (height, width)))
    stride = (1, 1) if dilation != (1, 1) else tuple(int(n) for n in rng.integers(1, 4, 2))
    padding = str(rng.choice(["SAME", "VALID"]))
    output = maker.conv(
        "input", int(rng.integers(1, 200)), kernel, stride=stride, dilation=dilation, padding=padding, per_channel=bool(seed % 3)
    )
    assert_exact(maker.graph(output), random_config(rng), seed=seed)


@pytest.mark.parametrize("seed", range(8))
def test_random_fully_connected_layers_are_exact(seed):
    rng = np.random.default_rng(seed)
    pixels = int(rng.choice([1, 1, 5, 300]))
    maker = GraphMaker(rng, (pixels, int(rng.integers(1, 700))))
    output = maker.fully_connected("input", int(rng.integers(1, 200)), pixels=pixels, per_channel=bool(seed % 2))
    assert_exact(maker.graph(output), random_config(rng), seed=seed)


@pytest.mark.parametrize("op", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
@pytest.mark.parametrize("seed", range(6))
def test_random_pools_are_exact(op, seed):
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(3, 20, 2))
    maker = GraphMaker(rng, (1, height, width, int(rng.choice([1, 10, 16, 64, 100, 128]))))
    kernel = (height, width) if seed == 0 else tuple(int(n) for n in rng.integers(1, 4, 2))
    stride = tuple(int(n) for n in rng.integers(1, 4, 2))
    output = maker.pool(op, "input", kernel, stride=stride, padding=str(rng.choice(["SAME", "VALID"])))
    assert_exact(maker.graph(output), random_config(rng), seed=seed)


@pytest.mark.parametrize("keep_tensors", [False, True])
@pytest.mark.parametrize("shape", [(8, 8), (8, 16), (16, 16), (32, 8), (32, 32)])
def test_resnet8_is_exact(models, shape, keep_tensors):
    assert_exact(read_tflite(models / "mlperf_ic_resnet8_int8.tflite"), NpuConfig(rows=shape[0], cols=shape[1]), keep_tensors=keep_tensors)


@pytest.mark.parametrize("weight_kib", [8, 16, 64])
def test_autoencoder_is_exact_while_its_weights_stream(models, weight_kib):
    compiled = assert_exact(read_tflite(models / "mlperf_ad_fcae_int8.tflite"), SMALL.replace(weight_kib=weight_kib))
    assert len(compiled.program.constants) > 4 * 64 * 1024


def test_resnet8_takes_one_cycle_for_each_wave(models):
    program = compile_graph(read_tflite(models / "mlperf_ic_resnet8_int8.tflite"), SMALL).program
    execute = [planned.command.opcode in EXECUTE for planned in program.commands]
    macs = 12_501_632 - 32 * 32 * 27 * 16 - 64 * 10
    # the first layer's 27 rows take two tiles of 16, 64 x 10 weights four, pooling a wave for 16 channels of a pixel, SOFTMAX is one
    assert replay(program).records["active"][execute].sum() == macs // 256 + 2 * 32 * 32 + 4 + 64 * 4 + 1


def test_macs_are_the_networks_own(models):
    program = compile_graph(read_tflite(models / "mlperf_ic_resnet8_int8.tflite"), SMALL).program
    assert sum(layer.macs for layer in program.layers) == 12_501_632


@pytest.mark.parametrize("fill", [0, 0x80, 0xFF])
def test_results_do_not_depend_on_uninitialized_memory(fill):
    assert_exact(random_network(3), SMALL, fill=fill)


def test_a_softmax_may_stand_anywhere():
    maker = GraphMaker(np.random.default_rng(0), (1, 10))
    soft = maker.softmax(maker.fully_connected("input", 9))
    compiled = assert_exact(maker.graph(maker.fully_connected(soft, 4)), SMALL)
    assert compiled.host_ops == ()


def test_float_edges_run_on_the_host(tmp_path):
    maker = GraphMaker(np.random.default_rng(0), (1, 6, 6, 3))
    maker.tensors["input"] = Tensor("input", (1, 6, 6, 3), "float32")
    quantized = maker.quantize("input")
    last = maker.conv(quantized, 5, (3, 3))
    maker.operators.append(Operator("dequantize", "DEQUANTIZE", (last,), ("real",)))
    maker.tensors["real"] = Tensor("real", (1, 6, 6, 5), "float32")
    compiled = assert_exact(maker.graph("real"), SMALL)
    assert [host.operator.op for host in compiled.host_ops] == ["QUANTIZE", "DEQUANTIZE"]
    assert [place.tensor for place in compiled.program.inputs] == [quantized]
    layout = json.loads((write_image(compiled, tmp_path) / "map.json").read_text())
    (before,), (after,) = layout["host_before"], layout["host_after"]
    assert before["inputs"] == layout["network_inputs"] == [{**before["inputs"][0], "dtype": "float32", "scale": None}]
    assert before["outputs"][0].items() <= layout["inputs"][0].items()
    assert after["inputs"][0].items() <= layout["outputs"][0].items()
    assert after["outputs"] == layout["network_outputs"]


def test_unsigned_edges_run_on_the_npu():
    maker = GraphMaker(np.random.default_rng(0), (1, 6, 6, 20))
    maker.tensors["input"] = dataclasses.replace(maker.tensors["input"], dtype="uint8", quantization=Quantization((0.1,), (100,)))
    last = maker.quantize(maker.conv(maker.quantize("input"), 5, (3, 3)))
    maker.tensors[last] = dataclasses.replace(maker.tensors[last], dtype="uint8", quantization=Quantization((0.1,), (100,)))
    compiled = assert_exact(maker.graph(last), SMALL)
    assert compiled.host_ops == ()


def test_a_network_whose_rows_do_not_fit_says_what_is_missing():
    maker = GraphMaker(np.random.default_rng(0), (1, 64, 64, 64))
    graph = maker.graph(maker.conv("input", 64, (3, 3)))
    with pytest.raises(WeftError, match=r"layer conv_2d_0.*activation scratchpad of 16 KiB is 9 KiB too small"):
        compile_graph(graph, SMALL.replace(act_kib=16))


@pytest.mark.parametrize("act_kib", [16, 24, 48, 96])
@pytest.mark.parametrize("seed", range(12))
def test_networks_larger_than_the_scratchpad_are_exact(seed, act_kib):
    config = random_config(np.random.default_rng(seed)).replace(rows=8, cols=16, axi_bits=64, act_kib=act_kib)
    assert_exact(random_network(seed), config, seed=seed)


@pytest.mark.parametrize("act_kib", [24, 40, 64, 96])
def test_resnet8_is_exact_in_less_memory(models, act_kib):
    assert_exact(read_tflite(models / "mlperf_ic_resnet8_int8.tflite"), SMALL.replace(act_kib=act_kib))


def test_narrow_accumulators_are_refused_on_the_far_side_of_the_bound_only():
    maker = GraphMaker(np.random.default_rng(0), (1, 1, 1, 64))
    output = maker.conv("input", 1, (1, 1))
    weights = np.full((1, 1, 1, 64), -128, np.int8)
    maker.tensors["w0"] = dataclasses.replace(maker.tensors["w0"], data=weights)
    graph = maker.graph(output)
    # 64 * 128 * 128 = 2^20 needs 22 bits
    assert_exact(graph, SMALL.replace(accumulator_bits=22))
    with pytest.raises(WeftError, match="need 22 bits, accumulator_bits is 21"):
        compile_graph(graph, SMALL.replace(accumulator_bits=21))


def test_an_add_is_fused_and_keeps_its_tensor_apart_on_request():
    maker = GraphMaker(np.random.default_rng(0), (1, 8, 8, 16))
    graph = maker.graph(maker.add(maker.conv("input", 16, (3, 3)), "input"))
    fused, kept = (compile_graph(graph, SMALL, keep_tensors=keep).program for keep in (False, True))
    assert [layer.op for layer in fused.layers] == ["CONV_2D+ADD"]
    assert [layer.op for layer in kept.layers] == ["CONV_2D", "ADD"]


def test_pad_costs_nothing():
    maker = GraphMaker(np.random.default_rng(0), (1, 8, 8, 16))
    graph = maker.graph(maker.conv(maker.pad("input", 1, 1, 1, 1), 16, (3, 3), padding="VALID"))
    program = assert_exact(graph, SMALL).program
    assert [layer.op for layer in program.layers] == ["PAD+CONV_2D"]


def test_loads_of_weights_never_wrap_and_blocks_fit_the_accumulators():
    program = compile_graph(random_network(5), SMALL.replace(weight_kib=8)).program
    for planned in program.commands:
        command = planned.command
        if command.opcode == Opcode.LOAD and command["dma"]["target"]:
            assert command["dma"]["sram_address"] + command["dma"]["row_bytes"] <= 8 * 1024
        if command.opcode in EXECUTE:
            assert 1 <= command["loops"]["block_rows"] * command["loops"]["block_cols"] <= 256


def test_writes_are_the_tensors_bytes_in_hardware_order():
    maker = GraphMaker(np.random.default_rng(0), (1, 4, 4, 3))
    graph = maker.graph(maker.conv("input", 20, (1, 1)))
    program = compile_graph(graph, SMALL).program
    inputs = random_inputs(graph, 0)
    result = Machine(program).run(inputs, writes=True)
    (place,) = (place for place in program.tensors if place.tensor == program.outputs[0].tensor)
    memory = np.zeros(SMALL.act_bytes, np.uint8)
    for index, planned in enumerate(program.commands):
        if planned.command.opcode in EXECUTE:
            addresses, values = result.writes[index]
            memory[addresses] = values
            loops = planned.command["loops"]
            channels = (loops["column_tiles"] - 1) * 16 + loops["last_cols"]
            assert (np.diff(addresses)[: min(channels, 16) - 1] == 1).all()  # the first tile's channels
            assert len(addresses) == loops["block_rows"] * 4 * channels
    np.testing.assert_array_equal(place.read(memory), result.tensors[place.tensor])


@pytest.mark.parametrize(("channels", "rows", "cols"), [(2100, 8, 64), (1000, 8, 8), (1001, 8, 16)])
def test_parameters_of_many_channels_go_through_a_small_weight_scratchpad(channels, rows, cols):
    maker = GraphMaker(np.random.default_rng(0), (1, 4, 3, channels))
    maker.tensors["axes"] = Tensor("axes", (1,), "int32", None, np.array([2], np.int32))
    maker.tensors["mean"] = Tensor("mean", (1, 4, channels), "int8", Quantization((0.1,), (3,)))
    maker.operators.append(Operator("mean", "MEAN", ("input", "axes"), ("mean",), {"keep_dims": False}))
    assert_exact(maker.graph("mean"), NpuConfig(rows=rows, cols=cols, weight_kib=8))
