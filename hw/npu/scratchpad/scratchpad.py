"""The activation scratchpad: byte-addressed, banked, seven ports on single-port memories."""

from functools import reduce
from operator import or_

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.npu.interface.isa import MAX_SPAN
from hw.npu.interface.ports import ReadPort, write_port
from hw.npu.parts.delay import delayed
from hw.npu.parts.promise import promise
from hw.npu.scratchpad.answer_select import AnswerSelect
from hw.npu.scratchpad.bank import Bank
from hw.npu.scratchpad.bank_place import BankGeometry
from hw.npu.scratchpad.port_queue import PortQueue, access_layout
from hw.npu.scratchpad.spare_arbiter import SpareArbiter
from hw.npu.scratchpad.write_fence import WriteFence

FEED = tuple(f"feed_{side}" for side in range(MAX_SPAN))
"""Read ports of the feeder, one for each kernel row that is read side by side; their requests are parts."""
READERS = (*FEED, "second", "dma_read")
"""Read ports."""
WRITERS = ("write", "dma_write")
"""Write ports."""
PRIORITY = (*FEED, "second", "write", "dma_write", "dma_read")
"""All ports, the one that goes first in front."""
OTHERS = PRIORITY[len(FEED) :]
"""The ports behind those of the feeder."""


def places_of(config):
    """Banks of a configuration's scratchpad: its feeder says itself where it reads."""
    return BankGeometry(banks=config.BANKS, word=config.word_bytes, depth=config.act_bytes // (config.BANKS * config.word_bytes))


class ActivationScratchpad(wiring.Component):
    """Reads and writes up to W consecutive bytes at any byte address on each of seven ports.

    Words of W bytes are interleaved over the banks by their low-order address, so that an access touches one bank, or
    two neighbours where it crosses a word: an access whose bytes that count stand in one word asks for one bank.
    A request is accepted whole or not at all; accesses to different banks go on at the same time: one access a port a cycle
    without conflicts.

    Addresses count up across the end of the memory: the byte behind the last is byte 0. The address itself must be
    inside; whoever asks checks that.

    Every handshake is cut by registers. The feeder's requests come first, and are places already; those of one cycle must not share
    a bank: `FeedReader` takes turns. The others wait in queues for banks that the feeder leaves, as `SpareArbiter` says::

        feed ---+----------> granted --> banks --> words --> bytes --> answer
                v  used      ^                     a cycle later       of the others: another one
        queue --> arbiter ---+

    So an answer on ``second`` and ``dma_read`` comes after *at least* `answer_latency` cycles, in order, and a write is accepted before
    it is made. ``settled`` says when it is made: who reads behind a write waits for that.

    With ``registers`` each step of this picture ends in a register, and no path has logic on either side of a memory: an FPGA's block RAM
    and the wires to it need that.

    Parameters
    ----------
    banks, word, size : int
        Number of banks and bytes of a word (powers of two), bytes in all.
    feed_bytes, lanes, dma_bytes : int
        Width of the ports of the feeder, of the output stage and of the DMA, bytes, at most ``word``.
    registers : int
        `NpuConfig.memory_registers`.

    Members
    -------
    feed_0, feed_1, feed_2, second, dma_read : In(ReadPort)
        Read ports of the feeder (requests are places), of the second operand and of the store DMA.
    write, dma_write : In(stream of write_layout)
        Write ports of the output stage and of the load DMA.
    complete, settled : In(1).array(2), Out(1).array(2)
        For each write port: pulses that tell of writes, not before the cycle behind their acceptance, and the same
        pulses when these writes are made.
    """

    FENCED = 63
    """Pulses of a fence that wait, at most."""

    @staticmethod
    def ahead(registers) -> int:
        """Cycles from a request of the feeder to the arbiter, which must know its banks."""
        return 2 * registers

    @classmethod
    def read_latency(cls, registers) -> int:
        """Cycles from an accepted request of the feeder to its answer."""
        return cls.ahead(registers) + cls._to_words(registers) + 2 * registers

    @classmethod
    def answer_latency(cls, registers) -> int:
        """Cycles from an accepted request of another reader to its answer, at least."""
        return PortQueue.LATENCY - 1 + cls._to_words(registers) + registers + 1

    @staticmethod
    def _to_words(registers) -> int:
        """Cycles from an access at the arbiter to its words, out of the banks."""
        return 2 * registers + Bank.READ_LATENCY + registers

    def __init__(self, *, banks, word, size, feed_bytes, lanes, dma_bytes, registers):
        if size % (banks * word):
            raise ValueError(f"ActivationScratchpad size {size} must be a multiple of {banks} banks of {word}-byte words")
        if max(feed_bytes, lanes, dma_bytes) > word:
            raise ValueError(f"ActivationScratchpad word {word} must hold the widest port")
        self.banks, self.word, self.depth, self.registers = banks, word, size // (banks * word), registers
        self.widths = dict.fromkeys(FEED, feed_bytes) | {"second": lanes, "dma_read": dma_bytes, "write": lanes, "dma_write": dma_bytes}
        self.geometry = BankGeometry(banks=banks, word=word, depth=self.depth)
        readers = {name: In(ReadPort(self.widths[name], places=self.geometry)) for name in FEED}
        readers |= {name: In(ReadPort(self.widths[name])) for name in READERS if name not in FEED}
        fence = {"complete": In(1).array(len(WRITERS)), "settled": Out(1).array(len(WRITERS))}
        super().__init__(readers | {name: In(write_port(self.widths[name])) for name in WRITERS} | fence)

    def elaborate(self, platform):
        m = Module()
        m.submodules.arbiter = arbiter = SpareArbiter(ports=len(OTHERS), banks=self.banks, ahead=self.ahead(self.registers))
        granted = self._feed(m, arbiter) | self._others(m, arbiter)
        words = []
        for index in range(self.banks):
            # a memory for each byte: its enable is that of one bit of the mask
            m.submodules[f"bank_{index}"] = bank = Bank(width=self.word, depth=self.depth, lane=1)
            self._bank(m, index, bank, granted)
            words.append(delayed(m, bank.read_data, self.registers, name=f"word_{index}"))
        wait = self._to_words(self.registers) - self.registers - AnswerSelect.WORDS  # from the granted access
        for name in READERS:
            valid, access = granted[name]
            # the feeder has registers of its own behind the answer
            stages = {"picked": self.registers, "held": self.registers if name in FEED else 1}
            m.submodules[f"{name}_select"] = select = AnswerSelect(width=self.widths[name], geometry=self.geometry, **stages)
            port = getattr(self, name)
            m.d.comb += [
                select.valid.eq(delayed(m, valid, wait, name=f"{name}_valid", reset_less=False)),
                select.bank.eq(delayed(m, access.place.bank, wait, name=f"{name}_bank")),
                select.offset.eq(delayed(m, access.place.offset, wait, name=f"{name}_offset")),
                *(ours.eq(word) for ours, word in zip(select.words, words, strict=True)),
                port.valid.eq(select.answered),
                port.data.eq(select.answer),
            ]
        return m

    def _feed(self, m, arbiter):
        """Requests of the feeder: always granted, but in the cycle that the arbiter keeps free; gives them where they are granted."""
        layout, granted, used, registers = access_layout(self.geometry, writes=False), {}, 0, self.registers
        for name in FEED:
            request = getattr(self, name).request
            access = Signal(layout)
            m.d.comb += [request.ready.eq(~arbiter.hold), access.place.eq(request.payload)]
            valid = delayed(m, request.valid & request.ready, registers, name=f"{name}_taken", reset_less=False)
            access = delayed(m, access, registers, name=f"{name}_access")
            banks = Mux(valid, access.place.low | access.place.high, 0)
            promise(m, self, (banks & used) == 0, "requests of the feeder in one cycle share no bank")
            used = used | banks
            rest = 2 * registers
            granted[name] = (
                delayed(m, valid, rest, name=f"{name}_granted", reset_less=False),
                delayed(m, access, rest, name=f"{name}_placed"),
            )
        m.d.comb += arbiter.used.eq(delayed(m, used, registers, name="used", reset_less=False))
        return granted

    def _others(self, m, arbiter):
        """The other ports: queues in front of the arbiter, fences beside those of the writes; gives what was granted."""
        granted = {}
        for index, name in enumerate(OTHERS):
            writes, port = name in WRITERS, getattr(self, name)
            stream = port if writes else port.request
            m.submodules[f"{name}_queue"] = queue = PortQueue(width=self.widths[name], geometry=self.geometry, writes=writes)
            grant = arbiter.grant[index]
            connect(m, flipped(stream), queue.i)
            m.d.comb += [
                arbiter.request[index].eq(queue.banks),
                queue.o.ready.eq(grant),
            ]
            granted[name] = (
                delayed(m, grant, self.registers, name=f"{name}_granted", reset_less=False),
                delayed(m, queue.o.payload, self.registers, name=f"{name}_placed"),
            )
            if writes:
                number = WRITERS.index(name)
                m.submodules[f"{name}_fence"] = fence = WriteFence(writes=PortQueue.ROOM, pulses=self.FENCED)
                m.d.comb += [
                    fence.accepted.eq(stream.valid & stream.ready),
                    fence.made.eq(grant),
                    fence.complete.eq(self.complete[number]),
                    self.settled[number].eq(fence.settled),
                ]
        return granted

    def _bank(self, m, index, bank, granted):
        """Brings a bank the access that it makes: at most one of those that are granted is for it."""
        rows, lanes, masks, writes = [], [], [], []
        for name, (valid, access) in granted.items():
            low, high, place = valid & access.place.low[index], valid & access.place.high[index], access.place
            if index:
                rows.append(Mux(low | high, place.row, 0))
            else:  # the bank behind the last one is bank 0 of the next row
                rows += [Mux(low, place.row, 0), Mux(high, place.next_row, 0)]
            if name in WRITERS:
                writes.append(low | high)
                lanes.append(Mux(low | high, access.data, 0))
                masks += [Mux(low, access.low_mask, 0), Mux(high, access.high_mask, 0)]
        m.d.comb += bank.enable.eq(1)  # what nobody asked for, nobody looks at
        for name, values in (("write", writes), ("row", rows), ("write_data", lanes), ("mask", masks)):
            value = delayed(m, reduce(or_, values), self.registers, name=f"{name}_{index}", reset_less=name != "write")
            m.d.comb += getattr(bank, name).eq(value)
