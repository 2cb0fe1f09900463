"""Proofs of the SoC's masters: the rules of AXI on every channel, nothing lost that is not counted, no beat without room."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In

from hw.soc.burst_writer import BurstWriter
from hw.soc.bursts import PictureBursts, RunCollector, burst_layout
from hw.soc.camera import Camera
from hw.soc.display import Display
from hw.soc.random_master import PATTERN, RANDOM_SETTINGS, RandomMaster
from hw.soc.video_timing import VIDEO_SETTINGS, VideoTiming
from tests.formal.prove import prove, refute
from tests.formal.test_bus import assert_held, counter

WIDTHS = {"address_bits": 16, "data_bits": 32}
BEATS, BEAT_BITS, PAGE_BITS = 4, 2, 12
"""Beats of the longest burst of a video master; log2 of a beat's bytes, and of 4 KiB."""
FIFO = 7
"""Beats of a FIFO: as many as its counter can say, so that an induction begins with none that are not there."""


def last_row(m, value, name):
    """The value in the cycle before."""
    before = Signal.like(value, name=name)
    m.d.sync += before.eq(value)
    return before


def inside_a_block(burst, block_bits):
    """Whether a burst lies in one block of ``1 << block_bits`` bytes."""
    return (burst.addr[BEAT_BITS:block_bits] + burst.len) < 1 << (block_bits - BEAT_BITS)


def assume_held(m, stream, name):
    """Assumes of a stream that comes in that an offer stands until it is taken."""
    payload = Value.cast(stream.payload)
    waited = last_row(m, stream.valid & ~stream.ready, f"{name}_waited")
    m.d.comb += Assume(~waited | (stream.valid & (payload == last_row(m, payload, f"{name}_offered"))))


class VideoTimingProof(wiring.Component):
    """A picture starts when the one before has ended, no beat is due in its first cycle, and its settings stand until the next start."""

    def __init__(self, break_it=False):
        self.break_it = break_it
        super().__init__({"settings": In(VIDEO_SETTINGS)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = VideoTiming()
        m.d.comb += dut.settings.eq(self.settings)
        picture = dut.picture
        kept, known, inside = last_row(m, picture.as_value(), "kept"), Signal(), Signal()
        taken, started = last_row(m, dut.settings.as_value(), "taken"), last_row(m, dut.frame_start, "started")
        m.d.sync += known.eq(known | dut.frame_start)
        m.d.sync += inside.eq((inside | dut.frame_start) & ~dut.frame_end)
        line = ~dut.off & ~dut.blanking
        has_beats = (picture.line_beats != 0) & (picture.lines != 0) & (picture.rate != 0)
        m.d.comb += [
            Assert(~(dut.frame_start & dut.beat)),
            Assert(~dut.frame_start | (dut.off & ~inside)),
            Assert(picture.as_value() == Mux(started, taken, kept)),
            Assert(~dut.beat | inside),
            Assert(~inside | has_beats),
            Assert(~dut.frame_end | dut.line_end),
            Assert(~dut.line_end | dut.beat),
            # Where it stands: in a line, or between two, or behind the last.
            Assert(~(dut.off & dut.blanking)),
            Assert(inside == (line | (dut.blanking & ~dut.over))),
            Assert(~line | ~dut.over),
            Assert(~inside | ((dut.x < picture.line_beats) & (dut.line < picture.lines))),
            Assert(~(dut.blanking & ~dut.over) | (dut.x == 0)),
        ]
        if self.break_it:
            m.d.comb += Assert(~dut.frame_end | (dut.line == 0))
        return m


class BurstWriterProof(wiring.Component):
    """Of each burst one address and ``len + 1`` beats go out, the last one marked, and stand until they are taken; B is counted."""

    OUTSTANDING = 3

    def __init__(self, break_it=False):
        self.break_it = break_it
        super().__init__({
            "bursts": In(stream.Signature(burst_layout(WIDTHS["address_bits"]))),
            "beats": In(stream.Signature(unsigned(WIDTHS["data_bits"]))),
            "aw_ready": In(1),
            "w_ready": In(1),
            "b_valid": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = BurstWriter(**WIDTHS, outstanding=self.OUTSTANDING)
        aw, w, b = dut.axi.aw, dut.axi.w, dut.axi.b
        wiring.connect(m, wiring.flipped(self.bursts), dut.bursts)
        wiring.connect(m, wiring.flipped(self.beats), dut.beats)
        m.d.comb += [aw.ready.eq(self.aw_ready), w.ready.eq(self.w_ready), b.valid.eq(self.b_valid)]
        assume_held(m, dut.bursts, "burst")
        assume_held(m, dut.beats, "beat")
        m.d.comb += Assume(~self.b_valid | (dut.unanswered != 0))
        check_writer(m, dut)
        addresses, beats = aw.valid & aw.ready, w.valid & w.ready
        ends = dut.bursts.valid & dut.bursts.ready
        burst = dut.bursts.payload
        open_addresses = counter(m, "addresses", addresses) - counter(m, "ends_a", ends)
        open_lasts = counter(m, "lasts", beats & w.payload.last) - counter(m, "ends_b", ends)
        unanswered = counter(m, "sent", addresses) - counter(m, "answers", b.valid & b.ready)
        sent = Signal(9)  # beats of the burst
        m.d.sync += sent.eq(Mux(ends, 0, sent + beats))
        m.d.comb += [
            Assert(open_addresses[:8] == dut.address_sent),
            Assert(open_lasts[:8] == dut.beats_sent),
            Assert(unanswered[:8] == dut.unanswered),
            Assert(~ends | (sent + beats == burst.len + 1)),
            Assert(~beats | (w.payload.last == (sent == burst.len))),
            Assert(sent == Mux(dut.beats_sent, burst.len + 1, dut.number)),
            Assert(beats == (dut.beats.valid & dut.beats.ready)),
            Assert(~aw.valid | (Cat(aw.payload.addr, aw.payload.len, aw.payload.id) == Cat(burst.addr, burst.len, burst.id))),
        ]
        if self.break_it:
            m.d.comb += Assert(~(dut.beats_sent & ~dut.address_sent & (burst.len == 2)))
        return m


def check_writer(m, dut):
    """The rules of AXI on a `BurstWriter`'s channels, and what its registers say."""
    aw, w = dut.axi.aw, dut.axi.w
    assert_held(m, aw.valid, aw.ready, aw.payload)
    assert_held(m, w.valid, w.ready, w.payload)
    m.d.comb += [
        Assert(dut.unanswered <= dut.outstanding),
        Assert(~(dut.address_sent | dut.beats_sent | (dut.number != 0)) | dut.bursts.valid),
        Assert(~dut.bursts.valid | (dut.number <= dut.bursts.payload.len)),
        Assert(~dut.beats_sent | (dut.number == 0)),
        Assert(~(dut.beats_sent & dut.address_sent)),
        # Beats ahead of their address: with room for its response.
        Assert(~(dut.beats_sent | (dut.number != 0)) | dut.address_sent | (dut.unanswered != dut.outstanding)),
    ]


class PictureBurstsProof(wiring.Component):
    """Every burst has a beat and no more than a block, of which it crosses no end; the bursts of a line have its beats, each once."""

    def __init__(self, break_it=False):
        self.break_it = break_it
        super().__init__({"start": In(1), "picture": In(VIDEO_SETTINGS), "ready": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = PictureBursts(**WIDTHS, burst_beats=BEATS)
        bursts, burst = dut.bursts, dut.bursts.payload
        m.d.comb += [dut.start.eq(self.start), dut.settings.eq(self.picture), dut.picture.eq(self.picture)]
        m.d.comb += [bursts.ready.eq(self.ready)]
        started = Signal()
        m.d.sync += started.eq(started | self.start)
        known = last_row(m, self.picture.as_value(), "known")
        m.d.comb += [
            Assume(~self.start | (self.picture.line_beats != 0)),
            Assume(self.start | ~started | (self.picture.as_value() == known)),
        ]
        # The beats of the present line that went out, and where the next one lies.
        went, lines, base = Signal(16), Signal(16), Signal(16)
        moved, line_done = bursts.valid & bursts.ready, went + burst.len + 1 == self.picture.line_beats
        with m.If(self.start):
            m.d.sync += [went.eq(0), lines.eq(self.picture.lines), base.eq(self.picture.base)]
        with m.Elif(moved):
            m.d.sync += went.eq(Mux(line_done, 0, went + burst.len + 1))
            with m.If(line_done):
                m.d.sync += [lines.eq(lines - 1), base.eq(base + self.picture.line_step)]
        step = Signal(16)
        offered_for_two = last_row(m, dut.some & ~self.start & ~moved, "stood") & dut.some
        m.d.comb += [
            step.eq((base[BEAT_BITS:] + went) << BEAT_BITS),
            Assume(self.picture.line_step[:BEAT_BITS] == 0),
            Assert(~bursts.valid | (started & (known[1 + 32 : 1 + 48] != 0))),  # line_beats
            Assert(dut.some == (lines != 0)),
            Assert(~bursts.valid | dut.some),
            Assert(bursts.valid | ~(offered_for_two & ~self.start)),  # the length of a burst is known in the second cycle
            Assert(dut.lines == lines),
            Assert(~bursts.valid | (dut.line_address == base[BEAT_BITS:])),
            Assert(~bursts.valid | ((dut.left != 0) & (went + dut.left == self.picture.line_beats) | self.start)),
            Assert(~bursts.valid | (burst.addr == step)),
            Assert(~bursts.valid | self.start | ((burst.len < BEATS) & (went + burst.len + 1 <= self.picture.line_beats))),
            Assert(~bursts.valid | self.start | inside_a_block(burst, BEAT_BITS + 2)),
        ]
        if self.break_it:
            m.d.comb += Assert(~(moved & (burst.len == 2) & (dut.lines == 1)))
        return m


class RunCollectorProof(wiring.Component):
    """A beat is stored or lost; every stored one is in one run, at its place; no run is refused, and none crosses the end of a block."""

    def __init__(self, break_it=False):
        self.break_it = break_it
        inputs = {"start": 1, "picture": VIDEO_SETTINGS, "beat": 1, "line_end": 1, "room": 1, "ready": 1, "mark": 1}
        super().__init__({name: In(shape) for name, shape in inputs.items()})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = RunCollector(**WIDTHS, burst_beats=BEATS)
        runs, run = dut.runs, dut.runs.payload
        m.d.comb += [dut.runs.ready.eq(self.ready), dut.settings.eq(self.picture), dut.picture.eq(self.picture)]
        m.d.comb += [getattr(dut, name).eq(getattr(self, name)) for name in ("start", "beat", "line_end", "room")]
        in_line = Signal()  # the line has had a beat, not its last
        with m.If(self.beat):
            m.d.sync += in_line.eq(~self.line_end)
        stays = last_row(m, self.ready & ~runs.valid, "stays")
        m.d.comb += [
            Assume(~self.start | (~self.beat & ~in_line)),
            Assume(~self.line_end | self.beat),
            Assume(~stays | self.ready),
        ]
        held = counter(m, "stored", dut.stored) - counter(m, "sent", Mux(runs.valid, run.len + 1, 0))
        place = dut.address[:2]
        m.d.comb += [
            Assert((dut.stored ^ dut.lost) == self.beat),
            Assert(~(dut.stored & dut.lost)),
            Assert(~dut.stored | self.room),
            Assert(~runs.valid | (runs.ready & (run.len < BEATS) & inside_a_block(run, BEAT_BITS + 2))),
            Assert(held[:8] == dut.held),
            Assert(dut.held <= place),
            Assert((dut.held == 0) | (in_line & stays)),
        ]
        # A stored beat is followed to its run.
        followed, where = Signal(), Signal.like(dut.address)
        with m.If(runs.valid):
            m.d.sync += followed.eq(0)
        with m.Elif(dut.stored & self.mark):
            m.d.sync += [followed.eq(1), where.eq(dut.address)]
        back = (dut.address - where)[: len(where)]  # beats from it to the next one
        behind = (where - run.addr[BEAT_BITS:])[: len(where)]
        m.d.comb += [
            Assert(~followed | ((back != 0) & (back <= dut.held))),
            Assert(~(followed & runs.valid) | (behind <= run.len)),
            Assert(~(dut.stored & runs.valid) | (run.addr[BEAT_BITS:] + run.len == dut.address)),
        ]
        if self.break_it:
            m.d.comb += Assert(~(dut.lost & runs.valid & (run.len == 1)))
        return m


class CameraProof(wiring.Component):
    """Every beat that is due is stored in a FIFO that has room, or counted; no run is refused; what is written was stored before."""

    def __init__(self, break_it=False):
        self.break_it = break_it
        super().__init__({"settings": In(VIDEO_SETTINGS), "aw_ready": In(1), "w_ready": In(1), "b_valid": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = Camera(**WIDTHS, fifo_beats=FIFO, burst_beats=BEATS)
        aw, w, b = dut.axi.aw, dut.axi.w, dut.axi.b
        collector, fifo, runs = dut.collector, dut.fifo, dut.runs
        m.d.comb += [dut.settings.eq(self.settings), aw.ready.eq(self.aw_ready), w.ready.eq(self.w_ready), b.valid.eq(self.b_valid)]
        came = counter(m, "due", collector.beat)
        stored = counter(m, "stored", collector.stored)
        counted = counter(m, "fault", dut.fault) + dut.fault
        written = counter(m, "written", w.valid & w.ready)
        m.d.comb += [
            Assert(~fifo.i.valid | fifo.i.ready),
            Assert(fifo.level <= FIFO),
            Assert((came - stored)[:8] == counted[:8]),
            Assert(counted[:8] == dut.faults[:8]),
            Assert((stored - written)[:8] == fifo.level),
            Assert(~w.valid | (fifo.level != 0)),
            Assert(~runs.i.valid | runs.i.ready),
            Assert((collector.held == 0) | (runs.level < runs.depth)),
            Assert(runs.level <= runs.depth),
        ]
        if self.break_it:
            m.d.comb += Assert(~(dut.fault & (w.valid & w.payload.last)))
        return m


class DisplayProof(wiring.Component):
    """No beat comes without room, each address stands and stays in its block, and a beat that is shown is the one that is due.

    The memory answers what it was asked. Of a picture, ``asked`` beats were asked for and ``due`` were due: the head of the FIFO is number
    ``asked - reserved``, and ``late`` is how far it lies behind.
    """

    def __init__(self, break_it=False):
        self.break_it = break_it
        super().__init__({"settings": In(VIDEO_SETTINGS), "ar_ready": In(1), "r_valid": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = Display(**WIDTHS, fifo_beats=FIFO, burst_beats=BEATS)
        ar, r, fifo, bursts, timing = dut.axi.ar, dut.axi.r, dut.fifo, dut.bursts, dut.timing
        m.d.comb += [dut.settings.eq(self.settings), ar.ready.eq(self.ar_ready), r.valid.eq(self.r_valid)]
        new = Mux(bursts.bursts.valid & bursts.bursts.ready, bursts.bursts.payload.len + 1, 0)
        owed, asked, due = Signal(8), Signal(32), Signal(32)
        m.d.sync += owed.eq(owed + Mux(ar.valid & ar.ready, ar.payload.len + 1, 0) - r.valid)
        m.d.sync += [asked.eq(Mux(timing.frame_start, 0, asked + new)), due.eq(Mux(timing.frame_start, 0, due + timing.beat))]
        missed = counter(m, "missed", dut.fault)
        shown = fifo.o.valid & timing.beat & (dut.late == 0)
        kept = timing.picture.line_beats
        m.d.comb += [
            Assume(~r.valid | (owed != 0)),
            Assert(r.ready),
            Assert(~fifo.i.valid | fifo.i.ready),
            Assert(dut.reserved <= FIFO),
            Assert(dut.reserved == owed + Mux(ar.valid, ar.payload.len + 1, 0) + fifo.level),
            Assert(~ar.valid | ((ar.payload.len < BEATS) & inside_a_block(ar.payload, BEAT_BITS + 2))),
            Assert(dut.late == (dut.reserved - asked + due)[:32]),
            Assert(~shown | ((asked - dut.reserved)[:32] == due)),
            Assert((missed + dut.fault)[:8] == dut.faults[:8]),
            Assert((bursts.lines == 0) | ((bursts.left != 0) & (kept != 0))),
        ]
        assert_held(m, ar.valid, ar.ready, ar.payload)
        if self.break_it:
            m.d.comb += Assert(~(fifo.o.valid & (dut.late == 1)))
        return m


class RandomMasterProof(wiring.Component):
    """Addresses stand and no burst crosses 4 KiB; what is on its way is counted; a written word follows from its own address."""

    def __init__(self, break_it=False):
        self.break_it = break_it
        inputs = {"ar_ready": 1, "r_valid": 1, "r_last": 1, "aw_ready": 1, "w_ready": 1, "b_valid": 1}
        super().__init__({"settings": In(RANDOM_SETTINGS)} | {name: In(width) for name, width in inputs.items()})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = RandomMaster(**WIDTHS)
        read, write, writer = dut.read, dut.write, dut.writer
        m.d.comb += [
            dut.settings.eq(self.settings),
            read.ar.ready.eq(self.ar_ready),
            read.r.valid.eq(self.r_valid),
            read.r.payload.last.eq(self.r_last),
            write.aw.ready.eq(self.aw_ready),
            write.w.ready.eq(self.w_ready),
            write.b.valid.eq(self.b_valid),
        ]
        asked = counter(m, "asked", read.ar.valid & read.ar.ready) - counter(m, "ended", read.r.valid & read.r.payload.last)
        m.d.comb += [Assume(~self.r_valid | (asked[:8] != 0)), Assume(~self.b_valid | (writer.unanswered != 0))]
        burst = writer.bursts.payload
        word = (burst.addr + (writer.number << BEAT_BITS))[:16]
        m.d.comb += [
            Assert(dut.unanswered <= dut.OUTSTANDING),
            Assert((asked + read.ar.valid)[:8] == dut.unanswered),
            Assert(asked[:8] <= dut.OUTSTANDING),
            Assert(~read.ar.valid | (inside_a_block(read.ar.payload, PAGE_BITS) & (read.ar.payload.id < 2))),
            Assert(~write.aw.valid | (inside_a_block(write.aw.payload, PAGE_BITS) & (write.aw.payload.id < 2))),
            Assert(~writer.bursts.valid | (inside_a_block(burst, PAGE_BITS) & (burst.id < 2))),
            Assert(~writer.bursts.valid | writer.beats_sent | ((writer.beats.payload ^ PATTERN)[:16] == word)),
            Assert(~dut.idle | ~(read.ar.valid | write.aw.valid | write.w.valid | (asked[:8] != 0))),
        ]
        assert_held(m, read.ar.valid, read.ar.ready, read.ar.payload)
        check_writer(m, writer)
        if self.break_it:
            m.d.comb += Assert(~(write.w.valid & (writer.number == 3) & ~read.ar.valid))
        return m


PROOFS = {
    "video_timing": (VideoTimingProof, 2),
    "burst_writer": (BurstWriterProof, 2),
    "picture_bursts": (PictureBurstsProof, 2),
    "run_collector": (RunCollectorProof, 2),
    "camera": (CameraProof, 2),
    "display": (DisplayProof, 2),
    "random_master": (RandomMasterProof, 2),
}


@pytest.mark.parametrize("name", PROOFS)
def test_it_is_proven(name, tmp_path):
    component, depth = PROOFS[name]
    prove(component(), tmp_path, depth=depth)


@pytest.mark.parametrize("name", PROOFS)
def test_the_proof_reaches_states_and_can_fail(name, tmp_path):
    component, _ = PROOFS[name]
    refute(component(break_it=True), tmp_path, depth=24)
