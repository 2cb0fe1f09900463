"""What the load and the store DMA share: taking commands and planning their bursts, and the records of what was done."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.dma.bursts import LIMIT_BITS, BurstPlanner, run_layout
from hw.npu.interface.axi import lane_bits
from hw.npu.interface.isa import Error, Opcode, Region, Target
from hw.npu.interface.queued import INDEX_BITS, QUEUED_TRANSFER
from hw.npu.interface.records import RECORD_LAYOUT
from hw.npu.interface.status import ERROR_LAYOUT, latch
from hw.npu.interface.tokens import TOKENS, reached
from hw.npu.parts.delay import delayed
from hw.npu.parts.fifo import StreamFifo
from hw.npu.parts.promise import promise
from hw.npu.parts.stream_register import steady

COUNT_BITS = 32
"""Width of the counters of a record."""

WAITS = {"stall_activations": ("wait_exec", "exec"), "stall_ddr_read": ("wait_load", "load"), "stall_ddr_write": ("wait_store", "store")}
"""Stall of a transfer that waits for tokens: field of the command's header, queue. The first that holds is counted."""

ACCOUNT_LAYOUT = data.StructLayout({
    "index": unsigned(INDEX_BITS),
    "start": unsigned(COUNT_BITS),
    **{stall: unsigned(COUNT_BITS) for stall in WAITS},
    "beats": unsigned(COUNT_BITS),
    "bytes": unsigned(COUNT_BITS),
})
"""What is known of a transfer when its last burst is planned."""
END_LAYOUT = data.StructLayout({"end": unsigned(COUNT_BITS), "stall_bank": unsigned(COUNT_BITS)})
"""What is known when it is complete."""


def planned_layout(address_bits, axi_bytes) -> data.StructLayout:
    """A burst to issue: aligned address, run, scratchpad (`Target`), index of the command."""
    return data.StructLayout({
        "address": unsigned(address_bits),
        "run": run_layout(axi_bytes),
        "target": unsigned(1),
        "index": unsigned(INDEX_BITS),
    })


class TransferPlanner(wiring.Component):
    """Takes the commands of one queue in order, waits for their tokens, checks them and plans their bursts.

    A command is offered for two cycles at least, while it is checked. It is taken when its tokens are there and the bursts of
    the one before are all planned; its first burst is offered three cycles later, then one a cycle. It does not wait for the transfer.

    Parameters
    ----------
    opcode : Opcode
        LOAD or STORE; only a LOAD may name the weight scratchpad.
    axi_bytes, max_burst, address_bits : int
        As in `BurstPlanner`.
    act_bytes, weight_bytes : int
        Sizes of the scratchpads.

    Members
    -------
    commands : In(stream of QUEUED_TRANSFER)
        The queue.
    tokens : In(TOKENS)
        Commands completed.
    model_base, arena_base : In(address_bits)
        Base of each DDR region, a multiple of the beat.
    cycle : In(32)
        Cycle of the job.
    halt : In(1)
        Takes no further command.
    bursts : Out(stream of planned_layout)
        Bursts to issue.
    account : Out(stream of ACCOUNT_LAYOUT)
        Leaves with the last burst of a command, and only when it is ready is that burst offered.
    error : Out(ERROR_LAYOUT)
        BAD_FIELD or ADDRESS; nothing is planned after it.
    taken : Out(1)
        A command was taken in this cycle.
    """

    CHECKED = 1
    """Cycles from a command to what its checks say."""
    OFFERED = 2
    """Cycles for which it is offered before it is taken."""

    def __init__(self, *, opcode, axi_bytes, max_burst, address_bits, act_bytes, weight_bytes=0):
        self.opcode, self.axi_bytes, self.max_burst, self.address_bits = opcode, axi_bytes, max_burst, address_bits
        self.sizes = {Target.ACTIVATIONS: act_bytes, Target.WEIGHTS: weight_bytes}
        for name, size in (("act_bytes", act_bytes), ("weight_bytes", weight_bytes)):
            if not 0 <= size < 1 << LIMIT_BITS:
                raise ValueError(f"TransferPlanner {name} must be from 0 to {(1 << LIMIT_BITS) - 1}, not {size}")
        super().__init__({
            "commands": In(stream.Signature(QUEUED_TRANSFER)),
            "tokens": In(TOKENS),
            "model_base": In(address_bits),
            "arena_base": In(address_bits),
            "cycle": In(COUNT_BITS),
            "halt": In(1),
            "bursts": Out(stream.Signature(planned_layout(address_bits, axi_bytes))),
            "account": Out(stream.Signature(ACCOUNT_LAYOUT)),
            "error": Out(ERROR_LAYOUT),
            "taken": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        sizes = {"axi_bytes": self.axi_bytes, "max_burst": self.max_burst, "address_bits": self.address_bits}
        m.submodules.planner = planner = BurstPlanner(**sizes)
        commands, head = self.commands, self.commands.payload
        dma = head.command.dma
        index = Signal(INDEX_BITS, reset_less=True)
        target = Signal(1, reset_less=True)

        # The head of the queue waits for its tokens, and is taken.
        arrived = {stall: reached(self.tokens[queue], head.command.header[wait]) for stall, (wait, queue) in WAITS.items()}
        counts, earlier = {}, 0  # a cycle is counted for the first cause that is not over
        for stall, there in arrived.items():
            counts[stall] = delayed(m, ~there & ~earlier & 1, self.CHECKED, name=f"{stall}_counts")
            earlier = earlier | ~there
        arrived = {stall: delayed(m, there, self.CHECKED, name=f"{stall}_over") for stall, there in arrived.items()}
        present = steady(m, commands.valid, self.taken, self.OFFERED, name="checked")
        sound = Signal()
        transfer = planner.transfers.payload
        ready = Cat(arrived.values()).all() & planner.transfers.ready & ~self.halt & ~self.error.valid
        m.d.comb += [
            sound.eq(~delayed(m, self._bad_field(dma), self.CHECKED, name="bad_field")),
            commands.ready.eq(ready & present),
            self.taken.eq(present & commands.ready),
            planner.transfers.valid.eq(self.taken & sound),
            transfer.address.eq(Mux(dma.region == Region.ARENA, self.arena_base, self.model_base) + dma.ddr_offset),
            transfer.stride.eq(dma.ddr_stride),
            transfer.local.eq(dma.sram_address),
            transfer.local_stride.eq(dma.sram_stride),
            transfer.row_bytes.eq(dma.row_bytes),
            transfer.rows.eq(dma.rows),
        ]
        with m.If(self.taken):
            m.d.sync += [index.eq(head.index), target.eq(dma.target)]

        # Its bursts leave; the last one together with the account.
        burst, out = planner.bursts.payload, self.bursts.payload
        free = ~burst.run.last | self.account.ready
        m.d.comb += [
            planner.limit.eq(Mux(target == Target.WEIGHTS, self.sizes[Target.WEIGHTS], self.sizes[Target.ACTIVATIONS])),
            out.address.eq(burst.address),
            out.run.eq(burst.run),
            out.target.eq(target),
            out.index.eq(index),
            self.bursts.valid.eq(planner.bursts.valid & free),
            planner.bursts.ready.eq(self.bursts.ready & free),
            self.account.valid.eq(planner.bursts.valid & self.bursts.ready & burst.run.last),
        ]
        self._keep_account(m, planner, counts, present, index)
        latch(m, self.error, self.taken & ~sound, Error.BAD_FIELD, head.index)
        latch(m, self.error, planner.outside, Error.ADDRESS, index)
        return m

    def _bad_field(self, dma):
        """Expression: a field is outside its limits."""
        bad = (dma.region > max(Region)) | (dma.row_bytes == 0) | (dma.rows == 0)
        if self.opcode != Opcode.LOAD:
            return bad | (dma.target != Target.ACTIVATIONS)
        parts = [
            dma[name][: lane_bits(self.axi_bytes)] for name in ("ddr_offset", "ddr_stride", "sram_address", "sram_stride", "row_bytes")
        ]
        return bad | ((dma.target == Target.WEIGHTS) & Cat(parts).any())

    def _keep_account(self, m, planner, counts, present, index):
        """Times and stalls of the head while it waits, beats and bytes while its bursts leave."""
        waiting = present & planner.transfers.ready
        seen = Signal()
        account = Signal(ACCOUNT_LAYOUT, reset_less=True)
        m.d.sync += seen.eq(waiting & ~self.taken)
        with m.If(waiting):
            m.d.sync += [account.beats.eq(0), account.bytes.eq(0)]
            with m.If(seen):
                m.d.sync += [account[stall].eq(account[stall] + counted) for stall, counted in counts.items()]
            with m.Else():  # a choice behind the sums: in front of them it would be in their way
                m.d.sync += [account[stall].eq(counted) for stall, counted in counts.items()]
                m.d.sync += account.start.eq(self.cycle)
        run, total = planner.bursts.payload.run, self.account.payload
        beats = account.beats + run.len + 1
        nbytes = account.bytes + (((run.len << lane_bits(self.axi_bytes)) | run.last_lane) + 1 - run.skip)
        m.d.comb += [total.eq(account), total.index.eq(index), total.beats.eq(beats), total.bytes.eq(nbytes)]
        with m.If(planner.bursts.valid & planner.bursts.ready):
            m.d.sync += [account.beats.eq(beats), account.bytes.eq(nbytes)]


def account_depth(outstanding) -> int:
    """Transfers whose bursts are all planned and whose record is not taken, at most: few keep as many bursts on their way."""
    return min(outstanding, 4) + 2


class TransferRecords(wiring.Component):
    """Makes the record of each transfer when it is complete.

    A transfer has room for its record before its last burst goes out, so completion never waits for the record writer. It must not:
    the writer needs AW and W, and a memory may hold those up until its responses on B are taken.

    Parameters
    ----------
    opcode : Opcode
        LOAD or STORE.
    axi_bytes : int
        Bytes of a beat.
    depth : int
        Transfers whose bursts are planned and whose record is not taken, at least 1.

    Members
    -------
    account : In(stream of ACCOUNT_LAYOUT)
        From the planner, in order.
    complete : In(1)
        The oldest transfer that is not complete is so now; its account has been given.
    refused : In(1)
        The scratchpad refused an access of the oldest transfer in this cycle.
    cycle : In(32)
        Cycle of the job.
    records : Out(stream of RECORD_LAYOUT)
        In the order of the commands.
    """

    def __init__(self, *, opcode, axi_bytes, depth):
        self.opcode, self.axi_bytes, self.depth = opcode, axi_bytes, depth
        super().__init__({
            "account": In(stream.Signature(ACCOUNT_LAYOUT)),
            "complete": In(1),
            "refused": In(1),
            "cycle": In(COUNT_BITS),
            "records": Out(stream.Signature(RECORD_LAYOUT)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.accounts = accounts = StreamFifo(ACCOUNT_LAYOUT, depth=self.depth)
        m.submodules.ends = ends = StreamFifo(END_LAYOUT, depth=self.depth)  # never more than accounts
        wiring.connect(m, wiring.flipped(self.account), accounts.i)
        stall_bank = Signal(COUNT_BITS)
        m.d.sync += stall_bank.eq(Mux(self.complete, 0, stall_bank + self.refused))
        m.d.comb += [
            ends.i.payload.end.eq(self.cycle + 1),
            ends.i.payload.stall_bank.eq(stall_bank),
            ends.i.valid.eq(self.complete),
            accounts.o.ready.eq(ends.o.valid & self.records.ready),
            ends.o.ready.eq(self.records.ready),
        ]
        promise(m, self, ~self.complete | ends.i.ready, "there is room for the end of every transfer")
        promise(m, self, ~ends.o.valid | accounts.o.valid, "a transfer that is complete has given its account")
        record, account, end = self.records.payload, accounts.o.payload, ends.o.payload
        side = "ddr_read_bytes", "sram_write_bytes"
        if self.opcode != Opcode.LOAD:
            side = "ddr_write_bytes", "sram_read_bytes"
        m.d.comb += [
            self.records.valid.eq(ends.o.valid),
            record.index.eq(account.index),
            record.opcode.eq(self.opcode),
            record.start.eq(account.start),
            record.end.eq(end.end),
            record.active.eq(account.beats),
            *(record[stall].eq(account[stall]) for stall in WAITS),
            record.stall_bank.eq(end.stall_bank),
            record[side[0]].eq(account.beats << lane_bits(self.axi_bytes)),
            record[side[1]].eq(account.bytes),
        ]
        return m


def connect_transfers(m, dma, planner, records):
    """Adds to ``m``: the planner and the records of a DMA are joined to each other, and to the members that both DMAs have."""
    wiring.connect(m, wiring.flipped(dma.commands), planner.commands)
    wiring.connect(m, planner.account, records.account)
    wiring.connect(m, records.records, wiring.flipped(dma.records))
    m.d.comb += [
        planner.tokens.eq(dma.tokens),
        planner.model_base.eq(dma.model_base),
        planner.arena_base.eq(dma.arena_base),
        planner.cycle.eq(dma.cycle),
        planner.halt.eq(dma.halt),
        records.cycle.eq(dma.cycle),
    ]
