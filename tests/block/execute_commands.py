"""Random commands for the execute unit: images, kernels and blocks that a compiler could choose, and some that it would not."""

import numpy as np

from golden.program import Layer, Planned, Program
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import LEAST_POSITIONS, MAX_BETWEEN, MAX_SPAN, MOST_LAG, Command, Opcode, Params, Region, Target

IMAGE, RESULT = 1024, 4096
"""Bytes of the image on each side of the scratchpad's end; where results begin, and how many fit."""
MOST_STEPS = 600
"""Steps of a command, so that a program takes some thousand cycles."""


class CommandMaker:
    """Grows a program of execute commands that read one image around the end of the scratchpad, and do not wait for each other.

    Parameters
    ----------
    rng : numpy.random.Generator
    config : NpuConfig
    opcodes : sequence of Opcode
        What to choose from.
    small : bool
        Operands so small that results show their sums as they are.
    """

    def __init__(self, rng, config: NpuConfig, opcodes, *, small):
        self.rng, self.config, self.opcodes, self.small = rng, config, opcodes, small
        limit = 3 if small else 128
        self.image = rng.integers(-limit, limit, 2 * IMAGE).astype(np.int8)
        self.weights = rng.integers(-limit, limit, config.weight_bytes // 4).astype(np.int8)
        self.commands, self.carried = [], None

    def number(self, low, high) -> int:
        """``low`` to ``high``, the ends more often."""
        return int(self.rng.choice([low, high, *self.rng.integers(low, high + 1, 4)]))

    def grow(self, count):
        """Adds commands; the last leaves no partial sums."""
        while len(self.commands) < count or self.carried:
            opcode = Opcode(self.rng.choice(self.opcodes))
            command = self._command(opcode, may_carry=len(self.commands) < count)
            if command is not None:
                self.commands.append(command)
                loops = command["loops"]
                shape = loops["block_rows"], loops["block_cols"], loops["last_cols"]
                self.carried = shape if loops["partial_out"] else None

    def program(self) -> Program:
        """Loads of image and weights, then the commands."""
        size, constants = self.config.act_bytes, self.image.tobytes() + self.weights.tobytes()
        loads = [
            {"sram_address": size - IMAGE, "row_bytes": IMAGE},
            {"ddr_offset": IMAGE, "row_bytes": IMAGE},
            {"ddr_offset": 2 * IMAGE, "row_bytes": self.weights.size, "target": Target.WEIGHTS},
        ]
        loads = [Command(Opcode.LOAD, {"dma": {"region": Region.MODEL, "rows": 1, **fields}}) for fields in loads]
        planned = tuple(Planned(command, 0) for command in (*loads, *self.commands))
        return Program("", self.config, planned, (Layer("", "", (), 0),), constants, 64, (), (), ())

    def _command(self, opcode, *, may_carry):
        rng, config = self.rng, self.config
        partial_in = self.carried is not None
        partial_out = may_carry and rng.random() < (0.5 if partial_in else 0.2)
        rows, cols = (self.number(1, 6), self.number(1, 14)) if rng.random() < 0.8 else ([1, 1], [2, 1], [1, 2])[rng.integers(3)]
        tiles = 1 if partial_in or partial_out else self.number(1, 3)
        last_cols = self.number(1, config.cols)
        if partial_in:
            rows, cols, last_cols = self.carried
        loops = {
            "block_rows": rows,
            "block_cols": cols,
            "column_tiles": tiles,
            "last_cols": last_cols,
            "partial_in": partial_in,
            "partial_out": partial_out,
        }
        channels = (tiles - 1) * config.cols + last_cols
        if rows * cols * channels > RESULT:
            return None
        make = self._filter if opcode.operation == Opcode.DEPTHWISE else self._kernel
        made = make(opcode, loops, channels)
        if made is None:
            return None
        loops, source, steps, stream = made
        address = config.cols * self.number(0, max(0, self.weights.size // config.cols - stream - 9 * tiles))
        if steps * tiles > MOST_STEPS or address + (stream + 9 * tiles) * config.cols > self.weights.size:
            return None
        fields = {
            "header": {"wait_load": 3},
            "loops": loops,
            "input": source,
            "weights": {"address": address, "wait_load": 3, "params": int(rng.choice([Params.NONE, Params.BIAS]))},
            "output": {"address": RESULT, "pixel_step": channels, "row_step": cols * channels} | self._scaling(),
        }
        if opcode == Opcode.INTERPOLATE:
            fields["interpolation"] = {name: self.number(0, 1023) for name in ("y", "step_y", "x", "step_x")}
            fields["output"] |= {"left_shift": 1, "right_shift": self.number(17, 21)}  # of sums in units of 2^-20
        return Command(opcode, fields)

    def _scaling(self):
        """Small sums as they are, others as their upper bits; a bias of the stream is in neither way small."""
        scale = {"left_shift": 1} if self.small else {"right_shift": int(self.rng.integers(6, 14))}
        return {"multiplier": 1 << 30, "clamp_min": -128, "clamp_max": 127, "zero_point": self.number(-5, 5)} | scale

    def _image(self, channels):
        """Height, bytes and pitch of an image's rows, and where it begins before the end of the scratchpad."""
        height, width = self.number(1, 12), self.number(1, 12)
        pitch = channels * width + self.number(0, 5)
        begin = -self.number(0, IMAGE)
        return None if height * pitch > IMAGE else (height, width * channels, pitch, begin)

    def _ring(self, height, pitch, y):
        """Rows from some row on lie lower; the image begins in the middle of a ring."""
        row = self.number(0, height + 2)
        bytes_ = pitch * self.number(0, row) if self.rng.random() < 0.5 else 0
        return {"wrap_row": row, "wrap_bytes": bytes_}

    def _place(self, channels, y, x):
        """The fields that say where the image lies, for a block whose first byte is that of row y and position x; and its pitch."""
        made = self._image(channels)
        if made is None:
            return None, None
        height, row_bytes, pitch, begin = made
        address = begin + y * pitch + x
        address += self.config.act_bytes if address < -self.config.act_bytes // 2 or self.rng.random() < 0.5 else 0
        fields = {"address": address, "y": y, "height": height, "x_bytes": x, "image_row_bytes": row_bytes}
        return fields | {"pad_value": self.number(-3, 3)} | self._ring(height, pitch, y), pitch

    def _kernel(self, opcode, loops, channels):
        """MATMUL, SUM, MAX or INTERPOLATE."""
        matmul, depth = opcode.operation == Opcode.MATMUL, self.config.tile_depth(opcode.int4)
        span = self.number(1, MAX_SPAN) if matmul else 1
        taps_y, taps_x = self.number(1, 4), self.number(1, 3) if span == 1 else 1
        if opcode == Opcode.INTERPOLATE:
            taps_y, taps_x = self.number(1, MAX_BETWEEN), self.number(1, MAX_BETWEEN)
        pixel = self.number(1, 8) if matmul else channels
        lanes = self.number(1, 3 * depth)
        stride = self.number(0 if opcode == Opcode.INTERPOLATE else 1, 3)
        source, pitch = self._place(pixel, self.number(-2, 2), pixel * self.number(-2, 2))
        if source is None:
            return None
        source |= {
            "pixel_step": stride * pixel,
            "row_step": stride * pitch,
            "row_step_y": stride,
            "tap_y_step": pitch,
            "tap_y_rows": 1,
            "tap_x_step": pixel,
        }
        tiles = taps_y * taps_x * (-(-lanes // depth) if matmul else 1)
        loops = loops | {"taps_y": taps_y, "taps_x": taps_x, "lanes": lanes, "span": span}
        stream = taps_y * taps_x * lanes if matmul else 0
        return loops, source, loops["block_rows"] * loops["block_cols"] * tiles, stream * loops["column_tiles"]

    def _filter(self, opcode, loops, channels):
        """DEPTHWISE: any kernel that the rows hold, along the width or the height; padding shared between block rows where it may be."""
        taps_x = self.number(1, min(7, self.config.rows)) if self.rng.random() < 0.9 else self.number(1, self.config.rows)
        spans = [span for span in range(1, MAX_SPAN + 1) if span * taps_x <= self.config.rows and (span - 1) * taps_x <= MOST_LAG]
        span, taps_y = int(self.rng.choice(spans)), self.number(1, 7)
        stride, dilation, transposed = self.number(1, 3), self.number(1, 2), int(self.rng.integers(2))
        source, pitch = self._place(channels, self.number(-taps_x, 2), channels * self.number(-taps_x, 2))
        if source is None:
            return None
        if transposed:  # steps down the image, block rows and kernel rows to the right
            steps = {"pixel_step": pitch, "row_step_y": 1, "row_step": stride * channels, "tap_y_step": dilation * channels}
        else:
            steps = {"pixel_step": channels, "row_step_y": stride, "row_step": stride * pitch, "tap_y_step": dilation * pitch}
        source |= steps | {"tap_y_rows": dilation}
        loops = loops | {"taps_y": taps_y, "taps_x": taps_x, "span": span, "stride": stride, "transposed": transposed}
        last_wave = (loops["block_cols"] - 1) * stride
        positions = last_wave + taps_x
        shared = min(_shareable(source, transposed, positions, channels), positions - max(LEAST_POSITIONS, last_wave + 1))
        if positions < LEAST_POSITIONS:
            return None
        loops["positions"] = positions - self.number(0, max(0, shared))
        passes = -(-taps_y // span)
        return loops, source, loops["block_rows"] * loops["positions"] * passes, passes * span * taps_x * loops["column_tiles"]


def _shareable(source, transposed, positions, channels):
    """Steps at the end of a block row that read padding, as many as there are at the beginning of one."""

    def is_padding(step):
        if transposed:
            return not 0 <= source["y"] + step * source["row_step_y"] < source["height"]
        first = source["x_bytes"] + step * source["pixel_step"]
        return first + channels <= 0 or first >= source["image_row_bytes"]

    shared = 0
    while shared < positions and is_padding(shared) and is_padding(positions - 1 - shared):
        shared += 1
    return shared
