"""Random streams of legal commands: any field, waits as loose as `golden.hazards` allows, so that the three queues overlap."""

import copy

import numpy as np

from golden.footprint import Hazard, footprint
from golden.hazards import HazardChecker
from golden.machine_state import MachineError
from golden.program import Layer, Program
from hw.npu.isa import Command, Opcode, Params, Region, Second, Target
from tests.rtl.jobs import TINY, Stream
from tests.rtl.simple import changed, transfer

SIZE, WEIGHT_BYTES, ROWS, COLS = TINY.act_bytes, TINY.weight_bytes, TINY.rows, TINY.cols
KEPT = 4096
"""Bytes of the arena that only loads touch; stores write behind them."""
STORED = 8192
ARENA_BYTES = KEPT + STORED + SIZE
"""At the end the whole scratchpad is stored."""
MOST_WAVES = 1500
"""Waves of a command, so that a stream takes thousands of cycles and not millions."""


class StreamMaker:
    """Grows a stream command by command.

    Parameters
    ----------
    rng : numpy.random.Generator
    loose : float
        How often a wait is left out or lowered where the hazards allow it.
    """

    def __init__(self, rng, loose=0.8):
        self.rng, self.loose = rng, loose
        self.checker = HazardChecker(Program("", TINY, (), (Layer("", "", (), 0),), b"", 0, (), (), ()))
        self.commands, self.counts = [], {"load": 0, "exec": 0, "store": 0}
        self.carried, self.table, self.reloads = 0, False, 0
        low, high = -31, 32  # so that any byte is a legal exponent
        self.model = rng.integers(low, high, SIZE).astype(np.int8).tobytes()
        self.arena = rng.integers(0, 256, ARENA_BYTES).astype(np.uint8)
        self.append(transfer(Opcode.LOAD, region=Region.MODEL, row_bytes=SIZE))
        self.append(transfer(Opcode.LOAD, region=Region.MODEL, target=Target.WEIGHTS, row_bytes=WEIGHT_BYTES))

    def stream(self) -> Stream:
        """What was made, and a store of the whole scratchpad behind it."""
        end = transfer(Opcode.STORE, ddr_offset=KEPT + STORED, row_bytes=SIZE)
        waits = {f"wait_{queue}": count for queue, count in self.counts.items()}
        return Stream((*self.commands, changed(end, "header", **waits)), self.model, self.arena)

    def grow(self, number):
        """Random commands, in runs of one queue so that queues fill."""
        makers = (self.load, self.load_weights, self.store, self.execute, self.execute, self.execute)
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

    def number(self, low, high) -> int:
        """``low`` to ``high``, the ends more often."""
        return int(self.rng.choice([low, high, *self.rng.integers(low, high + 1, 4)]))

    def _rows(self, most, region_bytes, limit, step=1):
        """Rows, bytes and strides of a transfer that stays inside both of its sides."""
        rng, rows = self.rng, self.number(1, 5)
        row_bytes = step * self.number(1, most // step)
        ddr_stride, sram_stride = (step * int(rng.choice([0, row_bytes // step, rng.integers(0, 300 // step)])) for _ in range(2))
        fields = {"rows": rows, "row_bytes": row_bytes, "ddr_stride": ddr_stride, "sram_stride": sram_stride}
        for name, stride, size in (("ddr_offset", ddr_stride, region_bytes), ("sram_address", sram_stride, limit)):
            fields[name] = step * self.number(0, (size - (rows - 1) * stride - row_bytes) // step)
        return fields

    def load(self):
        fields = self._rows(300, KEPT, SIZE)
        if self.rng.random() < 0.7:
            return transfer(Opcode.LOAD, **fields)
        return transfer(Opcode.LOAD, **fields | {"region": Region.MODEL})

    def load_weights(self):
        fields = self._rows(400, SIZE, WEIGHT_BYTES, step=TINY.axi_bytes)
        return transfer(Opcode.LOAD, **fields | {"region": Region.MODEL, "target": Target.WEIGHTS})

    def store(self):
        fields = self._rows(300, STORED, SIZE)
        return transfer(Opcode.STORE, **fields | {"ddr_offset": KEPT + fields["ddr_offset"]})

    def execute(self):
        """One that reads inside the scratchpad and does not read what it writes, unless in place."""
        while True:
            command = self._execute()
            if self._sound(command):
                self.carried = command["loops"]["block_rows"] * command["loops"]["block_cols"] if command["loops"]["partial_out"] else 0
                self.table |= bool(command["weights"]["load_table"])
                return command

    def _sound(self, command):
        try:
            touched = footprint(TINY, 0, command)
        except (Hazard, MachineError):
            return False
        return all(area is None or area.ends.max() <= SIZE for area in (touched.second, touched.output))

    def _execute(self):
        rng, number = self.rng, self.number
        opcode = Opcode(rng.choice([Opcode.MATMUL, Opcode.MATMUL, Opcode.SUM, Opcode.MAX]))
        partial_in = bool(self.carried) and rng.random() < 0.8
        partial_out = rng.random() < (0.6 if partial_in else 0.15)
        rows, cols = (int(rng.choice([1, number(1, 7)])), int(rng.choice([1, 2, number(1, 40)])))
        if partial_in:
            rows, cols = 1, number(1, self.carried)
        cols = min(cols, 256 // rows)
        if rng.random() < 0.04 and not partial_in:
            rows, cols = [(16, 16), (1, 256), (256, 1)][rng.integers(3)]
        loops = {
            "block_rows": rows,
            "block_cols": cols,
            "taps_y": number(1, 3),
            "taps_x": number(1, 3),
            "chunks": number(1, 3) if opcode == Opcode.MATMUL else 1,
            "last_rows": number(1, ROWS),
            "column_tiles": 1 if partial_in or partial_out else number(1, 3),
            "last_cols": number(1, COLS),
            "partial_in": int(partial_in),
            "partial_out": int(partial_out),
        }
        if rows * cols * int(np.prod([loops[name] for name in ("taps_y", "taps_x", "chunks", "column_tiles")])) > MOST_WAVES:
            loops |= {"taps_y": 1, "taps_x": 1, "chunks": 1, "column_tiles": 1}
        output = self._place(loops)
        return Command(
            opcode,
            {
                "header": {},
                "loops": loops,
                "input": self._input(),
                "weights": self._weights(),
                "output": output | self._scaling(),
                "second": self._second(output if rng.random() < 0.4 else self._place(loops)),
            },
        )

    def _input(self):
        rng, number = self.rng, self.number
        channels, width = number(1, 20), number(1, 12)
        return {
            "address": int(rng.choice([number(-300, SIZE + 300), number(0, SIZE - 1000), SIZE - number(1, 60)])),
            "y": number(-3, 3),
            "height": number(0, 12),
            "x_bytes": int(rng.choice([0, number(-30, 30)])),
            "image_row_bytes": number(1, channels * width + 20),
            "pixel_step": number(0, 2 * channels),
            "row_step": number(0, 2 * channels * width),
            "row_step_y": number(0, 3),
            "tap_y_step": number(0, channels * width),
            "tap_y_rows": number(0, 2),
            "tap_x_step": number(0, 2 * channels),
            "pad_value": number(-128, 127),
        }

    def _weights(self):
        rng = self.rng
        kind = Params(rng.choice([Params.NONE, Params.BIAS, Params.FULL, Params.FULL]))
        address = COLS * int(rng.choice([self.number(0, WEIGHT_BYTES // COLS - 1), WEIGHT_BYTES // COLS - self.number(1, 40)]))
        return {"address": address, "params": kind, "load_table": int(rng.random() < 0.15)}

    def _place(self, loops):
        """Where results or second operands lie: dense, with gaps, or overlapping."""
        channels = (loops["column_tiles"] - 1) * COLS + loops["last_cols"]
        pixel_step = int(self.rng.choice([channels, self.number(channels, 40), self.number(0, 40)]))
        row_step = int(self.rng.choice([pixel_step * loops["block_cols"], self.number(0, 800)]))
        extent = (loops["block_rows"] - 1) * row_step + (loops["block_cols"] - 1) * pixel_step + channels
        return {"address": self.number(0, max(0, SIZE - extent)), "pixel_step": pixel_step, "row_step": row_step}

    def _bounds(self):
        low = self.number(-128, 127)
        return {"clamp_min": low, "clamp_max": self.number(low, 127)}

    def _multiplier(self):
        return self.number(-1 << 31, (1 << 31) - 1)

    def _scaling(self):
        number = self.number
        return {
            "multiplier": self._multiplier(),
            "left_shift": number(0, 31),
            "right_shift": int(self.rng.choice([number(0, 31), number(0, 8)])),
            "single_rounding": number(0, 1),
            "zero_point": number(-128, 127),
            "use_table": int(self.table and self.rng.random() < 0.5),
            **self._bounds(),
        }

    def _second(self, place):
        if self.rng.random() < 0.7:
            return {}
        number = self.number
        return place | {
            "operation": Second.ADD,
            "first_zero_point": number(-128, 127),
            "first_multiplier": self._multiplier(),
            "first_shift": number(0, 31),
            "zero_point": number(-128, 127),
            "multiplier": self._multiplier(),
            "shift": number(0, 31),
            "out_multiplier": self._multiplier(),
            "out_shift": number(0, 31),
            "out_zero_point": number(-128, 127),
            **self._bounds(),
        }


def legal_stream(seed) -> Stream:
    """Some dozen random legal commands."""
    rng = np.random.default_rng(seed)
    maker = StreamMaker(rng, loose=float(rng.choice([0.0, 0.8, 1.0])))
    maker.grow(int(rng.integers(10, 40)))
    return maker.stream()
