"""Pass: one stream out of loads, works and stores.

Each queue has its order; what is decided here is how they are merged. Fetch dispatches in stream order and
each queue holds a few commands, so a load that stands too early blocks the works behind it when its queue is full, and
one that stands too late comes late. A small simulation of the queues merges them: whichever can be dispatched first.
"""

from dataclasses import dataclass, field

from hw.npu.config import NpuConfig
from weft.compiler.dependencies import Waits
from weft.compiler.estimate import DEPENDENT_CYCLES, READ_LATENCY, transfer_rate
from weft.compiler.memory_plan import MemoryPlan
from weft.compiler.transfers import Action, Load, Store, Use

TRANSFER_CYCLES = 8
"""What a load takes beyond its bytes, so that small ones are not free."""
PRIORITY = ("exec", "load", "store")
"""The queues: the one that goes first where several can be dispatched at a time, in front."""


@dataclass(frozen=True)
class Schedule:
    """The stream.

    Attributes
    ----------
    stream : tuple of int
        Indices into the actions, in the order of the stream.
    cycles : int
        End of the last action in the simulation of the queues: an estimate.
    """

    stream: tuple[int, ...]
    cycles: int


def queue_of(action: Action) -> str:
    """The queue that an action goes to."""
    return {Load: "load", Use: "exec", Store: "store"}[type(action)]


@dataclass
class _Queue:
    """Simulated time of one queue."""

    depth: int
    starts: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    free: int = 0

    def room(self, now: int) -> int:
        """When it can take one more."""
        return max(now, self.starts[-self.depth]) if len(self.starts) >= self.depth else now

    def after(self, count: int) -> int:
        """When so many are complete."""
        return self.done[count - 1] if count else 0


class _Merger:
    def __init__(self, actions, waits, memory: MemoryPlan, config: NpuConfig):
        self.actions, self.waits, self.memory, self.config = actions, waits, memory, config
        self.queues = {name: _Queue(config.queue_depth) for name in PRIORITY}
        self.members: dict[str, list[int]] = {name: [] for name in PRIORITY}
        for index, action in enumerate(actions):
            self.members[queue_of(action)].append(index)
        self.bus = 0  # when the memory is free

    def run(self) -> Schedule:
        stream: list[int] = []
        now, place = 0, dict.fromkeys(PRIORITY, 0)
        while len(stream) < len(self.actions):
            options = []
            for rank, name in enumerate(PRIORITY):
                if place[name] < len(self.members[name]):
                    index = self.members[name][place[name]]
                    if self._stands(self.waits[index]):
                        options.append((self.queues[name].room(now), rank, index))
            now, rank, index = min(options)
            self._dispatch(PRIORITY[rank], index, now)
            place[PRIORITY[rank]] += 1
            stream.append(index)
        return Schedule(tuple(stream), max((queue.done[-1] for queue in self.queues.values() if queue.done), default=0))

    def _stands(self, waits: Waits) -> bool:
        """Whether everything that is waited for stands in the stream."""
        wanted = {"load": max(waits.load, waits.weights), "exec": waits.exec, "store": waits.store}
        return all(count <= len(self.queues[name].done) for name, count in wanted.items())

    def _dispatch(self, name, index, now):
        queue, waits, action = self.queues[name], self.waits[index], self.actions[index]
        ready = max(self.queues[other].after(getattr(waits, other)) for other in PRIORITY)
        start = max(now, queue.free, ready, self.queues["load"].after(waits.weights))
        queue.starts.append(start)
        if name == "exec":
            queue.free = start + action.work.cycles
            queue.done.append(queue.free + DEPENDENT_CYCLES)
            return
        begin = max(start, self.bus)
        self.bus = queue.free = begin + self._cycles(action)
        queue.done.append(queue.free + READ_LATENCY)

    def _cycles(self, action) -> int:
        if isinstance(action, Load) and action.tensor is None:
            size = action.size
        else:
            size = action.rows * self.memory.buffers[action.segment, action.tensor].row_bytes
        return -(-size // transfer_rate(self.config)) + TRANSFER_CYCLES


def schedule(actions: list[Action], waits: list[Waits], memory: MemoryPlan, config: NpuConfig) -> Schedule:
    """Merge loads, works and stores; a wait names only what stands earlier."""
    return _Merger(actions, waits, memory, config).run()
