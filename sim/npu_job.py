"""One job of the NPU: where its regions lie in DDR, how it is started, and what it leaves behind."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from hw.npu.errors import WeftError
from hw.npu.interface.isa import EXECUTE, Error, Region
from hw.npu.interface.records import RECORD, RECORD_BYTES
from hw.npu.interface.registers import BASE_ALIGNMENT
from sim.job import BenchError, Waited

RECORD_DTYPE = np.dtype([(word.name, "<u4") for word in RECORD])
"""A record as an element of a numpy array."""
FILL = 0xA5
"""Every byte of DDR that nobody wrote."""
GUARD = 4096
"""Bytes around each region that the NPU must leave alone."""
FIRST = 0x0001_2380
"""Address of the first region: not zero, not a multiple of much."""


@dataclass(frozen=True)
class RunResult:
    """What one job on the RTL left behind.

    Attributes
    ----------
    cycles : int
        From start to interrupt, by the NPU's own counter.
    error : Error
        NONE if the job ended well.
    error_index : int
        The command that the error belongs to.
    outputs : dict of str to ndarray
        The network's outputs, out of DDR.
    states : dict of str to ndarray
        What is left of the network's states for the next job, out of DDR, by the tensor of the new value.
    arena : uint8[bytes]
        Region ARENA after the job.
    records : structured array of `RECORD_DTYPE`, or None
        One for each command.
    waited : Waited
        The raw log of the output stage, and the bench's count of cycles.
    """

    cycles: int
    error: Error
    error_index: int
    outputs: dict
    arena: np.ndarray = field(repr=False)
    records: np.ndarray | None = field(repr=False)
    waited: Waited = field(repr=False)
    _execute: tuple = field(repr=False)
    states: dict = field(default_factory=dict)

    def writes(self) -> dict:
        """What the output stage wrote: ``{command index: (int64[n] addresses, uint8[n] values)}``, in the order of the writes."""
        log, order = self.waited.writes, self.command_order()
        bounds = np.searchsorted(log["ordinal"], np.arange(len(order) + 1))
        result = {}
        for ordinal, index in enumerate(order):
            part = log[bounds[ordinal] : bounds[ordinal + 1]]
            lanes = np.arange(part["data"].shape[1])
            written = (part["mask"][:, None] >> lanes.astype(np.uint64) & np.uint64(1)).astype(bool)
            result[index] = (part["address"].astype(np.int64)[:, None] + lanes)[written], part["data"][written]
        return result

    def command_order(self) -> list:
        """Indices of the execute commands as they left the output stage; one that did not finish stands last."""
        done = [int(index) for index in self.waited.retires["index"]]
        return done + [index for index in self._execute if index not in set(done)][:1]


@dataclass(frozen=True)
class Regions:
    """Where everything lies in DDR, with guards between; ``stream`` is what lies at ``commands``."""

    stream: bytes
    commands: int
    model: int
    arena: int
    records: int
    end: int
    guards: tuple

    @classmethod
    def of(cls, program, records):
        stream = program.command_bytes()
        sizes = (
            len(stream),
            len(program.constants),
            program.arena_bytes,
            len(program.commands) * RECORD_BYTES if records else 0,
        )
        bases, guards, address = [], [], FIRST
        for number, size in enumerate(sizes):
            bases.append(address)
            end = address + size
            address = -(-(end + GUARD) // BASE_ALIGNMENT) * BASE_ALIGNMENT + number * BASE_ALIGNMENT
            guards.append((end, address - end))
        commands, model, arena, record = bases
        return cls(stream, commands, model, arena, record, -(-address // GUARD) * GUARD, ((FIRST - GUARD, GUARD), *guards))

    def fill(self, job, program):
        """The whole memory, then commands and constants."""
        job.fill(0, self.end, FILL)
        job.load(self.commands, self.stream)
        job.load(self.model, program.constants)

    def tell(self, job, records, timeout):
        """The registers that stay for all jobs."""
        job.poke("IRQ_ENABLE", 3)
        job.poke("COMMANDS_BYTES", len(self.stream))
        job.poke("RECORD_ENABLE", int(records))
        if timeout is not None:
            job.poke("TIMEOUT", timeout)
        for name, base in (("COMMANDS", self.commands), ("MODEL", self.model), ("ARENA", self.arena), ("RECORD", self.records)):
            job.poke_wide(f"{name}_BASE", base)

    def start(self, job, program, inputs, records, log, limit, *, reset=True):
        """One job, from its inputs to its results; the places of the answers by name.

        With `reset` the network's states have their initial values; without it nothing is written where they lie, and the job finds
        there what the one before it left.
        """
        arena = np.full(program.arena_bytes, FILL, np.uint8)
        for place in program.inputs:
            if place.tensor not in inputs:
                raise WeftError(f"no value for input {place.tensor!r}", file=program.network)
            place.write(arena, inputs[place.tensor])
        program.write_states(arena, None)
        kept = [] if reset else sorted((state.old.address, state.old.address + state.old.row_bytes) for state in program.states)
        for (_, first), (end, _) in pairwise([(0, 0), *kept, (len(arena), 0)]):
            if first < end:
                job.load(self.arena + first, arena[first:end])
        job.poke("CONTROL", 1)
        marks = {"waited": job.wait(limit, log=log)}
        marks |= {name: job.peek(name) for name in ("CYCLES_LO", "CYCLES_HI", "STATUS", "ERROR_CODE", "ERROR_INDEX")}
        marks["arena"] = job.dump(self.arena, program.arena_bytes)
        marks["records"] = job.dump(self.records, len(program.commands) * RECORD_BYTES if records else 0)
        marks |= {f"guard {number}": job.dump(*guard) for number, guard in enumerate(self.guards)}
        job.poke("IRQ_STATUS", 3)
        return marks


def result_of(program, regions, answers, limit) -> RunResult:
    """What a job left behind, from the answers to the marks of `Regions.start`.

    Raises
    ------
    BenchError
        If the NPU wrote outside its regions, or did not end.
    """
    waited = answers["waited"]
    for number, (start, _) in enumerate(regions.guards):
        touched = np.flatnonzero(answers[f"guard {number}"] != FILL)
        if len(touched):
            raise BenchError(f"the NPU wrote outside its regions, at DDR address {start + int(touched[0]):#x}")
    if not waited.interrupt:
        raise BenchError(f"no interrupt within {limit} cycles; STATUS = {answers['STATUS']:#x}")
    arena = answers["arena"]
    records = answers["records"].view(RECORD_DTYPE) if len(answers["records"]) else None
    return RunResult(
        cycles=answers["CYCLES_LO"] | answers["CYCLES_HI"] << 32,
        error=Error(answers["ERROR_CODE"]),
        error_index=answers["ERROR_INDEX"],
        outputs={place.tensor: place.read(arena) for place in program.outputs if place.region == Region.ARENA},
        arena=arena,
        records=records,
        waited=waited,
        _execute=tuple(index for index, planned in enumerate(program.commands) if planned.command.opcode in EXECUTE),
        states={state.new.tensor: state.new.read(arena) for state in program.states},
    )
