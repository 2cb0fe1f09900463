"""Configurations: presets, TOML files, overrides, and what is said of wrong ones."""

import pytest

from hw.npu.config import PRESETS, NpuConfig, load_config
from hw.npu.errors import WeftError


def toml(tmp_path, text, name="own.toml"):
    """Path of a TOML file."""
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_preset_is_known_by_its_name():
    assert all(load_config(name) is config and config.name == name for name, config in PRESETS.items())


def test_a_file_changes_small_unless_it_names_a_preset(tmp_path):
    assert load_config(toml(tmp_path, "cols = 8")) == PRESETS["small"].replace(name="own", cols=8)
    assert load_config(toml(tmp_path, 'preset = "nano"\ncols = 16')) == PRESETS["nano"].replace(name="own", cols=16)


@pytest.mark.parametrize(("file", "name"), [("my npu é.toml", "my_npu__"), (".toml", "npu.toml"), ("x" * 90 + ".toml", "x" * 40)])
def test_the_name_of_a_file_becomes_a_name(tmp_path, file, name):
    assert load_config(toml(tmp_path, "", file)).name == name


def test_what_is_overridden_stands_in_the_name():
    config = load_config("small", ["cols=0x20", "rows=16", "act_kib = 128"])
    assert config == PRESETS["small"].replace(name="small+cols=32+act_kib=128", cols=32, act_kib=128)
    assert load_config("small", ["cols=32", "name=mine"]).name == "mine"
    assert load_config("small", ["rows=16"]) is PRESETS["small"]


@pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("on", True), ("1", True), ("false", False), ("0", False)])
def test_int4_is_a_switch(tmp_path, text, value):
    assert load_config("small", [f"int4={text}"]).int4 is value
    assert load_config("small", [f"int4={text}"]).name == ("small+int4=true" if value else "small")
    assert load_config(toml(tmp_path, "int4 = true")).int4


@pytest.mark.parametrize(("rows", "cols", "axi_bits", "word"), [(16, 16, 64, 32), (4, 32, 64, 32), (4, 4, 256, 32), (64, 64, 64, 128)])
def test_with_int4_a_word_holds_two_activations_a_row(rows, cols, axi_bits, word):
    config = NpuConfig(rows=rows, cols=cols, axi_bits=axi_bits, int4=True)
    assert (config.word_bytes, config.feed_bytes) == (word, max(2 * rows, cols))
    assert (config.tile_depth(True), config.tile_depth(False)) == (2 * rows, rows)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rows = = 8", "not a TOML file"),
        (b"\xc9\x00", "not a TOML file"),
        ("colls = 8", "unknown configuration field 'colls'; the fields are name, rows"),
        ("[npu]\nrows = 8", "unknown configuration field 'npu'"),
        ("pipeline = true", "configuration field 'pipeline' is gone; every NPU has these registers now: leave the field out"),
        ('rows = "8"', "rows must be a whole number, not '8'"),
        ("rows = 8.0", "rows must be a whole number, not 8.0"),
        ("rows = true", "rows must be a whole number, not True"),
        ("int4 = 1", "int4 must be true or false, not 1"),
        ('preset = "tiny"', "unknown preset 'tiny'"),
        ('preset = ["nano"]', r"unknown preset \['nano'\]"),
        ("name = 5", "name = 5 must be"),
        ('name = "../x"', "name = '../x' must be"),
        ('name = "a\\nb"', "must be 1 to 220 letters"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, words):
    path = toml(tmp_path, text)
    with pytest.raises(WeftError, match=words) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("rows", "'rows' is not of the form FIELD=VALUE"),
        ("rows=", "'' is not a whole number"),
        ("rows=16.0", "'16.0' is not a whole number"),
        ("rows=3", "field rows = 3 must be one of 4, 8, 16, 32, 64: it is no power of two; the nearest: 4$"),
        ("cols=24", "field cols = 24 must be one of 4, 8, 16, 32, 64: it is no power of two; the nearest: 16 and 32$"),
        ("rows=128", "rows = 128 must be one of 4, 8, 16, 32, 64; the nearest: 64$"),
        ("axi_bits=0", "axi_bits = 0 must be one of 32, 64, 128, 256: it is no power of two; the nearest: 32$"),
        ("act_kib=1", "act_kib = 1 must be from 16 to 8192"),
        ("act_kib=8193", "act_kib = 8193 must be from 16 to 8192"),
        ("preset=nano", "unknown configuration field 'preset'"),
        ("pipeline=false", "configuration field 'pipeline' is gone; every NPU has these registers now: leave the field out"),
        ("ROWS=8", "unknown configuration field 'ROWS'"),
        ("int4=2", "'2' is neither true nor false"),
        ("int4=", "'' is neither true nor false"),
        ("name=", "name = '' must be"),
        ("name=a/b", "name = 'a/b' must be"),
    ],
)
def test_a_wrong_override_is_named(override, words):
    with pytest.raises(WeftError, match=words):
        load_config("small", [override])


@pytest.mark.parametrize("name", ["tiny", "", "nano.toml", "."])
def test_an_unknown_configuration_is_named(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeftError, match=f"no configuration named {name!r}"):
        load_config(name)
