"""Walks the loop nest of an execute command: one output pixel of one reduction tile a step."""

from amaranth.hdl import Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.isa import group_layout

POSITION = data.StructLayout({"address": signed(26), "x": signed(25), "y": signed(17)})
"""Where a wave reads: byte address in the scratchpad, byte position in the image row, image row."""


class WaveGenerator(wiring.Component):
    """Addresses and loop ends of the wave that comes next.

    ::

        for column tile: for tap_y: for tap_x: for chunk:      a reduction tile
            for row of the block: for column of the block:     a wave

    One step a cycle, no bubble between tiles and between column tiles. Every level keeps the position at which it began
    (column tile, kernel row, tap, reduction tile, block row), so that a step is one addition.

    Parameters
    ----------
    rows, cols : int
        Size of the array: a chunk is ``rows`` bytes; a column tile of the vector path is ``cols`` bytes.

    Members
    -------
    start : In(1)
        Load the command: the first wave is there in the next cycle.
    step : In(1)
        Go to the next wave.
    loops, input, vector : In(group loops), In(group input), In(1)
        The command, steady from ``start`` on; vector for SUM and MAX.
    position : Out(POSITION)
        The present wave.
    entry : Out(unsigned(8))
        Its pixel's number in the block.
    first_pixel, last_pixel, first_tile, last_tile, last_column : Out(1)
        Whether it is the first or last of its reduction tile, in the first or last reduction tile of its job, in the last job.
    last_chunk : Out(1)
        Whether its reduction tile is the last of a tap, which may use fewer rows.
    """

    def __init__(self, *, rows, cols):
        self.rows, self.cols = rows, cols
        flags = ("first_pixel", "last_pixel", "first_tile", "last_tile", "last_column", "last_chunk")
        super().__init__(
            {
                "start": In(1),
                "step": In(1),
                "loops": In(group_layout("loops")),
                "input": In(group_layout("input")),
                "vector": In(1),
                "position": Out(POSITION),
                "entry": Out(unsigned(8)),
            }
            | {flag: Out(1) for flag in flags}
        )

    def elaborate(self, platform):
        m = Module()
        ends = self._counters(m)
        self._flags(m, ends)
        self._positions(m, ends)
        return m

    def _counters(self, m):
        """Counts each loop; gives the end of every loop, the innermost first."""
        loops, ends, all_inner = self.loops, {}, Const(1)
        for loop, bound in (
            ("bx", loops.block_cols),
            ("by", loops.block_rows),
            ("chunk", loops.chunks),
            ("kx", loops.taps_x),
            ("ky", loops.taps_y),
            ("tile", loops.column_tiles),
        ):
            count, end = Signal.like(bound, name=f"count_{loop}", reset_less=True), Signal(name=f"end_{loop}")
            m.d.comb += end.eq(count == bound - 1)
            with m.If(self.step & all_inner):
                m.d.sync += count.eq(Mux(end, 0, count + 1))
            with m.If(self.start):
                m.d.sync += count.eq(0)
            ends[loop] = end
            all_inner = all_inner & end
        return ends

    def _flags(self, m, ends):
        first_pixel, first_tile = Signal(reset_less=True), Signal(reset_less=True)
        entry = Signal(8, reset_less=True)
        last_pixel = ends["bx"] & ends["by"]
        last_tile = ends["chunk"] & ends["kx"] & ends["ky"]
        with m.If(self.step):
            m.d.sync += [first_pixel.eq(last_pixel), entry.eq(Mux(last_pixel, 0, entry + 1))]
            with m.If(last_pixel):
                m.d.sync += first_tile.eq(last_tile)
        with m.If(self.start):
            m.d.sync += [first_pixel.eq(1), first_tile.eq(1), entry.eq(0)]
        m.d.comb += [
            self.entry.eq(entry),
            self.first_pixel.eq(first_pixel),
            self.first_tile.eq(first_tile),
            self.last_pixel.eq(last_pixel),
            self.last_tile.eq(last_tile),
            self.last_column.eq(ends["tile"]),
            self.last_chunk.eq(ends["chunk"]),
        ]

    def _positions(self, m, ends):
        inp = self.input
        column, tap_row, tap, tile, row, pixel = (
            Signal(POSITION, name=name, reset_less=True) for name in ("column", "tap_row", "tap", "tile", "row", "pixel")
        )
        m.d.comb += self.position.eq(pixel)

        def moved(origin, name, *, along=0, address=0, y=0):
            """``origin`` moved along the image row by ``along`` bytes, and by whole rows."""
            place = Signal(POSITION, name=name)
            m.d.comb += [place.address.eq(origin.address + along + address), place.x.eq(origin.x + along), place.y.eq(origin.y + y)]
            return place

        next_pixel = moved(pixel, "next_pixel", along=inp.pixel_step)
        next_row = Signal(POSITION)
        m.d.comb += [next_row.address.eq(row.address + inp.row_step), next_row.x.eq(tile.x), next_row.y.eq(row.y + inp.row_step_y)]
        next_chunk = moved(tile, "next_chunk", along=self.rows)
        next_tap = moved(tap, "next_tap", along=inp.tap_x_step)
        next_tap_row = moved(tap_row, "next_tap_row", address=inp.tap_y_step, y=inp.tap_y_rows)
        next_column = moved(column, "next_column", along=Mux(self.vector, self.cols, 0))

        def begin(place, *levels):
            """The given levels, and all inside them, begin at ``place``."""
            return [level.eq(place) for level in (*levels, tile, row, pixel)]

        with m.If(self.step):
            with m.If(~ends["bx"]):
                m.d.sync += pixel.eq(next_pixel)
            with m.Elif(~ends["by"]):
                m.d.sync += [row.eq(next_row), pixel.eq(next_row)]
            with m.Elif(~ends["chunk"]):
                m.d.sync += begin(next_chunk)
            with m.Elif(~ends["kx"]):
                m.d.sync += begin(next_tap, tap)
            with m.Elif(~ends["ky"]):
                m.d.sync += begin(next_tap_row, tap_row, tap)
            with m.Else():
                m.d.sync += begin(next_column, column, tap_row, tap)
        with m.If(self.start):
            origin = Signal(POSITION)
            m.d.comb += [origin.address.eq(inp.address), origin.x.eq(inp.x_bytes), origin.y.eq(inp.y)]
            m.d.sync += begin(origin, column, tap_row, tap)
