"""When the beats of a picture are due: the part of a camera or a display that waits for nobody."""

from fractions import Fraction

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

RATE_ONE = 1 << 16
"""A rate of one beat a cycle."""

VIDEO_SETTINGS = data.StructLayout({
    "enable": unsigned(1),  # pictures follow each other; taken away, the present one is finished
    "base": unsigned(32),  # address of the first line, bytes; the bits within a beat are ignored
    "line_beats": unsigned(16),  # beats of a line
    "lines": unsigned(16),
    "line_step": unsigned(32),  # from a line's address to the next line's, bytes; the bits within a beat are ignored
    "rate": unsigned(16),  # beats a cycle in 1/65536 while a line is active
    "blank_cycles": unsigned(16),  # behind each line
    "frame_blank_cycles": unsigned(24),  # before the first line, at least 1
    "watermark": unsigned(16),  # beats in the FIFO that make the master urgent; may change at any time
})
"""Settings of a camera or a display. All but ``watermark`` are taken at the start of a picture, so they may change during one."""


def frame_cycles(*, line_beats, lines, rate, blank_cycles, frame_blank_cycles) -> Fraction:
    """Mean cycles of a picture; the active ones are ``beats * 65536 / rate``."""
    return max(1, frame_blank_cycles) + lines * (blank_cycles + Fraction(line_beats * RATE_ONE, rate))


class VideoTiming(wiring.Component):
    """Beats of picture after picture, each due in a cycle of its own, at a rate that is exact over any time.

    A picture is ``frame_blank_cycles`` (at least one) of blanking, then each line: its active cycles, which end with its last beat, and
    ``blank_cycles``. In an active cycle the rate is added to a fraction, and a beat is due where it passes 1: behind n active cycles,
    counted over all lines and pictures since it was switched on, floor(n * rate / 65536) beats were due. A picture without beats
    (``line_beats``, ``lines`` or ``rate`` 0) is none: the same as ``enable`` 0.

    Members
    -------
    settings : In(VIDEO_SETTINGS)
        Taken in the cycle of ``frame_start``.
    picture : Out(VIDEO_SETTINGS)
        The settings of the present picture, from the cycle behind ``frame_start`` to the next.
    frame_start : Out(1)
        The first cycle of a picture's blanking; no beat is due in it.
    beat : Out(1)
        A beat is due in this cycle.
    x, line : Out(16), Out(16)
        Which: number in its line, number of the line.
    line_end, frame_end : Out(1)
        It is the last of its line, of its picture.
    frames : Out(32)
        Pictures that have ended with their last beat: the present one's number.
    """

    settings: In(VIDEO_SETTINGS)
    picture: Out(VIDEO_SETTINGS)
    frame_start: Out(1)
    beat: Out(1)
    x: Out(16)
    line: Out(16)
    line_end: Out(1)
    frame_end: Out(1)
    frames: Out(32)

    def __init__(self):
        super().__init__()
        self.off = Signal()
        self.blanking = Signal()
        self.over = Signal()
        """No picture is made; blanking; it is the blanking behind the last line."""

    def elaborate(self, platform):
        m = Module()
        settings, picture, over = self.settings, self.picture, self.over
        with m.If(self.frame_start):
            m.d.sync += picture.eq(settings)
        fraction = Signal(16)
        total = Signal(17)
        blank = Signal(24)  # cycles of blanking behind this one
        m.d.comb += total.eq(fraction + picture.rate)
        with m.FSM() as fsm:
            # Ends when there is a picture to make, which begins in this cycle.
            with m.State("WAIT_ENABLE"):
                m.d.comb += self.frame_start.eq(settings.enable & (settings.line_beats != 0) & (settings.lines != 0) & (settings.rate != 0))
                with m.If(self.frame_start):
                    m.d.sync += [self.x.eq(0), self.line.eq(0), over.eq(0), blank.eq(settings.frame_blank_cycles - 2)]
                    m.next = "LINE"
                    with m.If(settings.frame_blank_cycles > 1):
                        m.next = "BLANK"
                with m.Else():
                    m.d.sync += fraction.eq(0)
            # Ends with the last cycle of blanking, before a line or behind the last one.
            with m.State("BLANK"):
                m.d.sync += blank.eq(blank - 1)
                with m.If(blank == 0):
                    m.next = "LINE"
                    with m.If(over):
                        m.next = "WAIT_ENABLE"
            # Ends with the line's last beat.
            with m.State("LINE"):
                m.d.sync += fraction.eq(total)
                m.d.comb += [
                    self.beat.eq(total[16]),
                    self.line_end.eq(self.beat & (self.x == picture.line_beats - 1)),
                    self.frame_end.eq(self.line_end & (self.line == picture.lines - 1)),
                ]
                with m.If(self.beat):
                    m.d.sync += self.x.eq(self.x + 1)
                with m.If(self.line_end):
                    m.d.sync += [self.x.eq(0), self.line.eq(self.line + 1), over.eq(self.frame_end), blank.eq(picture.blank_cycles - 1)]
                    with m.If(picture.blank_cycles != 0):
                        m.next = "BLANK"
                    with m.Elif(self.frame_end):
                        m.next = "WAIT_ENABLE"
                with m.If(self.frame_end):
                    m.d.sync += self.frames.eq(self.frames + 1)
        m.d.comb += [self.off.eq(fsm.ongoing("WAIT_ENABLE")), self.blanking.eq(fsm.ongoing("BLANK"))]
        return m
