"""A feeder among neighbours that are played: a scratchpad, a loader of weights, accumulators that are read out, and an array."""

from collections import Counter, deque
from dataclasses import dataclass

from amaranth.hdl import Cat, Value

from hw.npu.array.accumulators import Accumulators
from hw.npu.feed.feed_gate import CAUSES
from hw.npu.interface.isa import MAX_SPAN, Command, Opcode
from tests.block.feed.feed_model import FeedModel
from tests.streams import plain

QUEUES = ("load", "exec", "store")
NEIGHBOURS = ("command", *range(MAX_SPAN), *QUEUES, "loader", "output")
MOOD, RATES = 30, (0.1, 0.5, 1)
"""Cycles for which a neighbour stays as it is, and how often it does something then."""
ARRAY_LATENCY = 9
QUIET = 40
"""Cycles behind the last wave, in which nothing may come any more."""
SPENT = ("active", "bank", "apart", *(name for name, _ in CAUSES))
"""What a cycle is spent on: exactly one of these."""


@dataclass(frozen=True)
class Wave:
    """A wave as it must come.

    Attributes
    ----------
    command : int
        Number of its command.
    tag : dict
        As `WAVE_TAG`.
    array, column, paired : bool
        It is for the array, for the array as a FIR filter, with two activations a row.
    tile : int
        Number of its reduction tile among all that the array computes; of its plane the lowest bit.
    tile_end, opens_job : bool
        It is the last of that tile; it is the first of a job that takes a new half.
    weight : int
        What a vector is multiplied by that goes around the array.
    vectors : list of (list of int, or None)
        What it must meet in each row of the array, the first bytes of a vector; of a wave that is no column, one whole vector.
    """

    command: int
    tag: dict
    array: bool
    column: bool
    paired: bool
    tile: int
    tile_end: bool
    opens_job: bool
    weight: int
    vectors: list


def waves_of(commands, config, memory) -> list[Wave]:
    """All waves of some commands, in their order."""
    waves, tiles, jobs = [], 0, 0
    for number, command in enumerate(commands):
        model = FeedModel(_as_read(command), config)
        loops, opcode = command["loops"], command.opcode
        for step in model.steps():
            last_tile = step.tile == len(model.tiles) - 1
            if step.wave:
                tag = {
                    "entry": step.entry,
                    "half": jobs % 2,
                    "overwrite": step.tile == 0 and not loops["partial_in"],
                    "maximum": opcode == Opcode.MAX,
                    "final": last_tile,
                    "job_end": last_tile and step.last_pixel,
                }
                vectors = model.kernel_bytes(step, memory)
                opens = step.first_pixel and step.tile == 0 and not loops["partial_in"]
                paired = opcode == Opcode.MATMUL_INT4
                waves.append(
                    Wave(number, tag, model.array, model.depthwise, paired, tiles, step.last_pixel, opens, model.weight(step), vectors)
                )
            if step.last_pixel:
                tiles += model.array
                jobs += last_tile and not loops["partial_out"]
    return waves


def _as_read(command) -> Command:
    """A SOFTMAX as what the feeder makes of it: one wave of padding."""
    if command.opcode != Opcode.SOFTMAX:
        return command
    loops = command["loops"] | {"block_rows": 1, "block_cols": 1, "lanes": 1}
    return Command(Opcode.SUM, {"loops": loops, "input": command["input"] | {"height": 0}})


class FeedBench:
    """Runs commands through a feeder, checks every wave, and that each finds what it needs.

    Parameters
    ----------
    rng : random.Random
    dut : Feeder
    config : NpuConfig
    memory : uint8[size]
        The activation scratchpad.
    commands : list of Command
    moody : bool
        Each neighbour is now fast, now slow; else all is there as soon as it may be.
    """

    def __init__(self, rng, dut, config, memory, commands, *, moody):
        self.rng, self.dut, self.config, self.memory, self.moody = rng, dut, config, memory, moody
        self.commands, self.cycle = commands, 0
        self.waves = deque(waves_of(commands, config, memory))
        self.tokens, self.tokens_before = dict.fromkeys(QUEUES, 0), deque(maxlen=dut.read_latency)
        self.tiles = 1 + max((wave.tile for wave in self.waves if wave.array), default=-1)
        self.loaded = self.passed = self.jobs = self.freed = self.readable = 0
        self.answers = [deque([None] * (dut.read_latency - 1)) for _ in range(MAX_SPAN)]
        self.rows: list[tuple[int, Wave]] = []  # waves of the FIR filter, and the row in which each is
        self.inside: deque[list] = deque()  # waves in the array, each with the moves until it is at the accumulators
        self.touched: dict[tuple[int, int], int] = {}  # entries of the accumulators: the cycle of the last wave
        self.spent, self.ended = Counter(), []
        self.rates, self.moves = dict.fromkeys(NEIGHBOURS, 1.0), True

    async def run(self, ctx):
        """All commands, and some quiet cycles."""
        dut, offered, quiet = self.dut, 0, 0
        requests = [stream for port in dut.read for stream in (port.request.valid, port.request.payload)]
        names = ("enable", "matmul", "column", "vector", "plane", "tag", "tile_passed", "event", "paired", "weight")
        lanes = [Cat(*(Value.cast(lane) for lane in vector)) for vector in (dut.lanes, *dut.sides)]
        signals = [getattr(dut, name) for name in names]
        while quiet < QUIET:
            offers = offered < len(self.commands) and self._now("command")
            if offers:
                ctx.set(dut.command.payload, self._payload(offered))
            ctx.set(dut.command.valid, offers)
            ready = [self._now(side) for side in range(MAX_SPAN)]
            for port, granted in zip(dut.read, ready, strict=True):
                ctx.set(port.request.ready, granted)
            self._give(ctx)
            seen = await ctx.tick().sample(dut.command.ready, dut.error.valid, *requests, *lanes, *dut.group_ends, *signals)
            _, _, taken, failed, *seen = seen
            assert not failed, "an address outside"
            offered += offers and taken
            self._requests(ctx, seen[0 : 2 * MAX_SPAN : 2], seen[1 : 2 * MAX_SPAN : 2], ready)
            shown, ends = seen[2 * MAX_SPAN : 3 * MAX_SPAN], seen[3 * MAX_SPAN : 4 * MAX_SPAN]
            self._look(dict(zip(names, seen[4 * MAX_SPAN :], strict=True)), shown, ends)
            quiet = 0 if self.waves or self.rows or self.inside or offered < len(self.commands) else quiet + 1
            self.cycle += 1
        assert self.passed == self.tiles == self.loaded
        assert self.ended == [(number, int(command.opcode)) for number, command in enumerate(self.commands)]

    def _now(self, neighbour):
        """Whether a neighbour does something in this cycle."""
        if self.moody and self.rng.random() < 1 / MOOD:
            self.rates[neighbour] = self.rng.choice(RATES)
        return self.rng.random() < self.rates[neighbour]

    def _payload(self, number):
        """A command as the feeder takes it."""
        command = self.commands[number]
        return {"index": number, **{group: command[group] for group in ("header", "loops", "input", "interpolation")}}

    def _give(self, ctx):
        """Tokens, tiles and halves of this cycle. The loader writes while the array moves only."""
        dut = self.dut
        self.tokens_before.append(dict(self.tokens))
        for queue in QUEUES:
            self.tokens[queue] += self._now(queue) and (not self.moody or self.rng.random() < 0.1)
        ctx.set(dut.tokens, self.tokens)
        loads = self.loaded < self.tiles and self.loaded - self.passed < 2 and self.moves and self._now("loader")
        loads = loads and (not self.moody or self.rng.random() < 0.3)
        frees = self.freed < self.readable and self._now("output")
        self.loaded, self.freed = self.loaded + loads, self.freed + frees
        ctx.set(dut.tile_loaded, loads)
        ctx.set(dut.half_free, frees)

    def _requests(self, ctx, valid, payloads, ready):
        """Accepts requests; their answers come later, and stand until the next. Bytes that do not count are anything."""
        asked = 0
        for side, answers in enumerate(self.answers):
            if valid[side] and self.dut.places:
                banks = payloads[side].low | payloads[side].high
                assert banks and not asked & banks, "ports of one cycle share no bank"
                asked |= banks
            answers.append(self._answer(payloads[side]) if valid[side] and ready[side] else None)
            answer = answers.popleft()
            if answer is not None:
                ctx.set(self.dut.read[side].data, answer)

    def _answer(self, request):
        """The bytes of a part, or of a place."""
        size, width, places = len(self.memory), self.dut.width, self.dut.places
        if places is None:
            assert request.first < request.end
            address, counts = request.address, range(request.first, request.end)
        else:
            word, bank, row = places.word, request.bank, request.row
            assert request.low in (0, 1 << bank) and request.high in (0, 1 << (bank + 1) % places.banks)
            assert request.next_row == (row + 1) % places.depth
            address = (row * places.banks + bank) * word + request.offset
            counts = [lane for lane in range(width) if (request.low if request.offset + lane < word else request.high)]
        return [int(self.memory[(address + lane) % size]) if lane in counts else self.rng.randrange(256) for lane in range(width)]

    def _look(self, seen, shown, ends):
        """What the feeder sends in this cycle."""
        event = seen["event"]
        spent = [name for name in SPENT if event[name]]
        assert len(spent) == 1, f"cycle {self.cycle} is spent on {spent}"
        self.spent.update(spent)
        if event.command_end:
            self.ended.append((event.index, event.opcode))
        vectors = [list(vector.to_bytes(self.dut.width if side == 0 else self.dut.cols, "little")) for side, vector in enumerate(shown)]
        self.moves = seen["enable"]
        if self.moves:
            self._move()
        kinds = seen["matmul"], seen["column"], seen["vector"]
        assert sum(kinds) <= 1 and not (seen["column"] and not seen["enable"])
        wave = None
        if any(kinds):
            assert self.waves, f"cycle {self.cycle}: a wave too much"
            wave = self.waves.popleft()
            self._wave(wave, seen, kinds, vectors)
        assert seen["tile_passed"] == (wave is not None and wave.array and wave.tile_end), wave
        self.passed += seen["tile_passed"]
        if seen["enable"]:
            self._meet(vectors, ends)

    def _wave(self, wave, seen, kinds, vectors):
        """It is the one that must come, and what it needs is there."""
        here = f"cycle {self.cycle}: {wave} of {self.commands[wave.command]}, tag {plain(seen['tag'])}"
        assert kinds == (wave.array and not wave.column, wave.column, not wave.array), here
        assert plain(seen["tag"]) == wave.tag, here
        waits = self.commands[wave.command]["header"]
        assert all(self.tokens_before[0][queue] >= waits[f"wait_{queue}"] for queue in QUEUES), f"{here}: {self.tokens_before[0]}"
        if wave.array:
            assert wave.tile < self.loaded and seen["plane"] == wave.tile % 2, f"{here}, {self.loaded} tiles loaded"
        self.jobs += wave.opens_job
        assert self.jobs <= self.freed + 2, here
        if not wave.array:
            assert not self.inside and self.cycle not in self.touched.values(), f"{here}: overtakes"
            self._touch(wave)
        else:
            self.inside.append([ARRAY_LATENCY, wave])
        if wave.column:
            self.rows.append((0, wave))
            return
        assert seen["paired"] == wave.paired if wave.array else seen["weight"] == wave.weight, here
        (expected,) = wave.vectors
        rest = self.dut.width if wave.array else len(expected)  # what no kernel row fills adds nothing
        assert vectors[0][:rest] == expected + [0] * (rest - len(expected)), here

    def _move(self):
        """The array moves: its waves are a cycle nearer to the accumulators."""
        for entry in self.inside:
            entry[0] -= 1
        if self.inside and self.inside[0][0] == 0:
            self._touch(self.inside.popleft()[1])

    def _touch(self, wave):
        """A wave meets its entry of the accumulators; with the last of a job its half may be read out."""
        key = wave.tag["half"], wave.tag["entry"]
        self.readable += wave.tag["job_end"] and not self.commands[wave.command]["loops"]["partial_out"]
        last = self.touched.get(key, -Accumulators.MIN_PERIOD)
        assert self.cycle - last >= Accumulators.MIN_PERIOD, f"cycle {self.cycle}: entry {key} again after {self.cycle - last} cycles"
        self.touched[key] = self.cycle

    def _meet(self, vectors, ends):
        """Each wave of the FIR filter meets, in the row in which it is, the vector of the row's group, and goes on."""
        going = []
        for row, wave in self.rows:
            expected = wave.vectors[row]
            here = f"cycle {self.cycle}: row {row} of {wave} of {self.commands[wave.command]}, groups {ends}"
            assert ends[-1] == len(wave.vectors), here
            side = next(side for side, end in enumerate(ends) if row < end)
            if expected is not None:
                assert vectors[side][: len(expected)] == expected, f"{here}: {vectors[side]}"
            if row + 1 < len(wave.vectors):
                going.append((row + 1, wave))
        self.rows = going
