"""Where the feeder's read ports read: the kernel rows of a reduction tile, side by side."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.npu.config import tile_depth
from hw.npu.feed.wave_generator import moved, row_to_row
from hw.npu.interface.isa import MAX_SPAN, MOST_LAG, group_layout
from hw.npu.interface.wave import POSITION
from hw.npu.parts.delay import delayed
from hw.npu.parts.switched import only
from hw.npu.walks.reduction_walk import ReductionWalk


def port_layout(width) -> data.StructLayout:
    """What one port reads: its byte 0, whether it reads at all, and which lanes: ``first`` to ``end - 1``; all that are its own end before
    ``pad_end``.
    """
    lane = range(width + 1)
    return data.StructLayout({"position": POSITION, "on": 1, "first": lane, "end": lane, "pad_end": lane})


PAST_STEP = data.StructLayout({"position": POSITION, "side": MAX_SPAN, "last_column": 1})
"""What later ports need of a step of port 0: its position, the kernel rows beside its own, and whether it is in the last column tile."""


class StepHistory(wiring.Component):
    """The last `MOST_LAG` steps of a depthwise convolution.

    Port s lags by s times a kernel row's taps: its bytes are those of a past step of port 0, in a later kernel row. Keeping positions
    costs less than delaying vectors of C bytes.

    Members
    -------
    start : In(1)
        Forget all steps.
    step, real, present : In(1), In(1), In(PAST_STEP)
        A step, whether port 0 reads in it, and what it is.
    lag : In(range(MOST_LAG + 1)).array(MAX_SPAN - 1)
        How many steps ago, at least 1.
    past, past_real : Out(PAST_STEP).array(MAX_SPAN - 1), Out(1).array(MAX_SPAN - 1)
        The step so long ago; whether there was one, and port 0 read in it. Where there was none, the step is what the memory holds, at
        first an unknown.
    """

    def __init__(self):
        others = MAX_SPAN - 1
        super().__init__({
            "start": In(1),
            "step": In(1),
            "real": In(1),
            "present": In(PAST_STEP),
            "lag": In(range(MOST_LAG + 1)).array(others),
            "past": Out(PAST_STEP).array(others),
            "past_real": Out(1).array(others),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.steps = steps = Memory(shape=PAST_STEP, depth=MOST_LAG, init=[])
        # where the next step goes; bit n: step n + 1 ago was real
        place = Signal(range(MOST_LAG))
        real = Signal(MOST_LAG)
        write = steps.write_port()
        m.d.comb += [write.en.eq(self.step), write.addr.eq(place), write.data.eq(self.present)]
        with m.If(self.step):
            m.d.sync += [place.eq(place + 1), real.eq(Cat(self.real, real))]
        with m.If(self.start):
            m.d.sync += real.eq(0)
        for lag, past, past_real in zip(self.lag, self.past, self.past_real, strict=True):
            read = steps.read_port(domain="comb")
            m.d.comb += [read.addr.eq(place - lag), past.eq(read.data), past_real.eq((real << 1).bit_select(lag, 1))]
        return m


class PortPositions(wiring.Component):
    """Adds the tap to a pixel's position, for each of the feeder's read ports.

    MATMUL: port s reads the tile's kernel row s, beginning before the row's first byte by the lanes that earlier rows take, so that
    its bytes come out at their own lanes. SUM and MAX: port 0. DEPTHWISE: port 0 reads the first kernel row of the pass; port s
    reads kernel row s at the position at which port 0 was s times ``taps_x`` steps ago.

    One step a cycle. The ports of a step come `LATENCY` cycles later, and nothing stalls in between::

        pixel ----------------------------> + --> port 0 --> past steps --> + --> ports
        walk --> where rows end --> + ------^                               |
        kernel rows, tap -----------^-----------> of ports 1 and 2 ---------^
        0        1, 2               3       4                5                6

    A reduction tile takes at least three cycles. From the last step of a command to the next ``start`` pass `LATENCY` - 1 cycles at least.

    Parameters
    ----------
    rows, cols : int
        Size of the array.
    int4 : bool
        There are commands with two weights a row of the array.

    Members
    -------
    start : In(1)
        Begin the command: its first reduction tile is there in the next cycle.
    step, filler, tile_end : In(1), In(1), In(1)
        A step is taken; port 0 reads nothing in it; it is the last of its reduction tile.
    loops, input : In(group loops), In(group input)
        The command, steady from two cycles before ``start`` on.
    matmul, depthwise : In(1), In(1)
        Its kind, SUM or MAX if neither.
    paired : In(1)
        With ``int4``: it is a MATMUL with two weights a row.
    pixel, last_column : In(POSITION), In(1)
        Position, without the tap, of the step of the cycle before; the present step is in the last column tile.
    ports : Out(port_layout(width)).array(MAX_SPAN)
        What each port reads; of max(R, C) lanes, with ``int4`` max(2R, C).
    row_ends : Out(range(rows + 1)).array(MAX_SPAN)
        Where the tile's kernel rows end among its bytes: in DEPTHWISE the rows of the array. Twice the range with ``int4``.
    first_tile, last_tile : Out(1), Out(1)
        The reduction tile is the first or the last of its job; ``last_tile`` comes `ReductionWalk.SETTLES` cycles later.
    """

    LATENCY = 6

    def __init__(self, *, rows, cols, int4=False):
        self.rows, self.cols, self.int4 = rows, cols, int4
        self.deepest = tile_depth(rows, int4)
        self.width = max(self.deepest, cols)
        super().__init__({
            "start": In(1),
            "step": In(1),
            "filler": In(1),
            "tile_end": In(1),
            "loops": In(group_layout("loops")),
            "input": In(group_layout("input")),
            "matmul": In(1),
            "depthwise": In(1),
            **only(int4, paired=In(1)),
            "pixel": In(POSITION),
            "last_column": In(1),
            "ports": Out(port_layout(self.width)).array(MAX_SPAN),
            "row_ends": Out(range(self.deepest + 1)).array(MAX_SPAN),
            "first_tile": Out(1),
            "last_tile": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = ReductionWalk(rows=self.rows, int4=self.int4)
        m.submodules.history = history = StepHistory()
        m.d.comb += [
            walk.start.eq(self.start),
            walk.step.eq(self.step & self.tile_end),
            walk.loops.eq(self.loops),
            walk.depthwise.eq(self.depthwise),
            self.first_tile.eq(walk.first),
            self.last_tile.eq(walk.last),
            history.start.eq(self.start),
        ]
        m.d.comb += [ours.eq(theirs) for ours, theirs in zip(self.row_ends, walk.end, strict=True)]
        kernel_rows, along = self._tile(m, walk)
        command = self._hold(m)
        offsets = self._offsets(m, walk, command, kernel_rows, along)
        self._ports(m, walk, history, command, offsets)
        if self.int4:
            m.d.comb += walk.paired.eq(self.paired)
        return m

    def _tile(self, m, walk):
        """Where the kernel rows of the present tile begin, and how far into them port 0 does."""
        inp, transposed = self.input, self.depthwise & self.loops.transposed
        step = row_to_row(inp, transposed, address="tap_y_step", y="tap_y_rows", name="kernel_row_step", m=m)
        double = moved(m, step, "kernel_row_double", step)
        step, double, triple = (
            delayed(m, place, 1, name=name)
            for place, name in ((step, "by_one"), (double, "by_two"), (moved(m, double, "kernel_row_triple", step), "by_three"))
        )
        along = Signal(signed(25), reset_less=True)
        tap = Signal(signed(25), reset_less=True)
        begins = POSITION.const({})  # of kernel row 0: the pixel itself
        rows = [Signal(POSITION, name=f"kernel_row_{side}", reset_less=True) for side in range(MAX_SPAN)]
        restart = self.start | (walk.step & walk.last)
        moves = walk.step, walk.same_tap, walk.next_tap, walk.advance, walk.taken, restart
        names = ("tile_step", "same_tap", "next_tap", "advance", "taken", "restart")
        next_tile, same_tap, next_tap, advance, taken, restart = (
            delayed(m, move, 1, name=name, reset_less=False) for move, name in zip(moves, names, strict=True)
        )
        with m.If(next_tile):
            with m.If(same_tap):
                m.d.sync += along.eq(along + walk.depth)
            with m.Elif(next_tap):
                m.d.sync += [along.eq(tap + inp.tap_x_step), tap.eq(tap + inp.tap_x_step)]
            with m.Else():
                m.d.sync += [along.eq(taken), tap.eq(0)]
        with m.If(restart):
            m.d.sync += [along.eq(0), tap.eq(0)]
        for side, (row, first) in enumerate(zip(rows, (begins, step, double), strict=True)):
            # by 1, 2 or 3 kernel rows; in DEPTHWISE rows 1 and 2 are relative to a past step, and stay
            leap = Signal(POSITION, name=f"leap_{side}")
            with m.Switch(advance):
                for number, place in enumerate((step, double, triple), start=1):
                    with m.Case(number):
                        m.d.comb += leap.eq(place)
            with m.If(restart):
                m.d.sync += row.eq(first)
            with m.Elif(next_tile & (~self.depthwise if side else 1)):
                m.d.sync += row.eq(moved(m, row, f"next_row_{side}", leap))
        return rows, along

    def _hold(self, m):
        """The command of the later stages: steps of it are still there when the next one starts."""
        late = data.StructLayout({"loops": self.loops.shape(), "matmul": 1, "depthwise": 1})
        command = Signal(late, name="late", reset_less=True)
        with m.If(self.start):
            m.d.sync += [command.loops.eq(self.loops), command.matmul.eq(self.matmul), command.depthwise.eq(self.depthwise)]
        return command

    def _offsets(self, m, walk, command, kernel_rows, along):
        """2: where the tile's rows end; its kernel rows moved a cycle later than the walk. 3: how far from the pixel each port begins;
        those of ports 1 and 2 a cycle later.
        """
        settled = ReductionWalk.SETTLES - 1
        offsets = []
        for side, row in enumerate(kernel_rows):
            row = delayed(m, row, settled + (side != 0), name=f"settled_row_{side}")
            if side:
                shift = Signal(signed(len(walk.end[0]) + 1), name=f"before_{side}", reset_less=True)
                m.d.sync += shift.eq(Mux(command.depthwise, 0, -walk.end[side - 1]))
            else:
                shift = delayed(m, along, settled, name="settled_along")
            offset = Signal(POSITION, name=f"offset_{side}", reset_less=True)
            m.d.sync += [offset.address.eq(row.address + shift), offset.x.eq(row.x + shift), offset.y.eq(row.y)]
            offsets.append(offset)
        return offsets

    def _ports(self, m, walk, history, command, offsets):
        """4: port 0, and its past steps. 5: what each port begins at. 6: where it reads."""
        loops, depthwise = command.loops, command.depthwise
        # 4
        pixel = delayed(m, self.pixel, 2, name="pixel")
        position = Signal(POSITION, reset_less=True)
        m.d.sync += [position[field].eq(pixel[field] + offsets[0][field]) for field, _ in POSITION]
        filler = delayed(m, self.filler, 4, name="filler")
        last_column = delayed(m, self.last_column, 4, name="last_column")
        sides = delayed(m, Cat(walk.side), 2, name="sides")
        m.d.comb += [
            history.step.eq(delayed(m, self.step, 4, name="step", reset_less=False) & depthwise),
            history.real.eq(~filler),
            history.present.position.eq(position),
            history.present.side.eq(sides),
            history.present.last_column.eq(last_column),
        ]
        for side, lag in enumerate(history.lag, start=1):
            ago = Signal.like(lag, name=f"lag_{side}", reset_less=True)
            m.d.sync += ago.eq(loops.taps_x * side)
            m.d.comb += lag.eq(ago)
        # 5
        pixel, position = delayed(m, pixel, 2, name="late_pixel"), delayed(m, position, 1, name="late_position")
        filler, last_column = delayed(m, filler, 1, name="late_filler"), delayed(m, last_column, 1, name="late_last_column")
        sides = delayed(m, sides, 1, name="late_sides")
        ends = [delayed(m, end, 3, name=f"end_{number}") for number, end in enumerate(walk.end)]
        # 6
        for side in range(MAX_SPAN):
            port = Signal(self.ports[side].shape(), name=f"port_{side}", reset_less=True)
            m.d.comb += self.ports[side].eq(port)
            if side:
                past = delayed(m, history.past[side - 1], 1, name=f"past_{side}")
                past_real = delayed(m, history.past_real[side - 1], 1, name=f"past_real_{side}")
                offset = delayed(m, offsets[side], 1, name=f"late_offset_{side}")
                base = data.View(POSITION, Mux(depthwise, past.position, pixel))
                m.d.sync += [port.position[field].eq(base[field] + offset[field]) for field, _ in POSITION]
                on = Mux(depthwise, past_real & past.side.bit_select(side, 1), command.matmul & sides[side])
                in_last = past_real & past.last_column
            else:
                m.d.sync += port.position.eq(position)
                on, in_last = ~filler, last_column
            first = Mux(command.matmul, ends[side - 1], 0) if side else 0
            end = Mux(command.matmul, ends[side], 0 if side else self.cols)
            m.d.sync += [
                port.on.eq(on),
                port.first.eq(first),
                port.end.eq(Mux(depthwise, Mux(in_last, loops.last_cols, self.cols), end)),
                port.pad_end.eq(Mux(depthwise, Mux(loops.column_tiles == 1, loops.last_cols, self.cols), end)),
            ]
