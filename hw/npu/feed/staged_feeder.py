"""The feeder for a high clock: the same steps, with registers between everything that finds out where they read."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import connect, flipped

from hw.npu.feed.feed_gate import CAUSES, FeedGate
from hw.npu.feed.feed_reader import FeedReader
from hw.npu.feed.feed_stages import FeedStages
from hw.npu.feed.feeder import Feeder
from hw.npu.feed.port_positions import PortPositions
from hw.npu.feed.wave_generator import WaveGenerator
from hw.npu.interface.isa import MAX_SPAN, Opcode, is_operation
from hw.npu.interface.wave import FEED_STEP
from hw.npu.parts.delay import delayed
from hw.npu.walks.reduction_walk import ReductionWalk


class StagedFeeder(Feeder):
    """`Feeder`, in stages that do not stall and a queue in front of the reader::

        generator --> PortPositions --> FeedStages: windows, banks, turns --> queue --> FeedReader --> scratchpad
        FeedGate      (LATENCY)         (LATENCY)                                       waits here
        waits here

    A MATMUL waits for its weights at the reader, a DEPTHWISE at the gate. A step is taken while fewer than `FeedStages.ROOM` are inside.
    The command is registered `PREPARED` cycles before its first step can come, so that what it alone decides is known by then; what
    depends on the reduction tile is known `ReductionWalk.SETTLES` cycles after the tile's first step, and the last step of a tile waits
    for that: no tile that short could follow another in the accumulators.
    From a command's last step to the next one's first pass `BETWEEN` cycles; a step is at the reader `LATENCY` cycles after it was taken.

    Members
    -------
    command, tokens, read, tile_loaded, half_free, enable, matmul, column, vector, plane, tag, lanes, paired, weight, sides, group_ends
        As those of `Feeder`.
    tile_passed, event, error
        As those of `Feeder`; the requests of ``read`` are places, and ports that ask in one cycle share no bank.
    """

    SENT = 1
    STEPS = FeedStages.ROOM + 2
    PREPARED = 2
    LATENCY = PortPositions.LATENCY + FeedStages.LATENCY + 2
    BETWEEN = ReductionWalk.SETTLES + 1 + PREPARED + 2

    def elaborate(self, platform):
        m = Module()
        m.submodules.generator = generator = WaveGenerator(cols=self.cols, interpolation=self.interpolation, pipeline=True)
        m.submodules.positions = positions = PortPositions(rows=self.rows, cols=self.cols, int4=self.int4, pipeline=True)
        m.submodules.gate = gate = FeedGate(array_latency=self.array_latency, pipeline=True)
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
        missing = Signal(CAUSES)
        m.d.comb += missing.eq(Mux(reader.held, reader.cause, stages.missing))
        self._report(m, reader, cause, known=missing)
        self._send(m, reader)
        return m

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
