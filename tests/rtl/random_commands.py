"""Random streams of legal commands: any field, waits as loose as `golden.hazards` allows, so that the three queues overlap."""

import copy

import numpy as np

from golden.footprint import Hazard
from golden.hazards import HazardChecker
from golden.program import Layer, Program
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Opcode, Region, Target
from tests.rtl.jobs import TINY, TINY_INT4, Stream
from tests.rtl.random_execute import ExecuteMaker, number
from tests.rtl.simple import changed, transfer

KEPT = 4096
"""Bytes of the arena that only loads touch; stores write behind them."""
STORED = 8192


class StreamMaker:
    """Grows a stream command by command.

    Parameters
    ----------
    rng : numpy.random.Generator
    loose : float
        How often a wait is left out or lowered where the hazards allow it.
    config : NpuConfig
        What it is for.
    full : bool
        Weights are such that each is a legal exponent, too, and some commands take them for one; else they may be anything.
    """

    def __init__(self, rng, loose=0.8, config: NpuConfig = TINY, *, full=True):
        self.rng, self.loose, self.config = rng, loose, config
        size = config.act_bytes
        self.checker = HazardChecker(Program("", config, (), (Layer("", "", (), 0),), b"", 0, (), (), ()))
        self.commands, self.counts = [], {"load": 0, "exec": 0, "store": 0}
        self.executes = ExecuteMaker(rng, config, full=full)
        low, high = (-31, 32) if full else (-128, 128)
        self.model = rng.integers(low, high, size).astype(np.int8).tobytes()
        self.arena = rng.integers(0, 256, KEPT + STORED + size).astype(np.uint8)  # at the end the whole scratchpad is stored
        self.append(transfer(Opcode.LOAD, region=Region.MODEL, row_bytes=size))
        self.append(transfer(Opcode.LOAD, region=Region.MODEL, target=Target.WEIGHTS, row_bytes=config.weight_bytes))

    def stream(self) -> Stream:
        """What was made, and a store of the whole scratchpad behind it."""
        end = transfer(Opcode.STORE, ddr_offset=KEPT + STORED, row_bytes=self.config.act_bytes)
        waits = {f"wait_{queue}": count for queue, count in self.counts.items()}
        return Stream((*self.commands, changed(end, "header", **waits)), self.model, self.arena, self.config)

    def grow(self, number):
        """Random commands, in runs of one queue so that queues fill."""
        makers = (self.load, self.load_weights, self.store, *[self.executes.make] * 3)
        while len(self.commands) < number:
            make = makers[self.rng.integers(len(makers))]
            for _ in range(int(self.rng.choice([1, 1, 2, 8]))):
                self.append(make())

    def append(self, command, floor=None):
        """Adds a command with the loosest of some random waits that no hazard forbids."""
        waits, weights = self._waits(floor or {}), command.opcode not in (Opcode.LOAD, Opcode.STORE)
        full = dict(self.counts)
        for chosen in [*({queue: waits[queue]() for queue in full} for _ in range(4)), full]:
            tried = changed(command, "header", **{f"wait_{queue}": count for queue, count in chosen.items()})
            if weights:
                ahead = full["load"] if chosen is full else waits["load"]()
                tried = changed(tried, "weights", wait_load=ahead)
            checker = copy.deepcopy(self.checker)
            try:
                checker.step(len(self.commands), tried)
            except Hazard:
                assert chosen is not full, f"waits for everything do not suffice: {tried}"
                continue
            self.checker = checker
            break
        self.commands.append(tried)
        self.counts[{Opcode.LOAD: "load", Opcode.STORE: "store"}.get(command.opcode, "exec")] += 1

    def _waits(self, floor):
        def waiting(queue, count):
            def draw():
                if self.rng.random() > self.loose:
                    return count
                return int(self.rng.integers(floor.get(queue, 0), count + 1))

            return draw

        return {queue: waiting(queue, count) for queue, count in self.counts.items()}

    def _rows(self, most, region_bytes, limit, step=1):
        """Rows, bytes and strides of a transfer that stays inside both of its sides."""
        rng, rows = self.rng, number(self.rng, 1, 5)
        row_bytes = step * number(self.rng, 1, most // step)
        ddr_stride, sram_stride = (step * int(rng.choice([0, row_bytes // step, rng.integers(0, 300 // step)])) for _ in range(2))
        fields = {"rows": rows, "row_bytes": row_bytes, "ddr_stride": ddr_stride, "sram_stride": sram_stride}
        for name, stride, size in (("ddr_offset", ddr_stride, region_bytes), ("sram_address", sram_stride, limit)):
            fields[name] = step * number(self.rng, 0, (size - (rows - 1) * stride - row_bytes) // step)
        return fields

    def load(self):
        fields = self._rows(300, KEPT, self.config.act_bytes)
        if self.rng.random() < 0.7:
            return transfer(Opcode.LOAD, **fields)
        return transfer(Opcode.LOAD, **fields | {"region": Region.MODEL})

    def load_weights(self):
        fields = self._rows(400, self.config.act_bytes, self.config.weight_bytes, step=self.config.axi_bytes)
        return transfer(Opcode.LOAD, **fields | {"region": Region.MODEL, "target": Target.WEIGHTS})

    def store(self):
        fields = self._rows(300, STORED, self.config.act_bytes)
        return transfer(Opcode.STORE, **fields | {"ddr_offset": KEPT + fields["ddr_offset"]})


def legal_stream(seed, config: NpuConfig = TINY, *, full=True) -> Stream:
    """Some dozen random legal commands."""
    rng = np.random.default_rng(seed)
    maker = StreamMaker(rng, loose=float(rng.choice([0.0, 0.8, 1.0])), config=config, full=full)
    maker.grow(int(rng.integers(10, 40)))
    return maker.stream()


def legal_of(config: NpuConfig):
    """The maker of random legal streams, of a seed and a configuration, that fits a configuration."""
    return legal_stream_of_two_widths if config.int4 else legal_stream


def legal_stream_of_two_widths(seed, config: NpuConfig = TINY_INT4) -> Stream:
    """The same with weights of 8 and of 4 bits; of bytes that are legal exponents the upper halves are -2 to 1 only, of others all."""
    return legal_stream(seed, config, full=seed % 2 == 0)
