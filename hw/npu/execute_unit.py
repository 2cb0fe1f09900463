"""The execute unit: three stages around the array, each with its own command."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.npu.array.accumulators import Accumulators
from hw.npu.array.array import SystolicArray
from hw.npu.array.interpolator import PRODUCT_BITS, Interpolator
from hw.npu.control.execute_checks import CHECK_CYCLES, bad_field, checked_fields
from hw.npu.execute_records import ExecuteRecords
from hw.npu.feed.feed_monitor import FeedMonitor
from hw.npu.feed.feeder import Feeder
from hw.npu.interface.isa import MAX_SPAN, Error
from hw.npu.interface.load_command import LOAD_COMMAND
from hw.npu.interface.ports import ReadPort, write_port
from hw.npu.interface.queued import QUEUED_EXECUTE
from hw.npu.interface.records import RECORD_LAYOUT
from hw.npu.interface.status import ERROR_LAYOUT
from hw.npu.interface.tokens import TOKENS
from hw.npu.output.output_command import OUTPUT_COMMAND, source_of
from hw.npu.output.output_stage import OutputStage
from hw.npu.parts.delay import delayed
from hw.npu.parts.fanout_chain import FanoutChain
from hw.npu.parts.fifo import StreamFifo
from hw.npu.parts.stream_register import steady
from hw.npu.scratchpad.scratchpad import ActivationScratchpad, places_of
from hw.npu.scratchpad.weight_scratchpad import WeightScratchpad
from hw.npu.weights.weight_loader import WeightLoader


class ExecuteUnit(wiring.Component):
    """Runs the commands of the execute queue.

    ::

        queue --+--> weight loader --- weights ---> array <--- waves --- feeder <---+-- queue
                |         |                           |                     |       |
                |         +-- parameters --+      accumulators <-- vectors -+       |
                |                          v          v                             |
                +----------------------> output stage --> scratchpad                |
                +-------------------------------------------------------------------+

    A command is handed to the three stages at once; each begins it when it is done with the one before, so that the next
    command's first weights are loaded while the present one computes. One wave a cycle; at most `IN_FLIGHT` commands between
    dispatch and record.

    Parameters
    ----------
    config : NpuConfig

    Members
    -------
    command : In(stream of QUEUED_EXECUTE)
        Commands, in order.
    tokens : In(TOKENS)
        Completed commands of all queues.
    running, cycle : In(1), In(unsigned(32))
        The job runs, and for how many cycles it has.
    feed, second, write : Out(ReadPort).array(MAX_SPAN), Out(ReadPort), Out(stream of write_layout)
        The activation scratchpad; the feeder's requests are parts.
    weights : Out(ReadPort)
        The weight scratchpad.
    done, done_index : Out(1), Out(unsigned(32))
        A pulse as a command is complete, and its index.
    record : Out(stream of RECORD_LAYOUT)
        A record for each command.
    error : Out(ERROR_LAYOUT)
        The first error.
    progress, idle : Out(1), Out(1)
        Something moved in this cycle; no command is inside.
    reset : In(1)
        Resets all of it, each part some cycles later; a cycle old as it comes.
    """

    IN_FLIGHT = 6
    """Commands between dispatch and record: each has counts in queues."""
    STAGE_QUEUE = 1
    """Commands that wait in front of each stage: those behind them stand in the command queue."""

    def __init__(self, config):
        self.config = config
        super().__init__({
            "command": In(stream.Signature(QUEUED_EXECUTE)),
            "tokens": In(TOKENS),
            "running": In(1),
            "cycle": In(unsigned(32)),
            "feed": Out(ReadPort(config.feed_bytes, places=places_of(config))).array(MAX_SPAN),
            "second": Out(ReadPort(config.lanes)),
            "write": Out(write_port(config.lanes)),
            "weights": Out(ReadPort(config.cols)),
            "done": Out(1),
            "done_index": Out(unsigned(32)),
            "record": Out(stream.Signature(RECORD_LAYOUT)),
            "error": Out(ERROR_LAYOUT),
            "progress": Out(1),
            "idle": Out(1),
            "reset": In(1),
        })

    def elaborate(self, platform):
        m, config = Module(), self.config
        resets = FanoutChain(m, self.reset, name="reset", start=1)

        def part(name, component):
            m.submodules[name] = resets.resets(component)
            return component

        sizes = {"rows": config.rows, "cols": config.cols, "int4": config.int4}
        more = {"multiplier_registers": config.multiplier_registers}
        array = part("array", SystolicArray(**sizes, broadcast=config.broadcast, **more))
        weights = {"read_latency": WeightScratchpad.read_latency(config.memory_registers), "registers": config.stream_registers}
        loader = part("loader", WeightLoader(**sizes, **weights, groups=array.groups, size=config.weight_bytes))
        feeder = part(
            "feeder",
            Feeder(
                **sizes,
                size=config.act_bytes,
                read_latency=ActivationScratchpad.read_latency(config.memory_registers),
                array_latency=array.latency,
                places=places_of(config),
                interpolation=config.interpolation,
                memory_registers=config.memory_registers,
                stream_registers=config.stream_registers,
            ),
        )
        answered = ActivationScratchpad.answer_latency(config.memory_registers)
        outputs = {"cols": config.cols, "depth": config.ACCUMULATOR_DEPTH, "accumulator_bits": config.accumulator_bits}
        late = Interpolator.LATENCY if config.interpolation else 0
        sum_bits = max(array.psum_bits, PRODUCT_BITS) if config.interpolation else array.psum_bits
        accumulators = part("accumulators", Accumulators(**outputs, sum_bits=sum_bits, late=late, memory_registers=config.memory_registers))
        output = part(
            "output",
            OutputStage(
                **outputs,
                lanes=config.lanes,
                size=config.act_bytes,
                read_latency=answered,
                **more,
                memory_registers=config.memory_registers,
            ),
        )
        monitor = part("monitor", FeedMonitor(**sizes, depth=self.IN_FLIGHT))
        records = part("records", ExecuteRecords(cols=config.cols, depth=self.IN_FLIGHT))
        own = part("own", Module())  # what the unit itself keeps

        self._connect(m, loader, feeder, accumulators, output, monitor, records)
        self._waves(own, feeder, loader, array, accumulators)
        refused = self._dispatch(own, feeder, loader, output)
        self._status(own, feeder, loader, output, refused)
        return m

    def _connect(self, m, loader, feeder, accumulators, output, monitor, records):
        """The stages with their neighbours, and with the ports of the unit."""
        for ours, theirs in zip(feeder.read, self.feed, strict=True):
            connect(m, ours, flipped(theirs))
        connect(m, output.second_read, flipped(self.second))
        connect(m, output.write, flipped(self.write))
        connect(m, loader.read, flipped(self.weights))
        connect(m, loader.parameters, output.parameters)
        connect(m, monitor.window, records.window)
        connect(m, records.record, flipped(self.record))
        m.d.comb += [
            feeder.tokens.eq(self.tokens),
            loader.tokens.eq(self.tokens),
            feeder.tile_loaded.eq(loader.tile_loaded),
            loader.enable.eq(feeder.enable),
            loader.tile_passed.eq(feeder.tile_passed),
            feeder.half_free.eq(output.half_free),
            output.entry_final.eq(accumulators.entry_final),
            accumulators.read_enable.eq(output.acc_enable),
            accumulators.read_half.eq(output.acc_half),
            accumulators.read_entry.eq(output.acc_entry),
            output.acc_data.eq(accumulators.read_data),
            monitor.event.eq(feeder.event),
            monitor.running.eq(self.running),
            monitor.cycle.eq(self.cycle),
            records.loader_end.eq(loader.command_end),
            records.loader_rows.eq(loader.rows_read),
            records.retire.eq(output.retire),
            records.read_bytes.eq(output.read_bytes),
            records.written_bytes.eq(output.written_bytes),
            self.done.eq(output.retire),
            self.done_index.eq(output.retire_index),
        ]

    def _waves(self, m, feeder, loader, array, accumulators):
        """Waves go through the array, vectors around it; the feeder never has both on the way."""
        waves = Signal()
        cols = self.config.cols
        m.d.comb += [
            waves.eq(feeder.matmul | feeder.column),
            array.enable.eq(feeder.enable),
            array.valid.eq(waves),
            array.plane.eq(feeder.plane),
            array.column.eq(feeder.column),
            array.write.eq(loader.write),
            array.write_row.eq(loader.write_row),
            array.write_plane.eq(loader.write_plane),
        ]
        if self.config.int4:
            m.d.comb += array.paired.eq(feeder.paired)
        m.d.comb += [ours.eq(theirs) for ours, theirs in zip(array.activations, feeder.lanes)]  # the vector path may be wider
        m.d.comb += [array.weights[col].eq(loader.weights[col]) for col in range(cols)]
        for side, vector in enumerate((feeder.lanes, *feeder.sides)):
            m.d.comb += [array.vectors[side][col].eq(vector[col]) for col in range(cols)]
        m.d.comb += [ours.eq(theirs) for ours, theirs in zip(array.group_ends, feeder.group_ends, strict=True)]
        valid = delayed(m, waves, array.latency, name="sums_valid", reset_less=False, enable=feeder.enable)
        tag = delayed(m, feeder.tag, array.latency, name="sums_tag", enable=feeder.enable)
        m.d.comb += [
            accumulators.valid.eq((valid & feeder.enable) | feeder.vector),
            accumulators.tag.eq(Mux(feeder.vector, feeder.tag, tag)),
        ]
        sums, vectors, around = array.sums, feeder.lanes, feeder.vector
        if self.config.interpolation:
            late = accumulators.late
            m.submodules.interpolator = interpolator = Interpolator(cols=cols)
            m.d.comb += [interpolator.weight.eq(feeder.weight), *(interpolator.vector[col].eq(vectors[col]) for col in range(cols))]
            sums = [delayed(m, array.sums[col], late, name=f"late_sum_{col}") for col in range(cols)]
            vectors, around = interpolator.products, delayed(m, around, late, name="late_around")
        for col in range(cols):
            m.d.comb += accumulators.sums[col].eq(Mux(around, vectors[col], sums[col]))

    def _dispatch(self, m, feeder, loader, output):
        """Checks a command, and hands it to all three stages; gives the pulse and index of a refused one."""
        config = self.config
        payload = self.command.payload
        command, queues = payload.command, []
        refused = Signal(ERROR_LAYOUT)
        sent = Signal()

        def hold(value, name):
            return delayed(m, value, 1, name=name)

        bad = bad_field(
            checked_fields(command, hold),
            rows=config.rows,
            cols=config.cols,
            depth=config.ACCUMULATOR_DEPTH,
            weight_bytes=config.weight_bytes,
            int4=config.int4,
            interpolation=config.interpolation,
            hold=hold,
        )
        groups = ("header", "loops", "input", "weights", "output", "interpolation", "second")
        fields = {group: command[group] for group in groups} | {
            "index": payload.index,
            "opcode": command.header.opcode,
            "source": source_of(command.input),
            "weights_params": command.weights.params,
            "load_table": command.weights.load_table,
        }
        for name, layout, stage in (("load", LOAD_COMMAND, loader), ("feed", feeder.layout, feeder), ("output", OUTPUT_COMMAND, output)):
            m.submodules[f"{name}_queue"] = queue = StreamFifo(layout, depth=self.STAGE_QUEUE)
            m.d.comb += [queue.i.payload[field].eq(fields[field]) for field, _ in layout]
            connect(m, queue.o, stage.command)
            queues.append(queue)
        inside = Signal(range(self.IN_FLIGHT + 1))
        recorded = self.record.valid & self.record.ready
        room = queues[0].i.ready & queues[1].i.ready & queues[2].i.ready & (inside != self.IN_FLIGHT) & ~refused.valid
        present = steady(m, self.command.valid, sent, CHECK_CYCLES, name="checked")
        m.d.sync += sent.eq(present & room & ~bad & ~sent)
        m.d.comb += self.command.ready.eq(sent)
        m.d.comb += [queue.i.valid.eq(sent) for queue in queues]
        m.d.sync += inside.eq(inside + sent - recorded)
        m.d.comb += self.idle.eq((inside == 0) & ~self.command.valid)
        with m.If(present & bad & ~refused.valid):
            m.d.sync += [refused.valid.eq(1), refused.code.eq(Error.BAD_FIELD), refused.index.eq(payload.index)]
        return refused

    def _status(self, m, feeder, loader, output, refused):
        for error in (refused, output.error, feeder.error):
            with m.If(error.valid):
                m.d.comb += self.error.eq(error)
        moves = (
            feeder.event.active,
            loader.read.request.valid & loader.read.request.ready,
            loader.write,
            output.progress,
            self.command.valid & self.command.ready,
            self.record.valid & self.record.ready,
        )
        m.d.comb += self.progress.eq(delayed(m, sum(moves) != 0, 1, name="moves", reset_less=False))
