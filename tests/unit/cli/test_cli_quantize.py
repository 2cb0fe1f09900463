"""``weft quantize`` on the command line: what it prints, writes and refuses."""

import json

import numpy as np
import pytest

from tests.host_networks import gather
from tests.quantize_networks import images, network
from tests.random_operators import OPERATORS
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from tests.unit.cli.test_cli import DIGITS, TEST_IMAGES, refused
from weft import __version__
from weft.cli.main import main
from weft.compiler.frontends.tflite import read_tflite

SMALL = ("--set", "rows=8", "--set", "cols=8", "--quiet")


@pytest.fixture
def files(tmp_path):
    """A network, inputs with labels, and where the new network goes."""
    (tmp_path / "net.tflite").write_bytes(network())
    np.savez(tmp_path / "data.npz", x=images(20), y=np.arange(20) % 5)
    np.save(tmp_path / "bare.npy", images(20))
    return tmp_path


def test_help_names_the_options(capsys):
    assert main(["quantize", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    names = "MODEL --output -o --weights --layers --auto --max-loss --data --report --config --set --quiet"
    assert [name for name in names.split() if name not in text] == []


def test_a_network_is_written_and_reported(files, capsys):
    report = files / "new" / "report.json"
    output = files / "new" / "out.tflite"
    arguments = ["quantize", files / "net.tflite", "--weights", "int4", "--layers", "inner", "--data", files / "data.npz"]
    assert main([str(each) for each in (*arguments, "-o", output, "--report", report, *SMALL)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    new = read_tflite(output)
    narrow = [name for name, tensor in new.tensors.items() if tensor.dtype == "int4"]
    assert narrow == ["depthwise/w", "grouped/w", "matrix/w"]
    content = json.loads(report.read_text())
    assert (content["weft"], content["measure"], content["judging"]["samples"]) == (__version__, "accuracy", 10)
    for words in (
        "3 of 5 in int4",
        f"{content['weight_bytes'][0]} -> {content['weight_bytes'][1]}",
        f"{content['cycles'][0]} -> {content['cycles'][1]}",
        "accuracy", "judging", "chosen on the even samples", "compute at INT8's rate", "bytes only",
    ):  # fmt: skip
        assert words in captured.out, words
    assert all(len(line) <= 110 for line in captured.out.splitlines())


def test_without_inputs_it_says_what_is_small(files, capsys):
    assert main(["quantize", str(files / "net.tflite"), "-o", str(files / "out.tflite"), *SMALL]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "5 of 5 in int4" in out and "no inputs were given" in out and "accuracy" not in out


def test_inputs_without_labels_are_judged_by_the_int8_networks_answers(files, capsys):
    arguments = ["quantize", files / "net.tflite", "--data", files / "bare.npy", "--auto", "--max-loss", "100", "-o", files / "out.tflite"]
    assert main([str(each) for each in (*arguments, *SMALL)]) == 0
    out = capsys.readouterr().out
    assert "agreement with INT8 100.0 ->" in out and "loss %" in out


def test_the_network_of_the_digits_keeps_its_accuracy(tmp_path, capsys):
    """Trained on handwritten digits; 359 images that it has not seen, half of which judge."""
    output, report = tmp_path / "digits.tflite", tmp_path / "report.json"
    arguments = ["quantize", DIGITS, "--data", TEST_IMAGES, "--auto", "-o", output, "--report", report, "--quiet"]
    assert main([str(each) for each in arguments]) == 0
    judged = json.loads(report.read_text())["judging"]
    assert judged["before"] - judged["after"] <= 1 and judged["before"] > 98
    assert "int4" in capsys.readouterr().out


def float_network():
    tensors = [BuilderTensor(name, (1, 4), "float32") for name in "xy"]
    tensors.append(BuilderTensor("w", (4, 4), "float32", data=np.ones((4, 4))))
    return build_model(tensors, [BuilderOperator("FULLY_CONNECTED", ("x", "w", None), ("y",))], ["x"], ["y"])


def one_value():
    tensors = [BuilderTensor("x", (1, 4), scale=0.5), BuilderTensor("y", (1, 1), scale=0.5)]
    tensors.append(BuilderTensor("w", (1, 4), scale=0.5, data=np.full((1, 4), 99)))
    return build_model(tensors, [BuilderOperator("FULLY_CONNECTED", ("x", "w", None), ("y",))], ["x"], ["y"])


def test_mistakes_are_one_line(files, capsys, seed):
    (files / "float.tflite").write_bytes(float_network())
    (files / "one.tflite").write_bytes(one_value())
    gather(files / "part.tflite")
    (files / "relu.tflite").write_bytes(OPERATORS["RELU"](np.random.default_rng(seed)))
    np.save(files / "small.npy", images(20)[:, :5])
    np.save(files / "single.npy", images(1))
    np.save(files / "four.npy", np.zeros((3, 1, 4), np.int8))
    labels = {"float": np.zeros(20), "few": np.zeros(3, int), "large": np.full(20, 5)}
    for name, values in labels.items():
        np.savez(files / f"{name}.npz", x=images(20), y=values)
    net, out = files / "net.tflite", ("-o", files / "out.tflite", *SMALL)
    data = ("--data", files / "data.npz")
    for arguments, words in (
        ((net, *out, "--weights", "int2"), "--weights int2: only int4 is known"),
        ((net, "-o", net), "net.tflite: is the network itself; write to another file"),
        ((net, "-o", files), "is a folder; the network is written to a file"),
        ((net, *out, "--auto"), "--auto needs inputs to try the layers on; give --data inputs.npz"),
        ((net, *out, "--max-loss", "2"), "--max-loss 2 says how --auto chooses; add --auto"),
        ((net, *out, *data, "--auto", "--max-loss", "-1"), "--max-loss"),
        (
            (net, *out, "--layers", "conv2d_9"),
            "there is no layer 'conv2d_9'; those with weights are conv2d_0, depthwise_conv2d_0, conv2d_1",
        ),
        ((net, *out, "--data", files / "small.npy"), "shape (20, 5, 7, 3) does not fit the input x"),
        ((net, *out, "--data", files / "single.npy"), "holds one sample; one half chooses, the other judges; give two or more"),
        ((net, *out, "--data", files / "absent.npz"), "no such input file"),
        ((net, *out, "--data", files / "float.npz"), "labels of type float64 and shape [20] for 20 samples"),
        ((net, *out, "--data", files / "few.npz"), "labels of type int64 and shape [3] for 20 samples"),
        ((net, *out, "--data", files / "large.npz"), "labels from 5 to 5, but the network has 5 classes"),
        ((files / "float.tflite", *out), "is a float model: the weights of FULLY_CONNECTED are float32"),
        ((files / "relu.tflite", *out), "--layers all: no layer is left whose weights could be int4"),
        ((files / "part.tflite", *out), "takes networks that the NPU runs as a whole, but the host would run GATHER: GATHER: "),
        ((files / "one.tflite", *out, "--layers", "inner"), "--layers inner: no layer is left whose weights could be int4"),
        ((files / "one.tflite", *out, "--auto", "--data", files / "four.npy"), "--auto judges by the top class, but y has one value"),
        ((files / "absent.tflite", *out), "no such file"),
        ((net, *out, "--config", "huge"), "huge"),
    ):
        assert words in refused(capsys, "quantize", *arguments), arguments
    assert not (files / "out.tflite").exists()
    assert (files / "net.tflite").read_bytes() == network()
