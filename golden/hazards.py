"""Whether a program may run as hardware runs it: three queues at once, not in stream order.

The golden machine executes in stream order. Hardware keeps only the order within a queue and what the waits say. This
module proves for one program that the result is the same: every byte is read after the command that wrote it is complete,
and overwritten after all its readers are done. That each command is sound by itself, `golden.footprint` proves. Of a whole program
it also proves that no command reads what nothing has written: neither of the scratchpads nor, in region ARENA, of DDR; nor, where the
program says as which tensor a command reads the activation scratchpad or region ARENA, what is another tensor's; and that the job leaves
each state of the network new and whole in its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np

from golden.areas import Area
from golden.footprint import Hazard, ddr_area, footprint, stream_area, transfer_area
from golden.program import Program, StatePlace
from hw.npu.interface.isa import QUEUE_OF, QUEUES, Command, Region, Target

__all__ = ["Hazard", "HazardChecker", "check_hazards"]

LOAD, EXEC, STORE = range(len(QUEUES))
"""Queues, as indices into a clock."""
SOME = 1
"""What stands for a tensor whose name is not known."""
WRITERS, READERS = (LOAD, EXEC), (EXEC, STORE)
"""Queues that write a scratchpad, and that read one; of DDR it is the store queue that writes, and the load queue that reads."""


@dataclass
class _Memory:
    """For each byte: number of the last command of each queue that wrote it or read it, counted from 1; 0 for none.

    `known`: the number of the tensor that it is of, `SOME` where nobody says; 0 where nothing has been written. None: not looked at.
    """

    name: str
    writer: dict = field(repr=False)
    reader: dict = field(repr=False)
    known: np.ndarray | None = field(repr=False)

    @classmethod
    def of(cls, name, size, whole, writers=WRITERS, readers=READERS):
        """Of so many bytes; `whole`: what is read must have been written."""
        writer, reader = ({queue: np.zeros(size, np.int32) for queue in queues} for queues in (writers, readers))
        return cls(name, writer, reader, np.zeros(size, np.int32) if whole else None)

    def check_known(self, index: int, place, tensor: int):
        """A place is read as a tensor, or as `SOME`.

        Raises
        ------
        Hazard
            If not all of it was written, or is another tensor's.
        """
        if self.known is None:
            return
        known = self.known[place]
        if not known.all():
            raise Hazard(f"command {index} reads bytes of {self.name} that nothing has written")
        if tensor != SOME and (known != tensor).any():
            raise Hazard(f"command {index} reads bytes of {self.name} that are another tensor's")


def _latest(numbers, places):
    """The highest number at the places of an `Area`."""
    return max((int(numbers[place].max(initial=0)) for place in places), default=0)


class HazardChecker:
    """Walks a stream command by command; `step` raises `Hazard`.

    Parameters
    ----------
    program : Program
    whole : bool
        The stream is all that runs: what it reads it must have written before, or it is an input.
    """

    def __init__(self, program: Program, whole: bool = False):
        self.config = program.config
        self.tensors: dict[str, int] = {}  # numbers of the tensors
        self.activations = _Memory.of("the activation scratchpad", program.config.act_bytes, whole)
        self.weights = _Memory.of("the weight scratchpad", program.config.weight_bytes, whole, (LOAD,), (EXEC,))
        self.arena = _Memory.of("region ARENA", program.arena_bytes, whole, (STORE,), (LOAD,)) if whole else None
        if self.arena is not None:
            for place in (*program.inputs, *(state.old for state in program.states)):
                self.arena.known[place.byte_addresses()] = self.tensor(place.tensor)
        self.complete = [[(0, 0, 0)] for _ in range(3)]  # clock when command n of a queue is complete
        self.started = [(0, 0, 0) for _ in range(3)]  # clock when the last command of a queue started
        self.loader = (0, 0, 0)  # the same for the weight loader, which runs ahead

    def clock(self, clock, waits):
        """What is surely complete after these waits, one count for each queue."""
        for queue, count in enumerate(waits):
            clock = tuple(map(max, clock, self.complete[queue][count]))
        return clock

    def tensor(self, name: str | None) -> int:
        """The number of a tensor."""
        return SOME if name is None else self.tensors.setdefault(name, SOME + 1 + len(self.tensors))

    def reads(self, index, memory, area, clock, queue, number, tensor=SOME):
        """A command of a queue, the `number`-th, reads an area after `clock`."""
        places = area.places()
        for writer, numbers in memory.writer.items():
            if clock[writer] == self._issued(writer):
                continue  # all are complete
            late = _latest(numbers, places)
            if late > clock[writer]:
                raise Hazard(f"command {index} reads what {QUEUES[writer]} {late - 1} writes, but waits for {clock[writer]} of them")
        for place in places:
            memory.reader[queue][place] = number
            memory.check_known(index, place, tensor)

    def writes(self, index, memory, area, clock, queue, number, tensor=SOME):
        """A command of a queue, the `number`-th, writes an area after `clock`."""
        places = area.places()
        for users in (memory.writer, memory.reader):
            for other, numbers in users.items():
                if other == queue or clock[other] == self._issued(other):
                    continue  # in order, or all complete
                late = _latest(numbers, places)
                if late > clock[other]:
                    raise Hazard(f"command {index} overwrites what {QUEUES[other]} {late - 1} uses, but waits for {clock[other]} of them")
        for place in places:
            memory.writer[queue][place] = number
            if memory.known is not None:
                memory.known[place] = tensor

    def step(self, index: int, command: Command, tensor: str | None = None, reads: Sequence[str] = ()):
        """The next command of the stream, with the tensors that `Planned` names."""
        queue = QUEUES.index(QUEUE_OF[command.opcode])
        number, header = len(self.complete[queue]), command["header"]
        clock = self.clock(self.started[queue], [self._count(q, header[f"wait_{QUEUES[q]}"]) for q in range(3)])
        self.started[queue] = clock
        if queue == EXEC:
            self._execute(index, command, clock, number, tensor, reads)
        else:
            self._transfer(index, command, clock, queue, number, tensor if queue == LOAD else next(iter(reads), None))
        done = list(map(max, clock, self.complete[queue][-1]))
        done[queue] = number
        self.complete[queue].append(tuple(done))

    def _transfer(self, index, command, clock, queue, number, tensor):
        dma = command["dma"]
        memory = self.weights if dma["target"] == Target.WEIGHTS else self.activations
        inside, outside = (self.writes, self.reads) if queue == LOAD else (self.reads, self.writes)
        inside(index, memory, transfer_area(command), clock, queue, number, self.tensor(tensor))
        if self.arena is not None and dma["region"] == Region.ARENA:
            outside(index, self.arena, self._in_arena(index, command), clock, queue, number, self.tensor(tensor))

    def _in_arena(self, index, command) -> Area:
        area = ddr_area(command)
        if area.ends.max(initial=0) > len(self.arena.known):
            raise Hazard(f"command {index} reaches behind the end of region ARENA, which has {len(self.arena.known)} bytes")
        return area

    def check_states(self, states: Sequence[StatePlace]):
        """After the last command each state's place holds its new value, all of it.

        Raises
        ------
        Hazard
            If not: the next job would find another tensor's bytes there, or old ones.
        """
        for state in states:
            assert self.arena is not None
            if (self.arena.known[state.new.byte_addresses()] != self.tensor(state.stored)).any():
                raise Hazard(f"the job ends with bytes in the place of state {state.name} that are not its new value")

    def _issued(self, queue):
        return len(self.complete[queue]) - 1

    def _count(self, queue, wait):
        """The 16-bit count of a wait as a number of commands, which stand earlier."""
        issued = self._issued(queue)
        return issued - (issued - wait) % (1 << 16)

    def _execute(self, index, command, clock, number, tensor, reads):
        stream = stream_area(self.config, command)
        if stream.size:  # the loader does not wait for a stream without rows
            self.loader = self.clock(self.loader, [self._count(LOAD, command["weights"]["wait_load"])])
            self.reads(index, self.weights, stream, self.loader, EXEC, number)
        touched = footprint(self.config, index, command)
        for area, name in zip_longest((touched.inputs, touched.second), reads):
            if area is not None:
                self.reads(index, self.activations, area, clock, EXEC, number, self.tensor(name))
        if touched.output is not None:
            self.writes(index, self.activations, touched.output, clock, EXEC, number, self.tensor(tensor))


def check_hazards(program: Program, whole: bool = False):
    """Prove that the program's waits suffice, and that each of its commands is sound by itself.

    Parameters
    ----------
    program : Program
    whole : bool
        Prove too that it reads nothing but what it wrote before, its inputs and its constants.

    Raises
    ------
    Hazard
        At the first command that may read too early or overwrite too early.
    """
    checker = HazardChecker(program, whole)
    for index, planned in enumerate(program.commands):
        checker.step(index, planned.command, planned.tensor, planned.reads)
    if whole:
        checker.check_states(program.states)
