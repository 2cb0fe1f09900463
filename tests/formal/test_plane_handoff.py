"""Proof of the two weight planes: every wave meets the weights of its own tile in every row and column group."""

from itertools import pairwise

import pytest
from amaranth.hdl import Array, Assert, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from hw.npu.feed.staged_feeder import StagedFeeder
from hw.npu.scratchpad.scratchpad import ActivationScratchpad
from hw.npu.weights.plane_handoff import PlaneHandoff
from tests.formal.prove import prove, refute

ROWS = 3
WAY = ActivationScratchpad.READ_LATENCY + 1
"""Cycles from the wave that waits in the feeder to row 0."""
STAGED_WAY = ActivationScratchpad.read_latency(True) + 1 + StagedFeeder.SENT
"""The same with register cuts."""
NUMBER = 2
"""Bits of a tile's number, which wraps: at most two whole tiles are under way, and a third in part."""

WAVE = data.StructLayout({"valid": 1, "end": 1, "number": NUMBER, "rows": range(ROWS + 1)})
"""A wave: whether it is the last of its tile, the tile's number, and how many rows the tile has."""


class PlaneHandoffProof(wiring.Component):
    """A loader, a feeder, and an array that remembers for each row and plane of which tile it holds the weights.

    ::

        offer --> PlaneHandoff --> register --> held[row][plane]
                       ^                               : compared
                       +--------- its end ----+        :
        send --> waits --> way cycles --------+--> row 0, group 0 --> ... one cycle a row and a group

    The loader offers rows of tiles of 1 to `ROWS` rows when it likes. The feeder sends tiles of any number of waves: the first of
    a tile leaves once the tile is loaded, and each waits as long as it likes. Rows that a tile does not use keep what they hold.
    The array moves when it likes: what goes down its rows stands still else, and no wave arrives at row 0 then.

    Parameters
    ----------
    groups : int
        Column groups of the array; looked at are the first, which a wave reaches first, and the last.
    dut : PlaneHandoff
        The design, or a broken one.
    tied : bool
        Also asserts what ties the observer to the design, without which there is no induction; else only what is to be proven.
    way : int
        Cycles from the wave that waits in the feeder to row 0.
    """

    offer: In(1)
    short: In(1)
    send: In(1)
    last: In(1)
    go: In(1)
    moves: In(1)

    def __init__(self, *, groups, dut, tied, way=WAY):
        self.groups, self.dut, self.tied, self.way = groups, dut, tied, way
        super().__init__()
        # Loader: tiles handed on whole, rows of the next one, rows of the newest whole tile of each plane.
        self.tile, self.row = Signal(NUMBER), Signal(range(ROWS))
        self.rows = Array(Signal(range(ROWS + 1), name=f"rows_{plane}") for plane in range(2))
        # A row on its way to the array; its tile is whole with it.
        self.write, self.at, self.plane, self.number = Signal(), Signal(range(ROWS)), Signal(), Signal(NUMBER)
        self.loaded = Signal()
        self.held = [Array(Signal(NUMBER, name=f"held_{row}_{plane}") for plane in range(2)) for row in range(ROWS)]
        # Feeder: tiles loaded and not begun, tiles sent whole, whether the next wave is the first of its tile.
        self.tiles, self.sent, self.first = Signal(2), Signal(NUMBER), Signal(init=1)
        # Wave 0 waits in the feeder; wave `way` + r + g is at row r of group g.
        self.waves = [Signal(WAVE, name=f"wave_{stage}") for stage in range(self.way + ROWS + groups - 1)]

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = self.dut
        self._load(m)
        self._send(m)
        for row in range(ROWS):
            for group in {0, self.groups - 1}:
                wave = self.waves[self.way + row + group]
                m.d.comb += Assert(
                    ~wave.valid | ~self.dut.enable | (row >= wave.rows) | (self.held[row][wave.number[0]] == wave.number),
                    "a wave meets the weights of its tile",
                )
        if self.tied:
            self._tie_counts(m)
            self._tie_weights(m)
            self._tie_waves(m)
        return m

    def _load(self, m):
        """Offers rows as `WeightLoader` does, where a row is registered on its way to the array."""
        dut, tile, row = self.dut, self.tile, self.row
        m.d.comb += [dut.offer.eq(self.offer), dut.last.eq(self.short | (row == ROWS - 1))]
        whole = dut.write & dut.last
        m.d.sync += [
            self.write.eq(dut.write),
            self.at.eq(row),
            self.plane.eq(dut.plane),
            self.number.eq(tile),
            self.loaded.eq(whole),
        ]
        with m.If(dut.write):
            m.d.sync += row.eq(row + 1)
        with m.If(whole):
            m.d.sync += [row.eq(0), tile.eq(tile + 1), self.rows[tile[0]].eq(row + 1)]
        for r in range(ROWS):
            with m.If(self.write & (self.at == r)):
                m.d.sync += self.held[r][self.plane].eq(self.number)

    def _send(self, m):
        """Sends waves as `Feeder` does: one waits, behind it nothing stalls."""
        waits, end = self.waves[0], self.waves[self.way]
        accept = waits.valid & self.go
        step = self.send & (~self.first | (self.tiles != 0)) & (accept | ~waits.valid)
        m.d.sync += [self.tiles.eq(self.tiles + self.loaded - (step & self.first)), waits.valid.eq(step | (waits.valid & ~accept))]
        with m.If(step):
            m.d.sync += [self.first.eq(self.last), self.sent.eq(self.sent + self.last)]
            m.d.sync += [waits.end.eq(self.last), waits.number.eq(self.sent), waits.rows.eq(self.rows[self.sent[0]])]
        m.d.sync += [after.eq(before) for before, after in pairwise(self.waves[: self.way + 1])]
        m.d.sync += self.waves[1].valid.eq(accept)
        m.d.comb += [self.dut.enable.eq(self.moves | end.valid), self.dut.tile_passed.eq(end.valid & end.end)]
        with m.If(self.dut.enable):
            m.d.sync += [after.eq(before) for before, after in pairwise(self.waves[self.way :])]

    def _tie_counts(self, m):
        """Where the tiles are that the design counts, and of which tile the wave that waits is."""
        ahead, tile, waits = self.dut.ahead, self.tile, self.waves[0]
        ends = sum(wave.valid & wave.end for wave in self.waves[: self.way + self.dut.groups])
        unsent = self.loaded + self.tiles + ~self.first
        number = (self.sent - waits.end)[:NUMBER]
        m.d.comb += [
            Assert((ahead <= 2) & (ahead == unsent + ends), "a tile ahead is just loaded, loaded, begun, or its end is on the way"),
            Assert(self.sent == (tile - unsent)[:NUMBER], "tiles are sent in the order in which they are loaded"),
            Assert(self.dut.plane == tile[0], "tiles alternate between the planes"),
            Assert((self.row == 0) | ((self.row < ROWS) & (ahead != 2)), "no row is handed on while two tiles are ahead"),
            Assert(
                ~waits.valid | ((waits.end == self.first) & (waits.number == number) & (waits.rows == self.rows[number[0]])),
                "the wave that waits is of the tile that was begun last",
            ),
        ]

    def _tie_weights(self, m):
        """What the array holds, but for the row that is being written."""
        for row in range(ROWS):
            for plane in range(2):
                next_plane = self.tile[0] == plane
                begun = next_plane & (self.row > row)  # the row of the tile that is not whole yet
                number = (self.tile - (~next_plane + 2 * (next_plane & ~begun)))[:NUMBER]
                known = (begun | (row < self.rows[plane])) & ~(self.write & (self.at == row) & (self.plane == plane))
                m.d.comb += Assert(~known | (self.held[row][plane] == number), "a row holds the newest tile of its plane")

    def _tie_waves(self, m):
        """Of which tile each wave is, and how far the loader is behind it; without this a standing array would keep any state for ever."""
        unsent, younger_ends, last_group = self.loaded + self.tiles + ~self.first, 0, self.way + self.groups - 1
        for passing, wave in zip(self.dut.passing, self.waves[self.way + 1 :], strict=False):
            m.d.comb += Assert(passing == (wave.valid & wave.end), "the pulse goes to the right with its wave")
        for stage, wave in enumerate(self.waves):
            age, number = Signal(4, name=f"age_{stage}"), wave.number  # tiles behind the one that is being written
            m.d.comb += age.eq(unsent + younger_ends + (wave.valid & wave.end))
            younger_ends = younger_ends + (wave.valid & wave.end)
            passed = max(0, stage - last_group - 1)  # rows that the wave has passed in every group, less the one it has just left
            m.d.comb += [
                Assert(~wave.valid | (number == (self.tile - age)[:NUMBER]), "waves go in the order of their tiles"),
                Assert(~wave.valid | ((age >= 1) & (age <= 3)), "a wave is of one of the three last tiles"),
                Assert(~wave.valid | (age > 2) | (wave.rows == self.rows[number[0]]), "a wave knows the rows of its tile"),
                Assert(~wave.valid | (age != 2) | (self.row <= passed), "the loader stays behind the waves of the plane that it writes"),
                Assert(~wave.valid | (age != 3) | (self.rows[number[0]] + self.row <= passed), "by a tile more behind older ones"),
            ]
            for row in range(max(0, stage - last_group), ROWS):
                plane = number[0]
                known = wave.valid & (age == 3) & (row < wave.rows)
                m.d.comb += Assert(~known | (self.held[row][plane] == number), "rows ahead of an old wave are not written")


class Unheld(PlaneHandoff):
    """Broken: writes each row as it comes."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.write.eq(self.offer)
        return m


@pytest.mark.parametrize(
    ("groups", "way"),
    [(1, WAY), (4, WAY), pytest.param(1, STAGED_WAY, marks=pytest.mark.slow), pytest.param(4, STAGED_WAY, marks=pytest.mark.slow)],
)
def test_every_wave_meets_its_weights(groups, way, tmp_path):
    """On the way through a feeder without and with register cuts, and on its longest array; the promises of the hand-over, too."""
    proof = PlaneHandoffProof(groups=groups, dut=PlaneHandoff(groups=groups), tied=True, way=way)
    prove(proof, tmp_path, depth=way + groups + 2, kept=True)


class Restless(PlaneHandoff):
    """Broken: hands rows on while the array stands still."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.write.eq(self.offer & (self.ahead != 2))
        return m


def test_rows_that_do_not_stand_still_are_noticed(tmp_path):
    refute(PlaneHandoffProof(groups=1, dut=Restless(groups=1), tied=False), tmp_path, depth=18)


def test_a_pulse_that_is_not_held_back_is_noticed(tmp_path):
    """It takes four groups: from pulse to weights a row needs three cycles, in which the wave reaches the fourth group."""
    refute(PlaneHandoffProof(groups=4, dut=PlaneHandoff(groups=1), tied=False), tmp_path, depth=14)


def test_rows_that_do_not_wait_are_noticed(tmp_path):
    refute(PlaneHandoffProof(groups=1, dut=Unheld(groups=1), tied=False), tmp_path, depth=14)
