"""What a command reads, by nested loops: its steps, the bytes of its kernel rows, and the waves that come of them."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from hw.npu.interface.isa import FRACTION_BITS, MAX_BETWEEN, Command, Opcode
from hw.npu.walks.reduction_walk import ReductionTile, reduction_tiles
from tests.block.execute_commands import CommandMaker

ONE = 1 << FRACTION_BITS
"""Of the fractions of an INTERPOLATE."""


@dataclass(frozen=True)
class Position:
    """Where a vector begins: byte address, byte position in the image row, image row."""

    address: int
    x: int
    y: int

    def moved(self, step, count=1) -> "Position":
        """The position that lies ``count`` times another one further on."""
        return Position(self.address + count * step.address, self.x + count * step.x, self.y + count * step.y)


@dataclass(frozen=True)
class Step:
    """A step of a command.

    Attributes
    ----------
    column, tile, row, along : int
        Numbers of column tile, reduction tile, block row, and of the step in it.
    pixel : Position
        Of the step, for tap (0, 0).
    wave : bool
        It has a wave.
    entry : int
        Number of its pixel, or of the pixel that comes next.
    first_pixel, last_pixel, tile_end : bool
        It has the first or the last wave of its reduction tile; it is the last step of it.
    between : (int, int)
        In an INTERPOLATE: how far the pixel lies behind that position, in parts of the distance of two kernel rows, and columns.
    """

    column: int
    tile: int
    row: int
    along: int
    pixel: Position
    wave: bool
    entry: int
    first_pixel: bool
    last_pixel: bool
    tile_end: bool
    between: tuple[int, int]


class FeedModel:
    """One command on an array.

    Parameters
    ----------
    command : Command
    config : NpuConfig
    """

    def __init__(self, command: Command, config):
        self.command, self.cols = command, config.cols
        self.loops, inp = command["loops"], command["input"]
        self.matmul, self.depthwise = command.operation == Opcode.MATMUL, command.operation == Opcode.DEPTHWISE
        self.array = self.matmul or self.depthwise
        turned = self.depthwise and self.loops["transposed"]
        self.origin = Position(inp["address"], inp["x_bytes"], inp["y"])
        step, row, down = inp["pixel_step"], inp["row_step"], inp["tap_y_step"]
        self.pixel_step = Position(step, 0, inp["row_step_y"]) if turned else Position(step, step, 0)
        self.row_step = Position(row, row, 0) if turned else Position(row, 0, inp["row_step_y"])
        self.interpolates, self.fractions = command.opcode == Opcode.INTERPOLATE, command["interpolation"]
        self.kernel_column = Position(inp["tap_x_step"], inp["tap_x_step"], 0)
        self.kernel_row = Position(down, down, 0) if turned else Position(down, 0, inp["tap_y_rows"])
        self.tiles = self._tiles(config.tile_depth(command.opcode.int4))

    def _tiles(self, depth) -> list[ReductionTile]:
        """The reduction tiles; of a DEPTHWISE, the kernel rows of each pass, a byte for each tap."""
        loops = self.loops
        ky, kx, span = loops["taps_y"], loops["taps_x"], loops["span"]
        if self.matmul:
            return reduction_tiles(taps_y=ky, taps_x=kx, lanes=loops["lanes"], span=span, rows=depth)
        if self.depthwise:
            return [ReductionTile(row, 0, 0, tuple(kx if side < span else 0 for side in range(3))) for row in range(0, ky, span)]
        return [ReductionTile(row, col, 0, (1, 0, 0)) for row in range(ky) for col in range(kx)]

    def used(self, column) -> int:
        """Channels of a column tile."""
        return self.loops["last_cols"] if column == self.loops["column_tiles"] - 1 else self.cols

    def steps(self) -> list[Step]:
        """All steps in their order."""
        loops, stride = self.loops, self.loops["stride"] if self.depthwise else 1
        rows, cols = loops["block_rows"], loops["block_cols"]
        length = loops["positions"] if self.depthwise else cols
        steps = []
        for column in range(loops["column_tiles"]):
            channels = self.cols * column if not self.matmul else 0
            begin = self.origin.moved(Position(channels, channels, 0))
            for tile in range(len(self.tiles)):
                waves = 0
                for row in range(rows):
                    for along in range(length):
                        wave = along % stride == 0 and along // stride < cols
                        pixel, between = self._between(begin.moved(self.row_step, row).moved(self.pixel_step, along), row, along)
                        last = waves == rows * cols - 1
                        end = row == rows - 1 and along == length - 1
                        entry, first = waves % (rows * cols), row == along == 0
                        steps.append(Step(column, tile, row, along, pixel, wave, entry, first, wave and last, end, between))
                        waves += wave
        return steps

    def _between(self, pixel, row, along):
        """A pixel, moved by whole kernel rows and columns where its fractions come to one; and what is left of them."""
        if not self.interpolates:
            return pixel, (0, 0)
        down, y = divmod(self.fractions["y"] + row * self.fractions["step_y"], ONE)
        right, x = divmod(self.fractions["x"] + along * self.fractions["step_x"], ONE)
        return pixel.moved(self.kernel_row, down).moved(self.kernel_column, right), (y, x)

    def weight(self, step) -> int:
        """What a vector is multiplied by. A kernel row, or column, that is alone in the image has all of it."""
        if not self.interpolates:
            return 1
        inp, tile, pixel = self.command["input"], self.tiles[step.tile], step.pixel
        alone_y = pixel.y < 0 or pixel.y + inp["tap_y_rows"] >= inp["height"] or self.loops["taps_y"] < MAX_BETWEEN
        alone_x = pixel.x < 0 or pixel.x + inp["tap_x_step"] >= inp["image_row_bytes"] or self.loops["taps_x"] < MAX_BETWEEN
        factors = [
            ONE if alone else fraction if tap else ONE - fraction
            for alone, tap, fraction in ((alone_y, tile.ky, step.between[0]), (alone_x, tile.kx, step.between[1]))
        ]
        return factors[0] * factors[1]

    def tap(self, pixel, ky, along) -> Position:
        """A byte of a kernel row, so many bytes from the pixel's first."""
        return pixel.moved(self.kernel_row, ky).moved(Position(along, along, 0))

    def bytes_at(self, position, count, memory) -> list[int]:
        """So many bytes: of the image, wherever its ring and the scratchpad wrap, or the pad value. Unsigned."""
        inp, size, found = self.command["input"], len(memory), []
        low = inp["wrap_bytes"] if position.y >= inp["wrap_row"] else 0
        for number in range(count):
            inside = 0 <= position.y < inp["height"] and 0 <= position.x + number < inp["image_row_bytes"]
            found.append(int(memory[(position.address - low + number) % size]) if inside else inp["pad_value"] % 256)
        return found

    def kernel_bytes(self, step, memory) -> list[list[int]]:
        """What a wave meets, row of the array after row: in DEPTHWISE a vector a tap, else one vector of one tile.

        Of a MATMUL the bytes of all kernel rows of the tile, one behind the other; of a vector operation the C bytes of its tap.
        """
        tile, across = self.tiles[step.tile], self.command["input"]["tap_x_step"]
        if self.depthwise:
            used = self.used(step.column)
            taps = [(tile.ky + side, kx) for side in range(self.loops["span"]) for kx in range(self.loops["taps_x"])]
            places = [self.tap(step.pixel.moved(self.pixel_step, kx), ky, 0) for ky, kx in taps]
            kernel_rows = self.loops["taps_y"]  # a pass may have room for rows that the kernel has not: there nothing is read
            return [self.bytes_at(place, used, memory) if ky < kernel_rows else None for place, (ky, _) in zip(places, taps, strict=True)]
        if not self.matmul:
            return [self.bytes_at(self.tap(step.pixel, tile.ky, tile.kx * across), self.cols, memory)]
        parts = [(tile.ky, tile.kx * across + tile.first, tile.bytes[0]), (tile.ky + 1, 0, tile.bytes[1]), (tile.ky + 2, 0, tile.bytes[2])]
        return [[byte for ky, along, count in parts for byte in self.bytes_at(self.tap(step.pixel, ky, along), count, memory)]]


def random_models(seed, config, opcodes, *, count=100, each=4, most=120) -> list[FeedModel]:
    """Commands that a compiler could choose, and some that it would not: some of each kind, alike in opcode, ``span`` and ``transposed``.

    Parameters
    ----------
    seed : int or sequence of int
    config : NpuConfig
    opcodes : sequence of Opcode
    count, each : int
        How many are drawn, and how many of a kind are kept.
    most : int
        Steps that a command may have.
    """
    maker, kinds = CommandMaker(np.random.default_rng(seed), config, opcodes, small=False), Counter()
    maker.grow(count)
    models = []
    for model in (FeedModel(command, config) for command in maker.commands):
        kind = model.command.opcode, model.loops["span"], model.loops["transposed"]
        if kinds[kind] < each and len(model.steps()) <= most:
            kinds[kind] += 1
            models.append(model)
    return models
