"""The accumulators: C partial sums for each pixel of a block, in two halves."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.npu.interface.wave import WAVE_TAG
from hw.npu.parts.delay import delayed


class Accumulators(wiring.Component):
    """Adds waves into entries of C accumulators, and lets the output stage read what is final.

    One wave a cycle, never stalls. Two waves of the same entry must be at least `MIN_PERIOD` cycles apart: the feeder
    keeps that. An entry that is written in the cycle in which it is read goes to the adder past the memory. ::

        sums, tag --> address --> read --> entry --> add, compare, choose --> write entry
        cycle 0       1           2        3                                  4

    With ``memory_registers`` the entry has a register before it is known whether it is the one that counts, and the choice a cycle of its
    own, and what is written in the cycle behind the read goes past the memory, too.

    Each half has one read port and one write port: waves that add and the output stage use different halves, since an entry is shown as
    final only when the last wave of its job has been written; waves that overwrite leave the read port alone.

    Parameters
    ----------
    cols, depth : int
        Accumulators of an entry, and entries of a half (a power of two).
    sum_bits, accumulator_bits : int
        Width of what is added, and of an accumulator; sums wrap (the compiler bounds them).
    late : int
        Cycles by which ``sums`` come later than their wave, 0 to `MOST_LATE`.
    memory_registers : int
        0 or 1: registers more behind the memories.

    Members
    -------
    valid, tag, sums : In(1), In(WAVE_TAG), In(signed(sum_bits)).array(cols)
        The wave.
    entry_final : Out(1)
        A pulse for each final entry, in their order, at most one a cycle: after the last wave of a job, or after each wave where the
        job has one reduction tile and continues no partial sums.
    read_enable, read_half, read_entry : In(1), In(1), In(range(depth))
        The output stage reads an entry.
    read_data : Out(array of C signed)
        The entry, `read_latency` cycles later.
    """

    MIN_PERIOD = 3
    """Least distance of two waves of the same entry."""
    MOST_LATE = 3
    """Cycles from a wave to where its sums are first needed."""

    def __init__(self, *, cols, depth, sum_bits, accumulator_bits, late=0, memory_registers=0):
        if not 0 <= late <= self.MOST_LATE:
            raise ValueError(f"Accumulators late = {late} must be from 0 to {self.MOST_LATE}")
        self.late, self.more = late, memory_registers
        self.cols, self.depth, self.accumulator_bits = cols, depth, accumulator_bits
        super().__init__({
            "valid": In(1),
            "tag": In(WAVE_TAG),
            "sums": In(signed(sum_bits)).array(cols),
            "entry_final": Out(1),
            "read_enable": In(1),
            "read_half": In(1),
            "read_entry": In(range(depth)),
            "read_data": Out(data.ArrayLayout(signed(accumulator_bits), cols)),
        })

    @staticmethod
    def latency(memory_registers) -> int:
        """Cycles from a wave to the entry that can be read."""
        return 5 + memory_registers

    @staticmethod
    def read_latency(memory_registers) -> int:
        """Cycles from a read to its data: address, memory, and with ``memory_registers`` the entry."""
        return 2 + memory_registers

    def elaborate(self, platform):
        m, more = Module(), self.more
        # a wave ahead by so much is being written while its entry is read: the memory gives what was there before
        distances = range(self.MIN_PERIOD, 4 + more)
        written_at, stages = 4 + more, 2 + more + distances[-1]
        valid = [delayed(m, self.valid, stage, name=f"valid_{stage}", reset_less=False) for stage in range(stages)]
        tag = [delayed(m, self.tag, stage, name=f"tag_{stage}") for stage in range(stages)]
        read_half = delayed(m, self.read_half, self.read_latency(more), name="read_half")
        # 0: the entry that each half reads, and whether
        reads, entries = [], []
        for half in range(2):
            accumulates = valid[0] & (tag[0].half == half) & ~tag[0].overwrite
            reads.append(delayed(m, accumulates | (self.read_enable & (self.read_half == half)), 1, name=f"reads_{half}"))
            entries.append(delayed(m, Mux(accumulates, tag[0].entry, self.read_entry), 1, name=f"entry_{half}"))
        # whether there is one, known a cycle before the entry is
        ahead = [Signal(name=f"ahead_{distance}", reset_less=True) for distance in distances]
        for passes, distance in zip(ahead, distances, strict=True):
            mine, other = tag[1 + more], tag[1 + more + distance]
            m.d.sync += passes.eq(valid[1 + more + distance] & (other.half == mine.half) & (other.entry == mine.entry))
        keeps, compares = tag[3 + more].overwrite, tag[3 + more].maximum
        for col in range(self.cols):
            result = Signal(signed(self.accumulator_bits), name=f"result_{col}", reset_less=True)
            data = []
            for half in range(2):
                m.submodules[f"half_{half}_column_{col}"] = memory = Memory(shape=signed(self.accumulator_bits), depth=self.depth, init=[])
                read = memory.read_port()
                write = memory.write_port()
                m.d.comb += [
                    read.en.eq(reads[half]),
                    read.addr.eq(entries[half]),
                    write.en.eq(valid[written_at] & (tag[written_at].half == half)),
                    write.addr.eq(tag[written_at].entry),
                    write.data.eq(result),
                ]
                data.append(delayed(m, read.data, more, name=f"entry_{half}_{col}"))
            m.d.comb += self.read_data[col].eq(Mux(read_half, data[1], data[0]))
            # 3: the entry as it was, and the sum that goes in
            added = delayed(m, self.sums[col], 3 - self.late, name=f"added_{col}")
            old = Mux(tag[2 + more].half, data[1], data[0])
            for passes, distance in reversed(list(zip(ahead, distances, strict=True))):
                old = Mux(passes, delayed(m, result, distance - 2, name=f"written_{distance}_{col}"), old)
            old = delayed(m, old.as_signed(), 1 - more, name=f"old_{col}")
            # what is written
            total = Signal.like(result, name=f"sum_{col}")
            greater = Signal(name=f"is_greater_{col}")
            m.d.comb += [total.eq(old + added), greater.eq((old - added)[-1])]
            total, greater = delayed(m, total, more, name=f"total_{col}"), delayed(m, greater, more, name=f"greater_{col}")
            late_added, late_old = delayed(m, added, more, name=f"late_added_{col}"), delayed(m, old, more, name=f"late_old_{col}")
            with m.If(keeps | (compares & greater)):
                m.d.sync += result.eq(late_added)
            with m.Elif(compares):
                m.d.sync += result.eq(late_old)
            with m.Else():
                m.d.sync += result.eq(total)
        self._announce(m, valid[2 + more], tag[2 + more])
        return m

    def _announce(self, m, valid, tag):
        """Announces final entries: those of a job of several tiles together when its last wave is written, since until then its waves
        read the half; those of a job of one tile, which reads nothing, one by one. It begins two stages before the write: entries that
        become final, their count, the pulse are a cycle each.
        """
        gathered = Signal(range(self.depth + 1))
        more = Signal(range(self.depth + 1))
        pending = Signal(range(2 * self.depth + 1))
        total, announced = gathered + 1, pending != 0
        m.d.sync += [more.eq(0), pending.eq(pending + more - announced), self.entry_final.eq(announced)]
        with m.If(valid & tag.final & tag.overwrite):
            m.d.sync += more.eq(1)
        with m.Elif(valid & tag.final):
            m.d.sync += gathered.eq(total)
            with m.If(tag.job_end):
                m.d.sync += [gathered.eq(0), more.eq(total)]
