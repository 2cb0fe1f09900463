"""The core: everything that a job uses and a reset empties."""

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.npu.control.command_fetch import CommandFetch
from hw.npu.control.dispatcher import Dispatcher
from hw.npu.control.queues import CommandQueue
from hw.npu.control.record_writer import RecordWriter
from hw.npu.dma.load_dma import LoadDma
from hw.npu.dma.read_arbiter import ReadArbiter
from hw.npu.dma.store_dma import StoreDma
from hw.npu.dma.write_arbiter import WriteArbiter
from hw.npu.execute_unit import ExecuteUnit
from hw.npu.interface.axi import ReadChannels, WriteChannels
from hw.npu.interface.ports import write_layout
from hw.npu.interface.queued import QUEUED_EXECUTE, QUEUED_TRANSFER
from hw.npu.interface.registers import SETTINGS, base, command_units
from hw.npu.interface.status import ERROR_LAYOUT
from hw.npu.interface.tokens import TokenBoard
from hw.npu.parts.fanout_chain import FanoutChain
from hw.npu.scratchpad.scratchpad import FEED, ActivationScratchpad
from hw.npu.scratchpad.weight_scratchpad import WeightScratchpad


class NpuCore(wiring.Component):
    r"""Fetches the commands of a job and executes them in three queues.

    ::

        AR,R <--> fetch --> dispatch --> queue --> load DMA ----> activations, weights
                                    \--> queue --> execute unit <--> activations, weights
                                    \--> queue --> store DMA <---- activations
        AW,W,B <-- arbiter <-- store DMA, record writer <-- records of all three

    It is reset after each job, so that every job begins with empty queues and counts of zero.

    Parameters
    ----------
    config : NpuConfig

    Members
    -------
    settings : In(SETTINGS)
        What the host has set; steady during a job.
    begin : In(1)
        A job starts.
    cycle : In(32)
        Cycle of the job.
    halt : In(1)
        Begin nothing on the bus; drop what comes. It is known to the last unit `REACH` cycles later, at most.
    reset : In(1)
        Resets all of it, each part some cycles later, `REACH` at most.
    read, write : Out(ReadChannels), Out(WriteChannels)
        The bus.
    complete : Out(1)
        Every command is complete, and its record written.
    oldest : Out(32)
        Index of the oldest command that is not complete.
    errors : Out(ERROR_LAYOUT).array(5)
        The first error of dispatcher, load DMA, execute unit, store DMA, record writer.
    progress, outstanding, handshake : Out(1), Out(1), Out(1)
        Something moved; a transaction is on the bus; something moved on the bus.
    written : Out(write_layout)
        What the output stage writes to the scratchpad, for test benches.
    wrote, retired, retired_index : Out(1), Out(1), Out(32)
        It was accepted in this cycle; an execute command is complete, a cycle after its last write; its index.
    """

    UNITS = 5
    UNIT_DEPTH = ExecuteUnit.IN_FLIGHT + 2
    """Commands that a unit holds beyond its queue, at most."""

    def __init__(self, config):
        self.config = config
        super().__init__({
            "settings": In(SETTINGS),
            "begin": In(1),
            "cycle": In(32),
            "halt": In(1),
            "reset": In(1),
            "read": Out(ReadChannels(address_bits=config.address_bits, data_bits=config.axi_bits)),
            "write": Out(WriteChannels(address_bits=config.address_bits, data_bits=config.axi_bits)),
            "complete": Out(1),
            "oldest": Out(32),
            "errors": Out(ERROR_LAYOUT).array(self.UNITS),
            "progress": Out(1),
            "outstanding": Out(1),
            "handshake": Out(1),
            "written": Out(write_layout(config.lanes)),
            "wrote": Out(1),
            "retired": Out(1),
            "retired_index": Out(32),
        })

    def elaborate(self, platform):
        m, config = Module(), self.config
        bus = {"axi_bytes": config.axi_bytes, "address_bits": config.address_bits, "max_burst": config.max_burst}
        channels = {"address_bits": config.address_bits, "data_bits": config.axi_bits}
        resets = FanoutChain(m, self.reset, name="reset")

        def part(name, component):
            m.submodules[name] = resets.resets(component)
            return component

        reset_execute = resets.tap()  # first: its own parts come behind it
        fetch = part("fetch", CommandFetch(**bus))
        tracked = config.queue_depth + self.UNIT_DEPTH
        known = {"int4": config.int4, "interpolation": config.interpolation}
        dispatcher = part("dispatcher", Dispatcher(axi_bytes=config.axi_bytes, tracked=tracked, **known))
        transfers = bus | {"outstanding": config.outstanding, "act_bytes": config.act_bytes}
        load = part("load", LoadDma(**transfers, weight_bytes=config.weight_bytes))
        m.submodules.execute = execute = ExecuteUnit(config)
        m.d.comb += execute.reset.eq(reset_execute)
        store = part("store", StoreDma(**transfers, read_latency=ActivationScratchpad.answer_latency(config.memory_registers)))
        records = part("records", RecordWriter(sources=3, **bus))
        board = part("board", TokenBoard())
        activations, weights = self._scratchpads(part)
        read_arbiter = part("read_arbiter", ReadArbiter(**channels))
        write_arbiter = part("write_arbiter", WriteArbiter(**channels))

        for source, sink in (
            (fetch.words, dispatcher.words),
            (fetch.axi, read_arbiter.fetch),
            (load.axi, read_arbiter.load),
            (store.axi, write_arbiter.store),
            (records.axi, write_arbiter.record),
            (read_arbiter.port, flipped(self.read)),
            (write_arbiter.port, flipped(self.write)),
            (load.activations, activations.dma_write),
            (load.weights, weights.write),
            (store.activations, activations.dma_read),
            *((port, getattr(activations, name)) for port, name in zip(execute.feed, FEED, strict=True)),
            (execute.second, activations.second),
            (execute.write, activations.write),
            (execute.weights, weights.read),
            (load.records, records.records[0]),
            (execute.record, records.records[1]),
            (store.records, records.records[2]),
        ):
            connect(m, source, sink)
        self._queues(m, part, dispatcher, load, execute, store)
        # a write is accepted before it is made
        m.d.comb += [activations.complete[0].eq(execute.done), activations.complete[1].eq(load.done)]
        executed, loaded = activations.settled
        self._job(m, fetch, dispatcher, load, execute, store, records, board, (loaded, executed, store.done))
        self._status(m, fetch, dispatcher, load, execute, store, records)
        return m

    def _scratchpads(self, part):
        """That of the activations, and that of the weights."""
        config = self.config
        common = {"dma_bytes": config.axi_bytes, "registers": config.memory_registers}
        activations = ActivationScratchpad(
            banks=config.BANKS,
            word=config.word_bytes,
            size=config.act_bytes,
            feed_bytes=config.feed_bytes,
            lanes=config.lanes,
            **common,
        )
        weights = WeightScratchpad(banks=config.WEIGHT_BANKS, size=config.weight_bytes, cols=config.cols, **common)
        return part("activations", activations), part("weights", weights)

    def _queues(self, m, part, dispatcher, load, execute, store):
        """A queue of commands between the dispatcher and each unit that executes them."""
        config = self.config
        for name, layout, sink in (
            ("load", QUEUED_TRANSFER, load.commands),
            ("execute", QUEUED_EXECUTE, execute.command),
            ("store", QUEUED_TRANSFER, store.commands),
        ):
            queue = part(f"{name}_queue", CommandQueue(layout, depth=config.queue_depth, interpolation=config.interpolation))
            connect(m, getattr(dispatcher, name), queue.i)
            connect(m, queue.o, sink)

    def _job(self, m, fetch, dispatcher, load, execute, store, records, board, tokens):
        """Settings, tokens, which are given as a command of load, execute or store is over, and the end of a job."""
        settings, bits = self.settings, self.config.address_bits
        m.d.comb += [
            fetch.start.eq(self.begin),
            fetch.commands_base.eq(base(settings, "commands_base", bits)),
            fetch.units.eq(command_units(settings)),
            dispatcher.start.eq(self.begin),
            dispatcher.units.eq(command_units(settings)),
            records.enable.eq(settings.record_enable),
            records.record_base.eq(base(settings, "record_base", bits)),
            execute.running.eq(~dispatcher.complete),
            execute.cycle.eq(self.cycle),
            execute.tokens.eq(board.tokens),
            *(count.eq(over) for count, over in zip((board.load, board.exec, board.store), tokens, strict=True)),
            dispatcher.load_done.eq(load.done),
            dispatcher.execute_done.eq(execute.done),
            dispatcher.store_done.eq(store.done),
            self.complete.eq(dispatcher.complete & execute.idle & records.idle),
            self.oldest.eq(dispatcher.oldest),
        ]
        for dma in (load, store):
            m.d.comb += [
                dma.tokens.eq(board.tokens),
                dma.cycle.eq(self.cycle),
                dma.model_base.eq(base(settings, "model_base", bits)),
                dma.arena_base.eq(base(settings, "arena_base", bits)),
            ]
        halts = FanoutChain(m, self.halt, name="halt")
        for unit in (fetch, dispatcher, load, store, records):
            m.d.comb += unit.halt.eq(halts.tap())

    def _status(self, m, fetch, dispatcher, load, execute, store, records):
        """What the job control and test benches see."""
        for error, unit in zip(self.errors, (dispatcher, load, execute, store, records), strict=True):
            m.d.comb += error.eq(unit.error)
        streams = (self.read.ar, self.read.r, self.write.aw, self.write.w, self.write.b)
        m.d.comb += [
            self.progress.eq(Cat(unit.progress for unit in (fetch, dispatcher, load, execute, store, records)).any()),
            self.outstanding.eq(Cat(unit.outstanding for unit in (fetch, load, store, records)).any()),
            self.handshake.eq(Cat(stream.valid & stream.ready for stream in streams).any()),
            self.written.eq(execute.write.payload),
            self.wrote.eq(execute.write.valid & execute.write.ready),
            self.retired.eq(execute.done),
            self.retired_index.eq(execute.done_index),
        ]
