"""SOFTMAX of int8 rows, bit for bit as TFLite's reference kernel with gemmlowp's fixed point."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import EXPONENTIAL_BYTES, EXPONENTIALS, group_layout
from hw.npu.interface.ports import ADDRESS_BITS, ReadPort, slot_layout
from hw.npu.parts.delay import delayed
from hw.npu.softmax.softmax_product import SoftmaxProduct
from hw.npu.softmax.softmax_reader import SoftmaxReader
from hw.npu.softmax.softmax_reciprocal import SUM_BITS, SoftmaxReciprocal
from hw.npu.softmax.softmax_table import SoftmaxTable
from hw.npu.walks.pixel_walk import WALK, WALK_BITS, PixelWalk

SUM_SHIFT = 12
"""Rounding right shift of an exponential before it is added: Q0.31 to Q12.19."""
LENGTH_BITS = group_layout("loops")["lanes"].shape.width
LOWEST, HIGHEST = -128, 127


def filled_slot_layout(lanes) -> data.StructLayout:
    """A write with its data."""
    return data.StructLayout({"slot": slot_layout(lanes), "vector": data.ArrayLayout(signed(8), lanes)})


class SoftmaxUnit(wiring.Component):
    r"""One lane, three passes over each row: its maximum, the sum of its exponentials, the products with the sum's reciprocal.

    ::

        read --> SoftmaxReader --> maximum - x --> SoftmaxTable --+--> sum --> SoftmaxReciprocal
                              \-> maximum                         |               |  ^
                                                                  +--> SoftmaxProduct +
                                                                             |
                                          write <-- lanes bytes <-- round, shift, - 128

    An element a cycle in each pass; a row of n elements whose sum of exponentials has h leading zeros among 32 bits takes
    ``3 * n + h + row_cycles`` cycles where nothing is refused. A result may take its row's own place. Not made here: the table's rows and
    what is read must be there, and nobody else may read or write meanwhile.

    Parameters
    ----------
    cols, lanes : int
        Bytes of a row of the table, C; bytes of an answer and of a write.
    size : int
        Bytes of the activation scratchpad.
    read_latency : int
        Cycles from an accepted request of ``read`` to its answer.

    Members
    -------
    table_write, table_row, table_entries : In(1), In(range(1024 / C)), In(array of C bytes)
        Writes the table of exponentials.
    start, source, length : In(1), In(WALK), In(16)
        Begins a command: its rows, with the addresses from which they are read, and their length of 1 to 4095 bytes, steady until its end.
    target, target_end, target_step : In(unsigned(26)), In(1), Out(1)
        Address to which the present row is written; it is the last row. ``target_step`` takes the row to come, and the other two follow in
        the next cycle.
    target_valid : In(1)
        There is a row to come.
    read : Out(ReadPort(lanes))
        Of the scratchpad.
    write : Out(stream of filled_slot_layout(lanes))
        Results in their order.
    done : Out(1)
        A pulse: the last write of the command is accepted in this cycle.
    outside : Out(1)
        A byte of the present row lies outside the scratchpad, where it is read or written. The unit stands still.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    PASSES = 3
    """How often each byte is read."""
    TAIL = 1 + SoftmaxTable.LATENCY + 1 + SoftmaxProduct.LATENCY + 3
    """Cycles behind the last element of a row: element, exponential, held, product, shifted in two steps, written."""
    NEXT = 2
    """Cycles from one row to the next: take it, see whether it lies inside."""

    def __init__(self, *, cols, lanes, size, read_latency):
        self.cols, self.lanes, self.size, self.read_latency = cols, lanes, size, read_latency
        # up to the first element of passes 1 and 2, which begins with the last of pass 1; those of pass 3 are there in time
        waiting = (SoftmaxReader.FIRST + read_latency) + (SoftmaxReader.FIRST + read_latency - 1)
        # element and exponential of the last one, held, its sum; start, normalized, products
        inverting = (1 + SoftmaxTable.LATENCY + 1) + 1 + (1 + SoftmaxReciprocal.NEWTON)
        self.row_cycles = self.NEXT + waiting + inverting + self.TAIL
        super().__init__({
            "table_write": In(1),
            "table_row": In(range(EXPONENTIALS * EXPONENTIAL_BYTES // cols)),
            "table_entries": In(data.ArrayLayout(unsigned(8), cols)),
            "start": In(1),
            "source": In(WALK),
            "length": In(LENGTH_BITS),
            "target": In(WALK_BITS),
            "target_end": In(1),
            "target_step": Out(1),
            "target_valid": In(1),
            "read": Out(ReadPort(lanes)),
            "write": Out(stream.Signature(filled_slot_layout(lanes))),
            "done": Out(1),
            "outside": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.rows = rows = PixelWalk(cols=self.cols, lanes=self.lanes, size=self.size)
        m.submodules.reader = reader = SoftmaxReader(lanes=self.lanes, length_bits=LENGTH_BITS, read_latency=self.read_latency)
        m.submodules.table = table = SoftmaxTable(self.cols)
        m.submodules.product = product = SoftmaxProduct()
        m.submodules.reciprocal = reciprocal = SoftmaxReciprocal()
        wiring.connect(m, wiring.flipped(self.read), reader.read)
        m.d.comb += [
            table.write.eq(self.table_write),
            table.row.eq(self.table_row),
            table.entries.eq(self.table_entries),
            rows.start.eq(self.start),
            rows.walk.eq(self.source),
            rows.step.eq(self.target_step),
            reader.length.eq(self.length),
            reciprocal.answered.eq(product.result_valid),
            reciprocal.product.eq(product.result),
        ]
        row_start, scale, row_written, advance = Signal(), Signal(), Signal(), Signal()
        exponential_valid, last_exponential = Signal(), Signal(reset_less=True)
        maximum, total = Signal(signed(8), reset_less=True), Signal(SUM_BITS, reset_less=True)
        last_row = Signal(name="last_row", reset_less=True)
        maps, exponential = self._elements(m, reader, table, maximum, total, row_start, advance, exponential_valid, last_exponential)
        # a product: the reciprocal's own, or a result
        with m.If(scale):
            m.d.comb += [product.valid.eq(exponential_valid), product.first.eq(reciprocal.reciprocal), product.second.eq(exponential)]
        with m.Else():
            m.d.comb += [product.valid.eq(reciprocal.ask), product.first.eq(reciprocal.first), product.second.eq(reciprocal.second)]
        m.d.comb += product.advance.eq(advance)
        self._finish(m, product, reciprocal.amount, scale, row_start, row_written, advance, last_row)

        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.next = "NEXT"
            self._row(m, rows, reader, row_start, last_row)
            with m.State("MAXIMUM"):  # until the last element is compared
                m.d.comb += [reader.take.eq(reader.valid), reader.start.eq(reader.take & reader.last)]
                with m.If(reader.start):
                    m.next = "SUM"
            with m.State("SUM"):  # until the last exponential is added
                m.d.comb += [reader.take.eq(reader.valid), maps.eq(reader.take), reader.start.eq(reader.take & reader.last)]
                with m.If(exponential_valid):
                    m.d.sync += total.eq(total + exponential[SUM_SHIFT:] + exponential[SUM_SHIFT - 1])
                    with m.If(last_exponential):
                        m.next = "INVERT"
            with m.State("INVERT"):  # one cycle: the sum stands
                m.d.comb += [reciprocal.start.eq(1), reciprocal.total.eq(total)]
                m.next = "RECIPROCAL"
            with m.State("RECIPROCAL"), m.If(reciprocal.done):
                m.next = "SCALE"
            with m.State("SCALE"):  # until the last write of the row is accepted
                m.d.comb += [scale.eq(1), reader.take.eq(reader.valid & advance), maps.eq(reader.take)]
                with m.If(row_written):
                    m.d.comb += self.done.eq(last_row)
                    m.next = "NEXT"
                    with m.If(last_row):
                        m.next = "IDLE"
            with m.State("OUTSIDE"):  # until reset
                m.d.comb += self.outside.eq(1)
        return m

    def _elements(self, m, reader, table, maximum, total, row_start, advance, exponential_valid, last_exponential):
        """The element, the difference's exponential as it is read, and held, a cycle each.

        Gives whether the element that is taken is mapped, and the exponential.
        """
        maps, was_read, last_read = Signal(name="maps"), Signal(), Signal(reset_less=True)
        element, compared, mapped, last = Signal(signed(8)), Signal(), Signal(), Signal(reset_less=True)
        exponential = Signal.like(table.exponential, name="exponential", reset_less=True)
        with m.If(row_start):
            m.d.sync += [maximum.eq(LOWEST), total.eq(0)]
        with m.Elif(compared & (element > maximum)):
            m.d.sync += maximum.eq(element)
        m.d.comb += [table.index.eq((maximum - element)[:8]), table.read.eq(mapped & advance)]
        with m.If(advance):
            m.d.sync += [
                element.eq(reader.value),
                compared.eq(reader.take & ~maps),
                mapped.eq(maps),
                last.eq(reader.last),
                was_read.eq(mapped),
                last_read.eq(last),
                exponential_valid.eq(was_read),
                last_exponential.eq(last_read),
                exponential.eq(table.exponential),
            ]
        return maps, exponential

    def _row(self, m, rows, reader, row_start, last_row):
        """A row from where it is taken to where it is read."""
        address = Signal(ADDRESS_BITS, name="row_address", reset_less=True)
        ends = [Signal(WALK_BITS, name=f"{place}_end", reset_less=True) for place in ("row", "target")]
        m.d.comb += reader.address.eq(address)
        with m.State("NEXT"):  # until both walks have a row
            m.d.comb += self.target_step.eq(rows.valid & self.target_valid)
            with m.If(self.target_step):
                m.next = "ROW"
        with m.State("ROW"):  # one cycle
            m.d.comb += row_start.eq(1)
            m.d.sync += [
                address.eq(rows.vector.address),
                last_row.eq(self.target_end),
                *(end.eq(start + self.length) for end, start in zip(ends, (rows.vector.address, self.target), strict=True)),
            ]
            m.next = "CHECK"
        with m.State("CHECK"):  # one cycle: the row is inside
            with m.If((ends[0] > self.size) | (ends[1] > self.size)):
                m.next = "OUTSIDE"
            with m.Else():
                m.d.comb += reader.start.eq(1)
                m.next = "MAXIMUM"

    def _finish(self, m, product, amount, scale, row_start, row_written, advance, last_row):
        """From products to writes: ``min(round(product >> amount + 1) - 128, 127)``, and as many bytes together as fit one write."""
        # 1: shifted, but for the bit that rounds; 9 bits are enough to see that the result is above 127
        shifted, shifted_valid = Signal(9, reset_less=True), Signal()
        moved = Signal(32)
        # by a multiple of 4 first
        coarse = delayed(m, product.result.as_unsigned() >> Cat(Const(0, 2), amount[2:]), 1, name="coarse", enable=advance)
        there = delayed(m, product.result_valid & scale, 1, name="coarse_valid", reset_less=False, enable=advance)
        m.d.comb += moved.eq(coarse >> amount[:2])
        with m.If(advance):
            m.d.sync += shifted_valid.eq(there & there)
        with m.If(advance & there & there):
            m.d.sync += shifted.eq(Mux(moved[9:] != 0, 511, moved[:9]))
        # 2: rounded, saturated, and kept in its byte of the write
        rounded, value = Signal(9), Signal(signed(8))
        m.d.comb += [rounded.eq((shifted + 1) >> 1), value.eq(Mux(rounded[8], HIGHEST, rounded[:8] ^ 0x80))]
        lane, left = Signal(range(self.lanes), reset_less=True), Signal(LENGTH_BITS, reset_less=True)
        bytes_used, full = Signal(range(self.lanes + 1), reset_less=True), Signal()
        address, last = Signal(ADDRESS_BITS, reset_less=True), Signal(reset_less=True)
        accepted, kept = self.write.valid & self.write.ready, shifted_valid & advance
        ends = (lane == self.lanes - 1) | (left == 1)
        slot = self.write.payload.slot
        m.d.comb += [
            advance.eq(~full | self.write.ready),
            self.write.valid.eq(full),
            slot.address.eq(address),
            slot.bytes.eq(bytes_used),
            slot.last.eq(last & last_row),
            row_written.eq(accepted & last),
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
        with m.If(row_start):
            m.d.sync += [address.eq(self.target[:ADDRESS_BITS]), left.eq(self.length), lane.eq(0)]
