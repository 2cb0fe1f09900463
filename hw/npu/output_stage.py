"""The output stage: turns final accumulator entries into bytes of the activation scratchpad."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.isa import Error, Params, Second, group_layout
from hw.npu.operand_fetch import OperandFetch
from hw.npu.output_pipeline import OUTPUT_CONFIG, OutputPipeline, output_config
from hw.npu.parameter_shadow import ParameterShadow
from hw.npu.pixel_walk import WALK, PixelWalk
from hw.npu.ports import ReadPort, write_port
from hw.npu.second_operand import AddOperand
from hw.npu.status import ERROR_LAYOUT
from hw.npu.weight_loader import parameter_layout
from hw.npu.write_slots import WriteSlots

FINAL_HALVES = 16
"""Halves of final entries that can wait: two, and those of partial sums, by which the feeder can be ahead for each command it holds."""

OUTPUT_COMMAND = data.StructLayout({
    "index": unsigned(32),
    "loops": group_layout("loops"),
    "weights_params": unsigned(2),
    "load_table": unsigned(1),
    "output": group_layout("output"),
    "second": group_layout("second"),
})
"""What the output stage gets of a command."""


def _walk(loops, steps):
    """`WALK` over a command's pixels with the address and the steps of ``output`` or ``second``; partial sums are walked by pixel."""
    last_cols = Mux(loops.partial_out, 1, loops.last_cols)
    return Cat(loops.block_rows, loops.block_cols, loops.column_tiles, last_cols, steps.address, steps.pixel_step, steps.row_step)


class OutputStage(wiring.Component):
    """Reads final entries, requantizes, maps, adds the second operand and writes; third stage of the execute queue.

    ::

        rows ---------> ParameterShadow --+     +------------------------------- table rows
                                          v     v
        entry_final --> issue --> OutputPipeline ------> WriteSlots --> write
                         ^  |             ^  ^                ^
        command --> PixelWalk +- accumulators |                |
                         +--------------------|-- addresses ---+
        second_read <---> OperandFetch -------+

    A vector of ``lanes`` channels a cycle: ``ceil(channels / lanes)`` cycles a pixel, without a gap between the column tiles of a
    command, and `COMMAND_GAP` cycles between commands (`ADD_COMMAND_GAP` before one with ADD). A vector is issued only when its
    entry is final, its parameters are there, its second operand is on its way and it has a place among the writes; what is issued
    never stalls. Two commands are inside at a time, one that is issued and one that drains: each has a bank of configuration, and
    vectors carry the number of their bank. A command without ADD waits until those with ADD are `AddOperand.LATENCY` ahead, so that
    vectors stay in order.

    Job k uses half k mod 2 of the accumulators, counted over all commands since reset; partial sums left behind do not count.

    Parameters
    ----------
    cols, lanes : int
        Output channels, C, and channels requantized a cycle: C, C / 2 or C / 4.
    accumulator_bits : int
        20 to 32.
    depth : int
        Entries of a half of the accumulators, 256 at most.
    size : int
        Bytes of the activation scratchpad.
    read_latency : int
        Cycles from an accepted request of ``second_read`` to its answer.

    Members
    -------
    command : In(stream of OUTPUT_COMMAND)
        Commands in their order.
    parameters : In(stream of parameter_layout(cols))
        Rows of the weight stream in their order: those of the table wait for their command, parameters for the shadow set.
    entry_final : In(1)
        An entry of the oldest job that has some left is final, in their order; also of partial sums.
    acc_enable, acc_half, acc_entry : Out(1), Out(1), Out(8)
        Reads an entry of the accumulators.
    acc_data : In(array of cols signed)
        The entry, one cycle later.
    half_free : Out(1)
        A pulse: the last entry of a job has been read.
    second_read : Out(ReadPort(lanes))
        Reads the second operand.
    write : Out(write_port(lanes))
        Writes the result.
    retire, retire_index : Out(1), Out(32)
        A pulse: the last write of a command was accepted (partial sums: all entries are final); its index.
    written_bytes, read_bytes : Out(32), Out(32)
        Bytes that the retiring command wrote, and read of its second operand.
    error : Out(ERROR_LAYOUT)
        ADDRESS: a byte of the result or the second operand lies outside; BAD_FIELD: an exponent among the parameters is not
        -31 to 31. The stage stands still then.
    progress : Out(1)
        Something moved in this cycle.
    busy : Out(1)
        A command is inside.

    Raises
    ------
    ValueError
        If ``lanes`` does not fit ``cols``, or a number is out of range.
    """

    LATENCY = 1 + OutputPipeline.LATENCY + 1
    """Cycles from the issue of a vector without ADD to its write: accumulators, pipeline, slot."""
    ADD_LATENCY = LATENCY + AddOperand.LATENCY
    """The same with ADD."""
    SLOTS = ADD_LATENCY + 1 + 4
    """Vectors on their way or waiting to be written: one a cycle with ADD, and four that a busy scratchpad holds up."""
    COMMAND_GAP = 2
    """Cycles without a vector between commands: take the next one, start its walk."""
    ADD_COMMAND_GAP = COMMAND_GAP + 1
    """The same before a command with ADD: ask for its first second operand."""

    def __init__(self, *, cols, lanes, accumulator_bits, depth, size, read_latency):
        if lanes * 4 not in (cols, 2 * cols, 4 * cols):
            raise ValueError(f"OutputStage lanes must be cols = {cols}, half or a quarter of it, not {lanes}")
        if not 1 <= depth <= 256:
            raise ValueError(f"OutputStage depth must be 1 to 256, not {depth}")
        self.cols, self.lanes, self.accumulator_bits = cols, lanes, accumulator_bits
        self.depth, self.size, self.read_latency = depth, size, read_latency
        super().__init__({
            "command": In(stream.Signature(OUTPUT_COMMAND)),
            "parameters": In(stream.Signature(parameter_layout(cols))),
            "entry_final": In(1),
            "acc_enable": Out(1),
            "acc_half": Out(1),
            "acc_entry": Out(8),
            "acc_data": In(data.ArrayLayout(signed(accumulator_bits), cols)),
            "half_free": Out(1),
            "second_read": Out(ReadPort(lanes)),
            "write": Out(write_port(lanes)),
            "retire": Out(1),
            "retire_index": Out(32),
            "written_bytes": Out(32),
            "read_bytes": Out(32),
            "error": Out(ERROR_LAYOUT),
            "progress": Out(1),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        sizes = {"cols": self.cols, "lanes": self.lanes}
        m.submodules.shadow = shadow = ParameterShadow(self.cols)
        m.submodules.walk = walk = PixelWalk(**sizes, size=self.size)
        m.submodules.operands = operands = OperandFetch(
            **sizes, size=self.size, read_latency=self.read_latency, use_delay=1 + OutputPipeline.OPERAND_DELAY
        )
        m.submodules.pipeline = pipeline = OutputPipeline(**sizes, accumulator_bits=self.accumulator_bits)
        m.submodules.slots = slots = WriteSlots(lanes=self.lanes, slots=self.SLOTS)
        wiring.connect(m, wiring.flipped(self.second_read), operands.read)
        wiring.connect(m, wiring.flipped(self.write), slots.write)
        for col in range(self.cols):
            m.d.comb += [getattr(pipeline, name)[col].eq(getattr(shadow, name)[col]) for name in ("bias", "multiplier", "exponent")]
        for lane in range(self.lanes):
            m.d.comb += [pipeline.operand[lane].eq(operands.vector[lane]), slots.vector[lane].eq(pipeline.result[lane])]
        m.d.comb += [pipeline.accumulators.eq(self.acc_data), operands.pop.eq(pipeline.pop), slots.fill.eq(pipeline.result_valid)]

        command = self._commands(m, walk, operands, pipeline)
        issue, table_ready = self._control(m, command, walk, operands, slots, shadow, pipeline)
        self._rows(m, shadow, pipeline, table_ready)
        self._retire(m, command, slots)
        handshakes = (self.command, self.parameters, self.second_read.request)
        moves = (issue, slots.accepted, self.entry_final, *(stream.valid & stream.ready for stream in handshakes))
        m.d.comb += self.progress.eq(Cat(moves).any())
        return m

    def _commands(self, m, walk, operands, pipeline):
        """Takes a command: its loops for the walks, its configuration into the bank that is free."""
        payload, taken = self.command.payload, self.command.valid & self.command.ready
        command = _Command()
        m.d.comb += [walk.walk.eq(command.walk), operands.walk.eq(command.operand_walk), self.busy.eq(command.inside != 0)]
        config = output_config(
            payload.output,
            payload.second,
            channel_bias=payload.weights_params != Params.NONE,
            channel_scale=payload.weights_params == Params.FULL,
            add=payload.second.operation == Second.ADD,
        )
        m.d.sync += command.inside.eq(command.inside + taken - self.retire)
        with m.If(taken):
            m.d.sync += [
                command.bank.eq(~command.bank),
                command.has_params.eq(payload.weights_params != Params.NONE),
                command.adds.eq(payload.second.operation == Second.ADD),
                command.load_table.eq(payload.load_table),
                command.partial.eq(payload.loops.partial_out),
                command.walk.eq(_walk(payload.loops, payload.output)),
                command.operand_walk.eq(_walk(payload.loops, payload.second)),
            ]
        for i in range(2):
            m.d.comb += pipeline.config[i].eq(command.config[i])
            with m.If(taken & (command.bank != i)):
                m.d.sync += [command.config[i].eq(config), command.index[i].eq(payload.index)]
        return command

    def _control(self, m, command, walk, operands, slots, shadow, pipeline):
        """Issues the vectors of a command; gives the expressions that one is issued, and that rows of the table are taken."""
        finals = Signal(range(FINAL_HALVES * self.depth))
        fed = Signal()  # the feeder has passed the waits of this command, so that its second operand may be read
        behind_add = Signal(range(AddOperand.LATENCY + 1))  # cycles until a vector without ADD stays behind those with
        error = Signal(Error, reset_less=True)
        half, release, step, issue, table_ready = Signal(), Signal(), Signal(), Signal(), Signal()
        vector = walk.vector
        ready = (finals != 0) & (~command.has_params | shadow.available)
        bad_exponent = ready & command.has_params & shadow.bad_exponent
        in_order = Mux(command.adds, operands.available, behind_add == 0)
        m.d.sync += [
            finals.eq(finals + self.entry_final - (step & vector.entry_end)),
            release.eq(step & vector.job_end & command.has_params),
            self.half_free.eq(issue & vector.job_end),
            pipeline.valid.eq(issue),
        ]
        m.d.comb += [
            walk.step.eq(step),
            shadow.released.eq(release),
            operands.take.eq(issue & command.adds),
            operands.enable.eq(fed | (command.adds & (finals != 0))),
            self.acc_enable.eq(issue),
            self.acc_half.eq(half),
            self.acc_entry.eq(vector.entry),
            slots.reserve.eq(issue),
            slots.slot.address.eq(vector.address),
            slots.slot.bytes.eq(vector.bytes),
            slots.slot.last.eq(vector.command_end),
        ]
        with m.If(issue):
            m.d.sync += [pipeline.bank.eq(command.bank), pipeline.group.eq(vector.group), half.eq(half ^ vector.job_end)]
        m.d.sync += behind_add.eq(Mux(issue & command.adds, AddOperand.LATENCY, behind_add - (behind_add != 0)))

        def begin():
            with m.If(command.partial):
                m.next = "COUNT"
            with m.Else():
                m.next = "ISSUE"

        with m.FSM():
            with m.State("FETCH"):  # until there is a command, and a bank for it
                m.d.comb += self.command.ready.eq(command.inside != 2)
                m.d.sync += fed.eq(0)
                with m.If(self.command.valid & self.command.ready):
                    m.next = "START"
            with m.State("START"):  # one cycle
                m.d.comb += [walk.start.eq(1), operands.start.eq(command.adds & ~command.partial)]
                with m.If(command.load_table):
                    m.next = "LOAD_TABLE"
                with m.Else():
                    begin()
            with m.State("LOAD_TABLE"):  # until the last row is here; rows wait until no earlier vector is inside
                m.d.comb += table_ready.eq(slots.empty)
                with m.If(slots.empty & self.parameters.valid & self.parameters.payload.table & self.parameters.payload.last):
                    begin()
            with m.State("ISSUE"):  # until the last vector is issued
                with m.If(finals != 0):
                    m.d.sync += fed.eq(command.adds)
                with m.If(((finals != 0) & (walk.outside | operands.outside)) | bad_exponent):
                    m.d.sync += error.eq(Mux(bad_exponent, Error.BAD_FIELD, Error.ADDRESS))
                    m.next = "FAILED"
                with m.Elif(ready & in_order & slots.free):
                    m.d.comb += [step.eq(1), issue.eq(1)]
                    with m.If(vector.command_end):
                        m.next = "FETCH"
            with m.State("COUNT"):  # until all partial sums are final
                m.d.comb += step.eq(ready)
                with m.If(step & vector.command_end):
                    m.next = "SETTLE"
            with m.State("SETTLE"):  # until the commands before are complete
                m.d.comb += command.settled.eq(slots.empty)
                with m.If(slots.empty):
                    m.next = "FETCH"
            with m.State("FAILED"):  # until reset
                m.d.comb += [self.error.valid.eq(1), self.error.code.eq(error)]
        m.d.comb += self.error.index.eq(Mux(command.bank, command.index[1], command.index[0]))
        return issue, table_ready

    def _rows(self, m, shadow, pipeline, table_ready):
        """Parameters go to the shadow set, rows of the table to the table."""
        row = self.parameters.payload
        m.d.comb += [
            shadow.rows.payload.eq(row),
            shadow.rows.valid.eq(self.parameters.valid & ~row.table),
            self.parameters.ready.eq(Mux(row.table, table_ready, shadow.rows.ready)),
            pipeline.table_write.eq(self.parameters.valid & row.table & table_ready),
            pipeline.table_row.eq(row.row),
            pipeline.table_entries.eq(row.data),
        ]

    def _retire(self, m, command, slots):
        """Commands retire in their order, so that their banks alternate."""
        written, oldest = Signal(32), Signal()
        last = slots.accepted & slots.accepted_slot.last
        total = Signal(32)
        adds = Mux(oldest, command.config[1].add, command.config[0].add)
        m.d.comb += total.eq(written + slots.accepted_slot.bytes)
        m.d.sync += self.retire.eq(last | command.settled)
        with m.If(slots.accepted):
            m.d.sync += written.eq(Mux(last, 0, total))
        with m.If(last | command.settled):
            m.d.sync += [
                oldest.eq(~oldest),
                self.retire_index.eq(Mux(oldest, command.index[1], command.index[0])),
                self.written_bytes.eq(Mux(last, total, 0)),
                self.read_bytes.eq(Mux(last & adds, total, 0)),
            ]


class _Command:
    """Registers of the command that is issued, and the two banks of those that are inside."""

    def __init__(self):
        def register(shape, name):
            return Signal(shape, name=name, reset_less=True)

        self.walk, self.operand_walk = register(WALK, "walk"), register(WALK, "operand_walk")
        self.has_params, self.adds, self.load_table, self.partial = (
            register(1, name) for name in ("has_params", "adds", "load_table", "partial")
        )
        self.config = [register(OUTPUT_CONFIG, f"config_{i}") for i in range(2)]
        self.index = [register(32, f"index_{i}") for i in range(2)]
        self.bank = Signal(init=1)  # of the command that is issued; the first takes bank 0
        self.inside = Signal(range(3))  # commands taken and not retired
        self.settled = Signal()  # a command that wrote nothing retires
