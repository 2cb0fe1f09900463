"""The feeder: reads activations and sends waves to the array and to the vector path."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.npu.array.accumulators import Accumulators
from hw.npu.feed.feed_gate import CAUSES, FeedGate
from hw.npu.feed.feed_monitor import FEED_EVENT
from hw.npu.feed.feed_reader import FeedReader
from hw.npu.feed.feed_stages import FeedStages
from hw.npu.feed.port_positions import PortPositions
from hw.npu.feed.wave_generator import WaveGenerator
from hw.npu.interface.isa import MAX_SPAN, Error, Opcode, group_layout, is_operation
from hw.npu.interface.ports import ReadPort
from hw.npu.interface.status import ERROR_LAYOUT
from hw.npu.interface.tokens import TOKENS
from hw.npu.interface.wave import FEED_STEP, WAVE_TAG
from hw.npu.parts.delay import delayed
from hw.npu.parts.fifo import StreamFifo
from hw.npu.walks.interpolation_walk import WEIGHT_BITS, InterpolationWalk
from hw.npu.walks.reduction_walk import ReductionWalk


def feed_command(interpolation=False) -> data.StructLayout:
    """What the feeder needs of an execute command."""
    groups = ("header", "loops", "input", *(("interpolation",) if interpolation else ()))
    return data.StructLayout({"index": unsigned(32), **{group: group_layout(group) for group in groups}})


class Feeder(wiring.Component):
    """Issues one step a cycle: reads its bytes, replaces those outside the image by the pad value, and sends it on.

    A step is a wave, but in DEPTHWISE, where the array is a FIR filter along a block row and some steps are data only. ::

        generator --> PortPositions --> FeedStages: windows, banks, turns --> queue --> FeedReader --> array or vector path
        FeedGate      (LATENCY)         (LATENCY)                                       waits here
        waits here

    Behind the scratchpad's ports nothing stalls. In front of the generator a step waits for tokens (the command's three counts), for a free
    half of the accumulators, for the weights of a DEPTHWISE, and where it has to, for the array to be empty (`FeedGate`). A MATMUL waits
    for its weights at the reader. A step is taken while fewer than `FeedStages.ROOM` are inside.

    The command is registered `PREPARED` cycles before its first step can come, so that what it alone decides is known by then; what
    depends on the reduction tile is known `ReductionWalk.SETTLES` cycles after the tile's first step, and the last step of a tile waits
    for that: no tile that short could follow another in the accumulators.
    From a command's last step to the next one's first pass `BETWEEN` cycles; a step is at the reader `LATENCY` cycles after it was taken.

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
    places : BankGeometry
        Of the scratchpad.

    Members
    -------
    command : In(stream of feed_command(interpolation))
        In order.
    tokens : In(TOKENS)
        Completed commands.
    read : Out(ReadPort(width, places=places)).array(MAX_SPAN)
        The scratchpad; of max(R, C) bytes, with ``int4`` max(2R, C). Requests are places, and ports that ask in one cycle share no bank.
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

    SENT = 1
    """Registers between the end of the reader and the array."""
    STEPS = FeedStages.ROOM + 2
    """Steps between the generator and the scratchpad, at most."""
    PREPARED = 2
    """Cycles that a command stands before its first step can come."""
    TAKE = 1 + PREPARED + 1
    """Cycles from a command that is taken to its first step in the generator: registered, prepared, started."""
    LATENCY = PortPositions.LATENCY + FeedStages.LATENCY + 2
    """Cycles from a step that is taken to the reader."""
    BETWEEN = ReductionWalk.SETTLES + 1 + PREPARED + 2
    """Cycles from a command's last step to the next one's first."""

    def __init__(self, *, rows, cols, size, read_latency, array_latency, places, int4=False, interpolation=False):
        self.rows, self.cols, self.size, self.int4, self.interpolation = rows, cols, size, int4, interpolation
        self.read_latency, self.array_latency = read_latency, array_latency
        self.places, self.layout = places, feed_command(interpolation)
        self.width = max(2 * rows if int4 else rows, cols)
        super().__init__({
            "command": In(stream.Signature(self.layout)),
            "tokens": In(TOKENS),
            "read": Out(ReadPort(self.width, places=places)).array(MAX_SPAN),
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
        m.submodules.stages = stages = FeedStages(width=self.width, size=self.size, geometry=self.places)
        m.submodules.reader = reader = FeedReader(
            width=self.width, cols=self.cols, read_latency=self.read_latency, int4=self.int4, places=self.places
        )
        command = Signal(self.layout, reset_less=True)
        active, preparing, begun, room = Signal(), Signal(), Signal(), Signal()
        fillers_left = Signal(range(self.rows + 1))  # behind the last step of a command
        quiet, settling = Signal(range(ReductionWalk.SETTLES + 1)), Signal(range(ReductionWalk.SETTLES + 1))
        step, filler, spaced, taken = Signal(), Signal(), Signal(), Signal()
        opcode = command.header.opcode
        matmul, depthwise = (
            delayed(m, is_operation(opcode, operation, self.int4), 1, name=operation.name.lower())
            for operation in (Opcode.MATMUL, Opcode.DEPTHWISE)
        )
        starting = delayed(m, taken, 1 + self.PREPARED, name="starting", reset_less=False)
        command_end = generator.tile_end & positions.last_tile & generator.last_column
        waits_at_tile = active & ~gate.open & generator.first_pixel
        m.d.comb += [
            spaced.eq(generator.tile_end & (settling != 0)),
            step.eq(active & (gate.open | ~generator.first_pixel) & room & ~spaced),
            filler.eq(begun & ((fillers_left != 0) | waits_at_tile) & room),
            self.command.ready.eq(~active & ~preparing & (fillers_left == 0) & (quiet == 0)),
            taken.eq(self.command.valid & self.command.ready),
        ]
        self._walk(m, command, generator, positions, starting, step, filler, matmul, depthwise)
        row_ends, regroups = self._rows(m, command, step, depthwise)
        # a tile's last wave may come before it is known to be the job's last: what matters is that it is known by the tile's last step
        self._guard(m, command, generator, positions, gate, active, step, matmul | depthwise, regroups, generator.tile_end)
        m.d.comb += [gate.streams.eq(depthwise), reader.tile_loaded.eq(self.tile_loaded)]

        with m.If(self.command.ready):  # whether there is one or not
            m.d.sync += self._take(command)
        with m.If(taken):
            m.d.sync += preparing.eq(1)
        with m.If(starting):
            m.d.sync += [preparing.eq(0), active.eq(1)]
        with m.If(step):
            m.d.sync += begun.eq(depthwise)
            with m.If(command_end):
                m.d.sync += active.eq(0)
        ended = delayed(m, step & command_end, 1, name="ended", reset_less=False)
        with m.If(ended):
            m.d.sync += fillers_left.eq(Mux(depthwise, row_ends[-1], 0))
        with m.If(filler & (fillers_left != 0)):
            m.d.sync += [fillers_left.eq(fillers_left - 1), begun.eq(fillers_left != 1)]
        for count, moves in ((quiet, step | filler), (settling, starting | (step & generator.tile_end))):
            with m.If(moves):
                m.d.sync += count.eq(ReductionWalk.SETTLES)
            with m.Elif(count != 0):
                m.d.sync += count.eq(count - 1)

        ends = Mux(depthwise, fillers_left == 1, command_end)
        described = self._settled(m, command, generator, positions, step, filler, ends, matmul, depthwise)
        cause = Signal(CAUSES)  # why there is no step, or only a filler
        m.d.sync += cause.eq(0)
        with m.If(room & ~step):
            m.d.sync += cause.eq(gate.cause)
            with m.If(spaced | ended | (fillers_left != 0)):
                m.d.sync += cause.eq(CAUSES.const({"output": 1}))
        for side, port in enumerate(reader.read):
            connect(m, port, flipped(self.read[side]))
        self._stage(m, starting, positions, stages, reader, command, step | filler, described, cause)
        self._count(m, gate, stages, reader, room, step | filler, matmul | depthwise)
        self._report(m, reader, stages.missing)
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
        later = max(0, self.read_latency + self.SENT - InterpolationWalk.LATENCY)
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

    def _rows(self, m, command, step, depthwise):
        """Groups the array's rows with the first step of a DEPTHWISE, once the last step of the one before has arrived there."""
        loops, ends = command.loops, [Signal.like(end, name=f"row_ends_{side}") for side, end in enumerate(self.group_ends)]
        taps = [Mux(loops.span > side, loops.taps_x, 0) for side in range(MAX_SPAN)]
        m.d.sync += [end.eq(sum(taps[: side + 1])) for side, end in enumerate(ends)]
        groups = [Signal.like(end, name=f"group_{side}") for side, end in enumerate(ends)]
        with m.If(step & depthwise):
            m.d.sync += [group.eq(end) for group, end in zip(groups, ends, strict=True)]
        differs = [group != end for group, end in zip(groups, ends, strict=True)]
        for side, (now, group) in enumerate(zip(self.group_ends, groups, strict=True)):
            m.d.comb += now.eq(delayed(m, group, self.read_latency + self.SENT, name=f"group_{side}_arrives", reset_less=False))
        return ends, depthwise & (differs[0] | differs[1] | differs[2])

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

    def _describe(self, m, command, generator, positions, step, filler, command_end, matmul, depthwise, taken):
        """Registers what the step is; its wave gets its plane and its half. ``taken`` says whether it is taken."""
        loops, sent, array = command.loops, step.sent, matmul | depthwise
        half, plane = Signal(), Signal()
        last_wave = taken & generator.last_pixel
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
            step.opens.eq(~filler & generator.first_pixel & array),
            step.index.eq(command.index),
            step.opcode.eq(command.header.opcode),
        ]

    def _settled(self, m, command, generator, positions, step, filler, ends, matmul, depthwise):
        """Describes a step, `ReductionWalk.SETTLES` cycles after it was taken: then it is known whether its tile is the job's last."""
        described = Signal(FEED_STEP, reset_less=True)
        self._describe(m, command, generator, positions, described, filler, ends, matmul, depthwise, taken=step)
        settled, half, last_tile = Signal(FEED_STEP), Signal(), positions.last_tile
        last_wave = delayed(m, step & generator.last_pixel, ReductionWalk.SETTLES, name="last_wave", reset_less=False)
        tag = settled.sent.tag
        m.d.comb += [
            settled.eq(delayed(m, described, ReductionWalk.SETTLES - 1, name="described")),
            tag.final.eq(last_tile),
            tag.job_end.eq(last_wave & last_tile),
            tag.half.eq(half),
        ]
        with m.If(last_wave & last_tile & ~command.loops.partial_out):
            m.d.sync += half.eq(~half)
        return settled

    @staticmethod
    def _stage(m, starting, positions, stages, reader, command, taken, settled, cause):
        """Brings together what a step is, and where it reads."""
        rest = PortPositions.LATENCY
        m.d.comb += [
            stages.start.eq(delayed(m, starting, 3, name="started", reset_less=False)),
            stages.input.eq(command.input),
            stages.valid.eq(delayed(m, taken, rest, name="taken", reset_less=False)),
            stages.step.eq(delayed(m, settled, rest - ReductionWalk.SETTLES, name="settled")),
            stages.cause.eq(delayed(m, cause, rest - 1, name="cause", reset_less=False)),
            *(mine.eq(port) for mine, port in zip(stages.ports, positions.ports, strict=True)),
        ]
        connect(m, stages.o, reader.step)

    @staticmethod
    def _count(m, gate, stages, reader, room, taken, array):
        """Counts the steps in front of the reader, and of those in front of the scratchpad the ones for the array."""
        inside, near = Signal(range(FeedStages.ROOM + 1)), Signal(range(FeedStages.ROOM + 3))
        popped = delayed(m, stages.o.valid & stages.o.ready, 1, name="popped", reset_less=False)
        enters = delayed(m, taken & array, 1, name="array_taken", reset_less=False)
        leaves = delayed(m, reader.accept & reader.present.sent.array, 1, name="array_accepted", reset_less=False)
        m.d.sync += [
            inside.eq(inside + taken - popped),
            room.eq(inside < FeedStages.ROOM - 1),  # of the cycle before, in which one more may have been taken
            near.eq(near + enters - leaves),
        ]
        m.d.comb += gate.array_near.eq(near != 0)

    def _report(self, m, reader, behind):
        """What this cycle is spent on: a step that is accepted, a step that waits, or the cause why there is none."""
        present, event = reader.present, self.event
        missing = Signal(CAUSES)
        m.d.comb += missing.eq(Mux(reader.held, reader.cause, behind))
        idle = ~reader.held | (reader.accept & present.filler)
        m.d.comb += [event[name].eq(missing[name] & idle) for name, _ in CAUSES]
        m.d.comb += event.weights.eq((missing.weights & idle) | reader.dry)
        m.d.comb += [
            event.held.eq(reader.held),
            event.active.eq(reader.accept & ~present.filler),
            event.reads.eq(Mux(reader.accept, reader.reads, 0)),
            event.bank.eq(reader.held & ~(reader.early | reader.dry) & ~reader.accept),
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
