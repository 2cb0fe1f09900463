"""Replays a program's commands in the queues of the NPU, without data: the cycles that the RTL will take."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from golden.program import Program
from hw.npu.array.accumulators import Accumulators
from hw.npu.dma.transfers import TransferPlanner
from hw.npu.execute_unit import ExecuteUnit
from hw.npu.interface.isa import QUEUE_OF, QUEUES
from hw.npu.interface.tokens import TOKEN_BITS
from hw.npu.scratchpad.port_queue import PortQueue
from hw.npu.scratchpad.write_fence import WriteFence
from sim.npu_job import RECORD_DTYPE
from weft.analysis.timing.banks import beats, rate
from weft.analysis.timing.ddr import DdrParameters, DdrPort
from weft.analysis.timing.dma import BEAT, DONE, HEAD, TOKEN, Mover
from weft.analysis.timing.execute import CAUSES, ExecuteModel
from weft.analysis.timing.record_writer import RecordQueue
from weft.analysis.timing.stream import NEVER, CommandStream
from weft.analysis.timing.traffic import sram_bytes
from weft.analysis.timing.work import command_bytes, transfer_of, work_of

LOAD, EXEC, STORE = range(len(QUEUES))
"""The queues."""
NEVER_WRITTEN = -1000
"""The cycle of a write that there is none of."""
COUNTS = 1 << TOKEN_BITS
"""Counts of completed commands wrap here."""


@dataclass(frozen=True)
class Timing:
    """What a replay predicts.

    Attributes
    ----------
    cycles : int
        From start to interrupt.
    records : structured array
        One for each command, with the fields of `hw.npu.interface.records.RECORD`.
    """

    cycles: int
    records: np.ndarray = field(repr=False)


def replay(program: Program, ddr: DdrParameters | None = None, *, records: bool = True, bases: tuple[int, int] = (0, 0)) -> Timing:
    """Predict the cycles of a program.

    Parameters
    ----------
    program : Program
    ddr : DdrParameters, optional
        The reference DDR if not given.
    records : bool
        The NPU writes its records, as in all measurements.
    bases : tuple of int
        DDR addresses of the regions MODEL and ARENA: bursts end at their multiples of 4 KiB and of the longest burst.
    """
    return _Replay(program, ddr or DdrParameters(), records, bases).run()


def meant(wait, before) -> int:
    """Commands of a queue that must be complete: the largest number that is ``wait`` modulo 2^16 and stands in front of the command."""
    return wait + max(0, before - wait) // COUNTS * COUNTS


class _Replay:
    """State of the queues."""

    def __init__(self, program, ddr, records, bases):
        config = program.config
        self.config = config
        self.commands = [planned.command for planned in program.commands]
        self.queue = [QUEUES.index(QUEUE_OF[command.opcode]) for command in self.commands]
        shortest = Accumulators.MIN_PERIOD
        self.work: list = [
            work_of(command, config, shortest) if queue == EXEC else transfer_of(command, bases)
            for command, queue in zip(self.commands, self.queue)
        ]
        self.port = DdrPort(ddr, config.axi_bytes)
        self.stream = CommandStream(config, [command_bytes(command) for command in self.commands])
        self.movers = {LOAD: Mover(config, stores=False), STORE: Mover(config, stores=True)}
        self.execute = ExecuteModel(config)
        self.writer = RecordQueue(config, enabled=records)
        self.queued = [deque(), deque(), deque()]  # (command, cycle from which it can be taken)
        self.left = [deque([-1] * config.queue_depth, maxlen=config.queue_depth) for _ in range(3)]  # when commands left their queue
        self.handed = [0, 0, 0]
        self.tokens = ([0], [0], [0])  # cycle from which n commands of a queue count as complete
        self.executed = deque(maxlen=ExecuteUnit.IN_FLIGHT)  # the last commands of the execute unit
        self.sent: deque[int] = deque()  # commands that the execute unit has and that have not run
        self.ready: tuple = ()  # of the first of them: its work, what it waits for, its earliest end
        self.beats = beats(config)
        self.complete = 0
        self.before = {}  # commands of each queue in front of one
        self.rows: list[dict] = [{} for _ in self.commands]

    def run(self) -> Timing:
        """Lets the unit act whose next burst, or command, comes first; until nobody has one."""
        stream, port, loads, stores = self.stream, self.port, self.movers[LOAD], self.movers[STORE]
        while True:
            while self._dispatch() or self._send() or self._begin(LOAD) or self._begin(STORE):
                pass
            fetch, load, store = stream.next_issue(), loads.next, stores.next
            record, execute = self.writer.next_issue(), self._execute_at()
            others = min(store, record, execute)
            # the fetch goes first wherever both wait for the address register
            if fetch <= max(min(load, others), port.address_at) and fetch != NEVER:
                stream.issue(max(fetch, port.address_at), port)
            elif load <= others and load != NEVER:
                self._load(min(others, fetch))
            elif store <= min(record, execute) and store != NEVER:
                self._move(STORE, store)
            elif record <= execute and record != NEVER:
                self.writer.issue(record, port)
            elif execute != NEVER:
                self._execute()
            else:
                break
        assert all("end" in row for row in self.rows), "a command waits for one behind it"
        idle = max(self.complete, self.writer.idle_from, max(self.writer.taken.values(), default=0) + 1)
        for number, (row, command) in enumerate(zip(self.rows, self.commands)):
            row |= {"index": number, "opcode": command.opcode}
        rows = [tuple(int(row.get(name, 0)) for name in RECORD_DTYPE.names) for row in self.rows]
        return Timing(int(idle) + 1, np.array(rows, RECORD_DTYPE))

    def _dispatch(self):
        """Hands the next command to its queue, if that is decided."""
        number = len(self.stream.handed)
        if not self.stream.assemble():
            return False
        queue = self.queue[number]
        waiting = len(self.queued[queue])
        if waiting == self.config.queue_depth:
            return False  # full, and nobody knows until when
        handed = self.stream.hand(self.left[queue][waiting] + 1)
        self.before[number] = tuple(self.handed)
        self.handed[queue] += 1
        self.queued[queue].append((number, handed + 1))
        return True

    def _reached(self, number, queue, wait):
        """Cycle from which a command sees the count that it waits for; `NEVER` where that is not known."""
        wait = meant(wait, self.before[number][queue])
        tokens = self.tokens[queue]
        return tokens[wait] if wait < len(tokens) else NEVER

    def _waits(self, number, waits):
        return [self._reached(number, queue, wait) for queue, wait in ((LOAD, waits.load), (EXEC, waits.exec), (STORE, waits.store))]

    def _send(self):
        """Hands the next execute command to the stages, if it is known when they have room."""
        if not self.queued[EXEC] or not self.execute.may_send:
            return False
        number, offered = self.queued[EXEC][0]
        room = 0
        if len(self.executed) == ExecuteUnit.IN_FLIGHT:
            room = self.writer.taken.get(self.executed[0])
        if room is None:
            return False
        self.queued[EXEC].popleft()
        self.left[EXEC].append(self.execute.send(offered, room + 1))
        self.executed.append(number)
        self.sent.append(number)
        return True

    def _execute_at(self):
        """Cycle up to which the other units must be known before the next execute command runs; `NEVER` where it cannot."""
        if not self.ready and self.sent:
            number = self.sent[0]
            work = self.work[number]
            loads, execs, stores = self._waits(number, work.waits)
            weights = self._reached(number, LOAD, work.weights_wait)
            reached = loads, weights, execs, stores
            if NEVER not in reached:
                self.ready = work, reached, self.execute.earliest_end(work, *reached)
        return self.ready[2] if self.ready else NEVER

    def _execute(self):
        """Runs the next execute command."""
        number, (work, reached, _) = self.sent.popleft(), self.ready
        self.ready = ()
        start, end, active, stalls, retire = self.execute.run(work, *reached)
        self.tokens[EXEC].append(self._settled(retire, self.execute.written) + TOKEN)
        self.complete = max(self.complete, retire + 1)
        self.writer.add(1, retire + 1, number)
        read, written = sram_bytes(self.commands[number], work, self.config)
        self.rows[number] = {
            "start": start,
            "end": end,
            "active": active,
            **{f"stall_{cause}": cycles for cause, cycles in zip(CAUSES, stalls)},
            "sram_read_bytes": read,
            "sram_write_bytes": written,
        }

    @staticmethod
    def _settled(complete, written):
        """When a command counts as over whose last write was offered to the activation scratchpad in a cycle: the write must be made."""
        return max(complete, written + PortQueue.LATENCY) + WriteFence.LATENCY

    def _begin(self, queue):
        """The DMA takes the next command of its queue, if it is known when."""
        mover = self.movers[queue]
        if not self.queued[queue] or not mover.may_begin:
            return False
        number, valid = self.queued[queue][0]
        transfer = self.work[number]
        reached = self._waits(number, transfer.waits)
        if NEVER in reached:
            return False
        start = max(valid + HEAD, mover.free)
        loads, execs, stores = (reached + TransferPlanner.CHECKED if reached else 0 for reached in reached)
        stall_exec = max(0, execs - start)
        stall_load = max(0, loads - start - stall_exec)
        stall_store = max(0, stores - start - stall_exec - stall_load)
        taken = start + stall_exec + stall_load + stall_store
        beats = mover.begin(transfer, taken, (number, transfer))
        self.queued[queue].popleft()
        self.left[queue].append(taken)
        ways = ("ddr_read_bytes", "sram_write_bytes") if queue == LOAD else ("ddr_write_bytes", "sram_read_bytes")
        self.rows[number] = {
            "start": start,
            "active": beats,
            "stall_activations": stall_exec,
            "stall_ddr_read": stall_load,
            "stall_ddr_write": stall_store,
            ways[0]: beats * self.config.axi_bytes,
            ways[1]: transfer.row_bytes * transfer.rows,
        }
        return True

    def _load(self, limit):
        """Issues bursts of the load DMA until another unit comes first."""
        mover, port = self.movers[LOAD], self.port
        while True:
            at = max(mover.next, port.address_at)
            self._move(LOAD, at)
            if mover.may_begin or mover.next >= limit or port.address_at >= limit:
                return

    def _beat_cycles(self, cycle):
        """Cycles in which the activation scratchpad takes a beat of a DMA beside the feeder, which goes first."""
        if cycle <= self.execute.accepted:
            reads = self.execute.reads
        elif self.ready and cycle >= max(self.ready[1]):
            reads = self.ready[0].reads
        else:
            return 1
        return 1 / rate(reads, self.beats, self.config.word_bytes, self.config.BANKS)

    def _move(self, queue, cycle):
        """Issues the next burst of a DMA."""
        mover = self.movers[queue]
        _, _, (number, transfer), last = mover.bursts[0]
        _, ended = mover.issue(cycle, self.port, 1 if transfer.weights else self._beat_cycles(cycle))
        if not last:
            return
        done = ended + BEAT if queue == LOAD else ended
        over = done
        if queue == LOAD:
            over = self._settled(done + DONE, NEVER_WRITTEN if transfer.weights else done)
        self.tokens[queue].append(over + TOKEN)
        self.complete = max(self.complete, done + 1)
        self.writer.add(0 if queue == LOAD else 2, done + 1, number)
        self.rows[number]["end"] = done + 1
