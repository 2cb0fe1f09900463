"""Video modes: how many pixels a second, and the settings of a camera or a display that make them."""

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from amaranth.hdl import Shape

from hw.npu.errors import WeftError
from hw.soc.video_timing import RATE_ONE, VIDEO_SETTINGS

WRITTEN = re.compile(r"(\d+)x(\d+)@(\d+)")
TOTALS = {
    (640, 480): {60: (800, 525)},
    (720, 480): {60: (858, 525)},
    (720, 576): {50: (864, 625)},
    (1280, 720): {50: (1980, 750), 60: (1650, 750)},
    (1920, 1080): {24: (2750, 1125), 25: (2640, 1125), 30: (2200, 1125), 50: (2640, 1125), 60: (2200, 1125)},
    (3840, 2160): {24: (5500, 2250), 25: (5280, 2250), 30: (4400, 2250), 50: (5280, 2250), 60: (4400, 2250)},
}
"""Pixels and lines with blanking, by size and rate: CEA-861, table "Video Format Timings"."""
REDUCED_H_BLANK, REDUCED_V_BLANK_US = 160, 460
"""Blanking of any other mode: VESA CVT 1.2, reduced blanking: pixels of a line, least microseconds of a picture."""
MOST_PIXELS, MOST_FPS = 16384, 1000


@dataclass(frozen=True)
class VideoMode:
    """Size and rate of pictures, with their blanking.

    Attributes
    ----------
    width, height : int
        Pixels and lines that are seen.
    fps : int
        Pictures a second.
    h_total, v_total : int
        Pixels of a line and lines of a picture, blanking included.

    Raises
    ------
    WeftError
        If a number is out of range.
    """

    width: int
    height: int
    fps: int
    h_total: int
    v_total: int

    def __post_init__(self):
        for name, value, most in (("width", self.width, MOST_PIXELS), ("height", self.height, MOST_PIXELS), ("rate", self.fps, MOST_FPS)):
            if not 1 <= value <= most:
                raise WeftError(f"video mode {self}: {name} {value} must be from 1 to {most}")
        if self.h_total < self.width or self.v_total < self.height:
            raise WeftError(f"video mode {self}: {self.h_total}x{self.v_total} with blanking is less than without")

    def __str__(self):
        return f"{self.width}x{self.height}@{self.fps}"

    @property
    def pixel_clock(self) -> int:
        """Pixels a second, blanking included."""
        return self.h_total * self.v_total * self.fps

    def bytes_per_second(self, bytes_per_pixel) -> int:
        """Bytes a second that are seen."""
        return self.width * self.height * self.fps * bytes_per_pixel

    def settings(self, *, bytes_per_pixel, beat_bytes, clock_hz, scale=1) -> dict[str, int]:
        """Fields of `VIDEO_SETTINGS` but ``enable``, ``base`` and ``watermark``.

        Parameters
        ----------
        bytes_per_pixel, beat_bytes : int
            Of a pixel in memory, of a beat of the bus; a line's rest fills a beat.
        clock_hz : int
            Of the bus.
        scale : int
            Pictures of as many times fewer lines and as many times more of them: the rates in a line and over a picture stay.

        Raises
        ------
        WeftError
            If the bus is too slow for the mode, or a number does not fit its register.
        """
        line_beats = -(-self.width * bytes_per_pixel // beat_bytes)
        active = Fraction(self.width * clock_hz, self.pixel_clock)  # cycles of a line that are seen
        rate = math.ceil(line_beats * RATE_ONE / active)
        lines = max(1, round(self.height / scale))
        blank = math.floor(Fraction((self.h_total - self.width) * clock_hz, self.pixel_clock))
        line_cycles = blank + Fraction(line_beats * RATE_ONE, rate)
        picture = Fraction(clock_hz * lines, self.fps * self.height)
        found = {
            "line_beats": line_beats,
            "lines": lines,
            "line_step": line_beats * beat_bytes,
            "rate": rate,
            "blank_cycles": blank,
            "frame_blank_cycles": max(1, round(picture - lines * line_cycles)),
        }
        for name, value in found.items():
            if value >> Shape.cast(VIDEO_SETTINGS.members[name]).width:
                why = "the bus is too slow for it" if name == "rate" else "its register is too narrow"
                raise WeftError(f"video mode {self}, {bytes_per_pixel} bytes a pixel at {clock_hz / 1e6:g} MHz: {name} = {value}: {why}")
        return found


def parse_mode(text: str) -> VideoMode:
    """A mode as in ``1920x1080@60``; its blanking is CEA-861's where it has the mode, else VESA's reduced one.

    Raises
    ------
    WeftError
        If the text is no mode.
    """
    found = WRITTEN.fullmatch(text.strip())
    if not found:
        raise WeftError(f"{text!r} is no video mode", remedy="write WIDTHxHEIGHT@FPS, for example 1920x1080@60")
    width, height, fps = map(int, found.groups())
    h_total, v_total = TOTALS.get((width, height), {}).get(fps, (width + REDUCED_H_BLANK, 0))
    if not v_total and height and fps:
        # CVT 1.2, section 5.4, step 10: a line lasts what is left of a picture without the least vertical blanking
        line_us = Fraction(Fraction(1_000_000, fps) - REDUCED_V_BLANK_US, height)
        v_total = height + (math.floor(REDUCED_V_BLANK_US / line_us) + 1 if line_us > 0 else height)
    return VideoMode(width, height, fps, h_total, v_total)
