"""Takes the feeder's commands, and decides in each cycle whether a step leaves, a filler or nothing."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import Opcode, group_layout, is_operation
from hw.npu.parts.delay import delayed
from hw.npu.walks.reduction_walk import ReductionWalk


def feed_command(interpolation=False) -> data.StructLayout:
    """What the feeder needs of an execute command."""
    groups = ("header", "loops", "input", *(("interpolation",) if interpolation else ()))
    return data.StructLayout({"index": unsigned(32), **{group: group_layout(group) for group in groups}})


class StepIssuer(wiring.Component):
    """Registers a command, starts the walks, and issues its steps, and the fillers of a DEPTHWISE. At most one a cycle.

    The command is registered `PREPARED` cycles before its first step can come, so that what it alone decides is known by then. The last
    step of a tile waits until what depends on the tile is known, `ReductionWalk.SETTLES` cycles after its first step.
    A first wave waits until ``open``; the steps behind it do not, as nothing that it waited for can be taken away.
    Fillers leave while the next tile of a DEPTHWISE waits, and behind its last step, as many as there are rows that compute.

    Parameters
    ----------
    rows : int
        Of the array.
    int4, interpolation : bool
        There are commands with 4-bit weights, and INTERPOLATE.

    Members
    -------
    commands : In(stream of feed_command(interpolation))
        In order.
    command : Out(feed_command(interpolation))
        The one whose steps are issued: SOFTMAX as one wave of padding, what only the array knows as a tap of one byte.
    matmul, depthwise : Out(1), Out(1)
        Its kind, with or without 4-bit weights; a cycle behind ``command``.
    start, active : Out(1), Out(1)
        Begins the walks; a step of the command is there.
    open, room : In(1), In(1)
        A first wave may leave (`FeedGate`); there is room for a step.
    first_pixel, tile_end, last_tile, last_column : In(1), In(1), In(1), In(1)
        The step that comes next: it has the first wave of its reduction tile; ends the tile; is of the last tile, of the last column tile.
    rows_used : In(range(rows + 1))
        Rows that compute in a DEPTHWISE.
    step, filler, ends : Out(1), Out(1), Out(1)
        A step, or a filler, leaves in this cycle; if it does, it is the last of its command.
    spaced : Out(1)
        No step leaves because of the registers between: nothing else is missing.
    """

    PREPARED = 2
    """Cycles that a command stands before its first step can come."""
    TAKE = 1 + PREPARED + 1
    """Cycles from a command that is taken to its first step: registered, prepared, started."""
    ENDED = 1
    """Cycles without a step between a command's last step and the fillers behind it."""
    BETWEEN = ReductionWalk.SETTLES + 1 + TAKE
    """Cycles from a command's last step to the next one's first."""

    def __init__(self, *, rows, int4=False, interpolation=False):
        self.rows, self.int4, self.layout = rows, int4, feed_command(interpolation)
        super().__init__(
            {"commands": In(stream.Signature(self.layout)), "command": Out(self.layout), "rows_used": In(range(rows + 1))}
            | {name: In(1) for name in ("open", "room", "first_pixel", "tile_end", "last_tile", "last_column")}
            | {name: Out(1) for name in ("matmul", "depthwise", "start", "active", "step", "filler", "ends", "spaced")}
        )

    def elaborate(self, platform):
        m = Module()
        command = Signal(self.layout, reset_less=True)
        opcode = self.command.header.opcode
        matmul, depthwise = (
            delayed(m, is_operation(opcode, operation, self.int4), 1, name=operation.name.lower())
            for operation in (Opcode.MATMUL, Opcode.DEPTHWISE)
        )
        taken = Signal()
        preparing = Signal()
        active = Signal()
        begun = Signal()
        fillers_left = Signal(range(self.rows + 1))  # behind the last step of a command
        quiet = Signal(range(ReductionWalk.SETTLES + 1))
        settling = Signal(range(ReductionWalk.SETTLES + 1))
        early = Signal()
        command_end = Signal()
        m.d.comb += [
            self.command.eq(command),
            self.matmul.eq(matmul),
            self.depthwise.eq(depthwise),
            self.commands.ready.eq(~active & ~preparing & (fillers_left == 0) & (quiet == 0)),
            taken.eq(self.commands.valid & self.commands.ready),
            self.start.eq(delayed(m, taken, self.TAKE - 1, name="starting", reset_less=False)),
            self.active.eq(active),
            early.eq(self.tile_end & (settling != 0)),
            self.step.eq(active & (self.open | ~self.first_pixel) & self.room & ~early),
            self.filler.eq(begun & ((fillers_left != 0) | (active & ~self.open & self.first_pixel)) & self.room),
            command_end.eq(self.tile_end & self.last_tile & self.last_column),
            self.ends.eq(Mux(depthwise, fillers_left == 1, command_end)),
        ]
        with m.If(self.commands.ready):  # whether there is one or not
            m.d.sync += self._take(command)
        with m.If(taken):
            m.d.sync += preparing.eq(1)
        with m.If(self.start):
            m.d.sync += [preparing.eq(0), active.eq(1)]
        with m.If(self.step):
            m.d.sync += begun.eq(depthwise)
            with m.If(command_end):
                m.d.sync += active.eq(0)
        ended = delayed(m, self.step & command_end, self.ENDED, name="ended", reset_less=False)
        with m.If(ended):
            m.d.sync += fillers_left.eq(Mux(depthwise, self.rows_used, 0))
        with m.If(self.filler & (fillers_left != 0)):
            m.d.sync += [fillers_left.eq(fillers_left - 1), begun.eq(fillers_left != 1)]
        for count, moves in ((quiet, self.step | self.filler), (settling, self.start | (self.step & self.tile_end))):
            with m.If(moves):
                m.d.sync += count.eq(ReductionWalk.SETTLES)
            with m.Elif(count != 0):
                m.d.sync += count.eq(count - 1)
        m.d.comb += self.spaced.eq(early | ended | (fillers_left != 0))
        return m

    def _take(self, command):
        """Registers a command."""
        taken, opcode = self.commands.payload, self.commands.payload.header.opcode
        softmax = opcode == Opcode.SOFTMAX
        array = is_operation(opcode, Opcode.MATMUL, self.int4) | is_operation(opcode, Opcode.DEPTHWISE, self.int4)
        changes = (
            (command.loops.block_rows, Mux(softmax, 1, taken.loops.block_rows)),
            (command.loops.block_cols, Mux(softmax, 1, taken.loops.block_cols)),
            (command.loops.lanes, Mux(array, taken.loops.lanes, 1)),
            (command.loops.span, Mux(array, taken.loops.span, 1)),
            (command.input.height, Mux(softmax, 0, taken.input.height)),
        )
        return [command.eq(taken), *(field.eq(value) for field, value in changes)]
