"""Pass: one stream out of loads, works and stores.

Loads and works each have their order; what is decided here is how they are merged. Fetch dispatches in stream order and
each queue holds a few commands, so a load that stands too early blocks the works behind it when its queue is full, and
one that stands too late comes late. A small simulation of the queues merges them: whichever can be dispatched first.
"""

from dataclasses import dataclass

from hw.npu.config import NpuConfig
from weft.compiler.estimate import DEPENDENT_CYCLES, READ_LATENCY
from weft.compiler.memory_plan import MemoryPlan
from weft.compiler.tile import Tiling
from weft.compiler.transfers import Load, Transfers

TRANSFER_CYCLES = 8
"""What a load takes beyond its bytes, so that small ones are not free."""


@dataclass(frozen=True)
class Schedule:
    """The stream.

    Attributes
    ----------
    stream : tuple of (str, int)
        ``("load", i)``, ``("exec", i)`` or ``("store", i)``: indices into `Transfers.loads`, `Tiling.works`, `Transfers.stores`.
    cycles : int
        End of the last work in the simulation of the queues: an estimate.
    """

    stream: tuple[tuple[str, int], ...]
    cycles: int


def _load_cycles(load: Load, plan: MemoryPlan, config: NpuConfig) -> int:
    size = load.size if load.tensor is None else load.rows * plan.slots[load.tensor].row_bytes
    return -(-size // config.axi_bytes) + TRANSFER_CYCLES


class _Queues:
    """Simulated time of the load and execute queues."""

    def __init__(self, depth):
        self.depth = depth
        self.load_start, self.load_done, self.load_free = [], [], 0
        self.exec_start, self.exec_done, self.exec_free = [], [], 0

    def dispatch(self, starts, now):
        """When a queue with these starts has room again."""
        return max(now, starts[-self.depth]) if len(starts) >= self.depth else now

    def load(self, now, wait_work, cycles):
        start = max(now, self.load_free, self.exec_done[wait_work - 1] if wait_work else 0)
        self.load_start.append(start)
        self.load_free = start + cycles
        self.load_done.append(self.load_free + READ_LATENCY)

    def execute(self, now, needs, cycles):
        loads = max(needs.weights, needs.inputs)
        data = self.load_done[loads - 1] if loads else 0
        start = max(now, self.exec_free, data, self.exec_done[needs.works - 1] if needs.works else 0)
        self.exec_start.append(start)
        self.exec_free = start + cycles
        self.exec_done.append(self.exec_free + DEPENDENT_CYCLES)


def schedule(tiling: Tiling, moves: Transfers, plan: MemoryPlan) -> Schedule:
    """Merge loads, works and stores; a wait names only what stands earlier."""
    works, loads = tiling.works, moves.loads
    queues, stream, now = _Queues(tiling.config.queue_depth), [], 0
    after = {}
    for number, store in enumerate(moves.stores):
        after.setdefault(store.after_work, []).append(number)
    next_load = next_work = 0
    while next_load < len(loads) or next_work < len(works):
        times = []
        if next_work < len(works) and max(moves.needs[next_work].weights, moves.needs[next_work].inputs) <= next_load:
            times.append((queues.dispatch(queues.exec_start, now), "exec"))
        if next_load < len(loads) and loads[next_load].wait_work <= next_work:
            times.append((queues.dispatch(queues.load_start, now), "load"))
        now, chosen = min(times)
        if chosen == "exec":
            queues.execute(now, moves.needs[next_work], works[next_work].cycles)
            stream.append(("exec", next_work))
            stream += [("store", number) for number in after.get(next_work, ())]
            next_work += 1
        else:
            load = loads[next_load]
            queues.load(now, load.wait_work, _load_cycles(load, plan, tiling.config))
            stream.append(("load", next_load))
            next_load += 1
    order = [number for queue, number in stream if queue == "store"]
    assert order == sorted(order) or len(set(order)) == len(order)
    return Schedule(tuple(stream), queues.exec_done[-1] if queues.exec_done else 0)
