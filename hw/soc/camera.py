"""Camera: writes picture after picture to the DDR, and waits for nobody."""

from amaranth.hdl import Cat, Module, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi import WriteChannels
from hw.npu.parts.fifo import StreamFifo
from hw.soc.beat_buffer import BeatBuffer
from hw.soc.burst_writer import BurstWriter
from hw.soc.bursts import RunCollector, burst_layout, check_burst
from hw.soc.video_timing import VIDEO_SETTINGS, VideoTiming


def pattern_word(*, frame, line, word) -> int:
    """The 32-bit word of the test pattern, from the numbers of picture, line and word in the line."""
    return (frame & 0xFF) << 24 | (line & 0xFFF) << 12 | word & 0xFFF


class Camera(wiring.Component):
    """Captures a test pattern (`pattern_word`): a beat whenever `VideoTiming` says so, through a FIFO, in bursts.

    A burst goes out when the FIFO holds all of it: up to the next multiple of ``burst_beats`` beats of address, or the line's rest. So
    W follows at a beat a cycle, and a burst after the other; up to `OUTSTANDING` wait for their responses, whose codes are not looked at.
    A beat that finds the FIFO full is lost and counted. The others keep their places: the memory's bytes at a lost beat stay as they are.
    Where bursts were cut by losses so often that the queue of bursts is full, a beat that would begin another one is lost as well.

    ::

        timing --beat--> pattern --> FIFO (fifo_beats) --------+--> writer --> AW, W; B
           |                          | room                   |
           +-----------> collector ---+--> queue of bursts ----+

    Parameters
    ----------
    address_bits, data_bits : int
        Widths of the channels.
    fifo_beats : int
        Beats that the FIFO holds, at least ``burst_beats``.
    burst_beats : int
        Beats of the longest burst, a power of two; not more than 4 KiB.

    Members
    -------
    settings : In(VIDEO_SETTINGS)
        Geometry and rate; urgent at ``watermark`` beats in the FIFO or more.
    axi : Out(WriteChannels)
        To the interconnect. ID 0.
    urgent : Out(1)
        The FIFO held ``watermark`` beats or more in the cycle before.
    frame_start : Out(1)
        A picture begins, with its blanking.
    frames : Out(32)
        Pictures whose last beat was captured. It may still be on its way to the memory.
    faults : Out(32)
        Beats lost since reset.
    fault : Out(1)
        One was lost in the cycle before.

    Raises
    ------
    ValueError
        If a width or a number of beats is out of range.
    """

    OUTSTANDING = 8

    def __init__(self, *, address_bits, data_bits, fifo_beats, burst_beats):
        check_burst("Camera", address_bits=address_bits, data_bits=data_bits, burst_beats=burst_beats)
        if not burst_beats <= fifo_beats < 1 << 16:
            raise ValueError(f"Camera fifo_beats must be {burst_beats} (burst_beats) to 65535, not {fifo_beats}")
        self.address_bits, self.data_bits = address_bits, data_bits
        self.fifo_beats, self.burst_beats = fifo_beats, burst_beats
        super().__init__({
            "settings": In(VIDEO_SETTINGS),
            "axi": Out(WriteChannels(address_bits=address_bits, data_bits=data_bits)),
            "urgent": Out(1),
            "frame_start": Out(1),
            "frames": Out(32),
            "faults": Out(32),
            "fault": Out(1),
        })
        self.collector = RunCollector(address_bits=address_bits, data_bits=data_bits, burst_beats=burst_beats)
        self.fifo = BeatBuffer(unsigned(data_bits), depth=fifo_beats)
        self.runs = StreamFifo(burst_layout(address_bits), depth=2 * -(-fifo_beats // burst_beats) + 2)

    def elaborate(self, platform):
        m = Module()
        m.submodules.timing = timing = VideoTiming()
        m.submodules.collector = collector = self.collector
        m.submodules.fifo = fifo = self.fifo
        m.submodules.runs = runs = self.runs
        m.submodules.writer = writer = BurstWriter(address_bits=self.address_bits, data_bits=self.data_bits, outstanding=self.OUTSTANDING)
        wiring.connect(m, collector.runs, runs.i)
        wiring.connect(m, runs.o, writer.bursts)
        wiring.connect(m, fifo.o, writer.beats)
        wiring.connect(m, writer.axi, wiring.flipped(self.axi))
        m.d.comb += [
            timing.settings.eq(self.settings),
            collector.start.eq(timing.frame_start),
            collector.settings.eq(self.settings),
            collector.picture.eq(timing.picture),
            collector.beat.eq(timing.beat),
            collector.line_end.eq(timing.line_end),
            collector.room.eq(fifo.level < self.fifo_beats),  # the buffer's output register is not counted as room
            fifo.i.valid.eq(collector.stored),
            fifo.i.payload.eq(self._pattern(timing)),
            self.frame_start.eq(timing.frame_start),
            self.frames.eq(timing.frames),
        ]
        m.d.sync += [
            self.urgent.eq(fifo.level >= self.settings.watermark),
            self.fault.eq(collector.lost),
            self.faults.eq(self.faults + collector.lost),
        ]
        return m

    def _pattern(self, timing):
        """The beat that is due, as `pattern_word` has its words; the word at the lowest address in the lowest bits."""
        words = self.data_bits // 32
        first = timing.x << (words - 1).bit_length()
        return Cat(Cat((first + i)[:12], timing.line[:12], timing.frames[:8]) for i in range(words))
