"""The weight loader: streams tables, parameters and weights out of the weight scratchpad."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from hw.npu.interface.load_command import LOAD_COMMAND
from hw.npu.interface.ports import ADDRESS_BITS, ReadPort
from hw.npu.interface.tokens import TOKENS, reached
from hw.npu.interface.weight_stream import parameter_layout
from hw.npu.parts.delay import delayed
from hw.npu.parts.fifo import StreamFifo
from hw.npu.parts.promise import promise
from hw.npu.parts.stream_register import StreamRegister, registered, steady
from hw.npu.parts.switched import only
from hw.npu.weights.plane_handoff import PlaneHandoff
from hw.npu.weights.row_splitter import PAIR_TAG, RowSplitter, row_tag
from hw.npu.weights.weight_rows import WeightRows
from hw.npu.weights.weight_sets import WeightSets


class WeightLoader(wiring.Component):
    """Reads a command's weight stream, one row of C bytes a cycle, and hands each row to the output stage or to the array.

    ::

        rows --> register --> weight scratchpad --> queue of rows --> (pairs) --> register --> array (shadow plane) or output stage
                              read_latency          waits here

    Rows are named ahead (`WeightRows`). Reads go ahead as far as the queue has room. `PlaneHandoff` says when a row may be written into the
    array.

    In the first ``2 * rows`` cycles after the reset zeros go into every row of both planes. A reduction tile that is shorter than the array
    leaves rows as they are, and multiplies them by 0; what registers hold at power-on is unknown, and in a simulation with four states 0
    times unknown is unknown. It costs no cycle, since commands and weights take longer to come from DDR; a row that came sooner would wait.
    Of 80 000 um2 of the loader of `nano` (IHP SG13G2) it is 500; a reset of all weights would be 1.3 % of the array, a gate for each
    weight that was not written 1.2 % and 5 % of the simulation's speed.

    Parameters
    ----------
    rows, cols, groups : int
        Size of the array, and number of its column groups.
    size : int
        Bytes of the weight scratchpad; the stream wraps at its end.
    read_latency : int
        Cycles from request to answer.
    registers : int
        `NpuConfig.stream_registers`: between an announcement and the feeder.
    int4 : bool
        There are commands with 4-bit weights.

    Members
    -------
    command : In(stream of LOAD_COMMAND)
        In order.
    tokens : In(TOKENS)
        Completed commands; the stream is read when ``weights.wait_load`` is reached.
    read : Out(ReadPort)
        The weight scratchpad.
    parameters : Out(stream of parameter_layout)
        Rows of tables and parameters, for the output stage.
    write, write_row, write_plane, weights : Out(1), Out(range(R)), Out(1), Out(unsigned(8)).array(C)
        Rows of weights, for the array.
    enable : In(1)
        The array moves in this cycle.
    tile_passed : In(1)
        A pulse as the last wave of a reduction tile enters row 0.
    tile_loaded : Out(1)
        A pulse as `PlaneHandoff` announces a reduction tile: with its second row, or with the only one that it has.
    rows_read : Out(unsigned(32))
        Rows read since the reset, modulo 2^32.
    command_end : Out(1)
        A pulse a cycle after the last row of a command was asked for; `rows_read` counts it in the next cycle.
    """

    QUEUE = 8
    """Rows between scratchpad and array: enough to read one a cycle."""
    SETTLES = 2
    """Cycles that a command stands before it begins."""
    TAKE = 2 + SETTLES + WeightSets.PERIOD + 3
    """Cycles from a command that is taken to its first row asked for: take it, wait for its token, let it settle, find the first set; and
    the registers of set, request and row."""

    def __init__(self, *, rows, cols, groups, size, read_latency, registers, int4=False):
        self.registers = registers
        self.rows, self.cols, self.groups, self.size, self.read_latency = rows, cols, groups, size, read_latency
        self.int4 = int4
        super().__init__({
            "command": In(stream.Signature(LOAD_COMMAND)),
            "tokens": In(TOKENS),
            "read": Out(ReadPort(cols)),
            "parameters": Out(stream.Signature(parameter_layout(cols))),
            "write": Out(1),
            "write_row": Out(range(rows)),
            "write_plane": Out(1),
            "weights": Out(unsigned(8)).array(cols),
            "enable": In(1),
            "tile_passed": In(1),
            "tile_loaded": Out(1),
            "rows_read": Out(unsigned(32)),
            "command_end": Out(1),
        })
        self.inside = Signal(range(self.QUEUE + 1))
        """Rows asked for and not yet delivered: never more than the queue holds."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.rows = rows = WeightRows(rows=self.rows, cols=self.cols, int4=self.int4)
        m.submodules.queue = queue = StreamFifo(row_tag(self.cols, self.int4), depth=self.QUEUE)
        taken = Signal()
        room = Signal()
        row = self._request(m, rows, room, taken)
        with m.If(delayed(m, taken, 1, name="taken", reset_less=False)):
            m.d.sync += self.rows_read.eq(self.rows_read + 1)
        self._receive(m, row, queue)
        if self.int4:
            m.submodules.pairs = pairs = RowSplitter(cols=self.cols)
            connect(m, queue.o, pairs.i)
            self._deliver(m, registered(m, pairs.o, name="row_ahead"))
        else:
            self._deliver(m, registered(m, queue.o, name="row_ahead"))
        inside = self.inside
        m.d.sync += inside.eq(inside + taken - (queue.o.valid & queue.o.ready))
        m.d.comb += room.eq(inside != self.QUEUE)
        return m

    def _request(self, m, rows, room, taken):
        """Takes commands, and asks for their rows one after the other; gives what the row is that is asked for."""
        command = Signal(LOAD_COMMAND, reset_less=True)
        address = Signal(ADDRESS_BITS, reset_less=True)
        kinds = {name: getattr(rows, name) for name in (*self._tag(), "end")}
        asked = data.StructLayout({"address": unsigned(ADDRESS_BITS), **{name: kind.shape() for name, kind in kinds.items()}})
        m.submodules.request = request = StreamRegister(asked)
        there = request.i
        empty = Signal()
        m.d.comb += [
            rows.command.eq(command),
            there.payload.address.eq(address),
            *(there.payload[name].eq(kind) for name, kind in kinds.items()),
            rows.step.eq(there.valid & there.ready),
            self.read.request.valid.eq(request.o.valid & room),
            self.read.request.payload.eq(request.o.payload.address),
            taken.eq(request.o.valid & room & self.read.request.ready),
            request.o.ready.eq(room & self.read.request.ready),
        ]
        m.d.sync += self.command_end.eq((taken & request.o.payload.end) | empty)
        loaded = Signal()
        waits = Signal()
        m.d.sync += loaded.eq(waits & reached(self.tokens.load, command.weights.wait_load))
        settled = steady(m, waits, 0, self.SETTLES, name="settled")
        with m.FSM():
            with m.State("WAIT_COMMAND"):
                m.d.comb += self.command.ready.eq(1)
                with m.If(self.command.valid):
                    m.d.sync += command.eq(self.command.payload)
                    m.next = "WAIT_LOAD"
            with m.State("WAIT_LOAD"):
                m.d.comb += [waits.eq(1), rows.start.eq(1)]
                m.d.sync += address.eq(command.weights.address)
                # behind the last row of the command before, for which a pulse of its own is due
                with m.If(settled & rows.empty & ~request.o.valid):
                    m.d.comb += empty.eq(1)
                    m.next = "WAIT_COMMAND"
                with m.Elif(settled & loaded & ~rows.empty):
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += there.valid.eq(rows.valid)
                with m.If(rows.step):
                    m.d.sync += address.eq(Mux(address == self.size - self.cols, 0, address + self.cols))
                    with m.If(rows.end):
                        m.next = "WAIT_COMMAND"
        return request.o.payload

    def _tag(self):
        """What of a row's tag is known when it is asked for."""
        return ("table", "params", "zero", "row", "last", *only(self.int4, **PAIR_TAG))

    def _receive(self, m, row, queue):
        """Puts each answer into the queue, with what its row is."""
        tag = queue.i.payload
        for name in self._tag():
            m.d.comb += tag[name].eq(delayed(m, row[name], self.read_latency, name=f"tag_{name}"))
        m.d.comb += [tag.cols.eq(self.read.data), queue.i.valid.eq(self.read.valid)]
        promise(m, self, ~queue.i.valid | queue.i.ready, "the queue has room for every row that comes")

    def _deliver(self, m, source):
        """Hands the oldest row to the output stage, or writes it into the array."""
        row, weights = source.payload, ~(source.payload.table | source.payload.params)
        clearing = Signal(init=1)  # after the reset
        cleared = Signal(range(2 * self.rows))  # the rows of plane 0, then those of plane 1
        with m.If(clearing):
            m.d.sync += [cleared.eq(cleared + 1), clearing.eq(cleared != 2 * self.rows - 1)]
        m.submodules.handoff = handoff = PlaneHandoff(groups=self.groups)
        m.d.comb += [
            handoff.enable.eq(self.enable),
            handoff.tile_passed.eq(self.tile_passed),
            handoff.offer.eq(source.valid & weights & ~clearing),
            handoff.last.eq(row.last),
            self.parameters.valid.eq(source.valid & ~weights),
            self.parameters.payload.table.eq(row.table),
            self.parameters.payload.row.eq(row.row),
            self.parameters.payload.last.eq(row.last),
            self.parameters.payload.data.eq(row.cols),
            source.ready.eq(Mux(weights, handoff.write, self.parameters.ready)),
        ]
        # the row is registered on its way to all columns
        write_row = Signal(range(self.rows), reset_less=True)
        write_plane = Signal(reset_less=True)
        write_late = Signal()
        write = handoff.write | clearing
        m.d.sync += write_late.eq(write)
        with m.If(write):
            m.d.sync += [
                write_row.eq(Mux(clearing, cleared[:-1], row.row)),
                write_plane.eq(Mux(clearing, cleared[-1], handoff.plane)),
            ]
        m.d.comb += [
            self.write.eq(write_late),
            self.write_row.eq(write_row),
            self.write_plane.eq(write_plane),
            self.tile_loaded.eq(delayed(m, handoff.announce, self.registers, name="announced", reset_less=False)),
        ]
        for col in range(self.cols):
            weight = Signal(8, name=f"weight_{col}", reset_less=True)
            with m.If(write):
                m.d.sync += weight.eq(Mux(row.zero | clearing, 0, row.cols[8 * col : 8 * col + 8]))
            m.d.comb += self.weights[col].eq(weight)
