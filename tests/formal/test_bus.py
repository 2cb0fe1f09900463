"""Proofs of what shares the bus: nothing is lost, doubled or interleaved, and what cannot be refused has room."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.npu.control.command_fetch import BLOCK_BYTES, CommandFetch
from hw.npu.control.queues import STREAM_BITS
from hw.npu.dma.beat_reader import BeatReader
from hw.npu.dma.read_arbiter import FETCH_ID, LOAD_ID, ReadArbiter
from hw.npu.dma.write_arbiter import RECORD_ID, STORE_ID, WriteArbiter
from hw.npu.interface.axi import ReadChannels, WriteChannels
from hw.npu.interface.isa import UNIT_BYTES
from tests.formal.prove import prove, refute

WIDTHS = {"address_bits": 16, "data_bits": 32}
COUNT = 8
"""Width of the observers' counters: they wrap, and only differences count."""


def counter(m, name, event):
    """A signal that counts cycles with the event."""
    count = Signal(COUNT, name=name)
    m.d.sync += count.eq(count + event)
    return count


def assert_held(m, valid, ready, payload):
    """Asserts that an offer stands until it is taken."""
    payload = payload.as_value() if hasattr(payload, "as_value") else payload
    waited, offered = Signal(), Signal.like(payload)
    m.d.sync += [waited.eq(valid & ~ready), offered.eq(payload)]
    m.d.comb += Assert(~waited | (valid & (payload == offered)))


class ReadArbiterProof(wiring.Component):
    """Every address goes out once, unchanged but for its ID, and stands until it is taken; a beat goes to the owner of its ID alone."""

    def __init__(self, break_it=False):
        self.break_it = break_it
        channels = ReadChannels(**WIDTHS)
        super().__init__({
            "fetch": In(channels),
            "load": In(channels),
            "ar_ready": In(1),
            "r_valid": In(1),
            "r_id": In(1),
            "fetch_ready": In(1),
            "load_ready": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = ReadArbiter(**WIDTHS)
        ar, r = dut.port.ar, dut.port.r
        m.d.comb += [
            ar.ready.eq(self.ar_ready),
            r.valid.eq(self.r_valid),
            r.payload.id.eq(self.r_id),
            dut.fetch.r.ready.eq(self.fetch_ready),
            dut.load.r.ready.eq(self.load_ready),
        ]
        taken, expected = {}, Signal.like(ar.payload)
        for owner, outside, master in ((FETCH_ID, self.fetch, dut.fetch), (LOAD_ID, self.load, dut.load)):
            m.d.comb += [
                master.ar.valid.eq(outside.ar.valid),
                master.ar.payload.eq(outside.ar.payload),
                outside.ar.ready.eq(master.ar.ready),
            ]
            taken[owner] = master.ar.valid & master.ar.ready
            given = counter(m, f"taken_{owner}", taken[owner]) - counter(m, f"out_{owner}", ar.valid & ar.ready & (ar.payload.id == owner))
            m.d.comb += Assert(given[:COUNT] == (ar.valid & (ar.payload.id == owner)))
            with m.If(taken[owner]):
                m.d.sync += [expected.eq(master.ar.payload), expected.id.eq(owner)]
        answered = [master.r.valid & master.r.ready for master in (dut.fetch, dut.load)]
        m.d.comb += [
            Assert(~Cat(taken.values()).all()),
            Assert(~ar.valid | (ar.payload.as_value() == expected.as_value())),
            Assert((r.valid & r.ready) == Cat(answered).any()),
            Assert(~Cat(answered).all()),
            Assert(~self.fetch.ar.valid | ~taken[LOAD_ID]),
        ]
        assert_held(m, ar.valid, ar.ready, ar.payload)
        if self.break_it:
            m.d.comb += Assert(~(ar.valid & (ar.payload.id == LOAD_ID)))
        return m


class WriteArbiterProof(wiring.Component):
    """Every address goes out once and stands until it is taken; the beats of each burst pass in the order of the addresses.

    An address that is granted while ``mark`` is up for the first time is followed: when it is the oldest, its master is the one that
    passes. ``order`` holds as many bursts of each master as it was granted and has not ended.
    """

    def __init__(self, depth=3, break_it=False):
        self.depth, self.break_it = depth, break_it
        channels = WriteChannels(**WIDTHS)
        super().__init__({"store": In(channels), "record": In(channels), "aw_ready": In(1), "w_ready": In(1), "mark": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = WriteArbiter(**WIDTHS, depth=self.depth)
        m.d.comb += [dut.port.aw.ready.eq(self.aw_ready), dut.port.w.ready.eq(self.w_ready)]
        masters = {STORE_ID: (self.store, dut.store), RECORD_ID: (self.record, dut.record)}
        granted, ended = {}, {}
        for owner, (outside, master) in masters.items():
            m.d.comb += [
                master.aw.valid.eq(outside.aw.valid),
                master.aw.payload.eq(outside.aw.payload),
                outside.aw.ready.eq(master.aw.ready),
                master.w.valid.eq(outside.w.valid),
                master.w.payload.eq(outside.w.payload),
                outside.w.ready.eq(master.w.ready),
            ]
            granted[owner] = master.aw.valid & master.aw.ready
            ended[owner] = master.w.valid & master.w.ready & master.w.payload.last
            open_bursts = counter(m, f"granted_{owner}", granted[owner]) - counter(m, f"ended_{owner}", ended[owner])
            held = sum(((dut.order[i] == owner) & (i < dut.level)) for i in range(self.depth))
            m.d.comb += Assert(open_bursts[:COUNT] == held)
        aw, w = dut.port.aw, dut.port.w
        inside = counter(m, "taken", Cat(granted.values()).any()) - counter(m, "offered", aw.valid & aw.ready)
        m.d.comb += [
            Assert(inside[:COUNT] == aw.valid),
            Assert(~(granted[STORE_ID] & granted[RECORD_ID])),
            Assert(dut.level <= self.depth),
            Assert((dut.order >> dut.level) == 0),
        ]
        assert_held(m, aw.valid, aw.ready, aw.payload)

        # A beat that passes belongs to one master, and that of the burst which is not ended.
        owner, middle = Signal(), Signal()
        passed = w.valid & w.ready
        with m.If(passed):
            m.d.sync += [owner.eq(dut.order[0]), middle.eq(~w.payload.last)]
        taken = [master.w.valid & master.w.ready for _, master in masters.values()]
        m.d.comb += [
            Assert(passed == Cat(taken).any()),
            Assert(~Cat(taken).all()),
            Assert(~middle | ((dut.level != 0) & (dut.order[0] == owner))),
        ]

        # One burst is followed from its grant to its turn.
        followed, place, mine = Signal(), Signal(range(self.depth + 1)), Signal()
        moved = passed & w.payload.last
        with m.If(~followed & self.mark & Cat(granted.values()).any()):
            m.d.sync += [followed.eq(1), place.eq(dut.level - moved), mine.eq(granted[RECORD_ID])]
        with m.Elif(followed & moved):
            m.d.sync += [place.eq(place - 1), followed.eq(place != 0)]
        m.d.comb += Assert(~followed | ((place < dut.level) & (dut.order.bit_select(place, 1) == mine)))
        if self.break_it:
            m.d.comb += Assert(dut.level != 2)
        return m


class BeatReaderProof(wiring.Component):
    """Answers of a scratchpad of fixed latency always have room, and belong to the lanes that were asked for."""

    LATENCY = 3

    def __init__(self, break_it=False):
        self.break_it = break_it
        super().__init__({"valid": In(1), "len": In(8), "request_ready": In(1), "w_ready": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = BeatReader(axi_bytes=4, read_latency=self.LATENCY)
        m.d.comb += [
            dut.runs.valid.eq(self.valid),
            dut.runs.payload.len.eq(self.len),
            dut.port.request.ready.eq(self.request_ready),
            dut.w.ready.eq(self.w_ready),
        ]
        pipeline = Signal(self.LATENCY)
        m.d.sync += pipeline.eq(Cat(dut.read, pipeline))
        m.d.comb += dut.port.valid.eq(pipeline[-1])
        lanes, answers = dut.levels
        flying = sum(pipeline[i] for i in range(self.LATENCY))
        m.d.comb += [
            Assert(dut.room + lanes == dut.buffer),
            Assert(answers + flying == lanes),
            Assert(~dut.port.valid | (answers != dut.buffer)),
            Assert(~dut.read | (lanes != dut.buffer)),
        ]
        if self.break_it:
            m.d.comb += Assert(dut.room != 0)
        return m


class CommandFetchProof(wiring.Component):
    """The bursts are the stream, block by block, and no more; the buffer has room for every beat of a bus that answers what it was
    asked, so R never waits; halted, all is dropped.

    That all bursts but the stream's last are whole blocks is asserted of each that is offered, so the bus may take it as known: the
    count of beats says where a burst ends. A job starts at a multiple of 128 and when the one before has read all, as job control sees to.
    """

    def __init__(self, break_it=False):
        self.break_it = break_it
        inputs = {"start": 1, "base": 16, "units": STREAM_BITS, "ar_ready": 1, "r_valid": 1, "ready": 1, "halt": 1}
        super().__init__({name: In(width) for name, width in inputs.items()})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = CommandFetch(axi_bytes=16, address_bits=16, max_burst=4, ahead=2)
        ar, r = dut.axi.ar, dut.axi.r
        longest, per_unit = dut.burst_bytes // dut.axi_bytes, UNIT_BYTES // dut.axi_bytes
        whole, block = (longest - 1).bit_length(), (BLOCK_BYTES - 1).bit_length()
        halted = Signal()
        m.d.sync += halted.eq(halted | self.halt)
        m.d.comb += [
            dut.start.eq(self.start),
            dut.commands_base.eq(self.base),
            dut.units.eq(self.units),
            dut.halt.eq(self.halt | halted),
            ar.ready.eq(self.ar_ready),
            r.valid.eq(self.r_valid),
            dut.words.ready.eq(self.ready),
        ]

        # The job, in beats: all of them, those asked for by bursts that were accepted, those that came.
        base, total, asked, came = Signal(16), Signal.like(dut.missing), Signal.like(dut.missing), Signal.like(dut.missing)
        accepted, arrived, burst = ar.valid & ar.ready, r.valid & r.ready, ar.payload.len + 1
        with m.If(self.start):
            m.d.sync += [base.eq(self.base), total.eq(self.units * per_unit), asked.eq(0), came.eq(0)]
        with m.Else():
            m.d.sync += [asked.eq(asked + Mux(accepted, burst, 0)), came.eq(came + arrived)]
        m.d.comb += [
            r.payload.last.eq((came[:whole] == longest - 1) | (came + 1 == total)),
            Assume(~self.r_valid | (came != asked)),
            Assume(~self.start | ((came == total) & ~dut.halt & (self.base[:block] == 0))),
        ]

        # What is offered follows what was asked, is a whole block or the stream's end, and stands until it is taken.
        offered = Mux(ar.valid, burst, 0)
        m.d.comb += [
            Assert(~ar.valid | (ar.payload.addr == (base + asked * dut.axi_bytes)[:16])),
            Assert(~ar.valid | (burst == longest) | ((burst < longest) & (asked + burst == total))),
            Assert(dut.missing + asked + offered == total),
            Assert((dut.missing == 0) | (dut.address == (base + (asked + offered) * dut.axi_bytes)[:16])),
            Assert((asked[:whole] == 0) | (asked == total)),
            Assert((came <= asked) & (asked <= total)),
            Assert(base[:block] == 0),
        ]
        assert_held(m, ar.valid, ar.ready, ar.payload)

        # What is on its way has room.
        capacity = dut.bursts * longest
        short = total[:whole]  # beats of the last burst; 0 where it is a whole one
        promised = dut.room + dut.level + (asked - came) + offered
        begun, ended = asked + longest - 1 >> whole, Mux(came == asked, asked + longest - 1, came) >> whole
        m.d.comb += [
            Assert(promised <= capacity),
            Assert(halted | (promised == capacity)),
            Assert(dut.outstanding == begun - ended + ar.valid),
            Assert(dut.outstanding <= dut.bursts),
            # A last burst that is shorter was issued with room for a whole one: so it is none too many while the oldest is nearly over.
            Assert((dut.missing != 0) | (came == total) | (short == 0) | (dut.room + dut.level + short >= longest)),
            Assert(halted | ~arrived | (dut.level != capacity)),
            Assert(r.ready),
        ]
        if self.break_it:
            m.d.comb += Assert(~(arrived & r.payload.last & (came[:whole] == 1) & (dut.level == 3)))
        return m


PROOFS = {
    "read_arbiter": (ReadArbiterProof, {}, 3),
    "write_arbiter": (WriteArbiterProof, {}, 3),
    "beat_reader": (BeatReaderProof, {}, 4),
    "command_fetch": (CommandFetchProof, {}, 3),
}


@pytest.mark.parametrize("name", PROOFS)
def test_it_is_proven(name, tmp_path):
    component, arguments, depth = PROOFS[name]
    prove(component(**arguments), tmp_path, depth=depth)


@pytest.mark.parametrize("component", [ReadArbiterProof, WriteArbiterProof, BeatReaderProof, CommandFetchProof])
def test_the_proof_reaches_states_and_can_fail(component, tmp_path):
    refute(component(break_it=True), tmp_path, depth=24)
