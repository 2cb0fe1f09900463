"""Whether a program may run as hardware runs it: three queues at once, not in stream order.

The golden machine executes in stream order. Hardware keeps only the order within a queue and what the waits say. This
module proves for one program that the result is the same: every byte is read after the command that wrote it is complete,
and overwritten after all its readers are done. That each command is sound by itself, `golden.footprint` proves.
"""

from dataclasses import dataclass, field

import numpy as np

from golden.footprint import Hazard, footprint, stream_area, transfer_area
from golden.program import Program
from hw.npu.isa import EXECUTE, Opcode, Target

__all__ = ["Hazard", "HazardChecker", "check_hazards"]

LOAD, EXEC, STORE = range(3)
"""Queues, as indices into a clock."""
QUEUE_NAMES = ("load", "exec", "store")
WRITERS, READERS = (LOAD, EXEC), (EXEC, STORE)
"""Queues that write a scratchpad, and that read one."""


@dataclass
class _Memory:
    """For each byte: number of the last command of each queue that wrote it or read it, counted from 1; 0 for none."""

    writer: dict = field(repr=False)
    reader: dict = field(repr=False)

    @classmethod
    def of(cls, size):
        return cls(*({queue: np.zeros(size, np.int32) for queue in queues} for queues in (WRITERS, READERS)))


def _latest(numbers, places):
    """The highest number at the places of an `Area`."""
    return max((int(numbers[place].max(initial=0)) for place in places), default=0)


class HazardChecker:
    """Walks a stream command by command; `step` raises `Hazard`."""

    def __init__(self, program):
        self.config = program.config
        self.activations, self.weights = _Memory.of(program.config.act_bytes), _Memory.of(program.config.weight_bytes)
        self.complete = [[(0, 0, 0)] for _ in range(3)]  # clock when command n of a queue is complete
        self.started = [(0, 0, 0) for _ in range(3)]  # clock when the last command of a queue started
        self.loader = (0, 0, 0)  # the same for the weight loader, which runs ahead

    def clock(self, clock, waits):
        """What is surely complete after these waits, one count for each queue."""
        for queue, count in enumerate(waits):
            clock = tuple(map(max, clock, self.complete[queue][count]))
        return clock

    def reads(self, index, memory, area, clock, queue, number):
        """A command of a queue, the `number`-th, reads an area after `clock`."""
        places = area.places()
        for writer in WRITERS:
            late = _latest(memory.writer[writer], places)
            if late > clock[writer]:
                raise Hazard(f"command {index} reads what {QUEUE_NAMES[writer]} {late - 1} writes, but waits for {clock[writer]} of them")
        for place in places:
            memory.reader[queue][place] = number

    def writes(self, index, memory, area, clock, queue, number):
        """A command of a queue, the `number`-th, writes an area after `clock`."""
        places = area.places()
        for users, queues in ((memory.writer, WRITERS), (memory.reader, READERS)):
            for other in queues:
                if other == queue:
                    continue  # in order
                late = _latest(users[other], places)
                if late > clock[other]:
                    raise Hazard(
                        f"command {index} overwrites what {QUEUE_NAMES[other]} {late - 1} uses, but waits for {clock[other]} of them"
                    )
        for place in places:
            memory.writer[queue][place] = number

    def step(self, index, command):
        """The next command of the stream."""
        queue = EXEC if command.opcode in EXECUTE else LOAD if command.opcode == Opcode.LOAD else STORE
        number, header = len(self.complete[queue]), command["header"]
        clock = self.clock(self.started[queue], [self._count(q, header[f"wait_{QUEUE_NAMES[q]}"]) for q in range(3)])
        self.started[queue] = clock
        if queue == EXEC:
            self._execute(index, command, clock, number)
        else:
            memory = self.weights if command["dma"]["target"] == Target.WEIGHTS else self.activations
            (self.writes if queue == LOAD else self.reads)(index, memory, transfer_area(command), clock, queue, number)
        done = list(map(max, clock, self.complete[queue][-1]))
        done[queue] = number
        self.complete[queue].append(tuple(done))

    def _count(self, queue, wait):
        """The 16-bit count of a wait as a number of commands, which stand earlier."""
        issued = len(self.complete[queue]) - 1
        return issued - (issued - wait) % (1 << 16)

    def _execute(self, index, command, clock, number):
        stream = stream_area(self.config, command)
        if stream.size:  # the loader does not wait for a stream without rows
            self.loader = self.clock(self.loader, [self._count(LOAD, command["weights"]["wait_load"])])
            self.reads(index, self.weights, stream, self.loader, EXEC, number)
        touched = footprint(self.config, index, command)
        for area in (touched.inputs, touched.second):
            if area is not None:
                self.reads(index, self.activations, area, clock, EXEC, number)
        if touched.output is not None:
            self.writes(index, self.activations, touched.output, clock, EXEC, number)


def check_hazards(program: Program):
    """Prove that the program's waits suffice, and that each of its commands is sound by itself.

    Raises
    ------
    Hazard
        At the first command that may read too early or overwrite too early.
    """
    checker = HazardChecker(program)
    for index, planned in enumerate(program.commands):
        checker.step(index, planned.command)
