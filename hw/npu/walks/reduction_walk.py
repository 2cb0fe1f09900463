"""The order of the reduction tiles of a command: kernel rows, kernel columns, chunks, and how tiles are packed across kernel rows."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.config import tile_depth
from hw.npu.interface.isa import MAX_SPAN, group_layout
from hw.npu.parts.switched import only


@dataclass(frozen=True)
class ReductionTile:
    """One reduction tile of a MATMUL.

    Attributes
    ----------
    ky, kx : int
        Tap that its first byte belongs to.
    first : int
        That byte's number in the tap.
    bytes : tuple of int
        Bytes of kernel rows ``ky``, ``ky + 1``, ``ky + 2``; those of the later rows begin at their tap's byte 0.
    """

    ky: int
    kx: int
    first: int
    bytes: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Rows of the array, and of weights."""
        return sum(self.bytes)


def reduction_tiles(*, taps_y: int, taps_x: int, lanes: int, span: int, rows: int) -> list[ReductionTile]:
    """The reduction tiles of a MATMUL in their order: the twin of `ReductionWalk`.

    Parameters
    ----------
    taps_y, taps_x, lanes, span : int
        Fields of the group ``loops``; ``taps_x`` is 1 where ``span`` is 2 or 3.
    rows : int
        Rows of the array.
    """
    if span == 1:
        taps = ((ky, kx) for ky in range(taps_y) for kx in range(taps_x))
        return [ReductionTile(ky, kx, first, (min(rows, lanes - first), 0, 0)) for ky, kx in taps for first in range(0, lanes, rows)]
    tiles, place = [], 0  # of the kernel rows laid end to end
    while place < taps_y * lanes:
        ky, first = divmod(place, lanes)
        end = min(place + rows, (ky + span) * lanes, taps_y * lanes)
        borders = [min(end, (ky + side) * lanes) for side in range(1, MAX_SPAN)]
        tiles.append(ReductionTile(ky, 0, first, (borders[0] - place, borders[1] - borders[0], end - borders[1])))
        place = end
    return tiles


class ReductionWalk(wiring.Component):
    """Walks over the reduction tiles of a command, one a step. What a tile is stands on the outputs from `SETTLES` cycles behind its first
    cycle on, but for ``first``, which is there at once: a tile must last for more cycles than that.

    MATMUL: taps of ``lanes`` bytes, or with ``span`` 2 or 3 kernel rows laid end to end: a tile takes the rest of a kernel row, and then
    from up to two further rows, as far as it has room. SUM and MAX: one tile a tap (``span`` and ``lanes`` are 1). DEPTHWISE: ``span``
    kernel rows a tile, and ``taps_x`` rows of the array for each of them. ::

        kernel row ky    |.... first |=========|     rest > R: the next tile begins in the same tap
        kernel row ky+1  |=========|                 side by side: 0, end[0], end[1], end[2] are where the kernel rows begin and end
        kernel row ky+2  |====|..                    among the tile's lanes; the next tile begins ``advance`` rows on, ``taken`` bytes in

    Parameters
    ----------
    rows : int
        Rows of the array, R.
    int4 : bool
        There are commands with two weights a row.

    Members
    -------
    start, step : In(1), In(1)
        The first tile is there in the next cycle; go to the next tile, after the last to the first.
    depthwise : In(1)
        The command is a DEPTHWISE.
    paired : In(1)
        With ``int4``: it is a MATMUL with two weights a row, whose tiles are of 2R bytes.
    loops : In(group loops)
        The command, steady from two cycles before ``start`` on.
    end : Out(range(rows + 1)).array(MAX_SPAN)
        Lanes of the kernel rows 0 to s of the tile; the last is its number of bytes. Twice the range with ``int4``.
    side : Out(1).array(MAX_SPAN)
        The tile may hold a kernel row s: it is in the kernel and in the span.
    same_tap, next_tap : Out(1), Out(1)
        The next tile goes on in the same tap, R bytes further; begins the next tap of the kernel row.
    advance, taken : Out(range(MAX_SPAN + 1)), Out(range(rows + 1)), or twice the range
        Else: how many kernel rows further the next tile begins, and how many bytes of that row are taken.
    first, last : Out(1), Out(1)
        The tile is the first, or the last.
    """

    SETTLES = 2
    """Cycles from a tile's first to the one in which the outputs are its own."""

    def __init__(self, *, rows, int4=False):
        self.rows, self.int4 = rows, int4
        self.deepest = tile_depth(rows, int4)
        super().__init__({
            "start": In(1),
            "step": In(1),
            "depthwise": In(1),
            **only(int4, paired=In(1)),
            "loops": In(group_layout("loops")),
            "end": Out(range(self.deepest + 1)).array(MAX_SPAN),
            "side": Out(1).array(MAX_SPAN),
            "same_tap": Out(1),
            "next_tap": Out(1),
            "advance": Out(range(MAX_SPAN + 1)),
            "taken": Out(range(self.deepest + 1)),
            "first": Out(1),
            "last": Out(1),
        })
        self.depth = Mux(self.paired, self.deepest, rows) if int4 else rows
        """Bytes that a tile of the command holds, at most."""

    def elaborate(self, platform):
        m = Module()
        loops = self.loops
        rest = Signal.like(loops.lanes, name="rest", reset_less=True)  # bytes of the tap from this tile on
        rows_left = Signal.like(loops.taps_y, name="rows_left", reset_less=True)  # kernel rows from this tile on
        column = Signal.like(loops.taps_x, name="column", reset_less=True)
        first = Signal(reset_less=True)
        self._settle(m, rest, rows_left, column)
        with m.If(self.step):
            m.d.sync += [
                first.eq(self.last),
                column.eq(Mux(self.same_tap, column, Mux(self.next_tap, column + 1, 0))),
                rest.eq(Mux(self.same_tap, rest - self.depth, loops.lanes - self.taken)),
                rows_left.eq(rows_left - self.advance),
            ]
        with m.If((self.start | self.step) & (self.start | self.last)):
            m.d.sync += [first.eq(1), column.eq(0), rest.eq(loops.lanes), rows_left.eq(loops.taps_y)]
        m.d.comb += self.first.eq(first)
        return m

    def _settle(self, m, rest, rows_left, column):
        """The outputs, in two stages: lengths and comparisons, then where the rows end and what that means."""
        loops, depth, lane = self.loops, self.depth, range(self.deepest + 1)

        def register(shape, name):
            return Signal(shape, name=name, reset_less=True)

        row_lanes = register(lane, "row_lanes")
        last_tap = Signal.like(loops.taps_x, name="last_tap", reset_less=True)
        m.d.sync += [row_lanes.eq(Mux(loops.lanes > depth, depth, loops.lanes)), last_tap.eq(loops.taps_x - 1)]
        # 1: bytes of kernel row 0, and of the others together, were there room; what is left
        tap_end, row_end, in_span = (register(1, name) for name in ("tap_end", "row_end", "in_span"))
        left, side = register(MAX_SPAN, "left"), register(MAX_SPAN, "side_1")
        lengths = [register(range(MAX_SPAN * self.deepest + 1), f"length_{number}") for number in range(MAX_SPAN)]
        room = register(lane, "room")  # behind kernel row 0
        m.d.sync += [
            tap_end.eq(rest <= depth),
            row_end.eq(column == last_tap),
            in_span.eq(rows_left <= loops.span),
            left.eq(Cat(rows_left == number for number in range(1, MAX_SPAN + 1))),
            side.eq(Cat((loops.span > number) & (rows_left > number) for number in range(MAX_SPAN))),
            lengths[0].eq(Mux(self.depthwise, loops.taps_x, Mux(rest > depth, depth, rest))),
            room.eq(Mux(rest > depth, 0, depth - rest)),
        ]
        length = Mux(self.depthwise, loops.taps_x, row_lanes)
        one, two = ((loops.span > number) & (self.depthwise | (rows_left > number)) for number in range(1, MAX_SPAN))
        m.d.sync += [lengths[1].eq(Mux(one, length, 0)), lengths[2].eq(Mux(two, length << 1, Mux(one, length, 0)))]
        # 2: their sums, no more than a tile
        whole = []
        for number in range(MAX_SPAN):
            total = lengths[0] + lengths[number] if number else lengths[0]
            fits = total <= depth
            m.d.sync += self.end[number].eq(Mux(fits, total, depth))
            whole.append(side[number] & fits)
        wraps, fir = tap_end & row_end & ~self.depthwise, self.depthwise
        taken = Mux(whole[1], Mux(side[2] & ~whole[2], room - lengths[1], 0), Mux(side[1], room, 0))
        m.d.sync += [
            *(mine.eq(there) for mine, there in zip(self.side, side, strict=True)),
            self.same_tap.eq(~fir & ~tap_end),
            self.next_tap.eq(~fir & tap_end & ~row_end),
            self.last.eq(Mux(fir, in_span, wraps & Mux(whole[2], left[2], Mux(whole[1], left[1], left[0])))),
            self.advance.eq(Mux(fir, loops.span, Mux(wraps, 1 + whole[1] + whole[2], 0))),
            self.taken.eq(Mux(wraps, taken, 0)),
        ]
