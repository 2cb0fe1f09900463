"""Streams of commands as jobs on one NPU, several in a row and without a reset between them."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from golden.machine import Machine, MachineError
from golden.program import Layer, Place, Planned, Program
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Command, Error, Region, unpack_stream
from hw.npu.interface.records import RECORD_BYTES
from hw.npu.interface.registers import REGISTERS
from sim.ddr import DdrConfig
from sim.job import Job
from sim.npu_job import RECORD_DTYPE
from sim.run import Simulator

TINY = NpuConfig(
    name="tiny",
    rows=8,
    cols=4,
    act_kib=16,
    weight_kib=8,
    axi_bits=64,
    lane_divisor=2,
    broadcast=4,
    accumulator_bits=28,
    outstanding=4,
    max_burst=16,
    queue_depth=2,
)
"""The configuration of the tests in this folder: short queues, small memories, two vectors a pixel, an array that is not square."""
TINY_INT4 = TINY.replace(name="tiny_int4", int4=True)
"""The same with commands whose weights have 4 bits."""

COMMANDS, MODEL, ARENA, RECORDS, AREA = 0x1_0000, 0x2_0000, 0x3_0000, 0x4_0000, 0x5_0000
"""Where the parts of a job lie in DDR, and the distance of two areas: what one job breaks the next does not touch."""
AREAS = 2
MEMORY = AREA * AREAS + COMMANDS
"""Bytes of DDR."""
START, SOFT_RESET = 1, 2
"""What is written to the register CONTROL."""
_STATUS = {bits.name: bits for register in REGISTERS if register.name == "STATUS" for bits in register.fields}


@dataclass(frozen=True, eq=False)
class Stream:
    """Commands and memory of a job.

    Attributes
    ----------
    commands : tuple of Command or bytes
    model : bytes
        Region MODEL.
    arena : uint8[bytes]
        Region ARENA before the job.
    config : NpuConfig
        What it runs on.
    """

    commands: tuple
    model: bytes = field(repr=False)
    arena: np.ndarray = field(repr=False)
    config: NpuConfig = TINY

    @classmethod
    def of(cls, program: Program, inputs: dict) -> "Stream":
        """A compiled program with its inputs."""
        arena = np.zeros(program.arena_bytes, np.uint8)
        for place in program.inputs:
            place.write(arena, inputs[place.tensor])
        return cls(tuple(planned.command for planned in program.commands), program.constants, arena, program.config)

    def packed(self) -> list:
        """Each command as bytes."""
        return [command if isinstance(command, bytes) else command.pack() for command in self.commands]

    def replaced(self, index, command) -> "Stream":
        """The same with another command at an index."""
        return replace(self, commands=(*self.commands[:index], command, *self.commands[index + 1 :]))

    def unpacked(self) -> tuple[list[Command], Error]:
        """The commands up to the first that the configuration does not know, and why it does not."""
        return unpack_stream(b"".join(self.packed()), int4=self.config.int4, interpolation=self.config.interpolation)

    def program(self) -> Program:
        """For the golden machine; its output is the whole arena. Every opcode and every length must be legal."""
        place = Place("arena", (len(self.arena),), "uint8", 0, 1, len(self.arena), len(self.arena), Region.ARENA)
        commands, code = self.unpacked()
        assert code == Error.NONE, f"{code.name} at command {len(commands)}"
        planned = tuple(Planned(command, 0) for command in commands)
        return Program("stream", self.config, planned, (Layer("all", "-", (1,), 0),), self.model, len(self.arena), (place,), (place,), ())

    @cached_property
    def golden(self) -> np.ndarray:
        """The arena as the golden machine leaves it; MachineError where it stops."""
        return self.run_golden(fill=0)

    def run_golden(self, *, fill) -> np.ndarray:
        """The same with all memories full of a byte before, or of bytes that a generator draws."""
        return Machine(self.program(), fill=fill).run({"arena": self.arena}).outputs["arena"]


@dataclass(frozen=True)
class Outcome:
    """What a job left: the interrupt, STATUS by field, error, cycles, the arena, the records, the log of the output stage."""

    interrupt: bool
    status: dict
    error: Error
    index: int
    cycles: int
    arena: np.ndarray = field(repr=False)
    records: np.ndarray = field(repr=False)
    waited: object = field(repr=False)

    def __str__(self):
        return f"{self.error.name} at command {self.index} after {self.cycles} cycles"


class Session:
    """Jobs on one NPU; collected first, then run in one process.

    Parameters
    ----------
    simulator : Simulator
    ddr : DdrConfig, optional
    timeout : int
        Register TIMEOUT.
    limit : int
        Cycles after which a job counts as hung.
    """

    def __init__(self, simulator: Simulator, ddr=None, *, timeout=20_000, limit=400_000, seed=1):
        self.simulator, self.timeout, self.limit = simulator, timeout, limit
        self.job = Job(MEMORY, lanes=simulator.config.lanes, seed=seed)
        self.job.reset(ddr or DdrConfig())
        self.last_answers, self._marks = [], []

    def prepare(self, stream: Stream, *, area=0, records=True):
        """Load a job's memory and set its registers."""
        packed = b"".join(stream.packed())
        assert len(packed) <= MODEL - COMMANDS and len(stream.model) <= ARENA - MODEL and len(stream.arena) <= RECORDS - ARENA
        offset, job = AREA * area, self.job
        job.fill(COMMANDS + offset, AREA, 0xA5)
        for base, contents in ((COMMANDS, packed), (MODEL, stream.model), (ARENA, stream.arena)):
            job.load(base + offset, contents)
        for name, base in (("COMMANDS", COMMANDS), ("MODEL", MODEL), ("ARENA", ARENA), ("RECORD", RECORDS)):
            job.poke_wide(f"{name}_BASE", base + offset)
        for register, value in (
            ("COMMANDS_BYTES", len(packed)),
            ("TIMEOUT", self.timeout),
            ("RECORD_ENABLE", records),
            ("IRQ_ENABLE", 3),
        ):
            job.poke(register, int(value))

    def start(self, stream: Stream, *, area=0, records=True):
        """Load a job's memory and start it."""
        self.prepare(stream, area=area, records=records)
        self.job.poke("CONTROL", START)

    def finish(self, stream: Stream, *, area=0):
        """Wait for the interrupt, and note what is there; the place of the outcome in `run`'s list."""
        job, offset = self.job, AREA * area
        mark = {"waited": job.wait(self.limit, log=True)}
        mark |= {name: job.peek(name) for name in ("CYCLES_LO", "STATUS", "ERROR_CODE", "ERROR_INDEX")}
        mark["arena"] = job.dump(ARENA + offset, len(stream.arena))
        mark["records"] = job.dump(RECORDS + offset, len(stream.commands) * RECORD_BYTES)
        job.poke("IRQ_STATUS", 3)
        job.step(300)  # an error's interrupt on a silent bus comes before draining is over
        self._marks.append(mark)
        return len(self._marks) - 1

    def add(self, stream: Stream, *, area=0, records=True):
        """A whole job."""
        self.start(stream, area=area, records=records)
        return self.finish(stream, area=area)

    def run(self) -> list:
        """Run everything; the outcomes in their order."""
        answers = self.last_answers = self.job.run(self.simulator.executable)
        return [_outcome({name: answers[place] for name, place in mark.items()}) for mark in self._marks]


def status_fields(value) -> dict:
    """Fields of the register STATUS."""
    return {name: value >> bits.bit & 1 for name, bits in _STATUS.items()}


def _outcome(found):
    return Outcome(
        found["waited"].interrupt,
        status_fields(found["STATUS"]),
        Error(found["ERROR_CODE"]),
        found["ERROR_INDEX"],
        found["CYCLES_LO"],
        found["arena"],
        found["records"].view(RECORD_DTYPE),
        found["waited"],
    )


def assert_right(stream: Stream, outcome: Outcome, what):
    """The job ended well, and left in DDR what the golden machine leaves."""
    assert outcome.interrupt and outcome.error == Error.NONE, f"{what}: {outcome}"
    assert outcome.status == {"busy": 0, "done": 1, "error": 0, "draining": 0}, f"{what}: {outcome.status}"
    expected = stream.golden
    wrong = np.flatnonzero(expected != outcome.arena)
    assert not len(wrong), (
        f"{what}: {len(wrong)} bytes of the arena are wrong, first at offset {wrong[0]}: "
        f"expected {expected[wrong[0]]}, got {outcome.arena[wrong[0]]}"
    )


def assert_machine_stops(stream: Stream, code, index, what=""):
    """The golden machine finds the same error."""
    try:
        found = f"no error, {len(stream.golden)} bytes"
    except MachineError as error:
        found, same = str(error), (error.code, error.index) == (code, index)
    else:
        same = False
    assert same, f"{what}: expected {Error(code).name} at command {index} from the machine, got {found}"


def assert_stopped(outcome: Outcome, code, index, what=""):
    """The job stopped with an error at a command, and said so."""
    assert outcome.interrupt, f"{what}: no interrupt"
    assert (outcome.error, outcome.index) == (code, index), f"{what}: expected {Error(code).name} at command {index}, got {outcome}"
    assert outcome.status["error"] and not outcome.status["done"], f"{what}: {outcome.status}"
