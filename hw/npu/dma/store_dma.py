"""Store DMA: executes STORE commands, from the activation scratchpad to DDR."""

from amaranth.hdl import Module, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.dma.beat_reader import BeatReader
from hw.npu.dma.bursts import run_layout
from hw.npu.dma.transfers import COUNT_BITS, TransferPlanner, TransferRecords, account_depth, connect_transfers
from hw.npu.interface.axi import RESP_OKAY, WriteChannels, offer_burst
from hw.npu.interface.isa import Error, Opcode
from hw.npu.interface.ports import ReadPort
from hw.npu.interface.queued import INDEX_BITS, QUEUED_TRANSFER
from hw.npu.interface.records import RECORD_LAYOUT
from hw.npu.interface.status import ERROR_LAYOUT, latch
from hw.npu.interface.tokens import TOKENS
from hw.npu.parts.delay import delayed
from hw.npu.parts.fifo import StreamFifo
from hw.npu.parts.promise import promise, promise_stream


class StoreDma(wiring.Component):
    """Copies rows of bytes from the activation scratchpad to DDR; several bursts in flight, one beat a cycle, commands in order.

    ::

        commands -> TransferPlanner -+-> AW
                                     +-> runs -> BeatReader -> W
                                     +-> in flight <- B -> done

    Parameters
    ----------
    axi_bytes, address_bits, max_burst : int
        Bytes of a beat, width of an address, beats of the longest burst.
    outstanding : int
        Bursts in flight, at least 1.
    act_bytes : int
        Size of the activation scratchpad.
    read_latency : int
        Cycles from a request of the scratchpad to its answer, at least 1.

    Members
    -------
    commands : In(stream of QUEUED_TRANSFER)
        The store queue.
    tokens : In(TOKENS)
        Commands completed.
    model_base, arena_base : In(address_bits)
        Base of each DDR region, a multiple of the beat.
    axi : Out(WriteChannels)
        AW, W and B. A beat of W may come before its AW is accepted.
    activations : Out(ReadPort)
        Port of the activation scratchpad: any byte address.
    done : Out(1)
        The last write response of a command came in the cycle before.
    records : Out(stream of RECORD_LAYOUT)
        One for each command.
    cycle : In(32)
        Cycle of the job.
    halt : In(1)
        No new burst; the beats of those whose address is out are sent without strobes. Stays up until reset.
    outstanding : Out(range(outstanding + 1))
        Bursts whose address is offered or accepted, and whose response has not come.
    progress : Out(1)
        Something moved in this cycle.
    error : Out(ERROR_LAYOUT)
        BAD_FIELD, ADDRESS, AXI_WRITE.
    """

    RUNS = 2

    def __init__(self, *, axi_bytes, address_bits, max_burst, outstanding, act_bytes, read_latency):
        if outstanding < 1:
            raise ValueError(f"StoreDma outstanding must be at least 1, not {outstanding}")
        self.axi_bytes, self.depth, self.read_latency = axi_bytes, outstanding, read_latency
        self._planner = {
            "axi_bytes": axi_bytes,
            "max_burst": max_burst,
            "address_bits": address_bits,
            "act_bytes": act_bytes,
        }
        super().__init__({
            "commands": In(stream.Signature(QUEUED_TRANSFER)),
            "tokens": In(TOKENS),
            "model_base": In(address_bits),
            "arena_base": In(address_bits),
            "axi": Out(WriteChannels(address_bits=address_bits, data_bits=8 * axi_bytes)),
            "activations": Out(ReadPort(axi_bytes)),
            "done": Out(1),
            "records": Out(stream.Signature(RECORD_LAYOUT)),
            "cycle": In(COUNT_BITS),
            "halt": In(1),
            "outstanding": Out(range(outstanding + 1)),
            "progress": Out(1),
            "error": Out(ERROR_LAYOUT),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.planner = planner = TransferPlanner(opcode=Opcode.STORE, **self._planner)
        m.submodules.runs = runs = StreamFifo(run_layout(self.axi_bytes), depth=self.RUNS)
        m.submodules.reader = reader = BeatReader(axi_bytes=self.axi_bytes, read_latency=self.read_latency)
        m.submodules.in_flight = in_flight = StreamFifo(
            data.StructLayout({"last": unsigned(1), "index": unsigned(INDEX_BITS)}), depth=self.depth
        )
        m.submodules.records = records = TransferRecords(opcode=Opcode.STORE, axi_bytes=self.axi_bytes, depth=account_depth(self.depth))
        connect_transfers(m, self, planner, records)
        aw, b = self.axi.aw, self.axi.b

        # A burst goes into the address register, to the reader, and into the list of those in flight.
        burst = planner.bursts.payload
        issue = planner.bursts.valid & planner.bursts.ready
        m.d.comb += [
            planner.bursts.ready.eq((~aw.valid | aw.ready) & runs.i.ready & in_flight.i.ready & ~self.halt),
            runs.i.valid.eq(issue),
            runs.i.payload.eq(burst.run),
            in_flight.i.valid.eq(issue),
            in_flight.i.payload.last.eq(burst.run.last),
            in_flight.i.payload.index.eq(burst.index),
        ]
        offer_burst(m, aw, issue, address=burst.address, beats_behind=burst.run.len, axi_bytes=self.axi_bytes)

        # Its beats are read and sent.
        wiring.connect(m, runs.o, reader.runs)
        wiring.connect(m, reader.port, wiring.flipped(self.activations))
        wiring.connect(m, reader.w, wiring.flipped(self.axi.w))
        m.d.comb += reader.blank.eq(self.halt)

        # A response is taken at once and ends its burst; that of the last burst completes the command.
        flying, answered = in_flight.o.payload, b.valid & b.ready
        m.d.comb += [
            b.ready.eq(in_flight.o.valid),
            in_flight.o.ready.eq(answered),
            self.outstanding.eq(in_flight.level),
            self.done.eq(delayed(m, answered & flying.last & ~self.halt, 1, name="answered", reset_less=False)),
            records.complete.eq(self.done),
            records.refused.eq(self.activations.request.valid & ~self.activations.request.ready),
            self.progress.eq(planner.taken | (aw.valid & aw.ready) | reader.read | (self.axi.w.valid & self.axi.w.ready) | answered),
        ]
        promise_stream(m, self, aw, name="aw")
        promise_stream(m, self, self.axi.w, name="w")
        promise(m, self, ~b.valid | in_flight.o.valid, "a response answers a burst that is under way")
        latch(m, self.error, planner.error.valid, planner.error.code, planner.error.index)
        latch(m, self.error, answered & (b.payload.resp != RESP_OKAY), Error.AXI_WRITE, flying.index)
        return m
