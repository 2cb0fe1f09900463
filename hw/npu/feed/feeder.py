"""The feeder: reads activations and sends waves to the array and to the vector path."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.npu.config import tile_depth
from hw.npu.feed.feed_gate import CAUSES, FeedGate
from hw.npu.feed.feed_monitor import FEED_EVENT
from hw.npu.feed.feed_reader import FeedReader
from hw.npu.feed.feed_stages import FeedStages
from hw.npu.feed.port_positions import PortPositions
from hw.npu.feed.row_groups import RowGroups
from hw.npu.feed.step_counts import StepCounts
from hw.npu.feed.step_describer import StepDescriber
from hw.npu.feed.step_issuer import StepIssuer, feed_command
from hw.npu.feed.wave_generator import WaveGenerator
from hw.npu.feed.wave_sender import WaveSender
from hw.npu.interface.isa import MAX_SPAN, Error, Opcode
from hw.npu.interface.ports import ReadPort
from hw.npu.interface.status import ERROR_LAYOUT
from hw.npu.interface.tokens import TOKENS
from hw.npu.interface.wave import WAVE_TAG
from hw.npu.parts.delay import delayed
from hw.npu.parts.fifo import StreamFifo
from hw.npu.parts.switched import only
from hw.npu.scratchpad.scratchpad import ActivationScratchpad
from hw.npu.walks.interpolation_walk import WEIGHT_BITS, InterpolationWalk


class Feeder(wiring.Component):
    """Issues one step a cycle: reads its bytes, replaces those outside the image by the pad value, and sends it on.

    A step is a wave, but in DEPTHWISE, where the array is a FIR filter along a block row and some steps are data only. ::

        StepIssuer --> WaveGenerator --> PortPositions --> FeedStages: windows, banks, turns --> queue --> FeedReader --> WaveSender
        FeedGate       RowGroups         StepDescriber                                                     waits here
        waits here

    Behind the scratchpad's ports nothing stalls. In front of the generator a step waits for tokens (the command's three counts), for a free
    half of the accumulators, for the weights of a DEPTHWISE, and where it has to, for the array to be empty (`FeedGate`). A MATMUL waits
    for its weights at the reader. A step is taken while fewer than `FeedStages.ROOM` are inside.

    What depends on the reduction tile is known `ReductionWalk.SETTLES` cycles after the tile's first step, and the last step of a tile
    waits for that: no tile that short could follow another in the accumulators. From a command's last step to the next one's first
    pass `StepIssuer.BETWEEN` cycles; a step is at the reader `latency` cycles after it was taken.

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
    memory_registers, stream_registers : int
        Fields of `NpuConfig`: registers between the end of the reader and the array, and among the stages in front of it.

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

    STEPS = FeedStages.ROOM + 2
    """Steps between the generator and the scratchpad, at most."""

    @staticmethod
    def enter(memory_registers) -> int:
        """Cycles from a step that the reader has accepted to row 0 of the array, or to the vector path."""
        return ActivationScratchpad.read_latency(memory_registers) + 1 + memory_registers

    @staticmethod
    def latency(stream_registers) -> int:
        """Cycles from a step that is taken to the reader."""
        return PortPositions.LATENCY + FeedStages.latency(stream_registers) + 2

    def __init__(
        self,
        *,
        rows,
        cols,
        size,
        read_latency,
        array_latency,
        places,
        memory_registers,
        stream_registers,
        int4=False,
        interpolation=False,
    ):
        self.rows, self.cols, self.size, self.int4, self.interpolation = rows, cols, size, int4, interpolation
        self.read_latency, self.array_latency = read_latency, array_latency
        self.memory_registers, self.stream_registers = memory_registers, stream_registers
        self.places, self.layout = places, feed_command(interpolation)
        self.width = max(tile_depth(rows, int4), cols)
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
            **only(int4, paired=Out(1)),
            **only(interpolation, weight=Out(WEIGHT_BITS)),
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
        m.submodules.issuer = issuer = StepIssuer(rows=self.rows, int4=self.int4, interpolation=self.interpolation)
        m.submodules.generator = generator = WaveGenerator(cols=self.cols, interpolation=self.interpolation)
        m.submodules.positions = positions = PortPositions(rows=self.rows, cols=self.cols, int4=self.int4)
        m.submodules.gate = gate = FeedGate(array_latency=self.array_latency)
        m.submodules.describer = describer = StepDescriber()
        m.submodules.stages = stages = FeedStages(width=self.width, size=self.size, geometry=self.places, registers=self.stream_registers)
        m.submodules.reader = reader = FeedReader(
            width=self.width, cols=self.cols, read_latency=self.read_latency, int4=self.int4, places=self.places
        )
        m.submodules.sender = sender = WaveSender(width=self.width, cols=self.cols, registers=self.memory_registers, int4=self.int4)
        m.submodules.groups = groups = RowGroups(rows=self.rows, arrives=self.read_latency + self.memory_registers)
        m.submodules.counts = counts = StepCounts()
        connect(m, flipped(self.command), issuer.commands)
        array, taken = issuer.matmul | issuer.depthwise, issuer.step | issuer.filler
        m.d.comb += [
            issuer.open.eq(gate.open),
            issuer.room.eq(counts.room),
            issuer.first_pixel.eq(generator.first_pixel),
            issuer.tile_end.eq(generator.tile_end),
            issuer.last_tile.eq(positions.last_tile),
            issuer.last_column.eq(generator.last_column),
            issuer.rows_used.eq(groups.rows_used),
            groups.loops.eq(issuer.command.loops),
            groups.depthwise.eq(issuer.depthwise),
            groups.step.eq(issuer.step),
            *(ours.eq(theirs) for ours, theirs in zip(self.group_ends, groups.group_ends, strict=True)),
            counts.taken.eq(taken),
            counts.array_taken.eq(taken & array),
            counts.queued.eq(stages.o.valid & stages.o.ready),
            counts.array_accepted.eq(reader.accept & reader.present.sent.array),
            reader.tile_loaded.eq(self.tile_loaded),
        ]
        self._walk(m, issuer, generator, positions)
        self._guard(m, issuer, generator, positions, gate)
        m.d.comb += [gate.array.eq(array), gate.regroups.eq(groups.regroups), gate.array_near.eq(counts.array_near)]
        self._describe(m, issuer, generator, positions, describer)
        cause = Signal(CAUSES)  # why there is no step, or only a filler
        m.d.sync += cause.eq(0)
        with m.If(counts.room & ~issuer.step):
            m.d.sync += cause.eq(Mux(issuer.spaced, CAUSES.const({"output": 1}), gate.cause))
        self._stage(m, issuer, positions, describer, stages, cause)
        connect(m, stages.o, reader.step)
        for port, theirs in zip(reader.read, self.read, strict=True):
            connect(m, port, flipped(theirs))
        self._report(m, reader, stages.missing)
        self._send(m, reader, sender)
        return m

    def _walk(self, m, issuer, generator, positions):
        """Generator and positions go on together; a filler is a step of the positions only."""
        command = issuer.command
        m.d.comb += [
            generator.start.eq(issuer.start),
            generator.step.eq(issuer.step),
            generator.loops.eq(command.loops),
            generator.input.eq(command.input),
            generator.depthwise.eq(issuer.depthwise),
            generator.channels.eq(~issuer.matmul),
            generator.last_tile.eq(positions.last_tile),
            positions.start.eq(issuer.start),
            positions.step.eq(issuer.step | issuer.filler),
            positions.filler.eq(issuer.filler),
            positions.tile_end.eq(issuer.step & generator.tile_end),
            positions.loops.eq(command.loops),
            positions.input.eq(command.input),
            positions.matmul.eq(issuer.matmul),
            positions.depthwise.eq(issuer.depthwise),
            positions.pixel.eq(generator.position),
            positions.last_column.eq(generator.last_column),
        ]
        if self.int4:
            m.d.comb += positions.paired.eq(command.header.opcode == Opcode.MATMUL_INT4)
        if self.interpolation:
            self._weigh(m, command, generator, ~(issuer.matmul | issuer.depthwise))

    def _weigh(self, m, command, generator, vector):
        """Weights of vectors, in their order, wait for them: each step that goes around the array is a wave, and has one.

        The queue holds those of the steps that wait, of one that has just been accepted, and of those that come before the answer does;
        and one place is free, since a full queue takes nothing in the cycle in which its head leaves.
        """
        later = max(0, self.read_latency + self.memory_registers - InterpolationWalk.LATENCY)
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

    def _guard(self, m, issuer, generator, positions, gate):
        """Tells the gate of the step that comes next."""
        command = issuer.command
        m.d.comb += [
            gate.tokens.eq(self.tokens),
            gate.header.eq(command.header),
            gate.active.eq(issuer.active),
            gate.streams.eq(issuer.depthwise),
            gate.partial_in.eq(command.loops.partial_in),
            gate.partial_out.eq(command.loops.partial_out),
            gate.first_pixel.eq(generator.first_pixel),
            gate.first_tile.eq(positions.first_tile),
            # a tile's last wave may come before it is known to be the job's last: what matters is that it is known by the tile's last step
            gate.last_pixel.eq(generator.tile_end),
            gate.last_tile.eq(positions.last_tile),
            gate.leaves.eq(issuer.step),
            gate.tile_loaded.eq(self.tile_loaded),
            gate.half_free.eq(self.half_free),
        ]

    @staticmethod
    def _describe(m, issuer, generator, positions, describer):
        """Tells the describer of the step that comes next."""
        command = issuer.command
        m.d.comb += [
            describer.taken.eq(issuer.step),
            describer.filler.eq(issuer.filler),
            describer.command_end.eq(issuer.ends),
            describer.loops.eq(command.loops),
            describer.index.eq(command.index),
            describer.opcode.eq(command.header.opcode),
            describer.pad.eq(command.input.pad_value),
            describer.array.eq(issuer.matmul | issuer.depthwise),
            describer.column.eq(issuer.depthwise),
            describer.first_tile.eq(positions.first_tile),
            describer.last_tile.eq(positions.last_tile),
            *(getattr(describer, name).eq(getattr(generator, name)) for name in ("wave", "entry", "first_pixel", "last_pixel")),
        ]

    @staticmethod
    def _stage(m, issuer, positions, describer, stages, cause):
        """Brings together what a step is, and where it reads."""
        rest = PortPositions.LATENCY
        taken = issuer.step | issuer.filler
        m.d.comb += [
            stages.start.eq(delayed(m, issuer.start, 3, name="started", reset_less=False)),
            stages.input.eq(issuer.command.input),
            stages.valid.eq(delayed(m, taken, rest, name="taken", reset_less=False)),
            stages.step.eq(delayed(m, describer.step, rest - StepDescriber.LATENCY, name="described")),
            stages.cause.eq(delayed(m, cause, rest - 1, name="cause", reset_less=False)),
            *(mine.eq(port) for mine, port in zip(stages.ports, positions.ports, strict=True)),
        ]

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
        failed = delayed(m, reader.accept & reader.outside, self.memory_registers, name="failed", reset_less=False)
        index = delayed(m, present.index, self.memory_registers, name="failed_index")
        with m.If(failed & ~self.error.valid):
            m.d.sync += [self.error.valid.eq(1), self.error.code.eq(Error.ADDRESS), self.error.index.eq(index)]

    def _send(self, m, reader, sender):
        """What leaves the reader goes through the sender."""
        m.d.comb += [sender.sent.eq(reader.sent), sender.step.eq(reader.arrived)]
        m.d.comb += [ours.eq(theirs) for ours, theirs in zip(sender.bytes, reader.lanes, strict=True)]
        m.d.comb += [lane.eq(sent) for lane, sent in zip(self.lanes, sender.lanes, strict=True)]
        for ours, theirs in ((sender.bytes_beside, reader.sides), (self.sides, sender.sides)):
            for mine, values in zip(ours, theirs, strict=True):
                m.d.comb += [lane.eq(value) for lane, value in zip(mine, values, strict=True)]
        names = ("enable", "matmul", "column", "vector", "plane", "tag", "tile_passed", *(("paired",) if self.int4 else ()))
        m.d.comb += [getattr(self, name).eq(getattr(sender, name)) for name in names]
        if self.int4:
            m.d.comb += sender.pairs.eq(reader.paired)
