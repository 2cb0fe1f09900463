"""Inputs from files and seeds, and what is said when they do not fit."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hw.npu.errors import WeftError
from weft.compiler.graph import Graph, Operator, Quantization, Tensor
from weft.run.inputs import load_samples, random_sample


def graph(*tensors):
    """A network that is only its inputs."""
    named = {tensor.name: tensor for tensor in tensors}
    return Graph("g", "g.tflite", named, (), tuple(named), ())


def image_input(dtype="int8", channels=3):
    """A 4 x 6 image, scale 1/2, zero point 3."""
    return Tensor("image", (1, 4, 6, channels), dtype, Quantization((0.5,), (3,)))


def test_a_seed_gives_the_same_values_over_the_whole_range():
    big = Tensor("t", (1, 100, 100, 1), "int8", Quantization((1.0,), (0,)))
    first, again, other = (random_sample(graph(big), seed)["t"] for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (first.min(), first.max(), first.dtype) == (-128, 127, np.int8)


def test_random_numbers_of_entries_lie_inside_the_smallest_table():
    """Some words, handed on as a column, are looked up in two tables, of which the second lies along another dimension."""
    words, column = Tensor("words", (400,), "int32"), Tensor("column", (400, 1), "int32")
    tables = [Tensor("large", (900, 2), "int8"), Tensor("small", (2, 30), "int8")]
    operators = (
        Operator("l", "EMBEDDING_LOOKUP", ("words", "large"), ("y",)), Operator("e", "EXPAND_DIMS", ("words",), ("column",)),
        Operator("g", "GATHER", ("small", "column"), ("z",), {"axis": 1}),
    )  # fmt: skip
    network = replace(graph(words), operators=operators, tensors={each.name: each for each in (words, column, *tables)})
    values = random_sample(network, 1)["words"]
    assert (values.min(), values.max(), values.dtype) == (0, 29, np.int32)


@pytest.mark.parametrize("shape", [(1, 4, 6, 3), (4, 6, 3)])
def test_one_sample(tmp_path, shape):
    x = np.arange(72, dtype=np.int8).reshape(shape)
    np.save(tmp_path / "x.npy", x)
    samples, notes = load_samples(graph(image_input()), tmp_path / "x.npy")
    assert len(samples) == 1
    assert notes == []
    assert np.array_equal(samples[0]["image"], x.reshape(1, 4, 6, 3))


def test_a_batch_under_the_key_x(tmp_path):
    x = np.arange(5 * 72).astype(np.int8).reshape(5, 4, 6, 3)
    np.savez(tmp_path / "x.npz", x=x, labels=np.zeros(5))
    samples, _ = load_samples(graph(image_input()), tmp_path / "x.npz")
    assert len(samples) == 5
    assert np.array_equal(samples[3]["image"], x[3:4])


def test_floats_are_quantized_and_that_is_said(tmp_path):
    np.save(tmp_path / "x.npy", np.full((4, 6, 3), 2.0))
    samples, notes = load_samples(graph(image_input()), tmp_path / "x.npy")
    assert (samples[0]["image"] == 2 / 0.5 + 3).all()
    assert "scale 0.5 and zero point 3" in notes[0]


def test_two_inputs_by_name(tmp_path):
    a, b = Tensor("a", (1, 2), "int8", None), Tensor("b", (1, 3), "int8", None)
    np.savez(tmp_path / "x.npz", a=np.ones((1, 2), np.int8), b=np.zeros((1, 3), np.int8))
    samples, _ = load_samples(graph(a, b), tmp_path / "x.npz")
    assert samples[0]["a"].tolist() == [[1, 1]]


@pytest.mark.parametrize(("dtype", "value"), [("int8", 72), ("uint8", 200), ("float32", np.float32(200) / np.float32(255))])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_is_resized(tmp_path, dtype, value, channels):
    Image.new("RGB", (20, 10), (200, 200, 200)).save(tmp_path / "x.bmp")
    samples, notes = load_samples(graph(image_input(dtype, channels)), tmp_path / "x.bmp")
    assert samples[0]["image"].shape == (1, 4, 6, channels)
    assert samples[0]["image"].dtype == dtype
    assert (samples[0]["image"] == value).all()
    assert "20x10 resized to 6x4" in notes[0]


def test_what_does_not_fit_is_one_line(tmp_path):
    cases = {}
    np.save(tmp_path / "shape.npy", np.zeros((4, 5, 3), np.int8))
    cases["shape.npy"] = r"shape \(4, 5, 3\) does not fit the input image of shape \(1, 4, 6, 3\)"
    np.save(tmp_path / "range.npy", np.full((4, 6, 3), 300))
    cases["range.npy"] = "int64 do not fit the input image of type int8; give int8"
    (tmp_path / "broken.npz").write_bytes(b"PK nothing")
    cases["broken.npz"] = "no numpy file"
    (tmp_path / "broken.npy").write_bytes(b"nothing")
    cases["broken.npy"] = "no numpy file"
    (tmp_path / "broken.bmp").write_bytes(b"BM nothing")
    cases["broken.bmp"] = "no image"
    np.savez(tmp_path / "keys.npz", a=np.zeros(1), b=np.zeros(1))
    cases["keys.npz"] = "holds a, b; name the input's array x or image"
    Image.fromarray(np.full((9, 9), 40000, np.uint16)).save(tmp_path / "deep.png")
    cases["deep.png"] = "more than 8 bits a pixel; convert it"
    np.save(tmp_path / "objects.npy", np.array([None]))
    cases["objects.npy"] = "no numpy file of numbers"
    (tmp_path / "folder").mkdir()
    cases["folder"] = "is not a file"
    cases["absent.npy"] = "no such input file"
    for name, message in cases.items():
        with pytest.raises(WeftError, match=message) as caught:
            load_samples(graph(image_input()), tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)
