"""The end of SOFTMAX: from products to bytes, and from bytes to writes."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import group_layout
from hw.npu.interface.ports import ADDRESS_BITS, slot_layout
from hw.npu.parts.delay import delayed

LENGTH_BITS = group_layout("loops")["lanes"].shape.width
HIGHEST = 127


def filled_slot_layout(lanes) -> data.StructLayout:
    """A write with its data."""
    return data.StructLayout({"slot": slot_layout(lanes), "vector": data.ArrayLayout(signed(8), lanes)})


class SoftmaxWriter(wiring.Component):
    """``min(round(product >> amount + 1) - 128, 127)``, and as many bytes together as fit one write.

    ::

        product --> by a multiple of 4 --> by the rest --> rounded, saturated: a byte of the write
        0           1                      2               3

    A product a cycle, where ``advance`` is high.

    Parameters
    ----------
    lanes : int
        Bytes of a write.

    Members
    -------
    start, address, length : In(1), In(24), In(16)
        Begins a row: where its first byte is written, and its length.
    last_row : In(1)
        It is the last of the command; steady until ``row_written``.
    valid, product, amount : In(1), In(signed(32)), In(6)
        A product, which is not negative, and its shift.
    advance : Out(1)
        Everything in front moves; low while a write is refused.
    write : Out(stream of filled_slot_layout(lanes))
        Results in their order.
    row_written : Out(1)
        The last write of the row is accepted in this cycle.
    """

    LATENCY = 3
    """Cycles from a product to the write that it fills."""

    def __init__(self, lanes):
        self.lanes = lanes
        super().__init__({
            "start": In(1),
            "address": In(ADDRESS_BITS),
            "length": In(LENGTH_BITS),
            "last_row": In(1),
            "valid": In(1),
            "product": In(signed(32)),
            "amount": In(6),
            "advance": Out(1),
            "write": Out(stream.Signature(filled_slot_layout(lanes))),
            "row_written": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        kept, value = self._bytes(m)
        lane = Signal(range(self.lanes), reset_less=True)
        left = Signal(LENGTH_BITS, reset_less=True)
        bytes_used = Signal(range(self.lanes + 1), reset_less=True)
        full = Signal()
        address = Signal(ADDRESS_BITS, reset_less=True)
        last = Signal(reset_less=True)
        accepted = self.write.valid & self.write.ready
        ends = (lane == self.lanes - 1) | (left == 1)
        slot = self.write.payload.slot
        m.d.comb += [
            self.advance.eq(~full | self.write.ready),
            self.write.valid.eq(full),
            slot.address.eq(address),
            slot.bytes.eq(bytes_used),
            slot.last.eq(last & self.last_row),
            self.row_written.eq(accepted & last),
        ]
        for i in range(self.lanes):
            byte = Signal(signed(8), name=f"byte_{i}", reset_less=True)
            with m.If(kept & (lane == i)):
                m.d.sync += byte.eq(value)
            m.d.comb += self.write.payload.vector[i].eq(byte)
        with m.If(kept):
            m.d.sync += [lane.eq(Mux(ends, 0, lane + 1)), left.eq(left - 1)]
        with m.If(kept & ends):
            m.d.sync += [full.eq(1), bytes_used.eq(lane + 1), last.eq(left == 1)]
        with m.Elif(accepted):
            m.d.sync += full.eq(0)
        with m.If(accepted):
            m.d.sync += address.eq(address + self.lanes)
        with m.If(self.start):
            m.d.sync += [address.eq(self.address), left.eq(self.length), lane.eq(0)]
        return m

    def _bytes(self, m):
        """The byte of a product, and whether it is kept in this cycle."""
        advance, amount = self.advance, self.amount
        # 1: by a multiple of 4
        coarse = delayed(m, self.product.as_unsigned() >> Cat(Const(0, 2), amount[2:]), 1, name="coarse", enable=advance)
        there = delayed(m, self.valid, 1, name="coarse_valid", reset_less=False, enable=advance)
        # 2: by the rest, but for the bit that rounds; 9 bits are enough to see that the result is above 127
        shifted = Signal(9, reset_less=True)
        shifted_valid = Signal()
        moved = Signal(32)
        m.d.comb += moved.eq(coarse >> amount[:2])
        with m.If(advance):
            m.d.sync += shifted_valid.eq(there)
        with m.If(advance & there):
            m.d.sync += shifted.eq(Mux(moved[9:] != 0, 511, moved[:9]))
        # 3: rounded, saturated
        rounded = Signal(9)
        value = Signal(signed(8))
        m.d.comb += [rounded.eq((shifted + 1) >> 1), value.eq(Mux(rounded[8], HIGHEST, rounded[:8] ^ 0x80))]
        return shifted_valid & advance, value
