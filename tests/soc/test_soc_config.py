"""Configurations of a SoC: the bus's width, and what is said of wrong values."""

import pytest

from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from hw.soc.config import SocConfig, load_soc_config


@pytest.mark.parametrize(
    ("source", "overrides", "bits", "name"),
    [
        ("nano", [], 128, "nano+axi_bits=128"),
        ("base", [], 128, "base"),
        ("large", [], 128, "large+axi_bits=128"),
        ("small", ["axi_bits=64"], 64, "small"),
        ("small", ["cols=8", "axi_bits=256"], 256, "small+axi_bits=256+cols=8"),
    ],
)
def test_the_bus_has_128_bits_unless_an_override_says_otherwise(source, overrides, bits, name):
    config = load_soc_config(source, overrides)
    assert (config.npu.axi_bits, config.npu.name) == (bits, name)


@pytest.mark.parametrize(("text", "bits"), [("cols = 8", 128), ("axi_bits = 64", 64), ('preset = "large"\naxi_bits = 256', 256)])
def test_the_bus_has_the_width_that_a_file_says(tmp_path, text, bits):
    path = tmp_path / "own.toml"
    path.write_text(text)
    assert load_soc_config(path).npu.axi_bits == bits


def test_overrides_reach_the_soc_and_its_npu():
    config = load_soc_config("nano", ["camera_fifo = 0x80", "cols=16", "burst_beats=32"])
    assert (config.camera_fifo, config.burst_beats, config.npu.cols) == (128, 32, 16)
    assert config.name == "nano+axi_bits=128+cols=16+camera_fifo=128+burst_beats=32"
    assert SocConfig().name == "small+axi_bits=128"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"npu": 5}, "field npu must be a configuration of an NPU, not 5"),
        ({"burst_beats": 0}, "burst_beats = 0 must be from 1 to 256"),
        ({"burst_beats": 12}, "burst_beats = 12 must be a power of two; the nearest: 8 and 16$"),
        ({"burst_beats": 512}, "burst_beats = 512 must be from 1 to 256"),
        ({"npu": PRESETS["large"], "burst_beats": 256}, "burst_beats = 256 must be from 1 to 128"),
        ({"camera_fifo": 15}, "camera_fifo = 15 must be from 16 to 4096"),
        ({"display_fifo": 4097}, "display_fifo = 4097 must be from 16 to 4096"),
        ({"cpu_gate": 255}, "cpu_gate = 255 must be from 256 to 4096"),
        ({"npu_gate": 63}, "npu_gate = 63 must be from 64 to 4096"),
        ({"npu_gate": 512.0}, "npu_gate must be a whole number, not 512.0"),
        ({"write_ahead": 65}, "write_ahead = 65 must be from 1 to 64"),
    ],
)
def test_a_value_outside_its_range_is_named(fields, words):
    with pytest.raises(WeftError, match=words):
        SocConfig(**fields)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("camera_fifo=many", "'many' is not a whole number"),
        ("camera=5", "unknown configuration field 'camera'"),
        ("rows=3", "rows = 3 must be one of"),
        ("axi_bits=48", "axi_bits = 48 must be one of"),
    ],
)
def test_a_wrong_override_is_named(override, words):
    with pytest.raises(WeftError, match=words):
        load_soc_config("small", [override])


def test_an_unknown_configuration_is_named():
    with pytest.raises(WeftError, match="no configuration named 'tiny'"):
        load_soc_config("tiny")
