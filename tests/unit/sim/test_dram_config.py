"""Parameters of the DDR timing model: presets, TOML files, and what they refuse."""

import re
import struct

import pytest

from hw.npu.errors import WeftError
from sim.dram import FIELDS, FOLDER, NEVER, SPANS, WORDS, Span, load_dram, presets

PEAK = {"ddr3-1600-x16": 3.2, "ddr4-2400-x32": 9.6, "lpddr4-3200-x16": 6.4, "lpddr4-3200-x32": 12.8}
"""GB/s: data rate times width."""


def words(config):
    packed = config.pack(1250)
    return dict(zip(WORDS, struct.unpack(f"<{len(packed) // 4}I", packed), strict=True))


def test_presets_have_their_peak():
    assert {name: load_dram(name).peak_bytes_per_second / 1e9 for name in presets()} == PEAK


@pytest.mark.parametrize("name", PEAK)
def test_every_value_of_a_preset_names_a_source(name):
    """The letters behind a value, before the colon, stand in the list of sources at the head of its file."""
    lines = (FOLDER / f"{name}.toml").read_text().splitlines()
    sources = {line.split()[1] for line in lines if re.match(r"# [A-Z][0-9]? +\w", line)}
    named = {}
    for line in lines:
        if field := re.match(r"(\w+) = ", line):
            named[field[1]] = set(re.split(r"[,;] *", line.partition("#")[2].partition(":")[0].strip()))
    assert set(named) == set(FIELDS) - {"name"}
    assert {field: letters for field, letters in named.items() if not letters or not letters <= sources} == {}


@pytest.mark.parametrize(
    ("span", "rate", "clocks"),
    [
        (Span(18), 3200, 29),  # 28.8
        (Span(10, 8), 3200, 16),
        (Span(7.5, 8), 800, 8),  # 3 clocks; at least 8
        (Span(5), 2400, 6),  # exactly: 833.33 ps a clock, not 833
        (Span(14.16), 2400, 17),  # 16.992
        (Span(0, 4), 2400, 4),
    ],
)
def test_a_time_is_rounded_up_to_clocks(span, rate, clocks):
    assert span.clocks(rate) == clocks


def test_the_refresh_interval_is_rounded_down():
    assert load_dram("lpddr4-3200-x16").clocks("refi") == 6246, "3904 ns / 0.625 ns = 6246.4"


def test_page_policies_are_timeouts():
    config = load_dram("lpddr4-3200-x16")
    expected = {"open": NEVER, "closed": 0, "timeout": 80}
    for policy, timeout in expected.items():
        assert words(config.replace(page_policy=policy, page_timeout_ns=50.0))["page_timeout"] == timeout


def test_another_data_rate_makes_other_clocks():
    config = load_dram("lpddr4-3200-x16").replace(data_rate=1600)
    assert (words(config)["rcd"], words(config)["ccd_s"]) == (15, 8), "18 ns at 800 MHz; 8 clocks at any rate"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 24}, "width = 24 must be a power of two"),
        ({"width": 256}, "width = 256 must be from 4 to 128"),
        ({"banks": 64}, "banks = 64 must be from 4 to 32"),
        ({"cl": 0}, "cl = 0 must be from 1 to 100"),
        ({"page_policy": "shut"}, "page_policy = 'shut' must be one of open, timeout, closed"),
        ({"group_interleave": 16}, "width x burst / 8 = 32 must not exceed group_interleave = 16"),
        ({"bank_interleave": 128}, "group_interleave x groups = 256 must not exceed bank_interleave = 128"),
        ({"bank_interleave": 4096}, "bank_interleave = 4096 must not exceed row_bytes x groups = 2048"),
        ({"row_bytes": 512, "banks": 4}, "the longest AXI burst = 4096 must not exceed row_bytes x banks = 2048"),
        ({"write_low": 55}, "write_low = 55 must not exceed write_high = 54"),
        ({"write_high": 65}, "write_high = 65 must not exceed write_buffer = 64"),
        ({"refi": 1000.0}, "4 rfc in clocks = 1792 must not exceed refi in clocks = 1600"),
        ({"width": 4, "burst": 8}, "width x burst = 32 bits must be whole words of 8 bytes"),
        ({"rcd": -1.0}, "rcd = -1.0 ns, 0 ck must be from 0 to"),
        ({"rcd": "fast"}, "rcd = 'fast' is not a time"),
        ({"rcd": {"us": 1}}, "is not a time"),
        ({"cl": 2.5}, "cl = 2.5 is not a whole number"),
        ({"bank_hash": 1}, "bank_hash = 1 is not true or false"),
        ({"front_ns": "10"}, "front_ns = '10' is not a number"),
        ({"speed": 1}, "unknown DRAM field 'speed'"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(changes, message):
    with pytest.raises(WeftError, match=message.replace("(", r"\(")):
        load_dram("lpddr4-3200-x16").replace(**changes)


@pytest.mark.parametrize("bus_ps", [99, 1_000_001])
def test_a_bus_cycle_out_of_range_is_refused(bus_ps):
    with pytest.raises(WeftError, match=f"{bus_ps} ps must be from 100 to 1000000"):
        load_dram("lpddr4-3200-x16").pack(bus_ps)


def test_a_file_changes_a_preset(tmp_path):
    path = tmp_path / "narrow.toml"
    path.write_text('preset = "lpddr4-3200-x16"\n[device]\nwidth = 8\n[timing]\nrcd = { ns = 20, ck = 4 }\nrp = 20\n')
    config = load_dram(path)
    assert (config.name, config.width, config.rcd, config.rp) == ("narrow", 8, Span(20, 4), Span(20))
    assert config.faw == load_dram("lpddr4-3200-x16").faw


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("width = 8\n", "no value for data_rate, burst"),
        ('preset = "ddr9"\n', "unknown preset 'ddr9'"),
        ("width = \n", "not a TOML file"),
        ('preset = "ddr3-1600-x16"\nwidht = 8\n', "unknown DRAM field 'widht'"),
        ('preset = "ddr3-1600-x16"\nwidth = 8\n[device]\nwidth = 8\n', "width is given twice"),
        ('preset = "ddr3-1600-x16"\nwidth = 7\n', "width = 7 must be a power of two"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(WeftError, match=message) as caught:
        load_dram(path)
    assert caught.value.file == path


def test_an_unknown_name_says_which_there_are():
    with pytest.raises(WeftError, match=r"no DRAM named 'ddr9'; use a preset \(ddr3-1600-x16, ddr4"):
        load_dram("ddr9")


def test_every_span_is_a_word():
    assert {name for name in SPANS if name != "dqsck"} < set(WORDS)
