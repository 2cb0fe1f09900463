"""The execute unit and its scratchpads in simulation; transfers are played by the bench, ports may be refused at random."""

from collections import deque

import numpy as np
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.sim import Simulator

from hw.npu.execute_unit import ExecuteUnit
from hw.npu.interface.isa import EXECUTE, Command, Opcode, Region, Target
from hw.npu.interface.tokens import TokenBoard
from hw.npu.output.output_stage import OutputStage
from hw.npu.scratchpad.scratchpad import FEED, ActivationScratchpad
from hw.npu.scratchpad.weight_scratchpad import WeightScratchpad


class Bench(wiring.Component):
    """Execute unit and scratchpads; loads come in through the DMA ports.

    Parameters
    ----------
    config : NpuConfig
    busy : int
        Of 16 cycles, in how many each of the feeder's ports is refused, at random. Weights that have come are never refused: waves set out
        before their whole tile is there, and `tests/formal/test_weight_loader.py` proves of the scratchpad that they may.
    """

    def __init__(self, config, *, busy=0):
        self.config, self.busy = config, busy
        super().__init__({})
        self.unit = ExecuteUnit(config)
        self.activations = ActivationScratchpad(
            banks=config.BANKS,
            word=config.word_bytes,
            size=config.act_bytes,
            feed_bytes=config.feed_bytes,
            lanes=config.lanes,
            dma_bytes=config.axi_bytes,
            registers=config.memory_registers,
        )
        self.weights = WeightScratchpad(
            banks=config.WEIGHT_BANKS,
            size=config.weight_bytes,
            cols=config.cols,
            dma_bytes=config.axi_bytes,
            registers=config.memory_registers,
        )
        self.board = TokenBoard()
        self.before = 2 * config.rows
        """Cycles from the reset to the job, in which the weight loader clears the array: in an NPU its commands take longer to come."""

    async def begin(self, ctx):
        """Waits until the job begins."""
        for _ in range(self.before):
            await ctx.tick()

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit, m.submodules.board = unit, board = self.unit, self.board
        m.submodules.activations, m.submodules.weights = self.activations, self.weights
        noise = self._noise(m)
        for number, (port, name) in enumerate(zip(unit.feed, FEED, strict=True)):
            self._connect(m, port, getattr(self.activations, name), noise[5 * number :][:4] >= self.busy)
        wiring.connect(m, unit.weights, self.weights.read)
        wiring.connect(m, unit.second, self.activations.second)
        wiring.connect(m, unit.write, self.activations.write)
        m.d.comb += [self.activations.complete[0].eq(unit.done), board.exec.eq(self.activations.settled[0])]
        m.d.comb += [unit.tokens.eq(board.tokens), unit.record.ready.eq(1)]
        before = Signal(range(self.before + 1))  # the job begins
        m.d.comb += unit.running.eq(before == self.before)
        m.d.sync += [before.eq(before + ~unit.running), unit.cycle.eq(unit.cycle + unit.running)]
        return m

    @staticmethod
    def _noise(m):
        """A shift register of 32 bits with feedback (x^32 + x^22 + x^2 + x + 1), eight bits a cycle."""
        state = Signal(32, init=0x1234567)
        following = state
        for step in range(8):
            before, following = following, Signal(32, name=f"noise_{step}")
            m.d.comb += following.eq(Cat(before[31] ^ before[21] ^ before[1] ^ before[0], before[:31]))
        m.d.sync += state.eq(following)
        return state

    @staticmethod
    def _connect(m, reader, memory, granted):
        """A read port that is refused where it is not granted."""
        m.d.comb += [
            memory.request.payload.eq(reader.request.payload),
            memory.request.valid.eq(reader.request.valid & granted),
            reader.request.ready.eq(memory.request.ready & granted),
            reader.valid.eq(memory.valid),
            reader.data.eq(memory.data),
        ]


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


async def _settle(ctx, activations):
    """Waits until what the DMA wrote is made."""
    ctx.set(activations.complete[1], 1)
    await ctx.tick()
    ctx.set(activations.complete[1], 0)
    settled = 0
    while not settled:
        *_, settled = await ctx.tick().sample(activations.settled[1])


def run(program, inputs, *, busy=0):
    """Runs a program's load and execute commands.

    Parameters
    ----------
    program : Program
    inputs : dict of str to ndarray
        Values of the program's inputs.
    busy : int
        As in `Bench`.

    Returns
    -------
    writes : dict of int to (list of int, list of int)
        Addresses and bytes that each execute command wrote, in order, as the machine lists them.
    records : list of dict
        A record for each of them.
    """
    config = program.config
    bench = Bench(config, busy=busy)
    arena = np.zeros(program.arena_bytes, np.uint8)
    for place in program.inputs:
        place.write(arena, inputs[place.tensor])
    regions = {Region.MODEL: np.frombuffer(program.constants, np.uint8), Region.ARENA: arena}
    commands = [Command.unpack(planned.command.pack()) for planned in program.commands]
    execute = [index for index, command in enumerate(commands) if command.opcode in EXECUTE]
    writes, records = {index: ([], []) for index in execute}, []
    state = {"retired": 0}

    async def loads(ctx):
        await bench.begin(ctx)
        for command in commands:
            if command.opcode == Opcode.LOAD:
                while state["retired"] < command["header"]["wait_exec"]:
                    await ctx.tick()
                await _load(ctx, bench, command["dma"], regions[Region(command["dma"]["region"])])
                await _settle(ctx, bench.activations)
                ctx.set(bench.board.load, 1)
                await ctx.tick()
                ctx.set(bench.board.load, 0)

    async def commands_in(ctx):
        await bench.begin(ctx)
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
        late = deque([None] * (OutputStage.RETIRE - 1))  # writes, until their retirement would be seen
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
            late.append(payload if valid and ready else None)
            if (payload := late.popleft()) is not None:
                addresses, values = writes[execute[state["retired"]]]
                for lane in range(config.lanes):
                    if payload.mask >> lane & 1:
                        addresses.append(payload.address + lane)
                        values.append(payload.data[lane])
            if recorded:
                records.append({name: record[name] for name, _ in record.shape()})

    async def deadline(ctx):
        for _ in range(30_000):  # not repeat(): its generator complains when the simulation ends first
            await ctx.tick()
        raise AssertionError(f"no end: {state['retired']} of {len(execute)} commands retired")

    sim = Simulator(bench)
    sim.add_clock(1e-6)
    for testbench in (loads, commands_in, observe):
        sim.add_testbench(testbench)
    sim.add_testbench(deadline, background=True)
    sim.run()
    return writes, records


def check_windows(records):
    """Windows follow each other, and every cycle in them is active or one stall."""
    end = 0
    for record in records:
        assert record["start"] == end and record["end"] > end
        end = record["end"]
        stalls = sum(value for name, value in record.items() if name.startswith("stall_"))
        assert record["active"] + stalls == record["end"] - record["start"], record
