"""Video modes: their text, their blanking, and the registers that make them."""

from fractions import Fraction

import pytest

from hw.npu.errors import WeftError
from hw.soc.video_mode import TOTALS, VideoMode, parse_mode
from hw.soc.video_timing import frame_cycles

BUS = {"beat_bytes": 16, "clock_hz": 800_000_000}


def test_1080p60_is_the_standards():
    mode = parse_mode("1920x1080@60")
    assert mode == VideoMode(1920, 1080, 60, 2200, 1125)
    assert mode.pixel_clock == 148_500_000  # CEA-861
    assert mode.bytes_per_second(2) == 248_832_000


def test_registers_of_1080p60_at_800_mhz():
    camera = parse_mode("1920x1080@60").settings(bytes_per_pixel=2, **BUS)
    # 1920 pixels take 1920 * 800 / 148.5 = 10343.4 cycles, in which 240 beats pass: 1520.7 / 65536, rounded up; 280 pixels 1508.4 cycles
    assert camera["line_beats"] == 240 and camera["lines"] == 1080 and camera["line_step"] == 3840
    assert camera["rate"] == 1521 and camera["blank_cycles"] == 1508
    # 13 333 333.3 cycles a picture, less 1080 lines of 1508 + 240 * 65536 / 1521
    assert camera["frame_blank_cycles"] == round(Fraction(800_000_000, 60) - 1080 * (1508 + Fraction(240 * 65536, 1521)))


@pytest.mark.parametrize("text", ["1920x1080@60", "1280x720@50", "640x480@60", "1024x600@60", "3840x2160@30"])
@pytest.mark.parametrize("bytes_per_pixel", [1, 2, 4])
@pytest.mark.parametrize("scale", [1, 16, 64])
def test_a_picture_lasts_its_share_of_a_second(text, bytes_per_pixel, scale):
    mode = parse_mode(text)
    found = mode.settings(bytes_per_pixel=bytes_per_pixel, scale=scale, **BUS)
    lines, step = found["lines"], found.pop("line_step")
    expected = Fraction(BUS["clock_hz"], mode.fps) * lines / mode.height
    assert abs(frame_cycles(**found) - expected) <= 1, found
    assert step == found["line_beats"] * 16 >= mode.width * bytes_per_pixel
    assert abs(lines - mode.height / scale) <= 0.5


def test_modes_without_an_entry_get_reduced_blanking():
    mode = parse_mode("1024x600@60")
    assert mode.h_total == 1024 + 160
    line_us = (1e6 / 60 - 460) / 600
    assert (mode.v_total - 600) * line_us >= 460 > (mode.v_total - 601) * line_us


def test_every_entry_is_a_mode():
    for (width, height), rates in TOTALS.items():
        for fps, (h_total, v_total) in rates.items():
            assert parse_mode(f"{width}x{height}@{fps}") == VideoMode(width, height, fps, h_total, v_total)


@pytest.mark.parametrize("text", ["", "1920x1080", "1920x1080@", "1920*1080@60", "1920x1080@60i", "-1x5@6"])
def test_what_is_no_mode_is_refused(text):
    with pytest.raises(WeftError, match="is no video mode"):
        parse_mode(text)


@pytest.mark.parametrize(
    ("text", "name"), [("0x100@60", "width"), ("100x0@60", "height"), ("100x100@0", "rate"), ("20000x100@60", "width")]
)
def test_numbers_out_of_range_are_named(text, name):
    with pytest.raises(WeftError, match=f"{name} .* must be from 1"):
        parse_mode(text)


def test_a_mode_that_the_bus_cannot_carry_is_refused():
    with pytest.raises(WeftError, match=r"rate = .*the bus is too slow"):
        parse_mode("3840x2160@60").settings(bytes_per_pixel=4, beat_bytes=4, clock_hz=100_000_000)


def test_blanking_that_no_register_holds_is_refused():
    with pytest.raises(WeftError, match=r"blank_cycles = \d+: its register"):
        parse_mode("64x2@1").settings(bytes_per_pixel=2, **BUS)
