"""The feeder: reads activations and sends waves to the array and to the vector path."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.npu.array.accumulators import Accumulators
from hw.npu.feed.feed_gate import CAUSES, FeedGate
from hw.npu.feed.feed_monitor import FEED_EVENT
from hw.npu.feed.feed_reader import FeedReader
from hw.npu.feed.port_positions import PortPositions, port_layout
from hw.npu.feed.port_window import PortWindow
from hw.npu.feed.wave_generator import WaveGenerator
from hw.npu.interface.isa import MAX_SPAN, Error, Opcode, group_layout, is_operation
from hw.npu.interface.ports import ReadPort
from hw.npu.interface.status import ERROR_LAYOUT
from hw.npu.interface.tokens import TOKENS
from hw.npu.interface.wave import FEED_STEP, WAVE_TAG
from hw.npu.parts.delay import delayed
from hw.npu.parts.fifo import StreamFifo
from hw.npu.walks.interpolation_walk import WEIGHT_BITS, InterpolationWalk


def feed_command(interpolation=False) -> data.StructLayout:
    """What the feeder needs of an execute command."""
    groups = ("header", "loops", "input", *(("interpolation",) if interpolation else ()))
    return data.StructLayout({"index": unsigned(32), **{group: group_layout(group) for group in groups}})


class Feeder(wiring.Component):
    """Issues one step a cycle: reads its bytes, replaces those outside the image by the pad value, and sends it on.

    A step is a wave, but in DEPTHWISE, where the array is a FIR filter along a block row and some steps are data only. ::

        generator --> placed step --> windows --> pending step --> scratchpad --> array or vector path
        FeedGate      PortPositions   PortWindow  FeedReader
        waits here                                waits here

    Behind the scratchpad's ports nothing stalls. In front of the generator a step waits for tokens (the command's three counts), for the
    weights of a reduction tile, for a free half of the accumulators, and where it has to, for the array to be empty (`FeedGate`).
    A command takes two cycles from the queue to its first step; then there are no bubbles.

    **Streams.** In DEPTHWISE vectors do not move through the array, but partial sums and waves do: both must move in the same cycles. From
    the first step of the command to its last, the array moves only in cycles in which a step arrives (``enable``). The steps must
    not end while a wave is among the rows that compute, nor while the loader waits to write weights, or nothing would ever move
    again. *Fillers* push it on: steps in which port 0 reads nothing. What a FIR sees between two block rows is padding or nothing,
    so they may stand there. They are inserted where the next reduction tile has to wait, and behind the last step of a command, as many as
    there are rows that compute; with the last of them the stream ends, and the array moves freely.

    Waves of blocks smaller than the accumulators' pipeline are held `Accumulators.MIN_PERIOD` cycles apart.
    SOFTMAX is one wave of the vector path that reads nothing: it waits as a command does, and is one final entry.
    With ``interpolation`` the weights of vectors wait in a queue of their own while their bytes are read.

    Parameters
    ----------
    rows, cols : int
        Size of the array.
    size : int
        Bytes of the activation scratchpad.
    read_latency : int
        Cycles from request to answer.
    array_latency : int
        Cycles of the array.
    int4 : bool
        The array takes two activations a row in commands with 4-bit weights.
    interpolation : bool
        Vectors have weights.

    Members
    -------
    command : In(stream of feed_command(interpolation))
        In order.
    tokens : In(TOKENS)
        Completed commands.
    read : Out(ReadPort(width, parts=True)).array(MAX_SPAN)
        The scratchpad; of max(R, C) bytes, with ``int4`` max(2R, C).
    tile_loaded : In(1)
        A pulse for each reduction tile whose weights are in the array, or will be in time (`PlaneHandoff`).
    half_free : In(1)
        A pulse for each half of the accumulators that was read out.
    enable : Out(1)
        The array moves in this cycle.
    matmul, column, vector : Out(1), Out(1), Out(1)
        A wave for the array, for the array as a FIR filter, or for the vector path.
    plane, tag, lanes : Out(1), Out(WAVE_TAG), Out(signed(8)).array(width)
        The wave.
    paired : Out(1)
        With ``int4``: it has two activations a row.
    weight : Out(WEIGHT_BITS)
        With ``interpolation``: what a vector is multiplied by; 1 but in an INTERPOLATE.
    sides : Out(signed(8)).array(MAX_SPAN - 1, C)
        In DEPTHWISE, the vectors of the second and third kernel row; ``lanes`` is that of the first.
    group_ends : Out(range(R + 1)).array(MAX_SPAN)
        Where the rows of the array that belong to each kernel row end.
    tile_passed : Out(1)
        A pulse as the last wave of a reduction tile enters row 0.
    event : Out(FEED_EVENT)
        What this cycle was spent on.
    error : Out(ERROR_LAYOUT)
        ADDRESS, if a byte of the image lies outside the scratchpad.
    """

    SENT = 0
    """Registers between the end of the reader and the array."""
    STEPS = 2
    """Steps between the generator and the scratchpad."""

    def __init__(self, *, rows, cols, size, read_latency, array_latency, int4=False, interpolation=False, places=None):
        self.rows, self.cols, self.size, self.int4, self.interpolation = rows, cols, size, int4, interpolation
        self.read_latency, self.array_latency = read_latency, array_latency
        self.places, self.layout = places, feed_command(interpolation)
        self.width = max(2 * rows if int4 else rows, cols)
        super().__init__({
            "command": In(stream.Signature(self.layout)),
            "tokens": In(TOKENS),
            "read": Out(ReadPort(self.width, parts=True, places=places)).array(MAX_SPAN),
            "tile_loaded": In(1),
            "half_free": In(1),
            "enable": Out(1),
            "matmul": Out(1),
            "column": Out(1),
            "vector": Out(1),
            **({"paired": Out(1)} if int4 else {}),
            **({"weight": Out(WEIGHT_BITS)} if interpolation else {}),
            "plane": Out(1),
            "tag": Out(WAVE_TAG),
            "lanes": Out(signed(8)).array(self.width),
            "sides": Out(signed(8)).array(MAX_SPAN - 1, cols),
            "group_ends": Out(range(rows + 1)).array(MAX_SPAN),
            "tile_passed": Out(1),
            "event": Out(FEED_EVENT),
            "error": Out(ERROR_LAYOUT),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.generator = generator = WaveGenerator(cols=self.cols, interpolation=self.interpolation)
        m.submodules.positions = positions = PortPositions(rows=self.rows, cols=self.cols, int4=self.int4)
        m.submodules.gate = gate = FeedGate(array_latency=self.array_latency)
        m.submodules.reader = reader = FeedReader(width=self.width, cols=self.cols, read_latency=self.read_latency, int4=self.int4)
        command = Signal(self.layout, reset_less=True)
        placed = Signal(
            data.StructLayout({"step": FEED_STEP, "ports": data.ArrayLayout(port_layout(self.width), MAX_SPAN)}), reset_less=True
        )
        has_placed, active, starting, begun = Signal(), Signal(), Signal(), Signal()
        fillers_left = Signal(range(self.rows + 1))  # behind the last step of a command
        matmul, depthwise = (is_operation(command.header.opcode, operation, self.int4) for operation in (Opcode.MATMUL, Opcode.DEPTHWISE))
        command_end = generator.tile_end & positions.last_tile & generator.last_column
        room, step, filler, idle = Signal(), Signal(), Signal(), Signal()
        waits_at_tile = active & ~gate.open & generator.first_pixel
        m.d.comb += [
            room.eq(~has_placed | reader.step.ready),
            step.eq(active & gate.open & room),
            filler.eq(begun & ((fillers_left != 0) | waits_at_tile) & room),
            idle.eq(~active & ~starting & (fillers_left == 0)),
            self.command.ready.eq(idle & room),  # the step that is placed still needs its command
        ]
        self._walk(m, command, generator, positions, starting, step, filler, matmul, depthwise)
        self._group(m, command, generator, positions, gate, active, step, matmul, depthwise)
        m.d.comb += gate.array_near.eq((has_placed & placed.step.sent.array) | (reader.held & reader.present.sent.array))

        with m.If(self.command.valid & self.command.ready):
            m.d.sync += [starting.eq(1), *self._take(command)]
        with m.If(starting):
            m.d.sync += [starting.eq(0), active.eq(1)]
        with m.If(step):
            m.d.sync += begun.eq(depthwise)
            with m.If(command_end):
                m.d.sync += [active.eq(0), fillers_left.eq(Mux(depthwise, positions.row_ends[-1], 0))]
        with m.If(filler & (fillers_left != 0)):
            m.d.sync += [fillers_left.eq(fillers_left - 1), begun.eq(fillers_left != 1)]

        cause = Signal(CAUSES, init={"command": 1})  # why there is no placed step, or only a filler
        with m.If(room):
            m.d.sync += [has_placed.eq(step | filler), cause.eq(Mux(step, 0, gate.cause.as_value()))]
            with m.If(fillers_left != 0):
                m.d.sync += cause.eq(CAUSES.const({"output": 1}))
        with m.If(step | filler):
            m.d.sync += [port.eq(place) for port, place in zip(placed.ports, positions.ports, strict=True)]
            ends = Mux(depthwise, fillers_left == 1, command_end)
            self._describe(m, command, generator, positions, placed.step, filler, ends, matmul, depthwise)
        for side in range(MAX_SPAN):
            m.submodules[f"window_{side}"] = window = PortWindow(width=self.width, size=self.size)
            m.d.comb += [
                window.port.eq(placed.ports[side]),
                window.input.eq(command.input),
                reader.step.payload.windows[side].eq(window.window),
            ]
            connect(m, reader.read[side], flipped(self.read[side]))
        m.d.comb += [reader.step.valid.eq(has_placed), reader.step.payload.step.eq(placed.step)]
        self._report(m, reader, cause)
        self._send(m, reader)
        return m

    def _take(self, command):
        """Registers a command; SOFTMAX as one wave of padding, what only the array knows as a tap of one byte."""
        taken, opcode = self.command.payload, self.command.payload.header.opcode
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

    def _walk(self, m, command, generator, positions, starting, step, filler, matmul, depthwise):
        """Generator and positions go on together; a filler is a step of the positions only."""
        m.d.comb += [
            generator.start.eq(starting),
            generator.step.eq(step),
            generator.loops.eq(command.loops),
            generator.input.eq(command.input),
            generator.depthwise.eq(depthwise),
            generator.channels.eq(~matmul),
            generator.last_tile.eq(positions.last_tile),
            positions.start.eq(starting),
            positions.step.eq(step | filler),
            positions.filler.eq(filler),
            positions.tile_end.eq(step & generator.tile_end),
            positions.loops.eq(command.loops),
            positions.input.eq(command.input),
            positions.matmul.eq(matmul),
            positions.depthwise.eq(depthwise),
            positions.pixel.eq(generator.position),
            positions.last_column.eq(generator.last_column),
        ]
        if self.int4:
            m.d.comb += positions.paired.eq(command.header.opcode == Opcode.MATMUL_INT4)
        if self.interpolation:
            self._weigh(m, command, generator, ~(matmul | depthwise))

    def _weigh(self, m, command, generator, vector):
        """Weights of vectors, in their order, wait for them: each step that goes around the array is a wave, and has one.

        The queue holds those of the steps that wait, of one that has just been accepted, and of those that come before the answer does;
        and one place is free, since a full queue takes nothing in the cycle in which its head leaves.
        """
        later = max(0, self.read_latency + self.SENT - InterpolationWalk.LATENCY - (InterpolationWalk.CUTS if self.places else 0))
        m.submodules.weights = weights = StreamFifo(unsigned(WEIGHT_BITS), depth=self.STEPS + 2 + later)
        m.d.comb += [
            generator.interpolates.eq(command.header.opcode == Opcode.INTERPOLATE),
            generator.vector.eq(vector),
            generator.interpolation.eq(command.interpolation),
            weights.i.valid.eq(generator.weighs),
            weights.i.payload.eq(generator.weight),
            weights.o.ready.eq(self.vector),
            self.weight.eq(weights.o.payload),
        ]

    def _group(self, m, command, generator, positions, gate, active, step, matmul, depthwise):
        """Guards the step that comes next; groups the array's rows with the first step of a DEPTHWISE."""
        differs = [mine != now for mine, now in zip(positions.row_ends, self.group_ends, strict=True)]
        regroups = depthwise & (differs[0] | differs[1] | differs[2])
        self._guard(m, command, generator, positions, gate, active, step, matmul | depthwise, regroups, generator.last_pixel)
        with m.If(step & depthwise):
            m.d.sync += [now.eq(mine) for mine, now in zip(positions.row_ends, self.group_ends, strict=True)]

    def _guard(self, m, command, generator, positions, gate, active, step, array, regroups, last_pixel):
        """Tells the gate of the step that comes next."""
        m.d.comb += [
            gate.tokens.eq(self.tokens),
            gate.header.eq(command.header),
            gate.active.eq(active),
            gate.array.eq(array),
            gate.partial_in.eq(command.loops.partial_in),
            gate.partial_out.eq(command.loops.partial_out),
            gate.regroups.eq(regroups),
            gate.first_pixel.eq(generator.first_pixel),
            gate.first_tile.eq(positions.first_tile),
            gate.last_pixel.eq(last_pixel),
            gate.last_tile.eq(positions.last_tile),
            gate.leaves.eq(step),
            gate.tile_loaded.eq(self.tile_loaded),
            gate.half_free.eq(self.half_free),
        ]

    def _describe(self, m, command, generator, positions, step, filler, command_end, matmul, depthwise, taken=None):
        """Registers what the step is; its wave gets its plane and its half. In cycles in which it is taken, or ``taken`` says whether."""
        loops, sent, array = command.loops, step.sent, matmul | depthwise
        half, plane = Signal(), Signal()
        last_wave = ~filler & generator.last_pixel if taken is None else taken & generator.last_pixel
        with m.If(last_wave & array):
            m.d.sync += plane.eq(~plane)
        with m.If(last_wave & positions.last_tile & ~loops.partial_out):
            m.d.sync += half.eq(~half)
        shortest = Accumulators.MIN_PERIOD
        short = ((loops.block_rows == 1) & (loops.block_cols < shortest)) | ((loops.block_cols == 1) & (loops.block_rows < shortest))
        continues = positions.first_tile & loops.partial_in  # of a command whose block may have been shorter
        m.d.sync += [
            sent.array.eq(array),
            sent.column.eq(depthwise),
            sent.sides.eq(Mux(depthwise, (loops.span > 1) | ((loops.span > 2) << 1), 0)),
            sent.wave.eq(~filler & generator.wave),
            sent.plane.eq(plane),
            sent.tile_end.eq(last_wave & array),
            sent.command_end.eq(command_end),
            sent.pad.eq(command.input.pad_value),
            sent.tag.entry.eq(generator.entry),
            sent.tag.half.eq(half),
            sent.tag.overwrite.eq(positions.first_tile & ~loops.partial_in),
            sent.tag.maximum.eq(command.header.opcode == Opcode.MAX),
            sent.tag.final.eq(positions.last_tile),
            sent.tag.job_end.eq(generator.last_pixel & positions.last_tile),
            step.filler.eq(filler),
            step.apart.eq(~filler & generator.first_pixel & ((short & ~depthwise) | continues)),
            *([step.opens.eq(~filler & generator.first_pixel & array)] if self.places else []),
            step.index.eq(command.index),
            step.opcode.eq(command.header.opcode),
        ]

    def _report(self, m, reader, placed_cause, known=None):
        """What this cycle is spent on: a step that is accepted, a step that waits, or the cause why there is none: where that is not
        ``known``, it moves as the steps do.
        """
        cause, present, event = Signal(CAUSES, init={"command": 1}), reader.present, self.event
        if known is not None:
            cause = known
        else:
            with m.If(reader.step.ready):
                m.d.sync += cause.eq(placed_cause)
        idle = ~reader.held | (reader.accept & present.filler)
        m.d.comb += [event[name].eq(cause[name] & idle) for name, _ in CAUSES]
        early = reader.early
        if self.places:
            early = early | reader.dry
            m.d.comb += event.weights.eq((cause.weights & idle) | reader.dry)
        m.d.comb += [
            event.held.eq(reader.held),
            event.active.eq(reader.accept & ~present.filler),
            event.reads.eq(Mux(reader.accept, reader.reads, 0)),
            event.bank.eq(reader.held & ~early & ~reader.accept),
            event.apart.eq(reader.held & reader.early),
            event.command_end.eq(reader.accept & present.sent.command_end),
            event.index.eq(present.index),
            event.opcode.eq(present.opcode),
        ]
        failed = delayed(m, reader.accept & reader.outside, self.SENT, name="failed", reset_less=False)
        index = delayed(m, present.index, self.SENT, name="failed_index")
        with m.If(failed & ~self.error.valid):
            m.d.sync += [self.error.valid.eq(1), self.error.code.eq(Error.ADDRESS), self.error.index.eq(index)]

    def _send(self, m, reader):
        """Hands a step on, and says when the array moves."""
        step, streams = reader.arrived, Signal()
        arrives, wave = reader.sent & step.column, reader.sent & step.wave
        with m.If(arrives):
            m.d.sync += streams.eq(~step.command_end)

        def out(value, name, reset_less=False):
            return delayed(m, value, self.SENT, name=name, reset_less=reset_less)

        m.d.comb += [
            self.enable.eq(out(~streams | arrives, "enabled")),
            self.matmul.eq(out(wave & step.array & ~step.column, "sent_matmul")),
            self.column.eq(out(wave & step.column, "sent_column")),
            self.vector.eq(out(wave & ~step.array, "sent_vector")),
            self.plane.eq(out(step.plane, "sent_plane", True)),
            self.tag.eq(out(step.tag, "sent_tag", True)),
            self.tile_passed.eq(out(wave & step.tile_end, "sent_tile_end")),
        ]
        if self.int4:
            m.d.comb += self.paired.eq(out(reader.paired, "sent_paired", True))
        m.d.comb += [lane.eq(out(value, f"sent_{n}", True)) for n, (lane, value) in enumerate(zip(self.lanes, reader.lanes, strict=True))]
        for side, (mine, values) in enumerate(zip(self.sides, reader.sides, strict=True), start=1):
            m.d.comb += [lane.eq(out(value, f"sent_{side}_{n}", True)) for n, (lane, value) in enumerate(zip(mine, values, strict=True))]
