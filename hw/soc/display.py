"""Display: reads picture after picture from the DDR, and waits for nobody."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi import BURST_INCR, ReadChannels
from hw.soc.beat_buffer import BeatBuffer
from hw.soc.bursts import PictureBursts, check_burst
from hw.soc.video_timing import VIDEO_SETTINGS, VideoTiming


class Display(wiring.Component):
    """Shows a beat whenever `VideoTiming` says so, from a FIFO that is filled ahead; the reads of a picture begin with its blanking.

    A burst is asked for when the FIFO has room for all of it beside what was asked for before, so R is always ready. A beat that is due
    and not there is a fault, counted and shown as zero; when it comes it is dropped, so that the others stay in their places. A picture
    that begins forgets what the one before did not read: beats on their way are dropped. Codes of responses are not looked at.

    ::

        timing --frame start--> bursts --[ room? ]--> AR
           |
           +--beat--> pixels <-- FIFO (fifo_beats) <-- R

    Parameters
    ----------
    address_bits, data_bits : int
        Widths of the channels.
    fifo_beats : int
        Beats that the FIFO holds, at least ``burst_beats``. No more are ever outstanding.
    burst_beats : int
        Beats of the longest burst, a power of two; not more than 4 KiB.

    Members
    -------
    settings : In(VIDEO_SETTINGS)
        Geometry and rate; urgent at ``watermark`` beats in the FIFO or less.
    axi : Out(ReadChannels)
        To the interconnect. ID 0.
    urgent : Out(1)
        The FIFO held ``watermark`` beats or less in the cycle before, and beats of the picture had not come.
    pixels_valid, pixels : Out(1), Out(data_bits)
        A beat was due in the cycle before: the beat, zero where it is a fault.
    frame_start : Out(1)
        A picture begins, with its blanking.
    frames : Out(32)
        Pictures whose last beat was due.
    faults : Out(32)
        Beats that were not there in time, since reset.
    fault : Out(1)
        The beat on ``pixels`` is one.

    Raises
    ------
    ValueError
        If a width or a number of beats is out of range.
    """

    def __init__(self, *, address_bits, data_bits, fifo_beats, burst_beats):
        check_burst("Display", address_bits=address_bits, data_bits=data_bits, burst_beats=burst_beats)
        if not burst_beats <= fifo_beats < 1 << 16:
            raise ValueError(f"Display fifo_beats must be {burst_beats} (burst_beats) to 65535, not {fifo_beats}")
        self.address_bits, self.data_bits = address_bits, data_bits
        self.fifo_beats, self.burst_beats = fifo_beats, burst_beats
        super().__init__({
            "settings": In(VIDEO_SETTINGS),
            "axi": Out(ReadChannels(address_bits=address_bits, data_bits=data_bits)),
            "urgent": Out(1),
            "pixels_valid": Out(1),
            "pixels": Out(data_bits),
            "frame_start": Out(1),
            "frames": Out(32),
            "faults": Out(32),
            "fault": Out(1),
        })
        self.bursts = PictureBursts(address_bits=address_bits, data_bits=data_bits, burst_beats=burst_beats)
        self.fifo = BeatBuffer(unsigned(data_bits), depth=fifo_beats)
        self.timing = VideoTiming()
        self.reserved = Signal(range(fifo_beats + 1))
        """Beats that were asked for and have not left the FIFO."""
        self.late = Signal(32)
        """Beats that will be dropped when they come: their time is over."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.timing = timing = self.timing
        m.submodules.bursts = bursts = self.bursts
        m.submodules.fifo = fifo = self.fifo
        ar, r, burst = self.axi.ar, self.axi.r, bursts.bursts
        m.d.comb += [
            timing.settings.eq(self.settings),
            bursts.start.eq(timing.frame_start),
            bursts.settings.eq(self.settings),
            bursts.picture.eq(timing.picture),
            self.frame_start.eq(timing.frame_start),
            self.frames.eq(timing.frames),
        ]

        # Asking: a burst with room goes into the register of AR.
        beats = burst.payload.len + 1
        m.d.comb += burst.ready.eq((~ar.valid | ar.ready) & ~timing.frame_start & (self.reserved + beats <= self.fifo_beats))
        asked = burst.valid & burst.ready
        m.d.comb += [ar.payload.size.eq((self.data_bits // 8 - 1).bit_length()), ar.payload.burst.eq(BURST_INCR)]
        with m.If(ar.ready):
            m.d.sync += ar.valid.eq(0)
        with m.If(asked):
            m.d.sync += [ar.valid.eq(1), ar.payload.addr.eq(burst.payload.addr), ar.payload.len.eq(burst.payload.len)]

        # Showing: late beats are dropped as fast as they come.
        shown = Signal()
        taken = Signal()
        m.d.comb += [
            fifo.i.valid.eq(r.valid),
            fifo.i.payload.eq(r.payload.data),
            r.ready.eq(1),
            fifo.o.ready.eq(timing.beat | (self.late != 0)),
            taken.eq(fifo.o.valid & fifo.o.ready),
            shown.eq(timing.beat & fifo.o.valid & (self.late == 0)),
        ]
        missed = timing.beat & ~shown
        left = self.reserved - taken
        m.d.sync += [
            self.reserved.eq(left + Mux(asked, beats, 0)),
            self.late.eq(Mux(timing.frame_start, left, self.late + missed - (taken & ~shown))),
            self.pixels_valid.eq(timing.beat),
            self.pixels.eq(Mux(shown, fifo.o.payload, 0)),
            self.fault.eq(missed),
            self.faults.eq(self.faults + missed),
            self.urgent.eq((bursts.some | (self.reserved != fifo.level)) & (fifo.level <= self.settings.watermark)),
        ]
        return m
