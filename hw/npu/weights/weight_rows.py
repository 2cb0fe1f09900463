"""The order of the rows of a command's weight stream."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import MAX_SPAN, Opcode, is_operation
from hw.npu.interface.load_command import LOAD_COMMAND, parameter_rows, stream_of, table_rows
from hw.npu.walks.reduction_walk import ReductionWalk
from hw.npu.weights.pair_rows import PAIR_TAG
from hw.npu.weights.weight_sets import WeightSets


class WeightRows(wiring.Component):
    """Names the rows of a command's weight stream, one a step: table, then for each column tile weights and parameters.

    MATMUL has a row of weights for each byte of a reduction tile, DEPTHWISE ``span * taps_x`` rows a pass; with 4-bit weights each row of
    the stream is two of these.

    Parameters
    ----------
    rows, cols : int
        Size of the array.
    int4 : bool
        There are commands with 4-bit weights.
    pipeline : bool
        Sets of rows are known ahead (`WeightSets`): the first row comes six cycles after ``start``, and a set takes `WeightSets.PERIOD`
        cycles at least.

    Members
    -------
    start, step : In(1), In(1)
        Begin a command; go to the next row.
    command : In(LOAD_COMMAND)
        Steady from ``start`` on; with ``pipeline`` from two cycles before.
    valid : Out(1)
        With ``pipeline``: the row is known.
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

    def __init__(self, *, rows, cols, int4=False, pipeline=False):
        self.rows, self.cols, self.int4, self.pipeline = rows, cols, int4, pipeline
        super().__init__({
            "start": In(1),
            "step": In(1),
            "command": In(LOAD_COMMAND),
            **({"valid": Out(1)} if pipeline else {}),
            "table": Out(1),
            "params": Out(1),
            "zero": Out(1),
            "row": Out(range(256)),
            **(dict.fromkeys(PAIR_TAG, Out(1)) if int4 else {}),
            "last": Out(1),
            "end": Out(1),
            "empty": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        if self.pipeline:
            self._ahead(m)
            return m
        m.submodules.walk = walk = ReductionWalk(rows=self.rows, int4=self.int4)
        command, opcode = self.command, self.command.opcode
        table, params, row = Signal(reset_less=True), Signal(reset_less=True), Signal(range(256), reset_less=True)
        column = Signal.like(command.loops.column_tiles, name="column", reset_less=True)
        depthwise = is_operation(opcode, Opcode.DEPTHWISE, self.int4)
        has_table, has_params, has_weights = stream_of(command, self.int4)
        bound = Mux(table, table_rows(command, self.cols), Mux(params, parameter_rows(command), self._weight_rows(walk)))
        job_end = params | (~table & walk.last & ~has_params)
        nothing_behind_table = ~has_params & ~has_weights
        m.d.comb += [
            self.table.eq(table),
            self.params.eq(params),
            self.zero.eq(depthwise & _lies_behind(walk, self._array_row(row))),
            self.row.eq(row),
            self.last.eq(row == bound - 1),
            self.end.eq(self.last & Mux(table, nothing_behind_table, job_end & (column == command.loops.column_tiles - 1))),
            walk.loops.eq(command.loops),
            walk.depthwise.eq(depthwise),
            walk.start.eq(self.start),
            walk.step.eq(self.step & self.last & ~table & ~params),
            self.empty.eq(~has_table & nothing_behind_table),
        ]
        with m.If(self.step):
            m.d.sync += row.eq(Mux(self.last, 0, row + 1))
            with m.If(self.last):
                m.d.sync += [table.eq(0), params.eq(has_params & Mux(table | job_end, ~has_weights, walk.last))]
                with m.If(job_end):
                    m.d.sync += column.eq(column + 1)
        with m.If(self.start):
            m.d.sync += [row.eq(0), column.eq(0), table.eq(has_table), params.eq(has_params & ~has_table & ~has_weights)]
        if self.int4:
            self._pairs(m, walk, row)
        return m

    def _ahead(self, m):
        """Counts the rows of sets that are known."""
        m.submodules.sets = sets = WeightSets(rows=self.rows, cols=self.cols, int4=self.int4)
        present, row = sets.sets.payload, Signal(range(256))
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

    def _weight_rows(self, walk):
        """Expression: rows of the stream of a reduction tile."""
        whole = walk.end[-1]
        if not self.int4:
            return whole
        opcode = self.command.opcode
        halved = (opcode == Opcode.MATMUL_INT4) | (opcode == Opcode.DEPTHWISE_INT4)
        return Mux(halved, (whole + 1) >> 1, whole)

    def _array_row(self, row):
        """Expression: the row of a DEPTHWISE's weights, the first of two."""
        return Mux(self.command.opcode == Opcode.DEPTHWISE_INT4, row << 1, row) if self.int4 else row

    def _pairs(self, m, walk, row):
        """Says what 4-bit weights make of a row."""
        opcode, upper = self.command.opcode, (row << 1) + 1
        m.d.comb += [
            walk.paired.eq(opcode == Opcode.MATMUL_INT4),
            self.pair.eq((opcode == Opcode.DEPTHWISE_INT4) & ~self.table & ~self.params),
            self.upper.eq(upper < walk.end[-1]),
            self.zero_upper.eq(_lies_behind(walk, upper)),
        ]


def _lies_behind(walk, row):
    """Expression: a row of weights is of a kernel row that the kernel has not."""
    return Cat((row >= walk.end[side - 1]) & ~walk.side[side] for side in range(1, MAX_SPAN)).any()
