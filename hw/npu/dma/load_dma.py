"""Load DMA: executes LOAD commands, from DDR into the activation or the weight scratchpad."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.dma.bursts import BeatWalker, run_layout
from hw.npu.dma.transfers import COUNT_BITS, TransferPlanner, TransferRecords, account_depth, connect_transfers
from hw.npu.interface.axi import RESP_OKAY, ReadChannels, offer_burst
from hw.npu.interface.isa import Error, Opcode, Target
from hw.npu.interface.ports import ADDRESS_BITS, write_port
from hw.npu.interface.queued import INDEX_BITS, QUEUED_TRANSFER
from hw.npu.interface.records import RECORD_LAYOUT
from hw.npu.interface.status import ERROR_LAYOUT, latch
from hw.npu.interface.tokens import TOKENS
from hw.npu.parts.delay import delayed
from hw.npu.parts.fifo import StreamFifo
from hw.npu.parts.promise import promise, promise_stream
from hw.npu.parts.stream_register import StreamRegister, registered


class LoadDma(wiring.Component):
    """Copies rows of bytes from DDR into a scratchpad; several bursts in flight, one beat a cycle, commands in order.

    ::

        commands -> TransferPlanner -+-> AR
                                     +-> in flight -> BeatWalker -+
                                                       R ---------+-> beat register -> activations, weights -> done

    Addresses of a command go out as soon as all of the one before are out, so that the bus stays busy from command to command.
    A beat leaves in the cycle after it came, if the scratchpad takes it; while it does not, R waits.

    Parameters
    ----------
    axi_bytes, address_bits, max_burst : int
        Bytes of a beat, width of an address, beats of the longest burst.
    outstanding : int
        Bursts in flight, at least 1.
    act_bytes, weight_bytes : int
        Sizes of the scratchpads.

    Members
    -------
    commands : In(stream of QUEUED_TRANSFER)
        The load queue.
    tokens : In(TOKENS)
        Commands completed.
    model_base, arena_base : In(address_bits)
        Base of each DDR region, a multiple of the beat.
    axi : Out(ReadChannels)
        AR and R.
    activations : Out(stream of write_layout)
        Port of the activation scratchpad: any byte address.
    weights : Out(stream of write_layout)
        Port of the weight scratchpad: whole beats at multiples of the beat.
    done : Out(1)
        The last byte of a command was accepted by its scratchpad in the cycle before.
    records : Out(stream of RECORD_LAYOUT)
        One for each command.
    cycle : In(32)
        Cycle of the job.
    halt : In(1)
        No new burst; beats that still come are dropped. Stays up until reset.
    outstanding : Out(range(outstanding + 1))
        Bursts whose address is offered or accepted, and whose last beat has not come.
    progress : Out(1)
        Something moved in this cycle.
    error : Out(ERROR_LAYOUT)
        BAD_FIELD, ADDRESS, AXI_READ.
    """

    def __init__(self, *, axi_bytes, address_bits, max_burst, outstanding, act_bytes, weight_bytes):
        if outstanding < 1:
            raise ValueError(f"LoadDma outstanding must be at least 1, not {outstanding}")
        self.axi_bytes, self.depth = axi_bytes, outstanding
        self._planner = {
            "axi_bytes": axi_bytes,
            "max_burst": max_burst,
            "address_bits": address_bits,
            "act_bytes": act_bytes,
            "weight_bytes": weight_bytes,
        }
        super().__init__({
            "commands": In(stream.Signature(QUEUED_TRANSFER)),
            "tokens": In(TOKENS),
            "model_base": In(address_bits),
            "arena_base": In(address_bits),
            "axi": Out(ReadChannels(address_bits=address_bits, data_bits=8 * axi_bytes)),
            "activations": Out(write_port(axi_bytes)),
            "weights": Out(write_port(axi_bytes)),
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
        m.submodules.planner = planner = TransferPlanner(opcode=Opcode.LOAD, **self._planner)
        m.submodules.in_flight = in_flight = StreamFifo(
            data.StructLayout({"run": run_layout(self.axi_bytes), "target": unsigned(1), "index": unsigned(INDEX_BITS)}), depth=self.depth
        )
        m.submodules.walker = walker = BeatWalker(axi_bytes=self.axi_bytes)
        m.submodules.records = records = TransferRecords(opcode=Opcode.LOAD, axi_bytes=self.axi_bytes, depth=account_depth(self.depth))
        connect_transfers(m, self, planner, records)
        ar, r = self.axi.ar, self.axi.r

        # A burst goes into the address register and, with what its beats need, into the list of those in flight.
        burst = planner.bursts.payload
        room = self.outstanding != self.depth  # runs leave the list before their beats come
        issue = planner.bursts.valid & planner.bursts.ready
        m.d.comb += [
            planner.bursts.ready.eq((~ar.valid | ar.ready) & room & ~self.halt),
            in_flight.i.valid.eq(issue),
            in_flight.i.payload.run.eq(burst.run),
            in_flight.i.payload.target.eq(burst.target),
            in_flight.i.payload.index.eq(burst.index),
        ]
        offer_burst(m, ar, issue, address=burst.address, beats_behind=burst.run.len, axi_bytes=self.axi_bytes)

        written = Signal()
        beats, loaded, index = self._place_beats(m, in_flight.o, walker, written)
        m.d.sync += self.outstanding.eq(self.outstanding + issue - (walker.beats.ready & walker.beats.payload.last))
        latch(m, self.error, planner.error.valid, planner.error.code, planner.error.index)
        latch(m, self.error, loaded & (r.payload.resp != RESP_OKAY), Error.AXI_READ, index)
        self._deliver(m, beats, written, records)
        promise_stream(m, self, ar, name="ar")
        promise_stream(m, self, self.activations, name="activations")
        promise_stream(m, self, self.weights, name="weights")
        promise(m, self, ~issue | in_flight.i.ready, "there is room for every burst that is issued")
        promise(m, self, ~r.valid | (self.outstanding != 0), "a beat answers a burst that is under way")
        m.d.comb += self.progress.eq(planner.taken | (ar.valid & ar.ready) | (r.valid & r.ready) | written)
        return m

    def _place_beats(self, m, in_flight, walker, written):
        """A beat of R meets its place, and stands with it in a register until it is written. Gives the beats in the register; that one
        enters it; the index of its command.
        """
        runs = registered(m, in_flight, name="run")
        r, flying, place = self.axi.r, runs.payload, walker.beats.payload
        loaded = Signal()
        m.submodules.beat = held = StreamRegister(self._beat_layout())
        moved = {
            "address": place.address,
            "data": r.payload.data >> (place.skip << 3),
            "mask": place.lanes >> place.skip,
            "target": flying.target,
            "last": place.last & flying.run.last,
        }
        m.d.comb += [
            *(held.i.payload[name].eq(value) for name, value in moved.items()),
            held.i.valid.eq(loaded),
            held.o.ready.eq(written),
            walker.runs.payload.eq(flying.run),
            walker.runs.valid.eq(runs.valid),
            runs.ready.eq(walker.runs.ready),
            r.ready.eq(walker.beats.valid & (held.i.ready | self.halt)),
            walker.beats.ready.eq(r.valid & r.ready),
            loaded.eq(r.valid & r.ready & ~self.halt),
        ]
        return held.o, loaded, flying.index

    def _beat_layout(self):
        """A beat on its way to its scratchpad; ``last`` of its command."""
        return data.StructLayout({
            "address": unsigned(ADDRESS_BITS),
            "data": unsigned(8 * self.axi_bytes),
            "mask": unsigned(self.axi_bytes),
            "target": unsigned(1),
            "last": unsigned(1),
        })

    def _deliver(self, m, beats, written, records):
        """A beat goes to its scratchpad; the last one completes the command."""
        beat, occupied = beats.payload, beats.valid
        for port, target in ((self.activations, Target.ACTIVATIONS), (self.weights, Target.WEIGHTS)):
            m.d.comb += [
                port.valid.eq(occupied & (beat.target == target)),
                port.payload.address.eq(beat.address),
                port.payload.data.eq(beat.data),
                port.payload.mask.eq(beat.mask),
            ]
        taken = Mux(beat.target == Target.WEIGHTS, self.weights.ready, self.activations.ready)
        m.d.comb += [
            written.eq(occupied & taken),
            records.refused.eq(occupied & ~taken),
            self.done.eq(delayed(m, written & beat.last, 1, name="written", reset_less=False)),
            records.complete.eq(self.done),
        ]
