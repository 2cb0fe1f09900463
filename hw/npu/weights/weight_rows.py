"""The order of the rows of a command's weight stream."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import MAX_SPAN
from hw.npu.interface.load_command import LOAD_COMMAND, stream_of
from hw.npu.parts.switched import only
from hw.npu.weights.row_splitter import PAIR_TAG
from hw.npu.weights.weight_sets import WeightSets


class WeightRows(wiring.Component):
    """Names the rows of a command's weight stream, one a step: table, then for each column tile weights and parameters.

    MATMUL has a row of weights for each byte of a reduction tile, DEPTHWISE ``span * taps_x`` rows a pass; with 4-bit weights each row of
    the stream is two of these. Sets of rows are known ahead (`WeightSets`): the first row comes six cycles after ``start``, and a set takes
    `WeightSets.PERIOD` cycles at least.

    Parameters
    ----------
    rows, cols : int
        Size of the array.
    int4 : bool
        There are commands with 4-bit weights.

    Members
    -------
    start, step : In(1), In(1)
        Begin a command; go to the next row.
    command : In(LOAD_COMMAND)
        Steady from two cycles before ``start`` on.
    valid : Out(1)
        The row is known.
    table, params : Out(1), Out(1)
        The row belongs to the table, or to the parameters; else to a reduction tile.
    zero : Out(1)
        The row's weights are of a kernel row behind the kernel's last: they count as 0.
    row : Out(range(256))
        Its number in the table, the parameters or the tile.
    pair, upper, zero_upper : Out(1), Out(1), Out(1)
        `PAIR_TAG`, with ``int4``.
    last : Out(1)
        It is the last of the table, the parameters or the tile.
    end : Out(1)
        It is the last of the command.
    empty : Out(1)
        The command's stream has no rows.
    """

    def __init__(self, *, rows, cols, int4=False):
        self.rows, self.cols, self.int4 = rows, cols, int4
        super().__init__({
            "start": In(1),
            "step": In(1),
            "command": In(LOAD_COMMAND),
            "valid": Out(1),
            "table": Out(1),
            "params": Out(1),
            "zero": Out(1),
            "row": Out(range(256)),
            **only(int4, **dict.fromkeys(PAIR_TAG, Out(1))),
            "last": Out(1),
            "end": Out(1),
            "empty": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.sets = sets = WeightSets(rows=self.rows, cols=self.cols, int4=self.int4)
        present = sets.sets.payload
        row = Signal(range(256))
        has_table, has_params, has_weights = stream_of(self.command, self.int4)
        m.d.comb += [
            sets.start.eq(self.start),
            sets.command.eq(self.command),
            sets.sets.ready.eq(self.step & self.last),
            self.valid.eq(sets.sets.valid),
            self.table.eq(present.table),
            self.params.eq(present.params),
            self.row.eq(row),
            self.last.eq(row == present.last_row),
            self.end.eq(self.last & present.end),
            self.empty.eq(~has_table & ~has_params & ~has_weights),
        ]
        with m.If(self.step):
            m.d.sync += row.eq(Mux(self.last, 0, row + 1))

        def lies_behind(row):
            return Cat((row >= present.borders[side]) & present.missing[side] for side in range(MAX_SPAN - 1)).any()

        first = Mux(present.pair, row << 1, row) if self.int4 else row
        m.d.comb += self.zero.eq(lies_behind(first))
        if self.int4:
            upper = (row << 1) + 1
            m.d.comb += [self.pair.eq(present.pair), self.upper.eq(upper < present.whole), self.zero_upper.eq(lies_behind(upper))]
        return m
