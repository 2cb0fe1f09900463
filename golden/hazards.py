"""Whether a program may run as hardware runs it: three queues at once, not in stream order.

The golden machine executes in stream order. Hardware keeps only the order within a queue and what the waits say. This
module proves for one program that the result is the same: every byte is read after the command that wrote it is complete,
and overwritten after all its readers are done.
"""

from dataclasses import dataclass, field

import numpy as np

from golden.machine_execute import TABLE_BYTES, input_addresses, stream_rows
from golden.program import Program
from hw.npu.config import NpuConfig
from hw.npu.isa import EXECUTE, Command, Opcode, Target

LOAD, EXEC, STORE = range(3)
"""Queues, as indices into a clock."""
QUEUE_NAMES = ("load", "exec", "store")


class Hazard(Exception):
    """Two commands that hardware may run in the wrong order."""


@dataclass
class _Memory:
    """For each byte: number of the last command of each queue that wrote it or read it, counted from 1; 0 for none."""

    writer: np.ndarray = field(repr=False)
    reader: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, size):
        return cls(np.zeros((3, size), np.int64), np.zeros((3, size), np.int64))


def _rectangle(config: NpuConfig, command: Command, group: str) -> np.ndarray:
    """Addresses of all results, or of all second operands."""
    loops, place = command["loops"], command[group]
    by, bx = np.arange(loops["block_rows"])[:, None, None], np.arange(loops["block_cols"])[None, :, None]
    channels = (loops["column_tiles"] - 1) * config.cols + loops["last_cols"]
    return (place["address"] + by * place["row_step"] + bx * place["pixel_step"] + np.arange(channels)).reshape(-1)


def _inputs(config, index, command):
    loops = command["loops"]
    if command.opcode == Opcode.MATMUL:
        lanes = (loops["chunks"] - 1) * config.rows + loops["last_rows"]
    else:
        lanes = (loops["column_tiles"] - 1) * config.cols + (config.cols if loops["partial_out"] else loops["last_cols"])
    addresses, inside = input_addresses(config, index, command, lanes, 0)
    return np.unique(addresses[inside])


def _weights(config, command):
    length = command["loops"]["column_tiles"] * sum(stream_rows(config, command)) * config.cols
    length += TABLE_BYTES if command["weights"]["load_table"] else 0
    return (command["weights"]["address"] + np.arange(length)) % config.weight_bytes


def _transfer(command):
    dma = command["dma"]
    return (dma["sram_address"] + np.arange(dma["rows"])[:, None] * dma["sram_stride"] + np.arange(dma["row_bytes"])).reshape(-1)


class HazardChecker:
    """Walks a stream command by command; `step` raises `Hazard`."""

    def __init__(self, program):
        self.config = program.config
        self.activations, self.weights = _Memory.of(program.config.act_bytes), _Memory.of(program.config.weight_bytes)
        self.complete = [[np.zeros(3, np.int64)] for _ in range(3)]  # clock when command n of a queue is complete
        self.started = [np.zeros(3, np.int64) for _ in range(3)]  # clock when the last command of a queue started
        self.loader = np.zeros(3, np.int64)  # the same for the weight loader, which runs ahead

    def clock(self, clock, waits):
        """What is surely complete after these waits, one count for each queue."""
        for queue, count in enumerate(waits):
            clock = np.maximum(clock, self.complete[queue][count])
        return clock

    def reads(self, index, memory, addresses, clock, queue, number):
        for writer in range(3):
            late = memory.writer[writer][addresses].max(initial=0)
            if late > clock[writer]:
                raise Hazard(f"command {index} reads what {QUEUE_NAMES[writer]} {late - 1} writes, but waits for {clock[writer]} of them")
        memory.reader[queue][addresses] = number

    def writes(self, index, memory, addresses, clock, queue, number):
        for other in range(3):
            if other == queue:
                continue  # in order
            late = max(memory.writer[other][addresses].max(initial=0), memory.reader[other][addresses].max(initial=0))
            if late > clock[other]:
                raise Hazard(f"command {index} overwrites what {QUEUE_NAMES[other]} {late - 1} uses, but waits for {clock[other]} of them")
        memory.writer[queue][addresses] = number

    def step(self, index, command):
        queue = EXEC if command.opcode in EXECUTE else LOAD if command.opcode == Opcode.LOAD else STORE
        number, header = len(self.complete[queue]), command["header"]
        clock = self.clock(self.started[queue], [self._count(q, header[f"wait_{QUEUE_NAMES[q]}"]) for q in range(3)])
        self.started[queue] = clock
        if queue == EXEC:
            self._execute(index, command, clock, number)
        else:
            memory = self.weights if command["dma"]["target"] == Target.WEIGHTS else self.activations
            (self.writes if queue == LOAD else self.reads)(index, memory, _transfer(command), clock, queue, number)
        done = np.maximum(clock, self.complete[queue][-1])
        done[queue] = number
        self.complete[queue].append(done)

    def _count(self, queue, wait):
        """The 16-bit count of a wait as a number of commands, which stand earlier."""
        issued = len(self.complete[queue]) - 1
        return issued - (issued - wait) % (1 << 16)

    def _execute(self, index, command, clock, number):
        config = self.config
        stream = _weights(config, command)
        if len(stream):  # the loader does not wait for a stream without rows
            self.loader = self.clock(self.loader, [self._count(LOAD, command["weights"]["wait_load"])])
        self.reads(index, self.weights, stream, self.loader, EXEC, number)
        self.reads(index, self.activations, _inputs(config, index, command), clock, EXEC, number)
        if command["loops"]["partial_out"]:
            return
        if command["second"]["operation"]:
            self.reads(index, self.activations, _rectangle(config, command, "second"), clock, EXEC, number)
        self.writes(index, self.activations, _rectangle(config, command, "output"), clock, EXEC, number)


def check_hazards(program: Program):
    """Prove that the program's waits suffice.

    Raises
    ------
    Hazard
        At the first command that may read too early or overwrite too early.
    """
    checker = HazardChecker(program)
    for index, planned in enumerate(program.commands):
        checker.step(index, planned.command)
