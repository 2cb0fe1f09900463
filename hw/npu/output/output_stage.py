"""The output stage: turns final accumulator entries into bytes of the activation scratchpad."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.array.accumulators import Accumulators
from hw.npu.interface.isa import Error
from hw.npu.interface.ports import ReadPort, write_port
from hw.npu.interface.status import ERROR_LAYOUT
from hw.npu.interface.weight_stream import parameter_layout
from hw.npu.output.operand_fetch import OperandFetch
from hw.npu.output.output_command import OUTPUT_COMMAND, OutputCommand
from hw.npu.output.output_pipeline import OutputPipeline
from hw.npu.output.parameter_shadow import ParameterShadow
from hw.npu.output.shared_read import SharedRead
from hw.npu.output.vector_order import VectorOrder
from hw.npu.output.write_slots import WriteSlots
from hw.npu.parts.credit_counter import CreditCounter
from hw.npu.parts.delay import delayed
from hw.npu.parts.fifo import StreamFifo
from hw.npu.softmax.softmax_unit import SoftmaxUnit
from hw.npu.walks.pixel_walk import PixelWalk

FINAL_HALVES = 16
"""Halves of final entries that can wait: two, and those of partial sums, by which the feeder can be ahead for each command it holds."""


class OutputStage(wiring.Component):
    """Reads final entries, requantizes, maps, joins with the second operand and writes; third stage of the execute queue.

    ::

        rows ---------> ParameterShadow --+     +------------------------------- table rows
                                          v     v
        entry_final --> issue --> OutputPipeline ------> WriteSlots --> write
                         ^  |             ^  ^                ^
        command --> PixelWalk +- accumulators |                |
                         +--------------------|-- addresses ---+
        second_read <-+-> OperandFetch -------+                |
                      +-> SoftmaxUnit -------------------------+

    A vector of ``lanes`` channels a cycle: ``ceil(channels / lanes)`` cycles a pixel, without a gap between the column tiles of a
    command, and `COMMAND_GAP` cycles between commands (`SECOND_COMMAND_GAP` before one with a second operand). A vector is issued only when
    its entry is final, its parameters are there, its second operand is on its way and it has a place among the writes; what is issued
    never stalls. Vectors with a second operand go through the scale twice, so that they take two cycles each: `OutputPipeline.turn` are
    issued in as many cycles, then none in as many. Two commands are inside at a time, one that is issued and one that drains: each has a
    bank of configuration, and vectors carry the number of their bank. A command without a second operand waits until the vectors of those
    with one have been in the scale again, so that vectors stay in order.

    A SOFTMAX is one final entry, which says that its rows may be read and whose sum is not; `SoftmaxUnit` runs alone, when all earlier
    vectors are written, and its results go through the same places among the writes.

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
    multiplier_registers, memory_registers : int
        0 or 1 each: registers more around the multipliers, and behind the accumulators.

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
        The entry, as many cycles later as `Accumulators` take.
    half_free : Out(1)
        A pulse: the last entry of a job has been read.
    second_read : Out(ReadPort(lanes))
        Reads the second operand, or the rows of a SOFTMAX.
    write : Out(write_port(lanes))
        Writes the result.
    retire, retire_index : Out(1), Out(32)
        A pulse: the last write of a command was accepted `RETIRE` cycles before (partial sums: all entries are final); its index.
    written_bytes, read_bytes : Out(32), Out(32)
        Bytes that the retiring command wrote, and read of its second operand or, in three passes, its rows.
    error : Out(ERROR_LAYOUT)
        ADDRESS: a byte of the result, the second operand or a row of SOFTMAX lies outside; BAD_FIELD: an exponent among the parameters is
        not -31 to 31. The stage stands still then.
    progress : Out(1)
        Something moved in this cycle.
    busy : Out(1)
        A command is inside.

    Raises
    ------
    ValueError
        If ``lanes`` does not fit ``cols``, or a number is out of range.
    """

    COMMAND_GAP = 2 + PixelWalk.FIRST
    """Cycles without a vector between commands: see the next one, take it, and the first vector of its walk."""
    SECOND_COMMAND_GAP = COMMAND_GAP + 4
    """The same before a command with a second operand, and ``read_latency`` more: ask for the first of them, through the queue of requests;
    vectors are promised behind it."""
    RETIRE = 3
    """Cycles from a command's last write to ``retire``: known, summed, multiplied."""

    def __init__(self, *, cols, lanes, accumulator_bits, depth, size, read_latency, multiplier_registers=0, memory_registers=0):
        if lanes * 4 not in (cols, 2 * cols, 4 * cols):
            raise ValueError(f"OutputStage lanes must be cols = {cols}, half or a quarter of it, not {lanes}")
        if not 1 <= depth <= 256:
            raise ValueError(f"OutputStage depth must be 1 to 256, not {depth}")
        self.cols, self.lanes, self.accumulator_bits = cols, lanes, accumulator_bits
        self.depth, self.size, self.read_latency = depth, size, read_latency
        sizes, more = {"cols": cols, "lanes": lanes}, {"multiplier_registers": multiplier_registers}
        self.pipeline = pipeline = OutputPipeline(**sizes, accumulator_bits=accumulator_bits, **more)
        self.softmax = SoftmaxUnit(**sizes, size=size, read_latency=read_latency, **more)
        # from the read of a vector's entry to its write: accumulators, pipeline, slot; with a second operand
        self.entry_latency = Accumulators.read_latency(memory_registers)
        self.latency = self.entry_latency + pipeline.latency + WriteSlots.LATENCY
        self.second_latency = self.entry_latency + pipeline.second_latency + WriteSlots.LATENCY
        # vectors between the choice to issue them and their write, or waiting for it: as if one a cycle had a second operand, four that a
        # busy scratchpad holds up, and what is not yet known of them; fewer than 32 words of data would become flip-flops
        self.slots = max(32, 1 + self.second_latency + 1 + 4 + WriteSlots.SPARE)
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
        use_delay = 1 + self.entry_latency + self.pipeline.latency
        m.submodules.operands = operands = OperandFetch(**sizes, size=self.size, read_latency=self.read_latency, use_delay=use_delay)
        m.submodules.pipeline = pipeline = self.pipeline
        m.submodules.slots = slots = WriteSlots(lanes=self.lanes, slots=self.slots)
        m.submodules.softmax = softmax = self.softmax
        m.submodules.shared = shared = SharedRead(self.lanes)
        wiring.connect(m, operands.read, shared.operands)
        wiring.connect(m, softmax.read, shared.softmax)
        wiring.connect(m, shared.read, wiring.flipped(self.second_read))
        # the loader does not wait for what is done with a row
        m.submodules.rows = queue = StreamFifo(parameter_layout(self.cols), depth=2)
        wiring.connect(m, wiring.flipped(self.parameters), queue.i)
        rows = queue.o
        wiring.connect(m, wiring.flipped(self.write), slots.write)
        for col in range(self.cols):
            m.d.comb += [getattr(pipeline, name)[col].eq(getattr(shadow, name)[col]) for name in ("bias", "multiplier", "exponent")]
        for lane in range(self.lanes):
            m.d.comb += pipeline.operand[lane].eq(operands.vector[lane])
        m.d.comb += [pipeline.accumulators.eq(self.acc_data), operands.pop.eq(pipeline.pop)]

        command = OutputCommand()
        taken = self.command.valid & self.command.ready
        command.take(m, self.command.payload, taken)
        m.d.sync += command.inside.eq(command.inside + taken - self.retire)
        m.d.comb += [
            walk.walk.eq(command.walk),
            operands.walk.eq(command.operand_walk),
            *(pipeline.config[i].eq(command.config[i]) for i in range(2)),
            self.busy.eq(command.inside != 0),
        ]
        issue = self._control(m, command, rows, walk, operands, slots, shadow, pipeline, softmax)
        m.d.comb += [
            softmax.source.eq(command.operand_walk),
            softmax.length.eq(command.length),
            softmax.target.eq(walk.vector.address),
            softmax.target_end.eq(walk.vector.command_end),
            softmax.target_valid.eq(walk.valid),
            shared.begins.eq(softmax.start),
            shared.ends.eq(softmax.done),
        ]
        self._places(m, issue, walk, slots, pipeline, softmax)
        command.retire(m, self, slots)
        handshakes = (self.command, self.parameters, self.second_read.request)
        moves = (issue, slots.accepted, self.entry_final, *(stream.valid & stream.ready for stream in handshakes))
        m.d.comb += self.progress.eq(delayed(m, Cat(moves).any(), 1, name="moved", reset_less=False))
        return m

    def _control(self, m, command, rows, walk, operands, slots, shadow, pipeline, softmax):
        """Issues the vectors of a command, or starts the softmax unit; gives the expression that a vector is issued."""
        fed = Signal()  # the feeder has passed the waits of this command, so that its second operand may be read
        error = Signal(Error, reset_less=True)
        step = Signal()
        issue = Signal()
        table_ready = Signal()
        exponentials_ready = Signal()
        vector, row = walk.ends, rows
        table_end = row.valid & row.payload.table & row.payload.last
        final, order = self._conditions(m, command, walk, step, issue, softmax)
        ready = final & (~command.has_params | shadow.available)
        bad_exponent = ready & command.has_params & shadow.bad_exponent
        in_order = Mux(command.has_second, operands.available & order.apart, order.behind)
        outside, ready = walk.valid & walk.ends.outside, walk.valid & ready
        m.d.comb += [
            walk.step.eq(step | softmax.target_step),
            operands.take.eq(issue & command.has_second),
            operands.enable.eq(fed | (command.has_second & final)),
        ]
        self._entries(m, command, walk, step, issue, shadow, pipeline, softmax)
        self._rows(m, rows, shadow, pipeline, softmax, table_ready, exponentials_ready)

        def begin():
            with m.If(command.partial):
                m.next = "COUNT"
            with m.Else():
                m.next = "ISSUE"

        with m.FSM():
            self._fetch(m, command, fed)
            with m.State("START"):  # one cycle
                m.d.comb += [walk.start.eq(1), operands.start.eq(command.has_second & ~command.partial)]
                with m.If(command.softmax):
                    m.next = "LOAD_EXPONENTIALS"
                with m.Elif(command.load_table):
                    m.next = "LOAD_TABLE"
                with m.Else():
                    begin()
            with m.State("LOAD_TABLE"):  # until the last row is here; rows wait until no earlier vector is inside
                m.d.comb += table_ready.eq(slots.empty)
                with m.If(slots.empty & table_end):
                    begin()
            self._softmax_states(m, softmax, exponentials_ready, table_end, final & slots.empty, error)
            with m.State("ISSUE"):  # until the last vector is issued
                with m.If(final):
                    m.d.sync += fed.eq(command.has_second)
                with m.If((final & (outside | operands.outside)) | bad_exponent):
                    m.d.sync += error.eq(Mux(bad_exponent, Error.BAD_FIELD, Error.ADDRESS))
                    m.next = "FAILED"
                with m.Elif(ready & in_order & slots.free):
                    m.d.comb += [step.eq(1), issue.eq(1)]
                    with m.If(vector.command_end):
                        m.next = "FETCH"
            self._partial_states(m, command, step, ready, vector, slots)
            with m.State("FAILED"):  # until reset
                m.d.comb += [self.error.valid.eq(1), self.error.code.eq(error)]
        m.d.comb += self.error.index.eq(Mux(command.bank, command.index[1], command.index[0]))
        return issue

    def _fetch(self, m, command, fed):
        """Takes a command."""
        room = command.inside != 2
        with m.State("FETCH"):  # until there is a command, and a bank for it
            m.d.sync += fed.eq(0)
            with m.If(self.command.valid & room):
                m.next = "TAKE"
        with m.State("TAKE"):  # one cycle
            m.d.comb += self.command.ready.eq(1)
            m.next = "START"

    def _conditions(self, m, command, walk, step, issue, softmax):
        """Whether there is a final entry, and what keeps the vectors in order."""
        m.submodules.finals = finals = CreditCounter(FINAL_HALVES * self.depth)
        m.submodules.order = order = VectorOrder(self.pipeline.turn)
        m.d.comb += [
            finals.up.eq(self.entry_final),
            finals.down.eq((step & walk.ends.entry_end) | softmax.start),
            order.joins.eq(issue & command.has_second),
        ]
        return finals.some, order

    def _entries(self, m, command, walk, step, issue, shadow, pipeline, softmax):
        """What goes on with a vector: its entry is read, with the last one of a job its half and its parameters become free."""
        vector = walk.vector
        half = Signal()
        release = Signal()
        ended = step & walk.ends.job_end & command.has_params
        m.d.comb += [
            shadow.ended.eq(ended),
            release.eq(delayed(m, ended, 1 + self.entry_latency, name="ended", reset_less=False)),
        ]
        issue = delayed(m, issue, 1, name="issued", reset_less=False)  # the vector is there
        job_end = (issue & vector.job_end) | softmax.start
        m.d.comb += [
            self.acc_enable.eq(issue),
            self.acc_half.eq(half),
            self.acc_entry.eq(vector.entry),
            shadow.released.eq(release),
        ]
        read = self.entry_latency
        m.d.sync += self.half_free.eq(job_end)
        m.d.comb += [
            pipeline.valid.eq(delayed(m, issue, read, name="read", reset_less=False)),
            pipeline.bank.eq(delayed(m, command.bank, read, name="read_bank", reset_less=False)),
            pipeline.group.eq(delayed(m, vector.group, read, name="read_group")),
        ]
        with m.If(job_end):
            m.d.sync += half.eq(~half)

    @staticmethod
    def _partial_states(m, command, step, ready, vector, slots):
        """A command that leaves partial sums, and writes nothing."""
        with m.State("COUNT"):  # until all partial sums are final
            m.d.comb += step.eq(ready)
            with m.If(step & vector.command_end):
                m.next = "SETTLE"
        with m.State("SETTLE"):  # until the commands before are complete
            m.d.comb += command.settled.eq(slots.empty)
            with m.If(slots.empty):
                m.next = "FETCH"

    @staticmethod
    def _softmax_states(m, softmax, exponentials_ready, table_end, may_start, error):
        """A SOFTMAX from its table on."""
        with m.State("LOAD_EXPONENTIALS"):  # until the last row is here: the unit is idle
            m.d.comb += exponentials_ready.eq(1)
            with m.If(table_end):
                m.next = "SOFTMAX_INPUT"
        with m.State("SOFTMAX_INPUT"):  # until the rows may be read, and no vector is inside
            m.d.comb += softmax.start.eq(may_start)
            with m.If(may_start):
                m.next = "SOFTMAX"
        with m.State("SOFTMAX"):  # until the last write has its place
            with m.If(softmax.outside):
                m.d.sync += error.eq(Error.ADDRESS)
                m.next = "FAILED"
            with m.Elif(softmax.done):
                m.next = "FETCH"

    def _rows(self, m, rows, shadow, pipeline, softmax, table_ready, exponentials_ready):
        """Parameters go to the shadow set, rows of a table to the table whose command is there."""
        row = rows.payload
        m.d.comb += [
            shadow.rows.payload.eq(row),
            shadow.rows.valid.eq(rows.valid & ~row.table),
            rows.ready.eq(Mux(row.table, table_ready | exponentials_ready, shadow.rows.ready)),
            pipeline.table_write.eq(rows.valid & row.table & table_ready),
            pipeline.table_row.eq(row.row),
            pipeline.table_entries.eq(row.data),
            softmax.table_write.eq(rows.valid & row.table & exponentials_ready),
            softmax.table_row.eq(row.row),
            softmax.table_entries.eq(row.data),
        ]

    def _places(self, m, issue, walk, slots, pipeline, softmax):
        """Places among the writes: reserved by a vector that is issued and filled by its result; the softmax unit does both at once."""
        vector, write = walk.vector, softmax.write
        placed = write.valid & write.ready
        m.d.comb += slots.claim.eq(issue | placed)
        issue = self.acc_enable  # the vector is there
        m.d.comb += [
            write.ready.eq(slots.free),
            slots.reserve.eq(issue | placed),
            slots.fill.eq(pipeline.result_valid | placed),
        ]
        with m.If(write.valid):
            m.d.comb += slots.slot.eq(write.payload.slot)
            m.d.comb += [slots.vector[lane].eq(write.payload.vector[lane]) for lane in range(self.lanes)]
        with m.Else():
            m.d.comb += [
                slots.slot.address.eq(vector.address),
                slots.slot.bytes.eq(vector.bytes),
                slots.slot.last.eq(vector.command_end),
            ]
            m.d.comb += [slots.vector[lane].eq(pipeline.result[lane]) for lane in range(self.lanes)]
