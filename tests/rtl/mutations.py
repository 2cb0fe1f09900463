"""Streams that are wrong somewhere, and what may become of them."""

import functools
from dataclasses import dataclass, replace

import numpy as np

from golden.hazards import Hazard, HazardChecker
from golden.machine_state import MachineError
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import EXECUTE, Command, Error, Opcode, Region, opcodes
from sim.ddr import DdrConfig
from tests.rtl.jobs import TINY, Outcome, Stream, assert_right
from tests.rtl.networks import fitting, small_network
from tests.rtl.random_commands import StreamMaker, legal_stream
from tests.rtl.random_execute import cycles_of
from tests.rtl.simple import changed, execute, transfer
from tests.rtl.switches import latencies, near_ddr

MOST_WAVES = 20_000
MOST_BYTES = 200_000
"""What one command may take of time: more would be legal, but long."""


def short(stream) -> bool:
    """Each command takes thousands of cycles at most."""
    commands, _ = stream.unpacked()
    return all(_is_short(command, stream.config) for command in commands)


def _is_short(command: Command, config) -> bool:
    if command.opcode not in EXECUTE:
        return command["dma"]["rows"] * command["dma"]["row_bytes"] <= MOST_BYTES
    loops = command["loops"]
    taps = loops["taps_y"] * (1 if command.operation == Opcode.DEPTHWISE else loops["taps_x"])  # whose columns are in the array at once
    tiles = loops["column_tiles"] * taps * max(1, -(-loops["lanes"] // config.rows))
    pixels = loops["block_rows"] * max(loops["block_cols"], loops["positions"])
    return tiles * max(16, pixels) <= MOST_WAVES and cycles_of(command, config) <= MOST_WAVES


def with_a_late_wait(seed, config: NpuConfig = TINY) -> Stream:
    """A legal stream in which one command waits for what stands later, or for what never comes."""
    rng, stream = np.random.default_rng(seed), legal_stream(seed, config)
    index = int(rng.integers(len(stream.commands)))
    command = stream.commands[index]
    counts = {"load": 0, "exec": 0, "store": 0}
    for before in stream.commands[:index]:
        counts[{Opcode.LOAD: "load", Opcode.STORE: "store"}.get(before.opcode, "exec")] += 1
    fields = [("header", f"wait_{queue}", queue) for queue in counts] + [("weights", "wait_load", "load")] * (command.opcode in EXECUTE)
    group, name, queue = fields[rng.integers(len(fields))]
    return stream.replaced(index, changed(command, group, **{name: counts[queue] + int(rng.choice([1, 2, 5, 300, 1 << 15]))}))


def with_random_bytes(seed, config: NpuConfig = TINY) -> Stream:
    """A legal stream in which some commands are random bytes, mostly with a legal opcode and often with small numbers."""
    rng = np.random.default_rng(seed)
    maker = StreamMaker(rng, config=config)
    maker.grow(int(rng.integers(4, 10)))
    stream = maker.stream()
    for _ in range(int(rng.integers(1, 4))):
        index = int(rng.integers(len(stream.commands)))
        noisy = None
        while noisy is None or not short(noisy):
            noisy = stream.replaced(index, _noise(rng, np.frombuffer(stream.packed()[index], np.uint8), config))
        stream = noisy
    return stream


def _noise(rng, packed, config) -> bytes:
    """Random bytes everywhere, in places, or in a part of the command that was there; mostly with a legal length, as long as it was."""
    noise = rng.integers(0, 256, len(packed)).astype(np.uint8)
    if rng.random() < 0.6:
        start = int(rng.integers(8, len(packed)))
        end = start + int(rng.choice([1, 2, 8]))
        return bytes([*packed[:start], *noise[start:end], *packed[end:]])
    noise[rng.random(len(packed)) < rng.choice([0.0, 0.5, 0.9])] = 0
    fitting = [opcode for opcode in sorted(opcodes(config.int4, config.interpolation)) if (opcode in EXECUTE) == (packed[0] in EXECUTE)]
    noise[0] = rng.choice([*fitting, *fitting, rng.integers(0, 256)])
    noise[1] = packed[1] if rng.random() < 0.8 else noise[1]
    noise[2:8] = 0 if rng.random() < 0.7 else noise[2:8]  # waits, which would stop it before all else
    return noise.tobytes()


def with_flipped_bits(seed, config: NpuConfig = TINY) -> Stream:
    """A compiled network with one to three bits of its commands flipped."""
    rng, sources = np.random.default_rng(seed), _short_networks(config)
    stream = sources[seed % len(sources)]
    for _ in range(int(rng.integers(1, 4))):
        index = int(rng.integers(len(stream.commands)))
        packed, flipped = stream.packed()[index], None
        while flipped is None or not short(flipped):
            bit = int(rng.integers(8 * len(packed)))
            flipped = stream.replaced(index, (int.from_bytes(packed, "little") ^ 1 << bit).to_bytes(len(packed), "little"))
        stream = flipped
    return stream


@functools.cache
def _short_networks(config):
    """Four networks, or as many as there are; one that is long itself stays so whatever is flipped."""
    return [stream for stream in (small_network(config), *fitting(config)) if short(stream)][:4]


@dataclass(frozen=True)
class Verdict:
    """What the golden machine says of a stream.

    Attributes
    ----------
    error : MachineError or None
        Where it stops; errors of opcode and length are added here, since the machine takes commands that are decoded.
    commands : int
        Commands of the stream; what is none counts as one.
    sure : bool
        Hazards, bus and the scratchpads' old contents leave only one course of events up to there.
    """

    error: MachineError | None
    commands: int
    sure: bool

    @property
    def end(self) -> tuple[int, int]:
        """Code and index as the registers show them; (0, 0) of a stream that ends well."""
        return (0, 0) if self.error is None else (self.error.code, self.error.index)


def verdict(stream: Stream) -> Verdict:
    """Runs the machine, and the check for hazards, as far as opcodes and lengths are legal."""
    commands, code = stream.unpacked()
    known, error = len(commands), machine_error(stream)
    legal = replace(stream, commands=tuple(commands))
    sure = _in_one_order(legal, known if error is None else min(known, error.index)) and _known_memory(legal)
    return Verdict(error, known + (code != Error.NONE), sure)


def machine_error(stream: Stream) -> MachineError | None:
    """Where the machine stops, or where the first stands that is no command."""
    commands, code = stream.unpacked()
    try:
        _ = replace(stream, commands=tuple(commands)).golden
    except MachineError as stopped:
        return stopped
    return None if code == Error.NONE else MachineError(code, len(commands), "no command")


def later_error(stream: Stream, error: MachineError, index: int) -> MachineError | None:
    """What the machine stops at from an index on, where harmless commands stand in for those that it stops at before."""
    found: MachineError | None = error
    while found is not None and found.index < index:
        opcode = stream.unpacked()[0][found.index].opcode
        stream = stream.replaced(found.index, execute() if opcode in EXECUTE else transfer(opcode))
        found = machine_error(stream)
    return found


def _known_memory(stream) -> bool:
    """The result is the same whatever the scratchpads held before.

    Zeros are legal exponents. Random bytes differ: of equal ones a SOFTMAX or a maximum makes the same, whatever they are.
    """
    ends = []
    for fill in (None, np.random.default_rng(1), np.random.default_rng(2)):
        try:
            ends.append((stream.run_golden(fill=fill) if fill else stream.golden).tobytes())
        except MachineError as stopped:
            ends.append((stopped.code, stopped.index))
    return len(set(ends)) == 1


def _in_one_order(stream, count) -> bool:
    """No hazard among the first commands, nothing read that nobody wrote, and no byte of DDR that is both loaded and stored."""
    program = stream.program()
    checker, sizes = HazardChecker(program, whole=True), {Region.ARENA: len(stream.arena), Region.MODEL: len(stream.model)}
    used = {(opcode, region): np.zeros(size + 1, bool) for opcode in (Opcode.LOAD, Opcode.STORE) for region, size in sizes.items()}
    try:
        for index, planned in enumerate(program.commands[:count]):
            checker.step(index, planned.command)
            dma = planned.command["dma"] if planned.command.opcode not in EXECUTE else None
            if dma:
                touched = dma["ddr_offset"] + np.arange(dma["rows"])[:, None] * dma["ddr_stride"] + np.arange(dma["row_bytes"])
                used[planned.command.opcode, dma["region"]][np.minimum(touched, sizes[dma["region"]])] = True
    except (Hazard, IndexError):
        return False
    return not any((used[Opcode.LOAD, region] & used[Opcode.STORE, region]).any() for region in sizes)


BUS = (Error.AXI_READ, Error.AXI_WRITE)


def judge(stream: Stream, outcome: Outcome, what):
    """The job ended, and as the machine says, where that is sure.

    An error of the machine may be found later than another one behind it, which the machine must find, too, once the first is gone. A
    transfer behind a region meets whatever lies there.
    """
    assert outcome.interrupt, f"{what}: no interrupt, STATUS {outcome.status}"
    assert outcome.status["done"] != outcome.status["error"] and outcome.error in set(Error), f"{what}: {outcome}, {outcome.status}"
    assert outcome.status["error"] == (outcome.error != Error.NONE), f"{what}: {outcome}, {outcome.status}"
    said = verdict(stream)
    assert outcome.error == Error.NONE or outcome.index < said.commands, f"{what}: {outcome}"
    assert outcome.error != Error.TIMEOUT, f"{what}: {outcome}"
    if said.error is None and said.sure:
        assert_right(stream, outcome, what)
    if said.error is None or said.error.code in BUS or not said.sure:
        return said
    assert outcome.error != Error.NONE, f"{what}: the machine stops ({said.error}), the RTL does not"
    if outcome.error in BUS:
        return said
    assert outcome.index >= said.error.index, f"{what}: the machine stops at {said.error}, the RTL earlier: {outcome}"
    expected = later_error(stream, said.error, outcome.index)
    assert expected, f"{what}: the machine stops at {said.error} only, the RTL later: {outcome}"
    if {outcome.error, expected.code} != {Error.ADDRESS, Error.BAD_FIELD}:
        assert (outcome.error, outcome.index) == (expected.code, expected.index), f"{what}: the machine says {expected}, the RTL {outcome}"
    return said


def random_ddr(seed, config: NpuConfig = TINY) -> DdrConfig:
    """The reference DDR, or a slow, fast, narrow or stalling one."""
    rng, choice = np.random.default_rng(seed), latencies(config)
    if seed % 3 == 0:
        return near_ddr(config)
    return DdrConfig.stalling(
        float(rng.choice([0, 0.1, 0.5, 0.8])),
        seed=seed,
        read_latency=int(rng.choice(choice)),
        write_latency=int(rng.choice(choice)),
        latency_jitter=int(rng.choice([0, 30])),
        bytes_per_cycle=int(rng.choice([1, 3, 8, 64])),
        outstanding=int(rng.choice([1, 2, 8])),
    )
