"""Scenarios: files, options, and what is said of wrong ones."""

import pytest

from hw.npu.errors import WeftError
from hw.soc.registers import FIRST_CLASS, MASTERS
from sim.dram import load_dram
from sim.scenario import Cpu, NpuShare, Scenario, Video, camera_of, display_of, load_scenario

FULL = """
ddr = { preset = "ddr4-2400-x32", width = 16 }
clock_mhz = 600
frames = 3
scale = 8
age_limit = 20
fps = 30
camera = { mode = "1280x720@60", bytes_per_pixel = 1, class = 1, watermark = 0 }
display = { mode = "1920x1080@60" }
cpu = { gbs = 0.5, write_share = 0.25, burst_bytes = 128, window_kib = 64, class = 2 }
npu = { class = 3, read_gbs = 2.5 }
soc = { camera_fifo = 1024 }
"""


def scenario(tmp_path, text, name="own.toml"):
    """A file's scenario."""
    path = tmp_path / name
    path.write_text(text)
    return load_scenario(path)


def test_a_file_says_everything(tmp_path):
    found = scenario(tmp_path, FULL)
    assert found.name == "own" and found.dram.width == 16 and found.dram.name == "ddr4-2400-x32+width=16"
    assert (found.clock_mhz, found.frames, found.scale, found.age_limit, found.fps) == (600, 3, 8, 20, 30)
    assert found.camera == camera_of("1280x720@60", bytes_per_pixel=1, klass=1, watermark=0)
    assert found.cpu == Cpu(0.5, 0.25, 128, 64, 2) and found.npu == NpuShare(3, 2.5) and found.sizes == {"camera_fifo": 1024}
    assert found.bus_ps == 1667


def test_what_a_file_leaves_out_is_the_usual(tmp_path):
    found = scenario(tmp_path, 'display = { mode = "1920x1080@60" }')
    assert found == Scenario(name="own", display=display_of("1920x1080@60"))
    assert found.dram == load_dram("lpddr4-3200-x16") and found.clock_mhz == 800 and found.bus_ps == 1250
    assert found.display.klass == FIRST_CLASS[MASTERS.index("display")] and isinstance(found.display, Video)


def test_a_ddr_beside_the_file_is_found(tmp_path):
    (tmp_path / "mine.toml").write_text('preset = "ddr3-1600-x16"\nwidth = 8')
    assert scenario(tmp_path, 'ddr = "mine.toml"').dram.width == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frames = 0", "frames = 0 must be from 1 to 1000"),
        ("frames = 1.5", "frames = 1.5 is not a whole number"),
        ("clock_mhz = true", "clock_mhz = True is not a number"),
        ("age_limit = 256", "age_limit = 256 must be from 0 to 255"),
        ('camera = "1920x1080@60"', "camera = '1920x1080@60' must be a table"),
        ("camera = { class = 1 }", "camera has no mode"),
        ("camera = { mode = 5 }", "camera.mode = 5 is not a text"),
        ('camera = { mode = "1920x1080@60", class = 4 }', "camera.class = 4 must be from 0 to 3"),
        ('camera = { mode = "1920x1080@60", klass = 1, colour = 2 }', "unknown field 'colour' of camera"),
        ("cpu = { write_share = 0.5 }", "cpu has no gbs"),
        ("cpu = { gbs = 1, write_share = 2 }", "cpu.write_share = 2 must be from 0 to 1"),
        ("cpu = { gbs = 1, window_kib = 100 }", "cpu.window_kib = 100 must be a power of two"),
        ("npu = { read_gbs = -1 }", "npu.read_gbs = -1 must be from 0"),
        ("soc = { fifo = 1 }", "unknown field 'fifo' of soc"),
        ('ddr = "ddr9"', "no DRAM named 'ddr9'"),
        ("ddr = 5", "ddr = 5 is neither a name nor a table"),
        ("ddr = { width = 3 }", "width = 3 must be from 4"),
        ("traffic = 1", "unknown field 'traffic' of scenario"),
        ("frames = ", "not a TOML file"),
    ],
)
def test_mistakes_are_named_with_the_file(tmp_path, text, message):
    with pytest.raises(WeftError) as refused:
        scenario(tmp_path, text)
    assert message in str(refused.value) and "own.toml" in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WeftError, match="no such scenario"):
        load_scenario(tmp_path / "none.toml")
