"""SOFTMAX of int8 rows, bit for bit as TFLite's reference kernel with gemmlowp's fixed point."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import EXPONENTIAL_BYTES, EXPONENTIALS
from hw.npu.interface.ports import ADDRESS_BITS, ReadPort
from hw.npu.softmax.softmax_exponentials import SoftmaxExponentials
from hw.npu.softmax.softmax_product import SoftmaxProduct
from hw.npu.softmax.softmax_reader import SoftmaxReader
from hw.npu.softmax.softmax_reciprocal import SUM_BITS, SoftmaxReciprocal
from hw.npu.softmax.softmax_writer import LENGTH_BITS, SoftmaxWriter, filled_slot_layout
from hw.npu.walks.pixel_walk import WALK, WALK_BITS, PixelWalk

SUM_SHIFT = 12
"""Rounding right shift of an exponential before it is added: Q0.31 to Q12.19."""


class SoftmaxUnit(wiring.Component):
    """One lane, three passes over each row: its maximum, the sum of its exponentials, the products with the sum's reciprocal.

    ::

        read --> SoftmaxReader --> SoftmaxExponentials --+--> sum --> SoftmaxReciprocal
                                                         |               |  ^
                                                         +--> SoftmaxProduct +
                                                                    |
                                                  write <-- SoftmaxWriter

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
    multiplier_registers : int
        0 or 1: registers more around the multipliers.

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
    NEXT = 2
    """Cycles from one row to the next: take it, see whether it lies inside."""

    def __init__(self, *, cols, lanes, size, read_latency, multiplier_registers=0):
        self.cols, self.lanes, self.size, self.read_latency = cols, lanes, size, read_latency
        self.product = SoftmaxProduct(multiplier_registers=multiplier_registers)
        self.reciprocal = SoftmaxReciprocal(product_latency=self.product.latency)
        # up to the first element of passes 1 and 2, which begins with the last of pass 1; those of pass 3 are there in time
        waiting = (SoftmaxReader.FIRST + read_latency) + (SoftmaxReader.FIRST + read_latency - 1)
        # the last exponential, its sum; start, normalized, products
        inverting = SoftmaxExponentials.LATENCY + 1 + (1 + self.reciprocal.newton_cycles)
        # behind the last element of a row: exponential, product, and the write that it fills
        tail = SoftmaxExponentials.LATENCY + self.product.latency + SoftmaxWriter.LATENCY
        self.row_cycles = self.NEXT + waiting + inverting + tail
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
        m.submodules.exponentials = exponentials = SoftmaxExponentials(self.cols)
        m.submodules.product = product = self.product
        m.submodules.reciprocal = reciprocal = self.reciprocal
        m.submodules.writer = writer = SoftmaxWriter(self.lanes)
        wiring.connect(m, wiring.flipped(self.read), reader.read)
        wiring.connect(m, writer.write, wiring.flipped(self.write))
        row_start = Signal()
        maps = Signal()
        scale = Signal()
        last_row = Signal(reset_less=True)
        m.d.comb += [
            rows.start.eq(self.start),
            rows.walk.eq(self.source),
            rows.step.eq(self.target_step),
            reader.length.eq(self.length),
            exponentials.table_write.eq(self.table_write),
            exponentials.table_row.eq(self.table_row),
            exponentials.table_entries.eq(self.table_entries),
            exponentials.start.eq(row_start),
            exponentials.advance.eq(writer.advance),
            exponentials.take.eq(reader.take),
            exponentials.maps.eq(maps),
            exponentials.value.eq(reader.value),
            exponentials.last.eq(reader.last),
            writer.start.eq(row_start),
            writer.address.eq(self.target[:ADDRESS_BITS]),
            writer.length.eq(self.length),
            writer.last_row.eq(last_row),
        ]
        self._multiply(m, scale, exponentials, product, reciprocal, writer)
        self._passes(m, rows, reader, exponentials, reciprocal, writer, row_start, maps, scale, last_row)
        return m

    @staticmethod
    def _multiply(m, scale, exponentials, product, reciprocal, writer):
        """A product: one of the reciprocal's own, or a result."""
        with m.If(scale):
            m.d.comb += [
                product.valid.eq(exponentials.valid),
                product.first.eq(reciprocal.reciprocal),
                product.second.eq(exponentials.exponential),
            ]
        with m.Else():
            m.d.comb += [product.valid.eq(reciprocal.ask), product.first.eq(reciprocal.first), product.second.eq(reciprocal.second)]
        m.d.comb += [
            product.advance.eq(writer.advance),
            reciprocal.answered.eq(product.result_valid),
            reciprocal.product.eq(product.result),
            writer.valid.eq(product.result_valid & scale),
            writer.product.eq(product.result),
            writer.amount.eq(reciprocal.amount),
        ]

    def _passes(self, m, rows, reader, exponentials, reciprocal, writer, row_start, maps, scale, last_row):
        """The three passes over each row."""
        total = Signal(SUM_BITS, reset_less=True)
        exponential = exponentials.exponential
        with m.If(row_start):
            m.d.sync += total.eq(0)
        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.next = "NEXT"
            self._row(m, rows, reader, row_start, last_row)
            with m.State("MAXIMUM"):  # until the last element is compared
                m.d.comb += [reader.take.eq(reader.valid), reader.start.eq(reader.take & reader.last)]
                with m.If(reader.start):
                    m.next = "SUM"
            with m.State("SUM"):  # until the last exponential is added
                m.d.comb += [reader.take.eq(reader.valid), maps.eq(1), reader.start.eq(reader.take & reader.last)]
                with m.If(exponentials.valid):
                    m.d.sync += total.eq(total + exponential[SUM_SHIFT:] + exponential[SUM_SHIFT - 1])
                    with m.If(exponentials.last_exponential):
                        m.next = "INVERT"
            with m.State("INVERT"):  # one cycle: the sum stands
                m.d.comb += [reciprocal.start.eq(1), reciprocal.total.eq(total)]
                m.next = "RECIPROCAL"
            with m.State("RECIPROCAL"), m.If(reciprocal.done):
                m.next = "SCALE"
            with m.State("SCALE"):  # until the last write of the row is accepted
                m.d.comb += [scale.eq(1), reader.take.eq(reader.valid & writer.advance), maps.eq(1)]
                with m.If(writer.row_written):
                    m.d.comb += self.done.eq(last_row)
                    m.next = "NEXT"
                    with m.If(last_row):
                        m.next = "IDLE"
            with m.State("OUTSIDE"):  # until reset
                m.d.comb += self.outside.eq(1)

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
