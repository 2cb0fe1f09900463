"""What the output stage keeps of the commands inside it."""

from amaranth.hdl import Cat, Const, Mux, Signal, unsigned
from amaranth.lib import data

from hw.npu.interface.isa import Opcode, Params, Second, group_layout
from hw.npu.output.output_pipeline import OUTPUT_CONFIG, output_config
from hw.npu.softmax.softmax_unit import SoftmaxUnit
from hw.npu.walks.pixel_walk import WALK

SOURCE = data.StructLayout({name: group_layout("input")[name].shape for name in ("address", "pixel_step", "row_step")})
"""Where SOFTMAX reads its rows; names and units as in ``input`` of a command."""

OUTPUT_COMMAND = data.StructLayout({
    "index": unsigned(32),
    "opcode": unsigned(8),
    "loops": group_layout("loops"),
    "source": SOURCE,
    "weights_params": unsigned(2),
    "load_table": unsigned(1),
    "output": group_layout("output"),
    "second": group_layout("second"),
})
"""What the output stage gets of a command."""


def source_of(group):
    """`SOURCE` of a command's group ``input``, as one value."""
    return Cat(group.address, group.pixel_step, group.row_step)


def _walk(loops, steps):
    """`WALK` over a command's pixels with the steps of ``output``, ``second`` or ``source``; partial sums are walked by pixel."""
    last_cols = Mux(loops.partial_out, 1, loops.last_cols)
    address = Cat(steps.address, Const(0, 1))[: WALK["address"].width]  # what is negative there is large here, and so outside too
    value = Cat(loops.block_rows, loops.block_cols, loops.column_tiles, last_cols, address, steps.pixel_step, steps.row_step)
    assert len(value) == WALK.size
    return value


class OutputCommand:
    """Registers of the command that is issued, and the two banks of those that are inside.

    Attributes
    ----------
    walk, operand_walk : Signal(WALK)
        Where results go, and where second operands, or rows of SOFTMAX, are read.
    length : Signal
        SOFTMAX: elements of a row.
    softmax, has_params, has_second, load_table, partial : Signal
        What the command does.
    config, index, thrice : lists of two
        By bank: the pipeline's configuration, the command's index, whether as many bytes are read as written thrice over: SOFTMAX.
    bank : Signal
        Of the command that is issued.
    inside : Signal
        Commands taken and not retired.
    settled : Signal
        A pulse: a command that wrote nothing retires.
    """

    def __init__(self):
        def register(shape, name):
            return Signal(shape, name=name, reset_less=True)

        self.walk, self.operand_walk = register(WALK, "walk"), register(WALK, "operand_walk")
        self.length = register(group_layout("loops")["lanes"].shape, "length")
        self.softmax, self.has_params, self.has_second, self.load_table, self.partial = (
            register(1, name) for name in ("softmax", "has_params", "has_second", "load_table", "partial")
        )
        self.config = [register(OUTPUT_CONFIG, f"config_{i}") for i in range(2)]
        self.index = [register(32, f"index_{i}") for i in range(2)]
        self.thrice = [register(1, f"thrice_{i}") for i in range(2)]
        self.bank = Signal(init=1)  # the first command takes bank 0
        self.inside = Signal(range(3))
        self.settled = Signal()

    def take(self, m, payload, taken):
        """Takes a command: its loops for the walks, its configuration into the bank that is free."""
        softmax = payload.opcode == Opcode.SOFTMAX
        has_params, has_second = payload.weights_params != Params.NONE, (payload.second.operation != Second.NONE) & ~softmax
        full = payload.weights_params == Params.FULL
        config = output_config(payload.output, payload.second, channel_bias=has_params, channel_scale=full)
        with m.If(taken):
            m.d.sync += [
                self.bank.eq(~self.bank),
                self.softmax.eq(softmax),
                self.has_params.eq(has_params),
                self.has_second.eq(has_second),
                self.load_table.eq(payload.load_table),
                self.partial.eq(payload.loops.partial_out),
                self.length.eq(payload.loops.lanes),
                self.walk.eq(_walk(payload.loops, payload.output)),
                self.operand_walk.eq(Mux(softmax, _walk(payload.loops, payload.source), _walk(payload.loops, payload.second))),
            ]
        for i in range(2):
            with m.If(taken & (self.bank != i)):
                m.d.sync += [self.config[i].eq(config), self.index[i].eq(payload.index), self.thrice[i].eq(softmax)]

    def retire(self, m, stage, slots):
        """Commands retire in their order, so that their banks alternate; the stage says so. The command's bytes are summed, then multiplied
        by what was read of them.
        """
        written = Signal(32)
        total = Signal(32, reset_less=True)
        oldest = Signal()
        last = slots.accepted & slots.accepted_slot.last
        ends = Signal()
        with m.If(slots.accepted):
            m.d.sync += [written.eq(Mux(last, 0, written + slots.accepted_slot.bytes))]
        m.d.sync += [
            ends.eq(last | self.settled),
            total.eq(Mux(self.settled, 0, written + slots.accepted_slot.bytes)),
            stage.retire.eq(ends),
        ]
        has_second = Mux(oldest, self.config[1].has_second, self.config[0].has_second)
        thrice = Mux(oldest, self.thrice[1], self.thrice[0])
        with m.If(ends):
            m.d.sync += [
                oldest.eq(~oldest),
                stage.retire_index.eq(Mux(oldest, self.index[1], self.index[0])),
                stage.written_bytes.eq(total),
                # PASSES = 3 times, with an adder: Yosys would take a multiplier, which is far away
                stage.read_bytes.eq(Mux(has_second | thrice, total, 0) + Mux(thrice, total << (SoftmaxUnit.PASSES - 2), 0)),
            ]
