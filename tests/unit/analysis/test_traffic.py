"""Bytes on DDR by part: a network done by hand to the byte, ResNet-50 from the table of its paper, and sums that must agree."""

import json
from pathlib import Path

import numpy as np
import pytest

from hw.npu.config import PRESETS
from tests.random_graphs import random_network
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.analysis.tensors import tensor_bytes
from weft.analysis.timing import replay
from weft.analysis.traffic import Parts, traffic
from weft.cli.main import main
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_file, read_tflite
from weft.compiler.graph import Tensor
from weft.run.whole import compile_whole

SMALL = PRESETS["small"]


def residual(seed) -> bytes:
    """A 1x1 convolution, a 3x3 one, the sum of both, their mean, a rename and a matrix, on 4x4 pixels; int8 throughout."""
    generator = np.random.default_rng(seed)

    def activation(name, *shape):
        return BuilderTensor(name, shape, scale=0.1)

    def weights(name, *shape):
        return BuilderTensor(name, shape, scale=0.01, data=generator.integers(-127, 128, shape, np.int8))

    def bias(name, channels):
        return BuilderTensor(name, (channels,), "int32", scale=0.001, data=generator.integers(-50, 50, channels, np.int32))

    image = (1, 4, 4, 4)
    shape = BuilderTensor("shape", (2,), "int32", data=np.array([1, 4], np.int32))
    tensors = [
        *(activation("x", 1, 4, 4, 2), activation("a", *image), activation("b", *image), activation("s", *image)),
        *(activation("p", 1, 1, 1, 4), activation("r", 1, 4), activation("y", 1, 3), shape),
        *(weights("wa", 4, 1, 1, 2), bias("ba", 4), weights("wb", 4, 3, 3, 4), bias("bb", 4), weights("wy", 3, 4), bias("by", 3)),
    ]
    operators = [
        BuilderOperator("CONV_2D", ("x", "wa", "ba"), ("a",)),
        BuilderOperator("CONV_2D", ("a", "wb", "bb"), ("b",)),
        BuilderOperator("ADD", ("a", "b"), ("s",)),
        BuilderOperator("AVERAGE_POOL_2D", ("s",), ("p",), {"padding": "VALID", "filter_width": 4, "filter_height": 4}),
        BuilderOperator("RESHAPE", ("p", "shape"), ("r",), {"new_shape": (1, 4)}),
        BuilderOperator("FULLY_CONNECTED", ("r", "wy", "by"), ("y",)),
    ]
    return build_model(tensors, operators, ["x"], ["y"])


@pytest.fixture
def by_hand(read, seed):
    """The traffic of `residual` on `small`."""
    return traffic(compile_graph(read(residual(seed)), SMALL))


def test_each_operand_once_by_hand(by_hand):
    # int8 weights and int32 biases; a sum reads both its operands; the RESHAPE moves nothing
    assert {layer.name: layer.once for layer in by_hand.layers} == {
        "conv2d_0": Parts(4 * 2 + 4 * 4, 4 * 4 * 2, 4 * 4 * 4),
        "conv2d_1": Parts(4 * 9 * 4 + 4 * 4, 64, 64),
        "add_0": Parts(0, 64 + 64, 64),
        "average_pool2d_0": Parts(0, 64, 4),
        "fully_connected_0": Parts(3 * 4 + 3 * 4, 4, 3),
    }
    assert by_hand.once == Parts(24 + 160 + 24, 32 + 64 + 128 + 64 + 4, 64 + 64 + 64 + 4 + 3)


def test_without_reuse_a_mac_makes_four_accesses(by_hand):
    macs = {"conv2d_0": 16 * 4 * 2, "conv2d_1": 16 * 4 * 36, "add_0": 0, "average_pool2d_0": 0, "fully_connected_0": 12}
    assert {layer.name: layer.macs for layer in by_hand.layers} == macs
    # a byte of weights, a byte of activations, four bytes of the sum there and back
    assert by_hand.layers[1].no_reuse == Parts(weights=2304, activations_in=2304, partial_sums=2304 * 8)
    total = 128 + 2304 + 12
    assert by_hand.no_reuse == Parts(total, total + 128 + 64, 64 + 4, 8 * total)


def test_an_ideal_memory_lets_in_weights_and_the_image_and_out_the_answer(by_hand):
    assert by_hand.ideal == Parts(208, 32, 3)


def test_tensors_between_the_layers_by_hand(by_hand):
    tensors = by_hand.tensors
    assert (tensors.intermediates, tensors.intermediate_bytes) == (4, 64 + 64 + 64 + 4)
    assert (tensors.largest, tensors.largest_bytes, tensors.largest_of) == ("a", 64, "conv2d_0")
    # at the sum both operands and the result live; x (32 bytes) no longer does
    assert (tensors.peak_bytes, tensors.peak_at) == (64 + 64 + 64, "add_0")


def test_the_program_of_a_network_that_fits_moves_what_it_must(by_hand):
    # the bus has beats of 8 bytes: the answer's 3 take one
    assert (by_hand.program.activations_in, by_hand.program.activations_out) == (32, 8)
    assert (by_hand.spilled_in, by_hand.spilled_out) == (0, 0)
    # rows of 16 bytes: reductions of 4 (two pixels side by side), of 3 times 16 (an image row of kernel and one pixel more, packed) and
    # of 4 products, and of each layer the biases, 4 rows, since all channels share a multiplier; the stream is loaded once
    assert by_hand.program.weights == 16 * ((4 + 4) + (48 + 4) + (4 + 4))


def test_every_byte_that_the_records_count_is_in_a_part(seed):
    for number in range(4):
        compiled = compile_graph(random_network(1000 * seed + number), SMALL.replace(act_kib=16))
        found, records = traffic(compiled), replay(compiled.program).records
        assert found.program.weights + found.program.activations_in == records["ddr_read_bytes"].sum()
        assert found.program.activations_out == records["ddr_write_bytes"].sum()
        assert found.program.commands == len(compiled.program.command_bytes())
        assert sum((layer.program for layer in found.layers), Parts()) == found.program
        assert found.macs == sum(layer.macs for layer in compiled.program.layers)


def test_weights_of_4_bits_are_half_a_byte():
    tensor = Tensor("w", (3, 3), "int4", data=np.zeros((3, 3), np.int8))
    assert tensor_bytes(tensor) == 5
    assert tensor_bytes(Tensor("b", (3,), "int32")) == 12


BOTTLENECKS = ((64, 3, 56), (128, 4, 28), (256, 6, 14), (512, 3, 7))
"""Channels of the 3x3, blocks, side of the image: K. He and others, Deep Residual Learning, CVPR 2016, table 1, 50 layers."""


def resnet50():
    """(weights with their biases, MACs, bytes read, bytes written) of each operator, by the paper; strides in the first 1x1, as there."""

    def conv(side, kernel, channels, made, stride=1, before=None):
        read = (before or side * stride) ** 2 * channels
        return kernel**2 * channels * made + 4 * made, side**2 * kernel**2 * channels * made, read, side**2 * made

    yield 0, 0, 224**2 * 3, 230**2 * 3  # the padding of the stem is an operator
    yield conv(112, 7, 3, 64, before=230)
    yield 0, 0, 112**2 * 64, 114**2 * 64
    yield 0, 0, 114**2 * 64, 56**2 * 64
    channels = 64
    for middle, blocks, side in BOTTLENECKS:
        for block in range(blocks):
            stride = 2 if block == 0 and middle > 64 else 1
            if block == 0:
                yield conv(side, 1, channels, 4 * middle, stride)
            yield conv(side, 1, channels, middle, stride)
            yield conv(side, 3, middle, middle)
            yield conv(side, 1, middle, 4 * middle)
            yield 0, 0, 2 * side**2 * 4 * middle, side**2 * 4 * middle
            channels = 4 * middle
    yield 0, 0, 7**2 * 2048, 2048
    yield 2048 * 1000, 2048 * 1000, 2048, 1000  # without a bias in this file
    yield 0, 0, 1000, 1000


def test_resnet50_has_the_bytes_of_its_paper(models):
    found = traffic(compile_graph(read_tflite(models / "synth_resnet50_224_int8.tflite"), SMALL))
    weights, macs, read, written = zip(*resnet50())
    assert found.macs == sum(macs) == 3_857_973_248
    assert found.once == Parts(sum(weights), sum(read), sum(written)) == Parts(25_609_152, 23_070_932, 17_301_692)
    assert found.ideal == Parts(25_609_152, 224 * 224 * 3, 1000)
    assert found.tensors.intermediate_bytes == 17_301_692 - 1000
    assert found.tensors.peak_bytes == 3 * 56 * 56 * 256, "a sum of the first stage and its operands"
    assert found.program.activations_out == found.spilled_out + 1000, "125 beats of 8 bytes"
    assert found.program.weights >= found.ideal.weights
    page = (Path(__file__).parents[3] / "docs" / "traffic.md").read_text(encoding="utf-8")
    for parts in (found.once, found.program):
        figures = (f"{getattr(parts, part) / 1e6:.3f}" for part in ("weights", "activations_in", "activations_out", "total"))
        assert all(f" {figure} " in page or f" {figure}\n" in page for figure in figures), "docs/traffic.md: paste what weft traffic prints"


def test_the_command_prints_and_writes_the_bandwidth(tmp_path, capsys, seed):
    model, out = tmp_path / "residual.tflite", tmp_path / "out" / "traffic.json"
    model.write_bytes(residual(seed))
    assert main(["traffic", str(model), "--fps", "2e6", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    cells = [line.split() for line in printed.splitlines() if "no on-chip memory between layers" in line]
    # 208, 292 and 199 bytes two million times a second; 2444 MACs for 699 bytes
    assert cells[1][-5:] == ["0.416", "0.584", "0.398", "1.398", f"{2444 / 699:.3f}"]
    written = json.loads(out.read_text())
    assert written["bandwidth_gbs"]["once"]["weights"] == pytest.approx(0.416)
    assert written["once"] == {"weights": 208, "activations_in": 292, "activations_out": 199, "partial_sums": 0, "commands": 0}
    assert written["tensors"]["peak_bytes"] == 192
    assert written["layers"][2]["name"] == "add_0"


def test_the_share_of_a_ddr_is_of_its_peak(tmp_path, capsys, seed):
    model, out = tmp_path / "residual.tflite", tmp_path / "traffic.json"
    model.write_bytes(residual(seed))
    assert main(["traffic", str(model), "--fps", "2e6", "--ddr", "lpddr4-3200-x16", "--json", str(out), "--quiet"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "no on-chip memory between layers" in line]
    # 1.398 GB/s of 3200 million transfers of 2 bytes
    assert (len(lines), lines[1][-1]) == (2, f"{100 * 1.398 / 6.4:.1f}")
    assert json.loads(out.read_text())["ddr"] == {"name": "lpddr4-3200-x16", "peak_gbs": 6.4}


def test_a_narrow_terminal_gets_two_tables_and_every_figure(tmp_path, capsys, monkeypatch, seed):
    model, printed = tmp_path / "residual.tflite", {}
    model.write_bytes(residual(seed))
    for width in ("60", "200"):
        monkeypatch.setenv("COLUMNS", width)
        assert main(["traffic", str(model), "--quiet"]) == 0
        printed[width] = capsys.readouterr().out.split(": MB an inference")[0]
    assert [printed[width].count("average_pool2d_0") for width in ("60", "200")] == [2, 1]
    cells = [[line.split() for line in printed[width].splitlines() if line.startswith("average_pool2d_0")] for width in ("60", "200")]
    assert cells[0][0] + cells[0][1][1:] == cells[1][0]


def test_a_network_in_two_programs_is_their_sum(tmp_path, capsys, seed):
    """An operator of the host between two sums: both programs read and write what it takes and gives."""
    path, out = tmp_path / "net.tflite", tmp_path / "traffic.json"
    tensors = [BuilderTensor(name, (1, 64), scale=1 / 128) for name in "xaby"]
    operators = [BuilderOperator(op, inputs, (made,)) for op, inputs, made in (
        ("ADD", ("x", "x"), "a"), ("L2_NORMALIZATION", ("a",), "b"), ("ADD", ("b", "b"), "y"))]  # fmt: skip
    path.write_bytes(build_model(tensors, operators, ["x"], ["y"]))
    assert main(["traffic", str(path), "--json", str(out), "--quiet"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "on the host L2_NORMALIZATION, not counted; 100.0 % of the file's MACs are on the NPU" in words
    written = json.loads(out.read_text())
    whole = compile_whole(read_file(path), SMALL)
    assert (written["programs"], written["host_ops"], written["npu_mac_share"]) == (2, ["L2_NORMALIZATION"], 1)
    assert [layer["name"] for layer in written["layers"]] == ["add_0", "add_1"]
    assert written["ideal"]["activations_in"] == written["ideal"]["activations_out"] == 2 * 64
    assert written["program"]["activations_in"] == written["program"]["activations_out"] == 2 * 64
    assert written["program"]["commands"] == sum(len(step.compiled.program.command_bytes()) for step in whole.npu_steps)
    assert written["cycles"] == sum(searched.cycles for searched in whole.searched)
    assert written["tensors"]["intermediates"] == 0 and written["tensors"]["peak_bytes"] == 2 * 64
    assert main(["traffic", str(path), "--no-host"]) == 2
    assert "L2_NORMALIZATION: not supported" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys):
    assert main(["traffic", str(tmp_path / "nothing.tflite"), "--json", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
