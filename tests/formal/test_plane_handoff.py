"""Proof of the two weight planes: every wave meets the weights of its own tile in every row and column group."""

from itertools import pairwise

import pytest
from amaranth.hdl import Array, Assert, Assume, Cat, Const, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from hw.npu.feed.feeder import Feeder
from hw.npu.weights.plane_handoff import PlaneHandoff
from tests.formal.prove import prove, refute

ROWS = 3
NUMBER = 2
"""Bits of a tile's number, which wraps: at most two whole tiles are under way, and a third in part."""

WAVE = data.StructLayout({"valid": 1, "end": 1, "number": NUMBER, "rows": range(ROWS + 1)})
"""A wave: whether it is the last of its tile, the tile's number, and how many rows the tile has."""


ENTER = [Feeder.enter(memory_registers) for memory_registers in (0, 1)]
"""Cycles from the wave that waits at the reader to row 0."""
TOLD = 3, 4
"""Cycles from a tile's first row, offered, to its first wave, accepted, at least: the second row, count, the reader's decision; and the
register of the pulse between loader and feeder, where there is one."""
EARLIEST = min(TOLD)
SHORT = min(ENTER)
"""On the shorter way to row 0 a broken design is noticed sooner; all else is as tight on it."""


class PlaneHandoffProof(wiring.Component):
    """A loader, a feeder, and an array that remembers for each row and plane of which tile it holds the weights.

    ::

        come --> offer --> PlaneHandoff --> register --> held[row][plane]
                                ^                               : compared
                                +--------- its end ----+        :
        send --> waits --> way cycles -----------------+--> row 0, group 0 --> ... one cycle a row and a group

    Tiles have 1 to `ROWS` rows. They come to the loader when they like, but for few gaps behind a tile's first. The feeder sends tiles of
    any number of waves: the first of a tile leaves once the tile is announced, and each waits as long as it likes. Rows that a tile does
    not use keep what they hold. The array moves when it likes: what goes down its rows stands still else, and no wave arrives at row 0
    then. Loader, feeder and array are reset when they like, each in cycles of its own: nothing is promised from the first of them on to a
    cycle in which all are (*aborting*), and no row comes from there on until the last reset ends (*calm*).

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
    gaps : int, optional
        From a tile's first row on, cycles in which no row comes, at most; as many as the way allows for if not given.
    """

    come: In(1)
    size: In(range(ROWS + 1))
    send: In(1)
    last: In(1)
    go: In(1)
    moves: In(1)
    resets: In(3)

    def __init__(self, *, groups, dut, tied, way, told, gaps=None):
        self.groups, self.dut, self.tied, self.way, self.told = groups, dut, tied, way, told
        self.gaps = way + told - 2 if gaps is None else gaps
        super().__init__()
        # Loader: tiles handed on whole, rows of the next one that came and were handed on, how many it has, cycles without one.
        self.tile, self.lost = Signal(NUMBER, name="tile"), Signal(range(self.gaps + 2), name="lost")
        self.came, self.row, self.present = (Signal(range(ROWS + 1), name=name) for name in ("came", "row", "present"))
        # Rows of the newest whole tile of each plane.
        self.rows = Array(Signal(range(ROWS + 1), name=f"rows_{plane}") for plane in range(2))
        # A row on its way to the array; its tile may be sent.
        self.write, self.at, self.plane, self.number = Signal(), Signal(range(ROWS)), Signal(), Signal(NUMBER)
        self.registered = told != min(TOLD)
        self.loaded = Signal() if self.registered else Const(0)
        self.held = [Array(Signal(NUMBER, name=f"held_{row}_{plane}") for plane in range(2)) for row in range(ROWS)]
        # Feeder: tiles loaded and not begun, tiles sent whole, whether the next wave is the first of its tile.
        self.tiles, self.sent, self.first = Signal(2), Signal(NUMBER), Signal(init=1)
        # Wave 0 waits in the feeder; wave way + r + g is at row r of group g.
        self.waves = [Signal(WAVE, name=f"wave_{stage}") for stage in range(way + ROWS + groups - 1)]
        self.aborting, self.calm = Signal(), Signal()

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = ResetInserter(self.resets[0])(self.dut)
        self._load(m)
        self._send(m)
        self._reset(m)
        with m.If(~self.aborting):
            self._promise(m)
        return m

    def _promise(self, m):
        """What is to be proven, and what ties it to the design."""
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
            of_parts = [*self._loader_state(), *self._feeder_state(), *self.waves]
            m.d.comb += Assert(
                ~self.calm | Cat(Value.cast(signal) == Value.cast(signal).init for signal in of_parts).all(),
                "after a reset everything stands",
            )

    def _loader_state(self):
        """Registers of the loader, and what the proof knows of it."""
        return [self.tile, self.lost, self.came, self.row, *self.rows, self.write, *([self.loaded] if self.registered else [])]

    def _feeder_state(self):
        """Registers of the feeder but for its waves, and what the proof knows of it."""
        return [self.tiles, self.sent, self.first]

    def _reset(self, m):
        """Resets each part for itself; what an element of the array holds stays."""
        way = self.way + 1
        parts = self._loader_state(), [*self._feeder_state(), *self.waves[:way]], self.waves[way:]
        for reset, state in zip(self.resets, parts, strict=True):
            with m.If(reset):
                m.d.sync += [Value.cast(signal).eq(Value.cast(signal).init) for signal in state]
        with m.If(self.resets.all()):
            m.d.sync += [self.calm.eq(1), self.aborting.eq(0)]
        with m.Elif(~self.resets.any()):
            m.d.sync += self.calm.eq(0)
        with m.Elif(~self.calm):
            m.d.sync += self.aborting.eq(1)
        m.d.comb += Assume(~self.calm | ~self.come)

    def _load(self, m):
        """Offers rows as `WeightLoader` does, where a row is registered on its way to the array."""
        dut, tile, row, came, size = self.dut, self.tile, self.row, self.came, Signal.like(self.size, name="size_now")
        there, gap = came + self.come, Signal()
        m.d.comb += [
            size.eq(Mux(came == 0, self.size, self.present)),
            Assume((self.size != 0) & (self.size <= ROWS)),
            dut.offer.eq((there > row) & (row != size)),
            dut.last.eq(row + 1 == size),
            gap.eq((came != 0) & (came != size) & ~self.come),
        ]
        m.d.comb += Assume(~gap | (self.lost < self.gaps))
        whole = dut.write & dut.last
        m.d.sync += [
            self.write.eq(dut.write),
            self.at.eq(row),
            self.plane.eq(dut.plane),
            self.number.eq(tile),
            *([self.loaded.eq(dut.announce)] if self.registered else []),
            self.present.eq(size),
            came.eq(Mux(there < size, there, size)),
            self.lost.eq(self.lost + gap),
        ]
        with m.If(dut.write):
            m.d.sync += row.eq(row + 1)
        with m.If(whole):
            m.d.sync += [came.eq(0), self.lost.eq(0), row.eq(0), tile.eq(tile + 1), self.rows[tile[0]].eq(size)]
        for r in range(ROWS):
            with m.If(self.write & (self.at == r)):
                m.d.sync += self.held[r][self.plane].eq(self.number)

    def _send(self, m):
        """Sends waves as `Feeder` does: one waits, behind it nothing stalls."""
        way, waits, end = self.way, self.waves[0], self.waves[self.way]
        accept = waits.valid & self.go
        step = self.send & (~self.first | (self.tiles != 0)) & (accept | ~waits.valid)
        loaded = self.loaded if self.registered else self.dut.announce
        m.d.sync += [self.tiles.eq(self.tiles + loaded - (step & self.first)), waits.valid.eq(step | (waits.valid & ~accept))]
        with m.If(step):
            m.d.sync += [self.first.eq(self.last), self.sent.eq(self.sent + self.last)]
            m.d.sync += [waits.end.eq(self.last), waits.number.eq(self.sent), waits.rows.eq(self._rows_of(m, self.sent))]
        m.d.sync += [after.eq(before) for before, after in pairwise(self.waves[: way + 1])]
        m.d.sync += self.waves[1].valid.eq(accept)
        m.d.comb += [self.dut.enable.eq(self.moves | end.valid), self.dut.tile_passed.eq(end.valid & end.end)]
        with m.If(self.dut.enable):
            m.d.sync += [after.eq(before) for before, after in pairwise(self.waves[way:])]

    def _rows_of(self, m, number):
        """Expression: rows of a tile, which may not be whole yet."""
        return Mux((number == self.tile) & (self.came != 0), self.present, self.rows[number[0]])

    def _unsent(self):
        """Expressions: tiles loaded, or announced, that are not sent whole; whether one of them is not whole."""
        return self.loaded + self.tiles + ~self.first, self.row >= 2

    def _tie_counts(self, m):
        """Where the tiles are that the design counts, and of which tile the wave that waits is."""
        ahead, tile, waits, dut = self.dut.ahead, self.tile, self.waves[0], self.dut
        ends = sum(wave.valid & wave.end for wave in self.waves[: self.way + self.dut.groups])
        unsent, announced = self._unsent()
        begun, number = self.row != 0, (self.sent - waits.end)[:NUMBER]
        m.d.comb += [
            Assert((ahead <= 2) & (ahead == (unsent + ends - announced + begun)[:4]), "a tile ahead is loaded, begun, or ends"),
            Assert(self.sent == (tile - unsent + announced)[:NUMBER], "tiles are sent in the order in which they are loaded"),
            Assert(unsent <= 3, "no more tiles are loaded than there are planes"),
            Assert(dut.plane == tile[0], "tiles alternate between the planes"),
            Assert((dut.begun == begun) & (dut.second == (self.row == 1)), "the design knows how far the tile is"),
            Assert((self.row == 0) | (self.row < self.present), "a tile that is not whole has rows left"),
            Assert((self.row <= self.came) & ((self.came == 0) | (self.came <= self.present)), "rows come before they are handed on"),
            Assert((self.came == 0) | ((self.present != 0) & (self.present <= ROWS)), "a tile has rows"),
            Assert(self.lost <= self.gaps, "gaps are few"),
            *self._since(announced),
            Assert(
                ~waits.valid | ((waits.end == self.first) & (waits.number == number) & (waits.rows == self._rows_of(m, number))),
                "the wave that waits is of the tile that was begun last",
            ),
        ]

    def _since(self, announced):
        """How long ago the first row of an announced tile came, while the rest comes: as long as the announcement takes to each place."""
        places = (1, self.told - 2), (~self.loaded, self.told - 1), (~self.loaded & (self.tiles == 0), self.told)
        come = self.came == self.present
        return [
            Assert(~(announced & place) | come | (self.came + self.lost >= least), "the announcement takes its time")
            for place, least in places
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
        last = (self.row - 1)[:NUMBER]
        m.d.comb += Assert(
            ~self.write | (self.row == 0) | ((self.at == last) & (self.plane == self.tile[0]) & (self.number == self.tile)),
            "the row that is being written is the one that was handed on last",
        )

    def _tie_waves(self, m):
        """Of which tile each wave is, and how far the loader is behind it; without this a standing array would keep any state for ever."""
        (unsent, announced), younger_ends, way = self._unsent(), 0, self.way
        last_group, younger = way + self.groups - 1, 0
        for passing, wave in zip(self.dut.passing, self.waves[way + 1 :], strict=False):
            m.d.comb += Assert(passing == (wave.valid & wave.end), "the pulse goes to the right with its wave")
        for stage, wave in enumerate(self.waves):
            age, number = Signal(4, name=f"age_{stage}"), wave.number  # tiles behind the one that is being written
            m.d.comb += age.eq(unsent - announced + younger_ends + (wave.valid & wave.end))
            younger_ends = younger_ends + (wave.valid & wave.end)
            younger_waves, younger = younger, younger | wave.valid
            passed = max(0, stage - last_group - 1)  # rows that the wave has passed in every group, less the one it has just left
            early = wave.valid & (age == 0)
            m.d.comb += [
                Assert(
                    ~wave.valid | younger_waves | (wave.end == self.first),
                    "the wave that was sent last is the last of its tile, or there are more",
                ),
                Assert(~wave.valid | (number == (self.tile - age)[:NUMBER]), "waves go in the order of their tiles"),
                Assert(~wave.valid | (age <= 3), "a wave is of the tile that is being written, or of one of the three before"),
                Assert(~wave.valid | (age == 0) | (age > 2) | (wave.rows == self.rows[number[0]]), "a wave knows the rows of its tile"),
                Assert(~wave.valid | (age != 2) | (self.row <= passed), "the loader stays behind the waves of the plane that it writes"),
                Assert(~wave.valid | (age != 3) | (self.rows[number[0]] + self.row <= passed), "by a tile more behind older ones"),
                Assert(~early | ((self.row >= 2) & (wave.rows == self.present)), "the tile of an early wave is announced"),
            ]
            come = (self.came == self.present) | (self.came + self.lost >= stage + self.told)
            meets = wave.valid & self.write & (wave.number == self.number)
            m.d.comb += [
                Assert(~early | (self.row >= max(2, stage - way + 2)), "and its rows are handed on in time"),
                Assert(~early | come, "since they come in time"),
                Assert(~meets | (self.at > max(-1, stage - way)), "a row is written below the waves of its tile"),
            ]
            for row in range(max(0, stage - last_group), ROWS):
                plane = number[0]
                known = wave.valid & (age == 3) & (row < wave.rows)
                m.d.comb += Assert(~known | (self.held[row][plane] == number), "rows ahead of an old wave are not written")


@pytest.mark.parametrize("told", TOLD)
@pytest.mark.parametrize("way", ENTER)
@pytest.mark.parametrize("groups", [1, 4])
def test_every_wave_meets_its_weights(groups, way, told, tmp_path):
    prove(PlaneHandoffProof(groups=groups, dut=PlaneHandoff(groups=groups), tied=True, way=way, told=told), tmp_path, depth=2)


class Unheld(PlaneHandoff):
    """Broken: writes each row as it comes."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.write.eq(self.offer)
        return m


class Restless(PlaneHandoff):
    """Broken: hands rows on while the array stands still."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.write.eq(self.offer & (self.begun | (self.ahead != 2)))
        return m


class Hasty(PlaneHandoff):
    """Broken: announces a tile with its first row."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.announce.eq(self.write & ~self.begun)
        return m


class Lasting(PlaneHandoff):
    """Broken: what it knows of the present tile outlasts a reset."""

    def __init__(self, *, groups):
        super().__init__(groups=groups)
        self.begun = Signal(reset_less=True)


def refuted(tmp_path, dut, *, depth, groups=1, tied=False, told=EARLIEST, gaps=None):
    """Fails the test unless the proof notices a broken design, on a short way, where it is noticed sooner."""
    refute(PlaneHandoffProof(groups=groups, dut=dut, tied=tied, way=SHORT, told=told, gaps=gaps), tmp_path, depth=depth)


def test_what_outlasts_a_reset_is_noticed(tmp_path):
    refuted(tmp_path, Lasting(groups=1), tied=True, depth=5)


def test_rows_that_do_not_stand_still_are_noticed(tmp_path):
    refuted(tmp_path, Restless(groups=1), depth=18)


def test_a_pulse_that_is_not_held_back_is_noticed(tmp_path):
    """It takes four groups: from pulse to weights a row needs three cycles, in which the wave reaches the fourth group."""
    refuted(tmp_path, PlaneHandoff(groups=1), groups=4, depth=14)


def test_rows_that_do_not_wait_are_noticed(tmp_path):
    refuted(tmp_path, Unheld(groups=1), depth=14)


def test_an_announcement_one_move_early_is_noticed(tmp_path):
    refuted(tmp_path, Hasty(groups=1), depth=SHORT + 9)


def test_one_gap_more_is_noticed(tmp_path):
    refuted(tmp_path, PlaneHandoff(groups=1), gaps=SHORT + min(TOLD) - 1, depth=2 * SHORT + 8)
