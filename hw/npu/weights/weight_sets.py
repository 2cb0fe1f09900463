"""The sets of a command's weight stream, ahead of their rows."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.config import tile_depth
from hw.npu.interface.isa import MAX_SPAN, Opcode, is_operation
from hw.npu.interface.load_command import LOAD_COMMAND, parameter_rows, stream_of, table_rows
from hw.npu.parts.stream_register import StreamRegister, steady
from hw.npu.parts.switched import only
from hw.npu.walks.reduction_walk import ReductionWalk


def set_layout(rows, int4=False) -> data.StructLayout:
    """A set of rows: the table, the parameters of a column tile, or a reduction tile.

    Its last row; whether it is the command's last; for the weights of a DEPTHWISE where its kernel rows begin, and which of them the kernel
    has not. With ``int4`` whether its rows are two rows of weights each, of how many in all.
    """
    lane = range(tile_depth(rows, int4) + 1)
    return data.StructLayout({
        "table": 1,
        "params": 1,
        "last_row": unsigned(8),
        "end": 1,
        "borders": data.ArrayLayout(lane, MAX_SPAN - 1),
        "missing": MAX_SPAN - 1,
        **only(int4, pair=1, whole=lane),
    })


class WeightSets(wiring.Component):
    """Walks over the sets of a command's stream: table, then for each column tile its reduction tiles and its parameters.

    A set every `PERIOD` cycles, two of them ahead of the rows.

    Parameters
    ----------
    rows, cols : int
        Size of the array.
    int4 : bool
        There are commands with 4-bit weights.

    Members
    -------
    start : In(1)
        Begin a command; the one before has given all its sets.
    command : In(LOAD_COMMAND)
        Steady from two cycles before ``start`` on.
    sets : Out(stream of set_layout)
        The sets, the last of the command marked.
    """

    PERIOD = ReductionWalk.SETTLES + 1

    def __init__(self, *, rows, cols, int4=False):
        self.rows, self.cols, self.int4 = rows, cols, int4
        super().__init__({"start": In(1), "command": In(LOAD_COMMAND), "sets": Out(stream.Signature(set_layout(rows, int4)))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = ReductionWalk(rows=self.rows, int4=self.int4)
        m.submodules.ahead = ahead = StreamRegister(self.sets.payload.shape())
        wiring.connect(m, ahead.o, wiring.flipped(self.sets))
        command, opcode = self.command, self.command.opcode
        has_table, has_params, has_weights = stream_of(command, self.int4)
        depthwise = is_operation(opcode, Opcode.DEPTHWISE, self.int4)
        active = Signal()
        table = Signal(reset_less=True)
        params = Signal(reset_less=True)
        column = Signal.like(command.loops.column_tiles, name="column", reset_less=True)
        last_column = Signal(reset_less=True)
        step = Signal()
        settled = Signal()
        job_end = params | (~table & walk.last & ~has_params)
        rows = walk.end[-1]
        if self.int4:
            halved = (opcode == Opcode.MATMUL_INT4) | (opcode == Opcode.DEPTHWISE_INT4)
            rows = Mux(halved, (rows + 1) >> 1, rows)
        given = ahead.i.payload
        m.d.comb += [
            settled.eq(steady(m, active, step | self.start, ReductionWalk.SETTLES, name="settled")),
            step.eq(settled & ahead.i.ready),
            ahead.i.valid.eq(settled),
            given.table.eq(table),
            given.params.eq(params),
            given.last_row.eq(Mux(table, table_rows(command, self.cols) - 1, Mux(params, parameter_rows(command) - 1, rows - 1))),
            given.end.eq(Mux(table, ~has_params & ~has_weights, job_end & last_column)),
            *(given.borders[side].eq(walk.end[side]) for side in range(MAX_SPAN - 1)),
            given.missing.eq(Cat(depthwise & ~walk.side[side] for side in range(1, MAX_SPAN))),
            walk.loops.eq(command.loops),
            walk.depthwise.eq(depthwise),
            walk.start.eq(self.start),
            walk.step.eq(step & ~table & ~params),
        ]
        if self.int4:
            m.d.comb += [
                given.pair.eq((opcode == Opcode.DEPTHWISE_INT4) & ~table & ~params),
                given.whole.eq(walk.end[-1]),
                walk.paired.eq(opcode == Opcode.MATMUL_INT4),
            ]
        m.d.sync += last_column.eq(column == command.loops.column_tiles - 1)
        with m.If(step):
            m.d.sync += [table.eq(0), params.eq(has_params & Mux(table | job_end, ~has_weights, walk.last)), active.eq(~given.end)]
            with m.If(job_end):
                m.d.sync += column.eq(column + 1)
        with m.If(self.start):
            m.d.sync += [
                active.eq(has_table | has_params | has_weights),
                column.eq(0),
                table.eq(has_table),
                params.eq(has_params & ~has_table & ~has_weights),
            ]
        return m
