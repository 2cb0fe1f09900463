"""Random legal commands of the execute queue: any field, also where no compiler would go."""

from golden.footprint import Hazard, footprint
from golden.machine_state import MachineError
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import (
    LEAST_POSITIONS,
    MAX_BETWEEN,
    MAX_PRODUCT_SHIFT,
    MAX_SPAN,
    MOST_LAG,
    PLAIN_MULTIPLIER,
    Command,
    Opcode,
    Params,
    Second,
)
from tests.rtl.jobs import TINY

MOST_WAVES = 1500
"""Waves of a command, so that a stream takes thousands of cycles and not millions."""
OPCODES = (
    *(Opcode.MATMUL,) * 4,
    *(Opcode.DEPTHWISE,) * 4,
    *(Opcode.SUM, Opcode.MAX) * 2,
    Opcode.SOFTMAX,
)
OPCODES_INT4 = (*OPCODES, *(Opcode.MATMUL_INT4,) * 10, *(Opcode.DEPTHWISE_INT4,) * 6)
"""The same with both widths of weights, the narrow ones more often."""


def _opcodes(config: NpuConfig) -> tuple[Opcode, ...]:
    """What a configuration knows, each as often as it is drawn."""
    return (*(OPCODES_INT4 if config.int4 else OPCODES), *(Opcode.INTERPOLATE,) * (3 * config.interpolation))


def number(rng, low, high) -> int:
    """``low`` to ``high``, the ends more often."""
    return int(rng.choice([low, high, *rng.integers(low, high + 1, 4)]))


def _ceil(count, size):
    return -(-count // size)


def cycles_of(command, config: NpuConfig = TINY) -> int:
    """About how many cycles a command takes on the array: its waves."""
    loops = command["loops"]
    pixels = loops["block_rows"] * loops["block_cols"]
    if command.opcode == Opcode.SOFTMAX:
        return pixels * (3 * loops["lanes"] + 60)
    tiles = loops["column_tiles"] * loops["taps_y"]
    if command.operation == Opcode.DEPTHWISE:
        return tiles * loops["block_rows"] * max(1, loops["positions"])
    return tiles * loops["taps_x"] * pixels * (max(1, _ceil(loops["lanes"], config.rows)) if command.operation == Opcode.MATMUL else 1)


class ExecuteMaker:
    """Makes execute commands one after another, each legal behind the others.

    Parameters
    ----------
    rng : numpy.random.Generator
    config : NpuConfig
        What the commands are for.
    full : bool
        They may take exponents from their stream, whose bytes are all legal ones then; else the bytes may be any.
    """

    def __init__(self, rng, config: NpuConfig = TINY, *, full=True):
        self.rng, self.config, self.full = rng, config, full
        self.carried, self.table = 0, False  # entries of partial sums; whether a table was loaded

    def make(self) -> Command:
        """One that reads inside the scratchpad and does not read what it writes, unless in place."""
        while True:
            command = self._draw()
            if cycles_of(command, self.config) <= MOST_WAVES and self._sound(command):
                loops = command["loops"]
                self.carried = loops["block_rows"] * loops["block_cols"] if loops["partial_out"] else 0
                self.table |= bool(command["weights"]["load_table"])
                return command

    def _sound(self, command):
        try:
            touched = footprint(self.config, 0, command)
        except (Hazard, MachineError):
            return False
        return all(area is None or area.ends.max() <= self.config.act_bytes for area in (touched.second, touched.output))

    def _number(self, low, high):
        return number(self.rng, low, high)

    def _draw(self):
        rng = self.rng
        opcode = Opcode(rng.choice(_opcodes(self.config)))
        loops = self._loops(opcode)
        if opcode == Opcode.SOFTMAX:
            return self._softmax(loops)
        source, regular = self._input(), opcode.operation == Opcode.DEPTHWISE and rng.random() < 0.7
        if regular:
            self._share_padding(loops, source)
        if rng.random() < 0.3:
            source |= {"wrap_row": self._number(0, 6), "wrap_bytes": int(rng.choice([source["row_step"] * 3, self._number(0, 2000)]))}
        output = self._place(loops)
        fields = {"header": {}, "loops": loops, "input": source, "weights": self._weights(), "output": output | self._scaling()}
        if opcode == Opcode.INTERPOLATE:
            fields["interpolation"] = {name: self._number(0, 1023) for name in ("y", "step_y", "x", "step_x")}
        return Command(opcode, fields | {"second": self._second(output if rng.random() < 0.4 else self._place(loops))})

    def _block(self, partial_in):
        rng = self.rng
        rows, cols = (int(rng.choice([1, self._number(1, 7)])), int(rng.choice([1, 2, self._number(1, 40)])))
        if partial_in:
            rows, cols = 1, self._number(1, self.carried)
        elif rng.random() < 0.04:
            rows, cols = [(16, 16), (1, 256), (256, 1)][rng.integers(3)]
        return rows, min(cols, 256 // rows)

    def _loops(self, opcode):
        rng, draw = self.rng, self._number
        partial_in = bool(self.carried) and rng.random() < 0.8 and opcode != Opcode.SOFTMAX
        partial_out = rng.random() < (0.6 if partial_in else 0.15) and opcode != Opcode.SOFTMAX
        rows, cols = self._block(partial_in)
        loops = {
            "block_rows": rows,
            "block_cols": cols,
            "taps_y": draw(1, 3),
            "taps_x": draw(1, 3),
            "span": 1,
            "column_tiles": 1 if partial_in or partial_out else draw(1, 3),
            "last_cols": draw(1, self.config.cols),
            "partial_in": int(partial_in),
            "partial_out": int(partial_out),
        }
        if rows * cols > 100:
            loops |= {"taps_y": 1, "taps_x": 1, "column_tiles": 1}
        if opcode.operation == Opcode.MATMUL:
            depth = self.config.tile_depth(opcode.int4)
            loops["lanes"] = draw(1, 3 * depth if rows * cols < 100 else depth)
            if rng.random() < 0.6:
                loops |= {"taps_x": 1, "taps_y": draw(1, 7), "span": draw(2, MAX_SPAN)}
        elif opcode.operation == Opcode.DEPTHWISE:
            most = self.config.rows
            taps = int(rng.choice([taps for taps in (1, 2, 2, 3, 3, 5, 7, most) if taps <= most]))
            span = draw(1, min(MAX_SPAN, most // taps, 1 + MOST_LAG // taps))
            stride = int(rng.choice([1, 1, 2, 3]))
            positions = max(LEAST_POSITIONS, (cols - 1) * stride + taps + int(rng.choice([0, 0, 0, 1, 5])))
            loops |= {"taps_y": draw(1, 5), "taps_x": taps, "span": span, "stride": stride, "positions": positions}
            loops["transposed"] = draw(0, 1)
        elif opcode == Opcode.INTERPOLATE:
            loops |= {"taps_y": draw(1, min(MAX_BETWEEN, loops["taps_y"])), "taps_x": draw(1, min(MAX_BETWEEN, loops["taps_x"]))}
        elif opcode == Opcode.SOFTMAX:
            loops |= {"lanes": int(rng.choice([draw(1, 40), 300])), "taps_y": 1, "taps_x": 1, "column_tiles": 1, "last_cols": 1}
        return loops

    def _input(self):
        rng, draw, size = self.rng, self._number, self.config.act_bytes
        channels, width = draw(1, 20), draw(1, 12)
        return {
            "address": int(rng.choice([draw(-300, size + 300), draw(0, size - 1000), size - draw(1, 60)])),
            "y": draw(-3, 3),
            "height": draw(0, 12),
            "x_bytes": int(rng.choice([0, draw(-30, 30)])),
            "image_row_bytes": draw(1, channels * width + 20),
            "pixel_step": draw(0, 2 * channels),
            "row_step": draw(0, 2 * channels * width),
            "row_step_y": draw(0, 3),
            "tap_y_step": draw(0, channels * width),
            "tap_y_rows": draw(0, 2),
            "tap_x_step": draw(0, 2 * channels),
            "pad_value": draw(-128, 127),
        }

    def _share_padding(self, loops, source):
        """An image of as many pixels along the taps as a block row sees, less `shared` on either side, which are read once."""
        seen = (loops["block_cols"] - 1) * loops["stride"] + loops["taps_x"]
        shared = self._number(0, min(loops["taps_x"] - 1, max(0, seen - LEAST_POSITIONS), seen // 2))
        channels = (loops["column_tiles"] - 1) * self.config.cols + loops["last_cols"] + self._number(0, 3)
        inside = seen - 2 * shared
        loops["positions"] = max(LEAST_POSITIONS, seen - shared)
        if loops["transposed"]:
            source |= {"y": -shared, "height": inside, "row_step_y": 1, "pixel_step": max(1, source["pixel_step"])}
            source |= {"image_row_bytes": channels * (loops["block_rows"] + 4), "row_step": channels, "tap_y_step": channels}
        else:
            source |= {"x_bytes": -shared * channels, "image_row_bytes": inside * channels, "pixel_step": channels}

    def _softmax(self, loops):
        place = self._place(loops, loops["lanes"])
        output = place if self.rng.random() < 0.3 else self._place(loops, loops["lanes"])
        weights = {"address": self._weights()["address"]}
        return Command(Opcode.SOFTMAX, {"header": {}, "loops": loops, "input": place, "weights": weights, "output": output, "second": {}})

    def _weights(self):
        rng, cols, rows = self.rng, self.config.cols, self.config.weight_bytes // self.config.cols
        kind = Params(rng.choice([Params.NONE, Params.BIAS, *[Params.FULL if self.full else Params.BIAS] * 2]))
        address = cols * int(rng.choice([self._number(0, rows - 1), rows - self._number(1, 40)]))
        return {"address": address, "params": kind, "load_table": int(rng.random() < 0.15)}

    def _place(self, loops, channels=0):
        """Where results or second operands lie: dense, with gaps, or overlapping."""
        channels = channels or (loops["column_tiles"] - 1) * self.config.cols + loops["last_cols"]
        pixel_step = int(self.rng.choice([channels, self._number(channels, channels + 40), self._number(0, 40)]))
        row_step = int(self.rng.choice([pixel_step * loops["block_cols"], self._number(0, 800)]))
        extent = (loops["block_rows"] - 1) * row_step + (loops["block_cols"] - 1) * pixel_step + channels
        return {"address": self._number(0, max(0, self.config.act_bytes - extent)), "pixel_step": pixel_step, "row_step": row_step}

    def _bounds(self):
        low = self._number(-128, 127)
        return {"clamp_min": low, "clamp_max": self._number(low, 127)}

    def _multiplier(self):
        return self._number(-1 << 31, (1 << 31) - 1)

    def _scaling(self):
        draw = self._number
        return {
            "multiplier": self._multiplier(),
            "left_shift": draw(0, 31),
            "right_shift": int(self.rng.choice([draw(0, 31), draw(0, 8)])),
            "single_rounding": draw(0, 1),
            "zero_point": draw(-128, 127),
            "use_table": int(self.table and self.rng.random() < 0.5),
            **self._bounds(),
        }

    def _second(self, place):
        if self.rng.random() < 0.5:
            return {}
        draw, operation = self._number, Second(self.rng.choice([Second.ADD, Second.SUB, Second.MUL]))
        numbers = {
            "operation": operation,
            "first_zero_point": draw(-128, 127),
            "first_multiplier": self._multiplier(),
            "first_shift": draw(0, MAX_PRODUCT_SHIFT if operation == Second.MUL else 31),
            "zero_point": draw(-128, 127),
            "multiplier": self._multiplier(),
            "shift": draw(0, 31),
            "out_multiplier": self._multiplier(),
            "out_shift": draw(0, 31),
            "out_zero_point": draw(-128, 127),
            **self._bounds(),
        }
        if operation != Second.MUL:
            plain = self.rng.choice(["first_", ""])
            numbers |= {f"{plain}multiplier": PLAIN_MULTIPLIER, f"{plain}shift": 0}
        return place | numbers
