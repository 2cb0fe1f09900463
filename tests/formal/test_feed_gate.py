"""Proof of `FeedGate`: no wave goes without its weights or its half, no vector overtakes, and what may leave is let out."""

from amaranth.hdl import Assert, Assume, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.npu.feed.feed_gate import FeedGate
from hw.npu.parts.delay import delayed
from tests.formal.prove import prove, refute

LATENCY = 4
"""Of the array, cycles."""
PATIENCE = 3
"""Cycles after which a step is let out, once nothing lacks."""
PREPARED = 3
"""Cycles for which a command stands before it is active, and the least from first wave to first wave."""
DEPTH = 12
"""Cycles after reset that are looked at: more tiles than planes, more jobs than halves."""


class FeedGateProof(wiring.Component):
    """Commands of a job each, with any tiles and waves; a loader, an output stage and an array at any pace.

    The inputs are free, but for what the feeder and its neighbours promise: what stands at the gate stays until it leaves, with `PREPARED`
    cycles around it; two planes, two halves; steps that left are near the array for a while. A token that
    is missing (``waits``) comes at some time.

    Parameters
    ----------
    dut : FeedGate
        The design, or a broken one.
    """

    array: In(1)
    streams: In(1)
    partial_out: In(1)
    last_pixel: In(1)
    last_tile: In(1)
    waits: In(1)
    active: In(1)
    go: In(1)
    near: In(1)
    loads: In(1)
    frees: In(1)

    def __init__(self, dut):
        self.dut = dut
        super().__init__()
        self.first_pixel, self.first_tile = Signal(init=1), Signal(init=1)
        self.carried = Signal()  # a half holds partial sums for the next job
        self.tiles = Signal(signed(5))  # loaded, less those of which a wave has left
        self.halves, self.done = Signal(3), Signal(3)  # in use; of these with sums that are to be read out
        self.quiet = Signal(range(LATENCY + 2), init=LATENCY + 1)  # cycles before this one in which nothing was near
        self.stood = Signal(range(PATIENCE + 1))  # cycles for which a first wave has lacked nothing

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        leaves = self.go & self.active & (dut.open | ~self.first_pixel)
        ends = leaves & self.last_pixel & self.last_tile
        m.d.comb += [
            dut.header.wait_load.eq(self.waits),
            dut.active.eq(self.active),
            dut.array.eq(self.array),
            dut.partial_in.eq(self.carried),
            dut.partial_out.eq(self.partial_out),
            dut.first_pixel.eq(self.first_pixel),
            dut.first_tile.eq(self.first_tile),
            dut.last_pixel.eq(self.last_pixel),
            dut.last_tile.eq(self.last_tile),
            dut.leaves.eq(leaves),
            dut.array_near.eq(self.near),
            dut.tile_loaded.eq(self.loads),
            dut.half_free.eq(self.frees),
        ]
        m.d.comb += dut.streams.eq(self.streams)
        self._promises(m, leaves, ends)
        self._count(m, leaves, ends)
        self._check(m, leaves)
        return m

    def _promises(self, m, leaves, ends):
        """What the neighbours keep to."""
        before = {
            name: Signal(name=f"{name}_before") for name in ("array", "streams", "partial_out", "waits", "last_tile", "last_pixel", "near")
        }
        left, ended, tile_ended = Signal(init=1), Signal(init=1), Signal(init=1)
        m.d.sync += [register.eq(getattr(self, name)) for name, register in before.items()]
        m.d.sync += [left.eq(leaves), ended.eq(ends), tile_ended.eq(leaves & self.last_pixel)]
        for name, changes in (
            ("array", ended),
            ("streams", ended),
            ("partial_out", ended),
            ("last_tile", tile_ended),
            ("last_pixel", left),
        ):
            m.d.comb += Assume((getattr(self, name) == before[name]) | changes)
        arrives = delayed(m, leaves & self.array, 2, name="arrives", reset_less=False)
        m.d.comb += [
            Assume(~self.waits | before["waits"] | ended),
            Assume(~self.streams | self.array),
            Assume(self.near | ~arrives),
            Assume(~self.near | arrives | before["near"]),
            Assume(~self.loads | (self.tiles < 2)),
            Assume(~self.frees | (self.done != 0)),
        ]
        stands, since = Signal(range(PREPARED + 1)), Signal(range(PREPARED + 1))
        m.d.sync += [
            stands.eq(Mux(ends, 0, Mux(stands == PREPARED, stands, stands + 1))),
            since.eq(Mux(leaves & self.first_pixel, PREPARED - 1, Mux(since == 0, 0, since - 1))),
        ]
        m.d.comb += [
            Assume(~self.active | (stands == PREPARED)),
            Assume(~(leaves & self.last_pixel & (self.first_pixel | (since > 1)))),
        ]

    def _count(self, m, leaves, ends):
        """What there is in the next cycle."""
        first = leaves & self.first_pixel
        m.d.sync += [
            self.tiles.eq(self.tiles + self.loads - (first & self.array)),
            self.halves.eq(self.halves + (first & self.first_tile & ~self.carried) - self.frees),
            self.done.eq(self.done + (ends & ~self.partial_out) - self.frees),
            self.quiet.eq(Mux(self.near, 0, Mux(self.quiet == LATENCY + 1, self.quiet, self.quiet + 1))),
        ]
        with m.If(leaves):
            m.d.sync += self.first_pixel.eq(self.last_pixel)
        with m.If(leaves & self.last_pixel):
            m.d.sync += self.first_tile.eq(self.last_tile)
        with m.If(ends):
            m.d.sync += self.carried.eq(self.partial_out)

    def _check(self, m, leaves):
        """What the gate promises."""
        first = leaves & self.first_pixel
        weighs = self.streams  # others wait for their weights at the scratchpad
        weights, half = weighs & (self.tiles <= 0), self.first_tile & ~self.carried & (self.halves == 2)
        overtakes = ~self.array & (self.near | (self.quiet < Mux(self.carried, LATENCY, LATENCY - 1)))
        lacks = weights | half | overtakes | self.waits
        may = self.active & self.first_pixel & ~lacks
        m.d.sync += self.stood.eq(Mux(may & ~leaves, Mux(self.stood == PATIENCE, PATIENCE, self.stood + 1), 0))
        m.d.comb += [
            Assert(~(first & weights), "a first wave has its weights"),
            Assert(~(first & half), "a job has its half"),
            Assert((self.halves <= 2) & (self.done <= self.halves), "there are two halves"),
            Assert(~(first & overtakes), "a vector stays behind the waves of the array"),
            Assert(~(first & self.waits), "the tokens are there"),
            Assert(~may | (self.stood != PATIENCE) | self.dut.open, "what may leave is let out"),
        ]


def test_it_is_proven_for_some_cycles(tmp_path):
    prove(FeedGateProof(FeedGate(array_latency=LATENCY)), tmp_path, depth=DEPTH, mode="bmc")


def test_a_shorter_wait_for_the_array_is_noticed(tmp_path):
    """By three cycles: the gate knows of the array two cycles late, so that two are spare."""
    refute(FeedGateProof(FeedGate(array_latency=LATENCY - 3)), tmp_path, depth=DEPTH)


class Hasty(FeedGate):
    """Broken: open in the cycle behind every step."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.leaves):
            m.d.sync += self.open.eq(1)
        return m


def test_a_gate_that_opens_by_itself_is_noticed(tmp_path):
    refute(FeedGateProof(Hasty(array_latency=LATENCY)), tmp_path, depth=DEPTH)
