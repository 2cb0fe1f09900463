"""Reads a row of the scratchpad element by element."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.npu.interface.ports import ADDRESS_BITS, ReadPort


class SoftmaxReader(wiring.Component):
    """Asks for a row, ``lanes`` bytes at a time and ahead of their use, and gives its bytes one by one.

    One element a cycle. The first one is there `FIRST` cycles after the answer's latency; a request is made only when there is
    room for its answer. Which element is the last, and whether there are bytes to ask for, is known from registers.

    Parameters
    ----------
    lanes : int
        Bytes of an answer.
    length_bits : int
        Bits of a row's length.
    read_latency : int
        Cycles from an accepted request to its answer, at least 1.

    Members
    -------
    start, address, length : In(1), In(24), In(length_bits)
        Begins a row, at least one byte long; not before the last element of the row before is taken, but in that cycle already.
    read : Out(ReadPort(lanes))
        Of the scratchpad.
    valid, value, last : Out(1), Out(signed(8)), Out(1)
        The next element, and whether it is the row's last.
    take : In(1)
        Goes to the next element; only while ``valid``.

    Raises
    ------
    ValueError
        If a number is below 1.
    """

    FIRST = 2
    """Cycles from ``start`` to the first element, without the answer's latency: ask, and keep the answer."""

    def __init__(self, *, lanes, length_bits, read_latency):
        for name, value in (("lanes", lanes), ("length_bits", length_bits), ("read_latency", read_latency)):
            if value < 1:
                raise ValueError(f"SoftmaxReader {name} must be at least 1, not {value}")
        self.lanes, self.length_bits, self.read_latency = lanes, length_bits, read_latency
        # the word in use, and as many as are used while a request is on its way and its place becomes free; two refusals cost nothing
        self.depth = 1 + -(-(read_latency + 4) // lanes)
        super().__init__({
            "start": In(1),
            "address": In(ADDRESS_BITS),
            "length": In(length_bits),
            "read": Out(ReadPort(lanes)),
            "valid": Out(1),
            "value": Out(signed(8)),
            "last": Out(1),
            "take": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = Memory(shape=unsigned(8 * self.lanes), depth=self.depth, init=[])
        write = words.write_port()
        read = words.read_port(domain="comb")
        # words asked for and not used; bytes not asked for
        asked = Signal(range(self.depth + 1))
        unasked = Signal(self.length_bits)
        present = Signal(range(self.depth + 1))  # words that are here
        address = Signal(ADDRESS_BITS, reset_less=True)
        left = Signal(self.length_bits, reset_less=True)
        lane = Signal(range(self.lanes), reset_less=True)
        accepted = self.read.request.valid & self.read.request.ready
        used = self.take & (self.last | (lane == self.lanes - 1))  # the last element of a word
        asks = Signal(name="asks")
        last = Signal(name="is_last", reset_less=True)
        with m.If(self.start):
            m.d.sync += [asks.eq(1), last.eq(self.length == 1)]
        with m.Else():
            with m.If(accepted):
                m.d.sync += asks.eq(unasked > self.lanes)
            with m.If(self.take):
                m.d.sync += last.eq(left == 2)
        m.d.comb += [
            self.read.request.valid.eq(asks & (asked != self.depth)),
            self.read.request.payload.eq(address),
            write.en.eq(self.read.valid),
            write.data.eq(self.read.data),
            self.valid.eq(present != 0),
            self.value.eq(read.data.word_select(lane, 8)),
            self.last.eq(last),
        ]
        m.d.sync += [asked.eq(asked + accepted - used), present.eq(present + self.read.valid - used)]
        for port, moves in ((write, self.read.valid), (read, used)):
            place = Signal(range(self.depth), name="newest" if port is write else "oldest")
            m.d.comb += port.addr.eq(place)
            with m.If(moves):
                m.d.sync += place.eq(Mux(place == self.depth - 1, 0, place + 1))
        with m.If(self.start):
            m.d.sync += [address.eq(self.address), unasked.eq(self.length), left.eq(self.length), lane.eq(0)]
        with m.Else():
            with m.If(accepted):
                m.d.sync += [address.eq(address + self.lanes), unasked.eq(Mux(unasked > self.lanes, unasked - self.lanes, 0))]
            with m.If(self.take):
                m.d.sync += [left.eq(left - 1), lane.eq(Mux(used, 0, lane + 1))]
        return m
