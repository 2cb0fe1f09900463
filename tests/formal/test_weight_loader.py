"""Proofs of the rows of a tile: once the first is offered the others follow without a gap; the weight scratchpad refuses none of them."""

import pytest
from amaranth.hdl import Assert, Assume, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.npu.scratchpad.weight_scratchpad import WeightScratchpad
from hw.npu.weights import weight_loader
from hw.npu.weights.weight_loader import WeightLoader
from hw.npu.weights.weight_rows import WeightRows
from hw.npu.weights.weight_sets import WeightSets
from tests.formal.prove import prove, refute

LATENCY = WeightScratchpad.read_latency(0)
LEFT = 2
"""Rows of the command before that are still asked for while a command waits: what a `StreamRegister` holds."""
SLOTS = 4
"""Words and beats that are not written yet, at most: two beats, the gathered word, the waiting one."""
SETTLED = 2 + WeightSets.PERIOD + 2
"""Cycles from a LOAD's last beat, accepted, to the first row that is asked for behind it, at least: the pulse and the count, the first of
the command's sets, the registers of set and request."""


class NamedRows(WeightRows):
    """Rows that the proof names."""

    def elaborate(self, platform):
        return Module()


class OpenLoader(WeightLoader):
    """A loader whose parts the proof sees, and whose rows it names."""

    def __init__(self, **sizes):
        super().__init__(**sizes)
        self.module = super().elaborate(None)
        parts = self.module.submodules
        self.named, self.request, self.queue, self.ahead = parts.rows, parts.request, parts.queue, parts.row_ahead

    def elaborate(self, platform):
        return self.module


class FollowingRows(wiring.Component):
    """The loader names rows and asks for them, a scratchpad that refuses none answers, rows are handed on when array and output stage like.

    ::

        request register --> on their way (LATENCY) --> queue --> (pairs) --> register --> array, output stage
        held, spare          in_flight                  level                 ahead

    Any row of a tile but the last is marked as it is named, where the proof likes. From the cycle in which it leaves the queue to that in
    which the next one does the queue offers a row, and from the cycle behind it the register does. Each row but the last may be the marked
    one: so the register offers rows from a tile's first to its last.

    Parameters
    ----------
    dut : OpenLoader
        The design, or a broken one.
    tied : bool
        Also asserts what ties the observer to the design, without which there is no induction.
    """

    command: In(1)
    valid: In(1)
    table: In(1)
    params: In(1)
    last: In(1)
    end: In(1)
    pair: In(1)
    upper: In(1)
    mark: In(1)
    enable: In(1)
    passed: In(1)
    ready: In(1)

    def __init__(self, *, dut, tied):
        self.dut, self.tied = dut, tied
        super().__init__()
        self.middle = Signal(name="middle")  # the next row is of the tile of the one before
        self.in_flight = [Signal(name=f"in_flight_{stage}") for stage in range(LATENCY)]
        # A row is marked; of the row behind it: it was named; rows before it, it included, that have not left the queue; rows from it on.
        self.marked, self.follows = Signal(name="marked"), Signal(name="follows")
        self.before, self.since = Signal(range(32), name="before"), Signal(range(32), name="since")

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        self._name(m, dut)
        m.d.comb += [
            dut.command.valid.eq(self.command),
            dut.read.request.ready.eq(1),
            dut.read.valid.eq(self.in_flight[-1]),
            dut.enable.eq(self.enable),
            dut.tile_passed.eq(self.passed & self.enable),
            dut.parameters.ready.eq(self.ready),
        ]
        for before, after in zip((dut.read.request.valid, *self.in_flight), self.in_flight):
            m.d.sync += after.eq(before)
        self._follow(m, dut)
        if self.tied:
            self._tie(m, dut)
        return m

    def _name(self, m, dut):
        """Rows as `WeightRows` names them: those of a tile one after the other, each known."""
        rows = dut.named
        m.d.comb += [
            rows.valid.eq(self.valid | self.middle),
            rows.table.eq(self.table & ~self.middle),
            rows.params.eq(self.params & ~self.middle),
            rows.last.eq(self.last),
            rows.end.eq(self.end & self.last),
            rows.pair.eq(self.pair & ~rows.table & ~rows.params),
            rows.upper.eq(self.upper),
        ]
        with m.If(rows.step):
            m.d.sync += self.middle.eq(~rows.last)

    def _follow(self, m, dut):
        """Where the row behind the marked one is."""
        rows, queue = dut.named, dut.queue
        inside = dut.request.o.valid + dut.request.waits + dut.inside
        leaves = queue.o.valid & queue.o.ready
        m.d.comb += Assert(~self.marked | (self.before != 0) | queue.o.valid, "as a row leaves the queue the next one is there")
        m.d.comb += Assert(~self.marked | (self.before != 0) | dut.ahead.o.valid, "so a row is offered in every cycle")
        with m.If(self.marked):
            m.d.sync += [self.follows.eq(self.follows | rows.step), self.since.eq(self.since + rows.step)]
            m.d.sync += self.before.eq(self.before - (leaves & (self.before != 0)))
            with m.If(leaves & (self.before == 0)):
                m.d.sync += self.marked.eq(0)
        with m.Elif(rows.step & self.mark & ~rows.last & ~rows.table & ~rows.params):
            m.d.sync += [self.marked.eq(1), self.follows.eq(0), self.before.eq(inside + 1 - leaves), self.since.eq(0)]

    def _tie(self, m, dut):
        """How far the row behind the marked one is, at least."""
        request, queue, before, since = dut.request, dut.queue, self.before, self.since
        asked = request.o.valid + request.waits
        taken = self.marked & (before <= dut.inside)  # the marked row
        m.d.comb += [
            Assert(dut.inside == sum(self.in_flight) + queue.level, "rows asked for are on their way, or in the queue"),
            Assert(dut.inside <= dut.QUEUE, "the queue has room for them"),
            Assert(~request.waits | request.o.valid, "the spare register is the second"),
            Assert(~dut.ahead.waits | dut.ahead.o.valid, "here too"),
            Assert(~self.middle | request.i.valid, "a command is not left within a tile"),
            Assert(~self.marked | (asked + dut.inside == before + since), "nobody overtakes"),
            Assert(~self.marked | (self.follows == (since != 0)), "the next row is the first behind the marked one"),
            Assert(~self.marked | self.follows | self.middle, "and is named next"),
            Assert(~taken | (asked >= 1) | (since > asked), "when the marked row is taken it is asked for"),
            Assert(
                ~taken | (before != dut.inside) | self.in_flight[0] | (dut.inside >= dut.QUEUE - 1),
                "and taken behind it, or there are many rows before it",
            ),
        ]
        for stage, flight in enumerate(self.in_flight):
            ahead = sum(self.in_flight[stage + 1 :]) + queue.level
            here = self.marked & flight & (before == ahead)
            directly = self.in_flight[stage + 1] if stage + 1 < LATENCY else 0
            m.d.comb += Assert(~here | directly | (before >= LATENCY - stage), "it comes into the queue in time")


class ShortQueue(OpenLoader):
    """Broken: its queue is shorter than the way to the scratchpad and back."""

    QUEUE = 2


def loader(monkeypatch, kind):
    """A loader whose rows the proof names; with 4-bit weights, of which each row may be two or, as without them, one."""
    monkeypatch.setattr(weight_loader, "WeightRows", NamedRows)
    return kind(rows=4, cols=1, groups=1, size=16, read_latency=LATENCY, registers=0, int4=True)


def test_rows_of_a_tile_follow_without_a_gap(monkeypatch, tmp_path):
    prove(FollowingRows(dut=loader(monkeypatch, OpenLoader), tied=True), tmp_path, depth=2)


def test_a_queue_that_is_too_short_is_noticed(monkeypatch, tmp_path):
    refute(FollowingRows(dut=loader(monkeypatch, ShortQueue), tied=False), tmp_path, depth=18)


class OpenScratchpad(WeightScratchpad):
    """A scratchpad whose register of beats the proof sees."""

    def __init__(self, **sizes):
        super().__init__(**sizes)
        self.module = super().elaborate(None)
        self.beat = self.module.submodules.beat

    def elaborate(self, platform):
        return self.module


class SettledRows(wiring.Component):
    """A LOAD writes a word of the weight scratchpad; some cycles behind its last beat the word may be read at once.

    ::

        write --> beat register: spare, held --> gathered word --> waiting word --> bank
                                 4      3        2                 1

    Beats for other words come when they like. Until then the loader asks for `LEFT` rows at most, of which each, and one before,
    may keep the waiting word from its bank for a cycle.

    Parameters
    ----------
    dut : OpenScratchpad
    settled : int
        After so many cycles.
    """

    address: In(3)
    beat: In(1)
    row: In(3)
    ask: In(1)
    place: In(2)

    def __init__(self, *, dut, settled=SETTLED):
        self.dut, self.settled = dut, settled
        super().__init__()
        self.since, self.left = Signal(range(settled + 1), name="since"), Signal(range(LEFT + 1), name="left", init=LEFT)
        self.place_before, self.begun, self.asked = Signal(2, name="place_before"), Signal(name="begun"), Signal(name="asked")

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        write, request, settled = dut.write, dut.read.request, self.since == self.settled
        m.d.comb += [
            write.valid.eq(self.beat),
            write.payload.address.eq(self.address),
            write.payload.mask.eq(1),
            request.valid.eq(self.ask),
            request.payload.eq(self.row),
            Assume(~self.begun | (self.place == self.place_before)),
            Assume(settled | ~self.ask | (self.left != 0)),
            Assert(~settled | ~self.ask | (self.row[1:] != self.place) | request.ready, "a row that a LOAD has written is not refused"),
        ]
        m.d.sync += [self.begun.eq(1), self.place_before.eq(self.place), self.asked.eq(self.ask & request.ready)]
        with m.If(self.beat & (self.address[1:] == self.place)):  # accepted or not: it is not complete
            m.d.sync += [self.since.eq(0), self.left.eq(LEFT)]
        with m.Elif(~settled):
            m.d.sync += [self.since.eq(self.since + 1), self.left.eq(self.left - (self.ask & request.ready))]
        self._tie(m, settled)
        return m

    def _tie(self, m, settled):
        """How far the word is from its bank, at most."""
        dut, register = self.dut, self.dut.beat
        slots = [(word.valid, word.place) for word in (dut.waiting, dut.gathered)]
        slots += [(register.o.valid, register.o.payload.address[1:]), (register.waits, register.spare.address[1:])]
        behind = LEFT - self.left + 1 - self.asked  # cycles that rows may have cost until now
        m.d.comb += Assert(~register.waits | register.o.valid, "the spare register is the second")
        for way, (valid, place) in enumerate(slots, start=1):
            late = self.since + way > SLOTS + behind
            m.d.comb += Assert(~valid | (place[:2] != self.place) | (~settled & ~late), "each cycle brings it a place further")


@pytest.mark.parametrize(("cols", "dma_bytes"), [(2, 1), (1, 2)], ids=["two beats a row", "two rows a beat"])
def test_a_loaded_row_is_never_refused(cols, dma_bytes, tmp_path):
    dut = OpenScratchpad(banks=2, size=8, cols=cols, dma_bytes=dma_bytes, registers=0)
    prove(SettledRows(dut=dut), tmp_path, depth=2)


def test_a_row_that_is_asked_for_too_early_is_noticed(tmp_path):
    dut = OpenScratchpad(banks=2, size=8, cols=2, dma_bytes=1, registers=0)
    refute(SettledRows(dut=dut, settled=1), tmp_path, depth=8)
