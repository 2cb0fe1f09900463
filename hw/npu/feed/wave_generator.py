"""Walks the pixels of an execute command: one wave, or one step of a depthwise convolution, at a time."""

from amaranth.hdl import Const, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import group_layout
from hw.npu.interface.wave import POSITION
from hw.npu.parts.delay import delayed
from hw.npu.walks.interpolation_walk import WEIGHT_BITS, InterpolationWalk


def row_to_row(inp, transposed, *, address, y, name, m):
    """`POSITION` that goes from an image row, or from one column of a transposed walk, to the next.

    Along the height the bytes of the step lead to another row, and the position in it stays; a transposed block has its rows along the
    image's width, where every byte of the step is one in the image row too.
    """
    step = Signal(POSITION, name=name)
    m.d.comb += [step.address.eq(inp[address]), step.x.eq(Mux(transposed, inp[address], 0)), step.y.eq(Mux(transposed, 0, inp[y]))]
    return step


def moved(m, origin, name, *steps):
    """``origin`` moved by other positions."""
    place = Signal(POSITION, name=name)
    m.d.comb += [place[field].eq(sum((step[field] for step in steps), origin[field])) for field, _ in POSITION]
    return place


class WaveGenerator(wiring.Component):
    """Positions of output pixels, without the tap, and loop ends of the step that comes next.

    ::

        for column tile: for reduction tile:                   walked by `PortPositions`, which says which tile is a job's last
            for row of the block: for column of the block:     a step, and a wave

    DEPTHWISE: ``positions`` steps along a block row; the step at ``stride`` times a column is the column's wave, the others are data only.

    One step a cycle, no bubble between tiles and between column tiles. Every level keeps the position at which it began
    (column tile, block row), so that a step is one addition. The ends of the loops are registers.

    Parameters
    ----------
    cols : int
        Columns of the array: bytes from column tile to column tile, where these read different bytes.
    interpolation : bool
        There are commands INTERPOLATE, whose pixels lie between those of the image.

    Members
    -------
    start : In(1)
        Load the command: the first step is there in the next cycle.
    step : In(1)
        Go to the next step.
    loops, input : In(group loops), In(group input)
        The command, steady from two cycles before ``start`` on.
    depthwise, channels : In(1), In(1)
        It is a DEPTHWISE; each column tile reads its own bytes (all but MATMUL).
    last_tile : In(1)
        The present reduction tile is the last of its job.
    position : Out(POSITION)
        Of the step of the cycle before, for tap (0, 0).
    wave : Out(1)
        The step has a wave.
    entry : Out(unsigned(8))
        The number of its pixel in the block, or of the pixel that comes next.
    first_pixel, last_pixel : Out(1), Out(1)
        It is the first or last wave of its reduction tile; the first wave is the first step.
    tile_end, last_column : Out(1), Out(1)
        It is the last step of its reduction tile; it is in the last job.
    interpolates, vector, interpolation : In(1), In(1), In(group interpolation)
        With ``interpolation``: the command is an INTERPOLATE; it has waves that go around the array; its fields.
    weighs, weight : Out(1), Out(WEIGHT_BITS)
        With ``interpolation``: the weight of a vector that goes around the array, in the order of the steps, some cycles behind
        (`InterpolationWalk.LATENCY`).
    """

    def __init__(self, *, cols, interpolation=False):
        self.cols, self.interpolation_walk = cols, interpolation
        between = {"interpolates": In(1), "vector": In(1), "interpolation": In(group_layout("interpolation"))}
        between |= {"weighs": Out(1), "weight": Out(WEIGHT_BITS)}
        flags = ("wave", "first_pixel", "last_pixel", "tile_end", "last_column")
        super().__init__(
            {
                "start": In(1),
                "step": In(1),
                "loops": In(group_layout("loops")),
                "input": In(group_layout("input")),
                "depthwise": In(1),
                "channels": In(1),
                "last_tile": In(1),
                "position": Out(POSITION),
                "entry": Out(unsigned(8)),
            }
            | {flag: Out(1) for flag in flags}
            | (between if interpolation else {})
        )

    def elaborate(self, platform):
        m = Module()
        ends = self._counters(m)
        row_wave_end = self._waves(m, ends)
        self._flags(m, ends, row_wave_end)
        carries = self._between(m, ends) if self.interpolation_walk else (0, 0)
        self._positions(m, ends, *carries)
        return m

    def _between(self, m, ends):
        """Pixels between those of the image: gives whether the next row and the next pixel are moved by a kernel row, a column, more."""
        m.submodules.between = between = InterpolationWalk()
        m.d.comb += [getattr(between, name).eq(getattr(self, name)) for name in ("start", "step", "loops", "input", "interpolation")]
        m.d.comb += [getattr(between, name).eq(getattr(self, name)) for name in ("interpolates", "vector", "position", "tile_end")]
        m.d.comb += [between.row_end.eq(ends["bx"]), self.weighs.eq(between.valid), self.weight.eq(between.weight)]
        return between.carry_y, between.carry_x

    def _counters(self, m):
        """Counts each loop; gives the end of every loop, the innermost first."""
        loops, ends, all_inner = self.loops, {}, Const(1)
        steps = Signal.like(loops.positions, name="steps")
        m.d.comb += steps.eq(Mux(self.depthwise, loops.positions, loops.block_cols))
        for loop, bound, inner in (
            ("bx", steps, Const(1)),
            ("by", loops.block_rows, Const(1)),
            ("tile", loops.column_tiles, self.last_tile),
        ):
            count = Signal.like(bound, name=f"count_{loop}", reset_less=True)
            end = Signal(name=f"end_{loop}")
            all_inner = all_inner & inner
            end = self._end(m, loop, count, bound, self.step & all_inner)
            with m.If(self.step & all_inner):
                m.d.sync += count.eq(Mux(end, 0, count + 1))
            with m.If(self.start):
                m.d.sync += count.eq(0)
            ends[loop] = end
            all_inner = all_inner & end
        return ends

    def _end(self, m, loop, count, bound, moves):
        """The end of a loop as a register, decided a step ahead."""
        once = Signal(name=f"once_{loop}", reset_less=True)
        turn = Signal.like(bound, name=f"turn_{loop}", reset_less=True)
        end = Signal(name=f"at_end_{loop}", reset_less=True)
        m.d.sync += [once.eq(bound == 1), turn.eq(bound - 2)]
        with m.If(moves):
            m.d.sync += end.eq(Mux(end, once, count == turn))
        with m.If(self.start):
            m.d.sync += end.eq(once)
        return end

    def _waves(self, m, ends):
        """Which steps of a block row have a wave; gives whether the present one is the last of them."""
        phase = Signal.like(self.loops.stride, reset_less=True)  # steps behind the last that could have a wave
        waves_left = Signal.like(self.loops.block_cols, reset_less=True)
        m.d.comb += self.wave.eq(~self.depthwise | ((phase == 0) & (waves_left != 0)))
        with m.If(self.step):
            m.d.sync += phase.eq(Mux(phase == self.loops.stride - 1, 0, phase + 1))
            with m.If(self.wave):
                m.d.sync += waves_left.eq(waves_left - 1)
        with m.If(self.start | (self.step & ends["bx"])):
            m.d.sync += [phase.eq(0), waves_left.eq(self.loops.block_cols)]
        return self.wave & (waves_left == 1)

    def _flags(self, m, ends, row_wave_end):
        first_pixel = Signal(reset_less=True)
        entry = Signal(8, reset_less=True)
        tile_end = ends["bx"] & ends["by"]
        with m.If(self.step):
            m.d.sync += first_pixel.eq(tile_end)
            with m.If(self.wave):
                m.d.sync += entry.eq(Mux(self.last_pixel, 0, entry + 1))
        with m.If(self.start):
            m.d.sync += [first_pixel.eq(1), entry.eq(0)]
        m.d.comb += [
            self.entry.eq(entry),
            self.first_pixel.eq(first_pixel),
            self.last_pixel.eq(row_wave_end & ends["by"]),
            self.tile_end.eq(tile_end),
            self.last_column.eq(ends["tile"]),
        ]

    def _positions(self, m, ends, carry_y, carry_x):
        inp, transposed = self.input, self.depthwise & self.loops.transposed
        column, row, pixel = (Signal(POSITION, name=name, reset_less=True) for name in ("column", "row", "pixel"))
        m.d.comb += self.position.eq(pixel)

        pixel_step = Signal(POSITION)
        tile_step = Signal(POSITION)
        along = inp.pixel_step + Mux(carry_x, inp.tap_x_step, 0) if self.interpolation_walk else inp.pixel_step
        m.d.comb += [
            pixel_step.address.eq(along),
            pixel_step.x.eq(Mux(transposed, 0, along)),
            pixel_step.y.eq(Mux(transposed, inp.row_step_y, 0)),
            tile_step.address.eq(Mux(self.channels, self.cols, 0)),
            tile_step.x.eq(tile_step.address),
        ]
        row_step = row_to_row(inp, transposed, address="row_step", y="row_step_y", name="row_step", m=m)
        if self.interpolation_walk:
            further = Signal(POSITION)
            m.d.comb += [further.address.eq(Mux(carry_y, inp.tap_y_step, 0)), further.y.eq(Mux(carry_y, inp.tap_y_rows, 0))]
            row_step = moved(m, row_step, "row_step_between", further)
        self._moves(m, ends, (column, row, pixel), (tile_step, row_step, pixel_step))

    def _moves(self, m, ends, places, steps):
        """The positions a cycle later, when it is registered what moves: the pixel, a row, back to the column tile, or that too."""
        inp, (column, row, pixel) = self.input, places
        tile_step, row_step, pixel_step = (
            delayed(m, step, 1, name=name) for step, name in zip(steps, ("by_tile", "by_row", "by_pixel"), strict=True)
        )
        moves = Signal()
        what = Signal(2, reset_less=True)
        job = Signal()
        ends_tile = ends["bx"] & ends["by"]
        m.d.sync += [
            moves.eq(self.step | self.start),
            what.eq(Mux(self.start, 2, Mux(ends_tile, Mux(self.last_tile, 3, 2), ends["bx"]))),
            job.eq(self.step & ends_tile & self.last_tile),
        ]
        next_row, next_column = moved(m, row, "next_row", row_step), moved(m, column, "next_column", tile_step)
        following = Signal(POSITION, name="following")
        with m.Switch(what):
            for number, place in enumerate((moved(m, pixel, "next_pixel", pixel_step), next_row, column, next_column)):
                with m.Case(number):
                    m.d.comb += following.eq(place)
        with m.If(moves):
            m.d.sync += pixel.eq(following)
            with m.If(what != 0):
                m.d.sync += row.eq(following)
        with m.If(self.start):
            m.d.sync += [column.address.eq(inp.address), column.x.eq(inp.x_bytes), column.y.eq(inp.y)]
        with m.Elif(job):
            m.d.sync += column.eq(next_column)
