"""From a two-dimensional transfer to AXI bursts, and from a burst to its beats.

DDR bytes are numbered by address, a *lane* is a byte's place in its beat. Beat k of a burst covers one aligned word of DDR; ``skip``
and ``last_lane`` say which of its lanes belong to the row. Each row starts its own bursts: a transfer that is contiguous on both sides
should be one long row.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi import BOUNDARY, lane_bits
from hw.npu.interface.command_fields import DMA
from hw.npu.interface.ports import ADDRESS_BITS
from hw.npu.parts.stream_register import StreamRegister

_WIDTH = {field.name: field.bits for field in DMA}
LIMIT_BITS = ADDRESS_BITS + 1
"""Width of a scratchpad's size, and of the end of a row that may lie outside."""


def transfer_layout(address_bits) -> data.StructLayout:
    """A two-dimensional transfer: byte addresses, bytes and rows (at least 1 each), strides; ``local`` is the scratchpad's side."""
    return data.StructLayout({
        "address": unsigned(address_bits),
        "stride": unsigned(_WIDTH["ddr_stride"]),
        "local": unsigned(ADDRESS_BITS),
        "local_stride": unsigned(_WIDTH["sram_stride"]),
        "row_bytes": unsigned(_WIDTH["row_bytes"]),
        "rows": unsigned(_WIDTH["rows"]),
    })


def run_layout(axi_bytes) -> data.StructLayout:
    """The scratchpad's side of a burst: where its first byte goes, ``len + 1`` beats, the lanes of the first and of the last."""
    return data.StructLayout({
        "local": unsigned(ADDRESS_BITS),
        "len": unsigned(8),
        "skip": unsigned(lane_bits(axi_bytes)),
        "last_lane": unsigned(lane_bits(axi_bytes)),
        "last": unsigned(1),
    })


def burst_layout(address_bits, axi_bytes) -> data.StructLayout:
    """A burst: the aligned address of its first beat, and its `run_layout`; ``run.last`` marks the last burst of the transfer."""
    return data.StructLayout({"address": unsigned(address_bits), "run": run_layout(axi_bytes)})


def beat_layout(axi_bytes) -> data.StructLayout:
    """A beat: lanes that count, lanes to skip, the scratchpad address of the first that counts; ``last`` of its burst."""
    return data.StructLayout({
        "address": unsigned(ADDRESS_BITS),
        "skip": unsigned(lane_bits(axi_bytes)),
        "lanes": unsigned(axi_bytes),
        "last": unsigned(1),
    })


class BurstPlanner(wiring.Component):
    """Cuts each row of a transfer at the multiples of ``min(4096, max_burst * axi_bytes)`` bytes.

    So a burst neither crosses 4 KiB nor is longer than ``max_burst`` beats, and after a row's first every burst is aligned. One burst
    a cycle, the first three cycles after the transfer is taken: positions are found a burst ahead of what is offered, with one addition
    between registers. A transfer is taken while none is planned.

    Parameters
    ----------
    axi_bytes, max_burst, address_bits : int
        Bytes of a beat and beats of the longest burst, powers of two; width of an address.

    Members
    -------
    transfers : In(stream of transfer_layout)
        What to plan.
    bursts : Out(stream of burst_layout)
        In the order of the bytes. A row that ends beyond ``limit`` is not offered.
    limit : In(25)
        Bytes of the scratchpad; steady during a transfer.
    outside : Out(1)
        The row that is next ends beyond ``limit``; the planner stays there until it is reset.
    """

    def __init__(self, *, axi_bytes, max_burst, address_bits):
        for name, value in (("axi_bytes", axi_bytes), ("max_burst", max_burst)):
            if value < 1 or value & value - 1:
                raise ValueError(f"BurstPlanner {name} must be a power of two, not {value}")
        self.axi_bytes, self.block, self.address_bits = axi_bytes, min(BOUNDARY, max_burst * axi_bytes), address_bits
        super().__init__({
            "transfers": In(stream.Signature(transfer_layout(address_bits))),
            "bursts": Out(stream.Signature(burst_layout(address_bits, axi_bytes))),
            "limit": In(LIMIT_BITS),
            "outside": Out(1),
        })
        self.active = Signal()
        self.shape = Signal(transfer_layout(address_bits), reset_less=True)
        """A transfer is planned; what is left of it, with ``address`` and ``local`` of the present row's start."""
        self.row_end = Signal(LIMIT_BITS + 1, reset_less=True)
        """Where the present row ends in the scratchpad: behind its last byte."""
        self.address = Signal(address_bits, reset_less=True)
        self.local = Signal(ADDRESS_BITS, reset_less=True)
        """Where the next burst begins, in DDR and in the scratchpad."""
        self.behind = Signal(_WIDTH["row_bytes"], reset_less=True)
        self.row_behind = Signal.like(self.behind)
        """Bytes of the row behind the one with which the next burst begins, and behind the row's first."""

    def elaborate(self, platform):
        m = Module()
        block_bits, beat_bits = (self.block - 1).bit_length(), lane_bits(self.axi_bytes)
        active, shape = self.active, self.shape
        address, local, behind = self.address, self.local, self.behind
        m.submodules.offered = offered = StreamRegister(self.bursts.payload.shape())

        # First stage: whether the row ends in the present block, and where the next burst begins.
        moves, row_done = (Signal(name=name) for name in ("moves", "row_done"))
        place = address[:block_bits]
        in_block = place + behind[:block_bits]  # place of the row's last byte, where it lies in the block
        back = Cat(place, Const(1, 1)).as_signed()  # from the block's end
        m.d.comb += [row_done.eq(~behind[block_bits:].any() & ~in_block[block_bits])]
        placed = Signal()
        outside, last = (Signal(name=name, reset_less=True) for name in ("outside", "last"))
        at = Signal.like(address, name="at")
        end = Signal(block_bits, reset_less=True)
        to = Signal.like(local, name="to")
        with m.If(moves):
            m.d.sync += [
                placed.eq(active),
                at.eq(address),
                to.eq(local),
                end.eq(in_block[:block_bits] | (~row_done).replicate(block_bits)),
                last.eq(row_done & (shape.rows == 1)),
                outside.eq(self.row_end > self.limit),
            ]
        with m.If(moves & active):
            with m.If(row_done):
                m.d.sync += self._next_row()
            with m.Else():
                m.d.sync += [
                    address.eq((address[block_bits:] + 1) << block_bits),
                    local.eq(local - back),
                    behind.eq(behind + back),
                ]

        # Second stage: the burst. One outside stays there, and shows when those before it are gone.
        burst = offered.i.payload
        m.d.comb += [
            moves.eq(~placed | (offered.i.ready & ~outside)),
            offered.i.valid.eq(placed & ~outside),
            burst.address.eq(at[beat_bits:] << beat_bits),
            burst.run.local.eq(to),
            burst.run.len.eq(end[beat_bits:] - at[beat_bits:block_bits]),
            burst.run.skip.eq(at[:beat_bits]),
            burst.run.last_lane.eq(end[:beat_bits]),
            burst.run.last.eq(last),
            self.outside.eq(placed & outside & ~offered.o.valid),
            self.transfers.ready.eq(~active & ~placed & ~offered.o.valid),
        ]
        wiring.connect(m, offered.o, wiring.flipped(self.bursts))
        with m.If(self.transfers.valid & self.transfers.ready):
            m.d.sync += self._begin(self.transfers.payload)
        return m

    def _begin(self, transfer):
        """Statements: the transfer is planned from its first row on."""
        return [
            self.active.eq(1),
            self.shape.eq(transfer),
            self.row_end.eq(transfer.local + transfer.row_bytes),
            self.address.eq(transfer.address),
            self.local.eq(transfer.local),
            self.behind.eq(transfer.row_bytes - 1),
            self.row_behind.eq(transfer.row_bytes - 1),
        ]

    def _next_row(self):
        """Statements: the next burst begins with the next row, if there is one."""
        shape = self.shape
        next_address, next_local = shape.address + shape.stride, shape.local + shape.local_stride
        return [
            shape.address.eq(next_address),
            shape.local.eq(next_local),
            shape.rows.eq(shape.rows - 1),
            self.row_end.eq(self.row_end + shape.local_stride),
            self.address.eq(next_address),
            self.local.eq(next_local),
            self.behind.eq(self.row_behind),
            self.active.eq(shape.rows != 1),
        ]


class BeatWalker(wiring.Component):
    """Walks the beats of each burst. One beat a cycle, without a gap between bursts; the run leaves with its last beat.

    A beat's address is that of its first lane that counts, so it never lies below the scratchpad: data is shifted by ``skip`` lanes.

    Parameters
    ----------
    axi_bytes : int
        Bytes of a beat, a power of two.

    Members
    -------
    runs : In(stream of run_layout)
        Bursts; its payload belongs to the beat that is offered.
    beats : Out(stream of beat_layout)
        Their beats.
    """

    def __init__(self, *, axi_bytes):
        self.axi_bytes = axi_bytes
        super().__init__({"runs": In(stream.Signature(run_layout(axi_bytes))), "beats": Out(stream.Signature(beat_layout(axi_bytes)))})

    def elaborate(self, platform):
        m = Module()
        run, beat = self.runs.payload, self.beats.payload
        number = Signal(8)
        first = number == 0
        every = (1 << self.axi_bytes) - 1
        after = Signal(ADDRESS_BITS)  # address of lane 0, for the beats behind the first
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += after.eq(beat.address + Mux(first, self.axi_bytes - run.skip, self.axi_bytes))
        m.d.comb += [
            beat.address.eq(Mux(first, run.local, after)),
            beat.skip.eq(Mux(first, run.skip, 0)),
            beat.last.eq(number == run.len),
            beat.lanes.eq(
                (every << beat.skip) & Mux(beat.last, every >> ~run.last_lane, every)  # ~lane: lanes above it
            ),
            self.beats.valid.eq(self.runs.valid),
            self.runs.ready.eq(self.beats.ready & beat.last),
        ]
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += number.eq(Mux(beat.last, 0, number + 1))
        return m
