"""The weight scratchpad: one aligned read and one aligned write a cycle on single-port banks."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.npu.bank import Bank
from hw.npu.delay import delayed
from hw.npu.ports import ReadPort, write_port


class WeightScratchpad(wiring.Component):
    """Rows of C bytes for the weight loader, beats of the bus from the load DMA; both aligned to their width.

    Words of ``max(C, bus)`` bytes are interleaved over the banks. The DMA goes first: where the weights decide the time,
    the bus is what must not wait, and the loader still gets every other cycle at least. One access a port a cycle
    without conflicts; an answer comes `READ_LATENCY` cycles after its request.

    Parameters
    ----------
    banks, size : int
        Number of banks (a power of two), bytes in all.
    cols, dma_bytes : int
        Bytes of a row and of a beat, powers of two.

    Members
    -------
    read : In(ReadPort)
        The loader; addresses are multiples of C inside the memory.
    write : In(stream of write_layout)
        The load DMA; addresses are multiples of the beat inside the memory.
    """

    READ_LATENCY = 1 + Bank.READ_LATENCY + 1

    def __init__(self, *, banks, size, cols, dma_bytes):
        self.word = max(cols, dma_bytes)
        if size % (banks * self.word):
            raise ValueError(f"WeightScratchpad size {size} must be a multiple of {banks} banks of {self.word}-byte words")
        self.banks, self.cols, self.dma_bytes, self.depth = banks, cols, dma_bytes, size // (banks * self.word)
        super().__init__({"read": In(ReadPort(cols)), "write": In(write_port(dma_bytes))})

    def elaborate(self, platform):
        m = Module()
        offset_bits, bank_bits = (self.word - 1).bit_length(), (self.banks - 1).bit_length()
        read, write = self.read.request.payload, self.write.payload.address
        read_bank, write_bank = read[offset_bits : offset_bits + bank_bits], write[offset_bits : offset_bits + bank_bits]
        m.d.comb += [
            self.write.ready.eq(1),
            self.read.request.ready.eq(~self.write.valid | (read_bank != write_bank)),
        ]
        taken = Signal()
        m.d.comb += taken.eq(self.read.request.valid & self.read.request.ready)
        copies = self.word // self.dma_bytes
        mask = self.write.payload.mask << write[:offset_bits]
        answers = []
        for index in range(self.banks):
            m.submodules[f"bank_{index}"] = bank = Bank(width=self.word, depth=self.depth)
            reads, writes = taken & (read_bank == index), self.write.valid & (write_bank == index)
            row = Signal.like(bank.row, name=f"row_{index}", reset_less=True)
            data = Signal.like(bank.write_data, name=f"data_{index}", reset_less=True)
            lanes = Signal.like(bank.mask, name=f"mask_{index}", reset_less=True)
            enable, store = Signal(name=f"enable_{index}"), Signal(name=f"store_{index}")
            m.d.sync += [enable.eq(reads | writes), store.eq(writes)]
            with m.If(writes):
                m.d.sync += [
                    row.eq(write[offset_bits + bank_bits :]),
                    data.eq(self.write.payload.data.as_value().replicate(copies)),
                    lanes.eq(mask),
                ]
            with m.Elif(reads):
                m.d.sync += row.eq(read[offset_bits + bank_bits :])
            m.d.comb += [
                bank.enable.eq(enable),
                bank.write.eq(store),
                bank.row.eq(row),
                bank.write_data.eq(data),
                bank.mask.eq(lanes),
            ]
            answers.append(bank.read_data)
        self._answer(m, taken, read_bank, read[:offset_bits], answers)
        return m

    def _answer(self, m, taken, bank, offset, answers):
        """Selects the word, and the row of C bytes in it."""
        wait = self.READ_LATENCY - 1
        valid = delayed(m, taken, wait, name="valid", reset_less=False)
        bank = delayed(m, bank, wait, name="bank")
        offset = delayed(m, offset, wait, name="offset")
        word = Signal(8 * self.word)
        with m.Switch(bank):
            for index, answer in enumerate(answers):
                with m.Case(index):
                    m.d.comb += word.eq(answer)
        row, answered = Signal(8 * self.cols, reset_less=True), Signal()
        m.d.sync += answered.eq(valid)
        with m.If(valid):
            m.d.sync += row.eq(word.word_select(offset[(self.cols - 1).bit_length() :], 8 * self.cols) if self.word > self.cols else word)
        m.d.comb += [self.read.valid.eq(answered), self.read.data.eq(row)]
