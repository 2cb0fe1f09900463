"""What the video masters make of a picture: bursts of beats that follow each other, never across a multiple of the longest burst."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi import BOUNDARY, ID_BITS
from hw.npu.parts.delay import delayed
from hw.npu.parts.stream_register import steady
from hw.soc.video_timing import VIDEO_SETTINGS


def burst_layout(address_bits) -> data.StructLayout:
    """A burst: ID, address of its first beat (a multiple of the beat's bytes), ``len + 1`` beats."""
    return data.StructLayout({"id": unsigned(ID_BITS), "addr": unsigned(address_bits), "len": unsigned(8)})


def check_burst(name, *, address_bits, data_bits, burst_beats):
    """Raises ValueError unless these are widths and a longest burst that never crosses 4 KiB."""
    if data_bits < 32 or data_bits & data_bits - 1:
        raise ValueError(f"{name} data_bits must be a power of two from 32, not {data_bits}")
    if address_bits < 13:
        raise ValueError(f"{name} address_bits must be at least 13, not {address_bits}")
    most = min(256, BOUNDARY * 8 // data_bits)
    if not 1 <= burst_beats <= most or burst_beats & burst_beats - 1:
        raise ValueError(f"{name} burst_beats must be a power of two from 1 to {most}, not {burst_beats}")


class PictureBursts(wiring.Component):
    """The bursts of a picture, line by line: each ends at its line's end or at a multiple of ``burst_beats`` beats of address.

    A burst every other cycle, the first two cycles behind ``start``: how long it is stands in a register before it is offered.

    Parameters
    ----------
    address_bits, data_bits : int
        Widths of an address and of a beat.
    burst_beats : int
        Beats of the longest burst, a power of two; not more than 4 KiB.

    Members
    -------
    start : In(1)
        A picture begins; what is left of the one before is forgotten.
    settings : In(VIDEO_SETTINGS)
        Its settings, in the cycle of ``start``.
    picture : In(VIDEO_SETTINGS)
        Its settings, from the cycle behind ``start`` to the last burst.
    bursts : Out(stream of burst_layout)
        In the order of the beats, ID 0.
    some : Out(1)
        There are bursts that were not taken.
    """

    def __init__(self, *, address_bits, data_bits, burst_beats):
        check_burst("PictureBursts", address_bits=address_bits, data_bits=data_bits, burst_beats=burst_beats)
        self.address_bits, self.data_bits, self.burst_beats = address_bits, data_bits, burst_beats
        super().__init__({
            "start": In(1),
            "settings": In(VIDEO_SETTINGS),
            "picture": In(VIDEO_SETTINGS),
            "bursts": Out(stream.Signature(burst_layout(address_bits))),
            "some": Out(1),
        })
        self.left = Signal(16)
        self.lines = Signal(16)
        """Beats of the present line that are not in a burst yet; lines from the present one on, 0 where there is nothing to do."""
        self.line_address = Signal(address_bits - (data_bits // 8 - 1).bit_length())
        """Of the present line, in beats."""

    def elaborate(self, platform):
        m = Module()
        picture, burst, left, lines = self.picture, self.bursts.payload, self.left, self.lines
        beat_bits, block_bits = (self.data_bits // 8 - 1).bit_length(), (self.burst_beats - 1).bit_length()
        # address: of the next burst, in beats
        line_address = self.line_address
        address = Signal.like(self.line_address)
        next_line = line_address + picture.line_step[beat_bits:]
        room = self.burst_beats - address[:block_bits]
        last = left <= room
        line_done = delayed(m, last, 1, name="line_done")
        beats = delayed(m, Mux(last, left, room)[: self.burst_beats.bit_length()], 1, name="beats")
        taken = self.bursts.valid & self.bursts.ready
        m.d.comb += [
            self.some.eq(lines != 0),
            self.bursts.valid.eq(steady(m, self.some, self.start | taken, 1, name="known")),
            burst.addr.eq(address << beat_bits),
            burst.len.eq(beats - 1),
        ]
        with m.If(self.start):
            m.d.sync += [
                line_address.eq(self.settings.base[beat_bits:]),
                address.eq(self.settings.base[beat_bits:]),
                left.eq(self.settings.line_beats),
                lines.eq(self.settings.lines),
            ]
        with m.Elif(taken):
            m.d.sync += [address.eq(address + beats), left.eq(left - beats)]
            with m.If(line_done):
                m.d.sync += [line_address.eq(next_line), address.eq(next_line), left.eq(picture.line_beats), lines.eq(lines - 1)]
        return m


class RunCollector(wiring.Component):
    """Which beats of a camera are stored, and the bursts that take them to their places: runs of stored beats that follow each other.

    A run ends at its line's end, at a multiple of ``burst_beats`` beats of address, and before a beat that is lost. So a lost beat moves
    no other. A beat is stored where there is room for it, and for the run that it begins. No latency: a run is offered in the cycle of
    its last beat, or of the lost one behind it.

    Parameters
    ----------
    address_bits, data_bits : int
        Widths of an address and of a beat.
    burst_beats : int
        Beats of the longest run, a power of two; not more than 4 KiB.

    Members
    -------
    start : In(1)
        A picture begins.
    settings : In(VIDEO_SETTINGS)
        Its settings, in the cycle of ``start``.
    picture : In(VIDEO_SETTINGS)
        Its settings, from the cycle behind ``start`` on.
    beat, line_end : In(1)
        A beat is due (not in the cycle of ``start``); it is its line's last. Every picture ends with a line's last.
    room : In(1)
        There is room for it.
    stored, lost : Out(1)
        What becomes of it.
    runs : Out(stream of burst_layout)
        Offered for one cycle only: ``ready`` must stay high until a run is taken, as that of a queue does. It is asked where a run begins.
    """

    def __init__(self, *, address_bits, data_bits, burst_beats):
        check_burst("RunCollector", address_bits=address_bits, data_bits=data_bits, burst_beats=burst_beats)
        self.address_bits, self.data_bits, self.burst_beats = address_bits, data_bits, burst_beats
        super().__init__({
            "start": In(1),
            "settings": In(VIDEO_SETTINGS),
            "picture": In(VIDEO_SETTINGS),
            "beat": In(1),
            "line_end": In(1),
            "room": In(1),
            "stored": Out(1),
            "lost": Out(1),
            "runs": Out(stream.Signature(burst_layout(address_bits))),
        })
        beat_bits = (data_bits // 8 - 1).bit_length()
        self.address = Signal(address_bits - beat_bits)
        """Of the beat that is due next, in beats."""
        self.held = Signal(range(burst_beats + 1))
        """Beats of the run that is not offered yet: those before ``address``."""

    def elaborate(self, platform):
        m = Module()
        picture, run = self.picture, self.runs.payload
        beat_bits, block_bits = (self.data_bits // 8 - 1).bit_length(), (self.burst_beats - 1).bit_length()
        line_address = Signal.like(self.address)
        with m.If(self.start):
            base = self.settings.base[beat_bits:]
            m.d.sync += [line_address.eq(base), self.address.eq(base)]
        with m.Elif(self.beat):
            m.d.sync += self.address.eq(self.address + 1)
            with m.If(self.line_end):
                next_line = line_address + picture.line_step[beat_bits:]
                m.d.sync += [line_address.eq(next_line), self.address.eq(next_line)]

        beats = Signal.like(self.held)  # of the run, with the present beat
        block_end = self.address[:block_bits] == self.burst_beats - 1
        m.d.comb += [
            self.stored.eq(self.beat & self.room & ((self.held != 0) | self.runs.ready)),
            self.lost.eq(self.beat & ~self.stored),
            beats.eq(self.held + self.stored),
            self.runs.valid.eq((self.stored & (self.line_end | block_end)) | (self.lost & (self.held != 0))),
            run.addr.eq((self.address - self.held) << beat_bits),
            run.len.eq(beats - 1),
        ]
        m.d.sync += self.held.eq(Mux(self.runs.valid, 0, beats))
        return m
