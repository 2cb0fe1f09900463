"""Bench of the output stage: random commands, what surrounds the stage, and what the golden machine says it writes."""

import random
from types import SimpleNamespace

import numpy as np

from golden.machine_output import finish, write_addresses
from golden.machine_softmax import execute_softmax
from golden.operators.softmax import exponential_table
from hw.npu.interface.isa import PLAIN_MULTIPLIER, Command, Opcode, Params, Second
from hw.npu.output.output_stage import OutputStage
from tests.streams import plain, put, random_pattern, simulate

READ_LATENCY = 3
SIZE = 1 << 14
DEPTH = 256
ROWS_OF = {Params.NONE: 0, Params.BIAS: 4, Params.FULL: 9}


def stage(cols, lanes, bits=32, depth=DEPTH, *, read_latency=READ_LATENCY, registers=0):
    sizes = {"cols": cols, "lanes": lanes, "depth": depth, "size": SIZE}
    return OutputStage(**sizes, accumulator_bits=bits, read_latency=read_latency, multiplier_registers=registers)


def _scale(rng, least=0):
    return rng.choice((rng.randrange(1 << 30, 1 << 31), (1 << 31) - 1)), rng.randint(least, 31)


def _clamp(rng):
    return rng.choice(((-128, 127), tuple(sorted((rng.randint(-128, 127), rng.randint(-128, 127))))))


def random_command(rng, cols, *, pixels=24, **forced):
    """A command whose result and second operand lie inside the scratchpad; ``forced``: fields by ``group__field``."""
    block_rows = rng.randint(1, 4)
    loops = {
        "block_rows": block_rows,
        "block_cols": rng.randint(1, max(1, pixels // block_rows)),
        "column_tiles": rng.choice((1, 1, 2, 3)),
        "last_cols": rng.choice((cols, rng.randint(1, cols))),
    }
    low, high = _clamp(rng)
    multiplier, right = _scale(rng, rng.choice((0, 15)))
    output = {
        "multiplier": multiplier,
        "left_shift": rng.choice((0, 0, rng.randint(0, 30))),
        "right_shift": right,
        "single_rounding": rng.randrange(2),
        "zero_point": rng.randint(-128, 127),
        "clamp_min": low,
        "clamp_max": high,
        "use_table": rng.random() < 0.4,
    }
    second = {"operation": forced.get("second__operation", rng.choice(list(Second)))}
    if second["operation"]:
        low, high = _clamp(rng)
        first, other, out = _scale(rng), _scale(rng), _scale(rng)
        second |= {
            "first_zero_point": rng.randint(-128, 127),
            "first_multiplier": first[0],
            "first_shift": first[1] % 4 if second["operation"] != Second.MUL else rng.choice((0, rng.randint(0, 12), 12)),
            "zero_point": rng.randint(-128, 127),
            "multiplier": other[0],
            "shift": other[1] % 6,
            "out_multiplier": out[0],
            "out_shift": 16 + out[1] % 6,
            "out_zero_point": rng.randint(-128, 127),
            "clamp_min": low,
            "clamp_max": high,
        }
        if second["operation"] != Second.MUL:
            for operand in rng.choice((("first_",), ("",), ("first_", ""))):
                second |= {f"{operand}multiplier": PLAIN_MULTIPLIER, f"{operand}shift": 0}
    weights = {"params": rng.choice(list(Params)), "load_table": rng.random() < 0.25}
    fields = {"loops": loops, "output": output, "second": second, "weights": weights}
    for name, value in forced.items():
        group, field = name.split("__")
        fields[group][field] = value
    for group, base in (("output", 0), ("second", SIZE // 2)):  # what is read is not what commands inside may still write
        width = (loops["column_tiles"] - 1) * cols + loops["last_cols"]
        pixel_step = fields[group].setdefault("pixel_step", width + rng.choice((0, 0, 1, 3)))
        row_step = fields[group].setdefault("row_step", pixel_step * loops["block_cols"] + rng.choice((0, 5)))
        extent = (loops["block_rows"] - 1) * row_step + (loops["block_cols"] - 1) * pixel_step + width
        room = SIZE // 2 - extent
        fields[group].setdefault("address", base + rng.choice((0, room, rng.randint(0, room))))
    return Command(Opcode.MATMUL, fields)


def random_softmax(rng, *, longest=60, **forced):
    """Rows that lie inside the scratchpad, their results in place or in the other half."""
    loops = {"block_rows": rng.randint(1, 2), "block_cols": rng.randint(1, 2), "column_tiles": 1, "last_cols": 1}
    loops["lanes"] = rng.choice((1, 2, rng.randint(1, longest), longest))
    pixel_step = loops["lanes"] + rng.choice((0, 0, 3))
    steps = {"pixel_step": pixel_step, "row_step": pixel_step * loops["block_cols"] + rng.choice((0, 5))}
    room = SIZE // 2 - loops["block_rows"] * steps["row_step"]
    output = steps | {"address": rng.choice((0, room, rng.randint(0, room)))}
    source = rng.choice((output, steps | {"address": SIZE // 2 + rng.choice((0, room, rng.randint(0, room)))}))
    fields = {"loops": loops, "input": dict(source), "output": output, "weights": {}, "second": {"operation": rng.choice(list(Second))}}
    for name, value in forced.items():
        group, field = name.split("__")
        fields[group][field] = value
    return Command(Opcode.SOFTMAX, fields)


class SoftmaxJob:
    """The one entry that says that a SOFTMAX may read its rows."""

    partial = False

    def __init__(self, index, cols):
        self.index, self.sums = index, [[0] * cols]


class Job:
    """A column tile as the stage sees it: final entries, rows of parameters, vectors to write."""

    def __init__(self, rng, command, cols, bits):
        pixels = command["loops"]["block_rows"] * command["loops"]["block_cols"]
        self.command, self.partial = command, bool(command["loops"]["partial_out"])
        self.sums = [
            [rng.randrange(-1 << bits - 1, 1 << bits - 1) >> rng.choice((0, 0, 4, 8, 16)) for _ in range(cols)] for _ in range(pixels)
        ]
        kind = Params(command["weights"]["params"])
        exponents = [rng.choice((rng.randint(-31, 30), rng.randint(-31, -16))) & 255 for _ in range(cols)]
        planes = [[rng.randrange(256) for _ in range(cols)] for _ in range(8)] + [exponents]
        planes[7] = [rng.randrange(64, 128) for _ in range(cols)]
        self.rows = planes[: ROWS_OF[kind]]
        bias, multiplier = (
            sum(np.array(planes[first + i]) << 8 * i for i in range(4)).astype(np.uint32).view(np.int32).astype(np.int64)
            for first in (0, 4)
        )
        exponent = np.array(exponents, np.uint8).view(np.int8).astype(np.int64)
        self.parameters = {Params.NONE: (0, None, None), Params.BIAS: (bias, None, None), Params.FULL: (bias, multiplier, exponent)}[kind]


class Bench:
    """Commands with their jobs, the rows of the weight stream, the memory, and the writes that must come, in order.

    Parameters
    ----------
    dut : OutputStage
    commands : list of Command
    dependent : set of int
        Commands that start when all before them have retired.
    """

    def __init__(self, dut, commands, seed, dependent=()):
        self.dut, self.commands, self.rng = dut, commands, random.Random(seed)
        self.cols, self.lanes, self.dependent = dut.cols, dut.lanes, dependent
        self.memory = np.array([self.rng.randrange(256) for _ in range(SIZE)], np.uint8)
        self.jobs, self.rows, self.vectors, self.retired = [], [], [], []
        self.cycle, self.writes, self.retires, self.issues = 0, [], [], []
        self.events = {"freed": 0, "started": -1}
        self.operand_owners = []  # the command of each second operand, in the order in which they are read
        self._golden()
        self.accumulators = [[[0] * self.cols for _ in range(DEPTH)] for _ in range(2)]

    def _golden(self):
        config = SimpleNamespace(cols=self.cols, act_bytes=SIZE)
        state = SimpleNamespace(config=config, table=np.zeros(256, np.uint8), activations=self.memory.copy(), jobs=0)
        for index, command in enumerate(self.commands):
            if command.opcode == Opcode.SOFTMAX:
                self._softmax(state, index, command)
                continue
            loops, weights = command["loops"], command["weights"]
            if weights["load_table"]:
                state.table = np.array([self.rng.randrange(256) for _ in range(256)], np.uint8)
                rows = state.table.reshape(-1, self.cols).tolist()
                self.rows += [{"table": 1, "row": i, "last": i == len(rows) - 1, "data": row} for i, row in enumerate(rows)]
            written, first_vector = 0, len(self.vectors)
            for tile in range(loops["column_tiles"]):
                job = Job(self.rng, command, self.cols, self.dut.accumulator_bits)
                job.index, channels = index, loops["last_cols"] if tile == loops["column_tiles"] - 1 else self.cols
                self.jobs.append(job)
                self.rows += [{"table": 0, "row": i, "last": i == len(job.rows) - 1, "data": row} for i, row in enumerate(job.rows)]
                if job.partial:
                    continue
                values = finish(state, index, command, np.array(job.sums), job.parameters, tile, channels)
                addresses = write_addresses(state, index, command, tile, channels)
                state.activations[addresses] = values
                written += len(values)
                for pixel in range(len(job.sums)):
                    for lane in range(0, channels, self.lanes):
                        first, end = pixel * channels + lane, pixel * channels + min(channels, lane + self.lanes)
                        self.vectors.append((int(addresses[first]), values[first:end].tolist()))
            joined = command["second"]["operation"] != Second.NONE
            self.retired.append((index, written, written * joined))
            self.operand_owners += [index] * (len(self.vectors) - first_vector) * joined

    def _softmax(self, state, index, command):
        table = np.array(exponential_table(self.rng.choice((0.05, 0.01, 1e-5)), 1.0), "<i4").view(np.uint8)
        state.weights = table
        rows = table.reshape(-1, self.cols).tolist()
        self.rows += [{"table": 1, "row": i, "last": i == len(rows) - 1, "data": row} for i, row in enumerate(rows)]
        self.jobs.append(SoftmaxJob(index, self.cols))
        addresses, values = execute_softmax(state, index, command)
        length = command["loops"]["lanes"]
        vectors = [
            (row + first, row + min(first + self.lanes, length))
            for row in range(0, len(values), length)
            for first in range(0, length, self.lanes)
        ]
        self.vectors += [(int(addresses[first]), values[first:end].tolist()) for first, end in vectors]
        self.retired.append((index, len(values), 3 * len(values)))
        self.operand_owners += [index] * 3 * len(vectors)

    def payloads(self):
        return [
            {
                "index": index,
                "opcode": command.opcode,
                "source": {name: command["input"][name] for name in ("address", "pixel_step", "row_step")},
                "loops": command["loops"],
                "weights_params": command["weights"]["params"],
                "load_table": command["weights"]["load_table"],
                "output": command["output"],
                "second": command["second"],
            }
            for index, command in enumerate(self.commands)
        ]

    async def feeder(self, ctx, pattern="1"):
        """Final entries, a half at a time; a dependent command waits for the commands before it."""
        number, turn = 0, 0
        for job in self.jobs:
            while self.events["freed"] < number - 1 or (job.index in self.dependent and len(self.retires) < job.index):
                await ctx.tick()
            entries = self.accumulators[number % 2]
            for entry, sums in enumerate(job.sums):
                while pattern[turn % len(pattern)] == "0":
                    turn += 1
                    await ctx.tick()
                turn += 1
                entries[entry] = sums
                self.events["started"] = job.index
                ctx.set(self.dut.entry_final, 1)
                await ctx.tick()
                ctx.set(self.dut.entry_final, 0)
            number += not job.partial

    async def accumulator_memory(self, ctx):
        dut = self.dut
        answers = [None] * (dut.entry_latency - 1)
        while True:
            *_, enable, half, entry, freed = await ctx.tick().sample(dut.acc_enable, dut.acc_half, dut.acc_entry, dut.half_free)
            self.events["freed"] += freed
            answers.append(list(self.accumulators[half][entry]) if enable else None)
            ctx.set(dut.acc_data, answers.pop(0) or [self.rng.randrange(-99, 99) for _ in range(self.cols)])

    async def second_memory(self, ctx, pattern="1"):
        port, answers, turn, reads = self.dut.second_read, [None] * (self.dut.read_latency - 1), 0, 0
        while True:
            ready = pattern[turn % len(pattern)] == "1"
            turn += 1
            ctx.set(port.request.ready, ready)
            *_, valid, address = await ctx.tick().sample(port.request.valid, port.request.payload)
            if valid and ready:
                assert self.operand_owners[reads] <= self.events["started"], "second operand read before the feeder began its command"
                reads += 1
            answers.append(address if valid and ready else None)
            address = answers.pop(0)
            ctx.set(port.valid, address is not None)
            if address is not None:
                data = self.memory[address : address + self.lanes].tolist()
                ctx.set(port.data, data + [0] * (self.lanes - len(data)))

    async def writer(self, ctx, pattern="1"):
        """Takes the writes, and compares each with the golden machine's."""
        port, turn = self.dut.write, 0
        for number, (address, values) in enumerate(self.vectors):
            taken = False
            while not taken:
                ready = pattern[turn % len(pattern)] == "1"
                turn += 1
                ctx.set(port.ready, ready)
                *_, valid, payload = await ctx.tick().sample(port.valid, port.payload)
                taken = valid and ready
            payload = plain(payload)
            got = payload["address"], payload["mask"], payload["data"][: len(values)]
            want = address, (1 << len(values)) - 1, values
            assert got == want, f"vector {number} of {len(self.vectors)}: got {got}, expected {want}"
            self.memory[address : address + len(values)] = values
        ctx.set(port.ready, 1)
        while len(self.retires) < len(self.commands):
            await ctx.tick()
        await ctx.tick().repeat(5)
        assert not ctx.get(port.valid) and not ctx.get(self.dut.busy)

    async def observer(self, ctx):
        """Counts cycles, notes when a vector is issued, written, retired, and compares what retires."""
        dut = self.dut
        while True:
            *_, retire, index, written, read, error, issued, accepted = await ctx.tick().sample(
                dut.retire,
                dut.retire_index,
                dut.written_bytes,
                dut.read_bytes,
                dut.error.valid,
                dut.acc_enable,
                dut.write.valid & dut.write.ready,
            )
            assert not error
            if issued:
                self.issues.append(self.cycle)
            if accepted:
                self.writes.append(self.cycle)
            if retire:
                expected = self.retired[len(self.retires)]
                assert (index, written, read) == expected, f"retired {index, written, read}, expected {expected}"
                self.retires.append(self.cycle)
            self.cycle += 1

    def run(self, cycles=20_000, *, patterns=None):
        """Runs all; ``patterns``: for command, parameters, finals, second operand, writes."""
        command, rows, finals, second, write = patterns or [random_pattern(self.rng) for _ in range(5)]
        dut = self.dut
        simulate(
            dut,
            lambda ctx: put(ctx, dut.command, self.payloads(), command),
            lambda ctx: put(ctx, dut.parameters, self.rows, rows),
            lambda ctx: self.feeder(ctx, finals),
            lambda ctx: self.writer(ctx, write),
            watched=[dut.write, dut.second_read.request],
            background=[self.accumulator_memory, lambda ctx: self.second_memory(ctx, second), self.observer],
            cycles=cycles,
        )
