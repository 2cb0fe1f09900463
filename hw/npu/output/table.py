"""The 256-entry table of functions of one int8 tensor."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.npu.output.scale import travel
from hw.npu.parts.delay import delayed

ENTRIES = 256


class Table(wiring.Component):
    """Maps each value of a vector through a table, or passes the vector on. One copy of the table a lane, written C bytes at a time.

    One vector a cycle, `latency` cycles on its way. The table must not be written while a vector that uses it is inside or before it.

    Parameters
    ----------
    lanes : int
        Values of a vector, at least 1.
    cols : int
        Bytes of a row of the table, C: 4 to 64, a power of two.
    multiplier_registers : int
        0 or 1: a register more behind the byte that is chosen of a row.

    Members
    -------
    valid, bank : In(1), In(1)
        A vector enters; which configuration it belongs to.
    value : In(signed(8)).array(lanes)
        The vector; as unsigned bytes, the entries that are read.
    use : In(1).array(2)
        Whether vectors of each bank are mapped.
    result_valid, result_bank : Out(1), Out(1)
        A vector leaves, and its bank.
    result : Out(signed(8)).array(lanes)
        The vector that leaves.
    write, row, entries : In(1), In(range(256 / C)), In(array of C bytes)
        Writes entries ``row * C`` and up.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    def __init__(self, *, lanes, cols, multiplier_registers=0):
        if lanes < 1:
            raise ValueError(f"Table lanes must be at least 1, not {lanes}")
        if cols not in (4, 8, 16, 32, 64):
            raise ValueError(f"Table cols must be a power of two from 4 to 64, not {cols}")
        self.lanes, self.cols = lanes, cols
        self.latency = 1 + multiplier_registers
        super().__init__({
            "valid": In(1),
            "bank": In(1),
            "value": In(signed(8)).array(lanes),
            "use": In(1).array(2),
            "result_valid": Out(1),
            "result_bank": Out(1),
            "result": Out(signed(8)).array(lanes),
            "write": In(1),
            "row": In(range(ENTRIES // cols)),
            "entries": In(data.ArrayLayout(unsigned(8), cols)),
        })

    def elaborate(self, platform):
        m = Module()
        use = Signal()
        m.d.comb += use.eq(Mux(self.bank, self.use[1], self.use[0]))
        valid, bank = travel(m, self.valid, self.bank, self.latency)
        m.d.comb += [self.result_valid.eq(valid[-1]), self.result_bank.eq(bank[-1])]
        for lane in range(self.lanes):
            m.submodules[f"table_{lane}"] = memory = Memory(shape=unsigned(8 * self.cols), depth=ENTRIES // self.cols, init=[])
            write = memory.write_port()
            read = memory.read_port(domain="comb")
            value = self.value[lane].as_unsigned()
            m.d.comb += [write.en.eq(self.write), write.addr.eq(self.row), write.data.eq(self.entries)]
            m.d.comb += read.addr.eq(value[(self.cols - 1).bit_length() :])
            self._choose(m, lane, value, read.data, use, valid)
        return m

    def _choose(self, m, lane, value, row, use, valid):
        """The row, then the byte in it."""

        def register(shape, name):
            return Signal(shape, name=f"{name}_{lane}", reset_less=True)

        low = (self.cols - 1).bit_length()
        bytes_there, passed, maps = register(8 * self.cols, "row"), register(8, "passed"), register(1, "maps")
        with m.If(self.valid):
            m.d.sync += [bytes_there.eq(row), passed.eq(value), maps.eq(use)]
        mapped = Mux(maps, bytes_there.word_select(passed[:low], 8), passed)
        m.d.comb += self.result[lane].eq(delayed(m, mapped, self.latency - 1, name=f"mapped_{lane}", enable=valid[1]))
