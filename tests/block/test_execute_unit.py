"""The execute unit against the golden machine: compiled random operators, transfers played by the test."""

import random

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator

from golden.machine import Machine
from hw.npu.config import NpuConfig
from hw.npu.execute_unit import ExecuteUnit
from hw.npu.isa import EXECUTE, Command, Opcode, Region, Target
from hw.npu.scratchpad import ActivationScratchpad
from hw.npu.tokens import TokenBoard
from hw.npu.weight_scratchpad import WeightScratchpad
from tests.random_graphs import GraphMaker
from weft.compiler.driver import compile_graph


class Bench(wiring.Component):
    """Execute unit and scratchpads; loads come in through the DMA ports."""

    def __init__(self, config):
        self.config = config
        super().__init__({})
        self.unit = ExecuteUnit(config)
        self.activations = ActivationScratchpad(
            banks=config.BANKS,
            word=config.word_bytes,
            size=config.act_bytes,
            feed_bytes=config.feed_bytes,
            lanes=config.lanes,
            dma_bytes=config.axi_bytes,
        )
        self.weights = WeightScratchpad(banks=config.WEIGHT_BANKS, size=config.weight_bytes, cols=config.cols, dma_bytes=config.axi_bytes)
        self.board = TokenBoard()

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit, m.submodules.board = unit, board = self.unit, self.board
        m.submodules.activations, m.submodules.weights = self.activations, self.weights
        wiring.connect(m, unit.feed, self.activations.feed)
        wiring.connect(m, unit.second, self.activations.second)
        wiring.connect(m, unit.write, self.activations.write)
        wiring.connect(m, unit.weights, self.weights.read)
        m.d.comb += [board.exec.eq(unit.done), unit.tokens.eq(board.tokens), unit.running.eq(1), unit.record.ready.eq(1)]
        m.d.sync += unit.cycle.eq(unit.cycle + 1)
        return m


async def _write(ctx, port, width, address, data):
    for begin in range(0, len(data), width):
        chunk = data[begin : begin + width]
        ctx.set(port.payload, {"address": address + begin, "data": [*chunk, *[0] * (width - len(chunk))], "mask": (1 << len(chunk)) - 1})
        ctx.set(port.valid, 1)
        ready = 0
        while not ready:
            *_, ready = await ctx.tick().sample(port.ready)
        ctx.set(port.valid, 0)


async def _load(ctx, bench, fields, memory):
    """What the load DMA does."""
    config = bench.config
    port = bench.activations.dma_write if fields["target"] == Target.ACTIVATIONS else bench.weights.write
    for row in range(fields["rows"]):
        begin = fields["ddr_offset"] + row * fields["ddr_stride"]
        data = memory[begin : begin + fields["row_bytes"]].tolist()
        await _write(ctx, port, config.axi_bytes, fields["sram_address"] + row * fields["sram_stride"], data)


def _run(program, inputs):
    """Bytes that each command wrote, in order, as the machine lists them; and the records."""
    config = program.config
    bench = Bench(config)
    arena = np.zeros(program.arena_bytes, np.uint8)
    for place in program.inputs:
        place.write(arena, inputs[place.tensor])
    regions = {Region.MODEL: np.frombuffer(program.constants, np.uint8), Region.ARENA: arena}
    commands = [Command.unpack(planned.command.pack()) for planned in program.commands]
    execute = [index for index, command in enumerate(commands) if command.opcode in EXECUTE]
    writes, records = {index: ([], []) for index in execute}, []
    state = {"retired": 0}

    async def loads(ctx):
        for command in commands:
            if command.opcode == Opcode.LOAD:
                while state["retired"] < command["header"]["wait_exec"]:
                    await ctx.tick()
                await _load(ctx, bench, command["dma"], regions[Region(command["dma"]["region"])])
                ctx.set(bench.board.load, 1)
                await ctx.tick()
                ctx.set(bench.board.load, 0)

    async def commands_in(ctx):
        for index in execute:
            ctx.set(bench.unit.command.payload.index, index)
            word = int.from_bytes(program.commands[index].command.pack(), "little")
            ctx.set(bench.unit.command.payload.command.as_value(), word)
            ctx.set(bench.unit.command.valid, 1)
            ready = 0
            while not ready:
                *_, ready = await ctx.tick().sample(bench.unit.command.ready)
            ctx.set(bench.unit.command.valid, 0)

    async def observe(ctx):
        port, unit = bench.activations.write, bench.unit
        while len(records) < len(execute):
            *_, valid, ready, payload, done, index, recorded, record, failed, code = await ctx.tick().sample(
                port.valid,
                port.ready,
                port.payload,
                unit.done,
                unit.done_index,
                unit.record.valid,
                unit.record.payload,
                unit.error.valid,
                unit.error.code,
            )
            assert not failed, f"error {code}"
            if done:  # a cycle after the last write
                assert index == execute[state["retired"]]
                state["retired"] += 1
            if valid and ready:
                addresses, values = writes[execute[state["retired"]]]
                for lane in range(config.lanes):
                    if payload.mask >> lane & 1:
                        addresses.append(payload.address + lane)
                        values.append(payload.data[lane])
            if recorded:
                records.append({name: record[name] for name, _ in record.shape()})

    async def deadline(ctx):
        for _ in range(60_000):  # not repeat(): its generator complains when the simulation ends first
            await ctx.tick()
        raise AssertionError(f"no end: {state['retired']} of {len(execute)} commands retired")

    sim = Simulator(bench)
    sim.add_clock(1e-6)
    for testbench in (loads, commands_in, observe):
        sim.add_testbench(testbench)
    sim.add_testbench(deadline, background=True)
    sim.run()
    return writes, records


def _network(seed):
    """A small network with every kind of execute command: strided and dilated convolutions, residual, pools, a vector."""
    rng = np.random.default_rng(seed)
    maker = GraphMaker(rng, (1, int(rng.integers(4, 9)), int(rng.integers(4, 9)), int(rng.integers(1, 7))))
    stem = maker.conv("input", int(rng.integers(3, 12)), (3, int(rng.integers(1, 4))), stride=(1, 2))
    shape = maker.tensors[stem].shape
    wide = maker.conv(stem, shape[3], (2, 2), dilation=(1, int(rng.integers(1, 3))))
    joined = maker.add(wide, stem)
    pooled = maker.pool(str(rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"])), joined, (2, 2), stride=(2, 1))
    flat = maker.reshape(pooled, (1, maker.tensors[pooled].size))
    return maker.graph(maker.quantize(maker.fully_connected(flat, int(rng.integers(1, 20)))))


@pytest.mark.parametrize("case", range(6))
def test_writes_are_those_of_the_machine(case, seed):
    rng = random.Random(1000 * seed + case)
    config = NpuConfig(
        rows=rng.choice([4, 8]),
        cols=rng.choice([4, 8]),
        act_kib=16,
        weight_kib=8,
        axi_bits=rng.choice([32, 64]),
        lane_divisor=rng.choice([1, 2, 4]),
        broadcast=rng.choice([2, 4, 16]),
    )
    print(config)
    graph = _network(1000 * seed + case)
    program = compile_graph(graph, config, keep_tensors=case % 3 == 2).program
    shape = graph.tensors["input"].shape
    inputs = {"input": np.random.default_rng(case).integers(-128, 128, shape).astype(np.int8)}
    machine = Machine(program).run(inputs, writes=True)
    writes, records = _run(program, inputs)
    for index, (addresses, values) in writes.items():
        want_addresses, want = machine.writes[index]
        text = f"seed {seed}, command {index}: {program.commands[index].note}: {program.commands[index].command}"
        assert addresses == want_addresses.tolist(), text
        wrong = [i for i, (a, b) in enumerate(zip(values, want.tolist())) if a != b]
        assert not wrong, f"{text}: {len(wrong)} of {len(want)} wrong, first {wrong[0]}: expected {want[wrong[0]]}, got {values[wrong[0]]}"
    _check_windows(records)


def _check_windows(records):
    """Windows follow each other, and every cycle in them is active or one stall."""
    end = 0
    for record in records:
        assert record["start"] == end and record["end"] > end
        end = record["end"]
        stalls = sum(value for name, value in record.items() if name.startswith("stall_"))
        assert record["active"] + stalls == record["end"] - record["start"], record
