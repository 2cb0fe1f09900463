"""Where the ports read against nested loops: the kernel rows of a tile side by side, past steps of a depthwise convolution."""

import random
from collections import Counter, deque

import pytest

from hw.npu.config import NpuConfig
from hw.npu.feed.port_positions import PortPositions
from hw.npu.interface.isa import MAX_SPAN, Opcode
from hw.npu.walks.reduction_walk import ReductionWalk
from tests.block.feed.feed_model import FeedModel, Position, random_models
from tests.streams import plain, simulate

CONFIG = NpuConfig("positions", rows=16, cols=4, act_kib=16, weight_kib=8, lane_divisor=2, int4=True)
OPCODES = (Opcode.MATMUL, Opcode.MATMUL_INT4, Opcode.SUM, Opcode.DEPTHWISE)
PREPARED, SHORTEST = 2, ReductionWalk.SETTLES + 1
"""Cycles for which a command stands before it starts, and those of the shortest tile."""


class Ports:
    """What the ports are to read in a step of a command, or in a filler; remembers the steps for those that come."""

    def __init__(self, model: FeedModel):
        self.model, self.past = model, []

    def of(self, step, filler) -> list[tuple | None]:
        """For each port the position of its byte 0, the lanes that it reads, and those that it pads; None where it reads nothing."""
        model = self.model
        tile = model.tiles[step.tile]
        if model.depthwise:
            self.past.append(None if filler else step)
            lags = [side * model.loops["taps_x"] for side in range(MAX_SPAN)]
            return [self._filter(side, self.past[-1 - lag]) if lag < len(self.past) else None for side, lag in enumerate(lags)]
        along = tile.kx * model.command["input"]["tap_x_step"] + tile.first
        ends = [sum(tile.bytes[: side + 1]) for side in range(MAX_SPAN)] if model.matmul else [model.cols, 0, 0]
        starts = [0, ends[0], ends[1]]
        places = [model.tap(step.pixel, tile.ky + side, -starts[side] if side else along) for side in range(MAX_SPAN)]
        lanes = [range(start, end) for start, end in zip(starts, ends, strict=True)]
        return [(place, lane, lane) if lane else None for place, lane in zip(places, lanes, strict=True)]

    def _filter(self, side, step):
        """Port ``side`` reads that kernel row where port 0 was in a past step."""
        model = self.model
        if step is None or side >= model.loops["span"] or model.tiles[step.tile].ky + side >= model.loops["taps_y"]:
            return None
        pads = model.used(0) if model.loops["column_tiles"] == 1 else model.cols
        return model.tap(step.pixel, model.tiles[step.tile].ky + side, 0), range(model.used(step.column)), range(pads)


def shown(ctx, dut):
    """The same of what the ports show."""
    ports = [plain(ctx.get(port)) for port in dut.ports]
    lanes = [(range(port["first"], port["end"]), range(port["first"], port["pad_end"])) for port in ports]
    return [(Position(**port["position"]), *mine) if port["on"] and mine[0] else None for port, mine in zip(ports, lanes, strict=True)]


class PositionsBench:
    """Takes steps through `PortPositions` as the feeder does, and compares what its ports show."""

    def __init__(self, rng):
        self.rng = rng
        self.dut = PortPositions(rows=CONFIG.rows, cols=CONFIG.cols, int4=True)
        self.late = deque([None] * PortPositions.LATENCY)
        self.reads = Counter()

    async def command(self, ctx, model, here):
        """All steps of a command, and fillers between and behind them."""
        dut, rng = self.dut, self.rng
        one_byte = {} if model.array else {"lanes": 1, "span": 1}  # what only the array knows: the feeder sees to that
        settings = {"loops": model.loops | one_byte, "input": model.command["input"], "matmul": model.matmul, "depthwise": model.depthwise}
        for name, value in (settings | {"paired": model.command.opcode == Opcode.MATMUL_INT4}).items():
            ctx.set(getattr(dut, name), value)
        await self._idle(ctx, PREPARED)
        ctx.set(dut.start, 1)
        await self._tick(ctx, None)
        ctx.set(dut.start, 0)
        ports, density, age = Ports(model), rng.choice((1, 0.6)), 1  # cycles since the tile's first, with this one
        for step in model.steps():
            tiles = step.tile == 0, step.tile == len(model.tiles) - 1
            while rng.random() > density or (step.tile_end and age < SHORTEST):
                if model.depthwise and step.first_pixel and ports.past and rng.random() < 0.7:
                    await self._step(ctx, ports, step, None, here)
                else:
                    await self._idle(ctx, 1)
                age += 1
            assert ctx.get(dut.first_tile) == tiles[0], here
            if age >= SHORTEST:
                assert ctx.get(dut.last_tile) == tiles[1], here
                ends = [sum(model.tiles[step.tile].bytes[: side + 1]) for side in range(MAX_SPAN)]
                assert not model.array or [ctx.get(end) for end in dut.row_ends] == ends, here
            await self._step(ctx, ports, step, step, here)
            age = 1 if step.tile_end else age + 1
        for _ in range(model.tiles[-1].rows if model.depthwise else 0):
            await self._step(ctx, ports, model.steps()[-1], None, here)
        await self._idle(ctx, PortPositions.LATENCY + 1)

    async def _step(self, ctx, ports, step, taken, here):
        """A step, or a filler where ``taken`` is None; the pixel comes a cycle later."""
        dut, model = self.dut, ports.model
        ctx.set(dut.step, 1)
        ctx.set(dut.filler, taken is None)
        ctx.set(dut.tile_end, taken is not None and step.tile_end)
        ctx.set(dut.last_column, step.column == model.loops["column_tiles"] - 1)
        expected = ports.of(step, taken is None)
        await self._tick(ctx, (expected, f"{here}, {step}, filler {taken is None}"))
        ctx.set(dut.pixel, vars(step.pixel))
        ctx.set(dut.step, 0)
        ctx.set(dut.tile_end, 0)

    async def _idle(self, ctx, cycles):
        for _ in range(cycles):
            await self._tick(ctx, None)

    async def _tick(self, ctx, expected):
        """A cycle; what is expected of its step is compared `PortPositions.LATENCY` cycles later."""
        self.late.append(expected)
        due = self.late.popleft()
        if due is not None:
            ports, here = due
            assert shown(ctx, self.dut) == ports, here
            self.reads.update((side, len(port[1])) for side, port in enumerate(ports) if port)
        await ctx.tick()


@pytest.mark.parametrize("draw", range(2))
def test_ports_read_the_kernel_rows_of_each_step(draw, seed):
    bench = PositionsBench(random.Random(f"{seed} {draw}"))

    async def check(ctx):
        for number, model in enumerate(random_models([seed, draw], CONFIG, OPCODES)):
            await bench.command(ctx, model, f"seed {seed}, command {number}: {model.command}")

    simulate(bench.dut, check, cycles=50_000)
    assert {side for side, _ in bench.reads} == set(range(MAX_SPAN)), bench.reads
