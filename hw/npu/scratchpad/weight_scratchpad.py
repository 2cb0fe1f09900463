"""The weight scratchpad: one aligned read and one aligned write a cycle on single-port banks."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.npu.interface.ports import ADDRESS_BITS, ReadPort, write_port
from hw.npu.parts.delay import delayed
from hw.npu.parts.stream_register import StreamRegister
from hw.npu.scratchpad.bank import Bank


class WeightScratchpad(wiring.Component):
    """Rows of C bytes for the weight loader, beats of the bus from the load DMA; both aligned to their width.

    Words of ``max(C, bus)`` bytes are interleaved over the banks. Beats of the DMA are gathered to words, so that it needs a bank
    every ``word / beat`` cycles only, and a word waits while the loader reads its bank: neither loses a cycle to the other where a
    word has two beats or more. A beat is accepted while the word before it waits; one access a port a cycle; an answer comes `read_latency`
    cycles after its request. A row that is still among the beats and words that wait is not read before it is written. ::

        write --> register --> gathered word --> waiting word --> bank, when the loader is not there
        read  --> checked --------------------------------------> bank (-> register) --> answer

    Parameters
    ----------
    banks, size : int
        Number of banks (a power of two), bytes in all.
    cols, dma_bytes : int
        Bytes of a row and of a beat, powers of two.
    registers : int
        `NpuConfig.memory_registers`: behind each bank.

    Members
    -------
    read : In(ReadPort)
        The loader; addresses are multiples of C inside the memory.
    write : In(stream of write_layout)
        The load DMA; addresses are multiples of the beat inside the memory.
    """

    CHECKED = 1
    """Cycles from a request to a bank's input register."""

    @classmethod
    def read_latency(cls, registers) -> int:
        """Cycles from a request that is accepted to its answer."""
        return cls.CHECKED + 1 + Bank.READ_LATENCY + registers + 1

    def __init__(self, *, banks, size, cols, dma_bytes, registers):
        self.size, self.registers = size, registers
        self.word = max(cols, dma_bytes)
        if size % (banks * self.word):
            raise ValueError(f"WeightScratchpad size {size} must be a multiple of {banks} banks of {self.word}-byte words")
        self.banks, self.cols, self.dma_bytes, self.depth = banks, cols, dma_bytes, size // (banks * self.word)
        super().__init__({"read": In(ReadPort(cols)), "write": In(write_port(dma_bytes))})
        place_bits = ADDRESS_BITS - (self.word - 1).bit_length()
        self.gathered, self.waiting = (_Word(name, place_bits, self.word) for name in ("gathered", "waiting"))

    def elaborate(self, platform):
        m = Module()
        offset_bits, bank_bits = (self.word - 1).bit_length(), (self.banks - 1).bit_length()
        read = delayed(m, self.read.request.payload, self.CHECKED, name="checked")
        read_bank = read[offset_bits : offset_bits + bank_bits]
        waiting, leaves = self._gather(m, offset_bits)
        taken = Signal()
        conflict = Signal()
        m.d.comb += [
            taken.eq(delayed(m, self.read.request.valid & self.read.request.ready, self.CHECKED, name="read_checked", reset_less=False)),
            conflict.eq(taken & (read_bank == waiting.place[:bank_bits])),
            leaves.eq(waiting.valid & ~conflict),
        ]
        answers = []
        for index in range(self.banks):
            m.submodules[f"bank_{index}"] = bank = Bank(width=self.word, depth=self.depth)
            reads, writes = taken & (read_bank == index), leaves & (waiting.place[:bank_bits] == index)
            row = Signal.like(bank.row, name=f"row_{index}", reset_less=True)
            data = Signal.like(bank.write_data, name=f"data_{index}", reset_less=True)
            lanes = Signal.like(bank.mask, name=f"mask_{index}", reset_less=True)
            enable = Signal(name=f"enable_{index}")
            store = Signal(name=f"store_{index}")
            m.d.sync += [enable.eq(reads | writes), store.eq(writes)]
            with m.If(writes):
                m.d.sync += [row.eq(waiting.place[bank_bits:]), data.eq(waiting.data), lanes.eq(waiting.mask)]
            with m.Elif(reads):
                m.d.sync += row.eq(read[offset_bits + bank_bits :])
            m.d.comb += [
                bank.enable.eq(enable),
                bank.write.eq(store),
                bank.row.eq(row),
                bank.write_data.eq(data),
                bank.mask.eq(lanes),
            ]
            answers.append(delayed(m, bank.read_data, self.registers, name=f"answer_{index}"))
        self._answer(m, taken, read_bank, read[:offset_bits], answers)
        return m

    def _gather(self, m, offset_bits):
        """Gathers beats to words; gives the word that waits for its bank, and the signal that it leaves in this cycle."""
        m.submodules.beat = register = StreamRegister(self.write.payload.shape())
        wiring.connect(m, wiring.flipped(self.write), register.i)
        beats = register.o
        write, address = beats.payload, beats.payload.address
        gathered, waiting = self.gathered, self.waiting
        leaves = Signal()
        moves = Signal()
        same = Signal()
        taken = beats.valid & beats.ready
        place = address[offset_bits:]
        mask = Signal(self.word)
        beat = write.data.as_value().replicate(self.word // self.dma_bytes)
        read_place = self.read.request.payload[offset_bits:]
        written = [(beats.valid, place), (register.waits, register.spare.address[offset_bits:])]
        written += [(word.valid, word.place) for word in (gathered, waiting)]
        inside = (self.size // self.word - 1).bit_length()  # bits that an address inside the memory has
        free = ~Cat(valid & (where[:inside] == read_place[:inside]) for valid, where in written).any()
        m.d.comb += [
            same.eq(gathered.valid & (place == gathered.place)),
            moves.eq(gathered.valid & (~waiting.valid | leaves) & (gathered.mask.all() | ~(beats.valid & same))),
            mask.eq(write.mask << address[:offset_bits]),
            beats.ready.eq(~gathered.valid | moves | (same & ~gathered.mask.all())),
            self.read.request.ready.eq(free),
        ]
        with m.If(moves):
            m.d.sync += [
                waiting.valid.eq(1),
                waiting.place.eq(gathered.place),
                waiting.data.eq(gathered.data),
                waiting.mask.eq(gathered.mask),
            ]
        with m.Elif(leaves):
            m.d.sync += waiting.valid.eq(0)
        with m.If(taken):
            kept = Mux(gathered.valid & ~moves, gathered.mask, 0)
            m.d.sync += [gathered.valid.eq(1), gathered.place.eq(place), gathered.mask.eq(kept | mask)]
            merged = [Mux(mask[lane], beat.word_select(lane, 8), gathered.data.word_select(lane, 8)) for lane in range(self.word)]
            m.d.sync += gathered.data.eq(Cat(merged))
        with m.Elif(moves):
            m.d.sync += gathered.valid.eq(0)
        return waiting, leaves

    def _answer(self, m, taken, bank, offset, answers):
        """Selects the word, and the row of C bytes in it."""
        wait = 1 + Bank.READ_LATENCY + self.registers  # from a checked request to the answer's register
        valid = delayed(m, taken, wait, name="valid", reset_less=False)
        bank = delayed(m, bank, wait, name="bank")
        offset = delayed(m, offset, wait, name="offset")
        word = Signal(8 * self.word)
        with m.Switch(bank):
            for index, answer in enumerate(answers):
                with m.Case(index):
                    m.d.comb += word.eq(answer)
        row = Signal(8 * self.cols, reset_less=True)
        answered = Signal()
        m.d.sync += answered.eq(valid)
        with m.If(valid):
            m.d.sync += row.eq(word.word_select(offset[(self.cols - 1).bit_length() :], 8 * self.cols) if self.word > self.cols else word)
        m.d.comb += [self.read.valid.eq(answered), self.read.data.eq(row)]


class _Word:
    """Registers of a word on its way: where it belongs, its bytes, and which of them count."""

    def __init__(self, name, place_bits, word):
        self.valid = Signal(name=f"{name}_valid")
        self.place = Signal(place_bits, name=f"{name}_place", reset_less=True)
        self.data = Signal(8 * word, name=f"{name}_data", reset_less=True)
        self.mask = Signal(word, name=f"{name}_mask", reset_less=True)
