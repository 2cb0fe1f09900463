"""Pass: where every buffer lies in the activation scratchpad, and every tensor that leaves it in region ARENA.

Execute commands run in order, and one's reads are over before the next one writes; transfers wait for whoever uses the bytes
that they overwrite (`weft.compiler.dependencies`). So bytes can be used again as soon as their last reader stands before the new writer.
"""

from dataclasses import dataclass, replace

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from weft.compiler.partition import Partitioner
from weft.compiler.plan import Life, Plan, extent_in_memory, lives
from weft.compiler.segments import Bandings
from weft.compiler.steps import Network
from weft.compiler.tile import StepTiler

ARENA_GRANULE = 64
RESERVES = (0.0, 0.03, 0.08, 0.15, 0.25, 0.4)
"""Parts of the scratchpad that the plan leaves free, until its buffers find places side by side."""


@dataclass(frozen=True)
class Buffer:
    """Rows of a tensor in the scratchpad.

    Attributes
    ----------
    tensor : str
        Root of its aliases, or a constant.
    address, rows, row_bytes, row_pitch : int
        Row r of the tensor lies at ``address + (r % rows) * row_pitch``.
    first, last : int
        Segments during which it is there, both included.
    """

    tensor: str
    address: int
    rows: int
    row_bytes: int
    row_pitch: int
    first: int
    last: int

    @property
    def size(self) -> int:
        """Bytes from the first to the last."""
        return (self.rows - 1) * self.row_pitch + self.row_bytes

    def row_address(self, row: int) -> int:
        """Where a row lies."""
        return self.address + row % self.rows * self.row_pitch

    def spans(self, first: int, end: int) -> list[tuple[int, int]]:
        """Addresses (first, end) of rows ``first .. end - 1``; two where they go round the ring."""
        found = []
        while first < end:
            count = min(end - first, self.rows - first % self.rows)
            low = self.row_address(first)
            found.append((low, low + (count - 1) * self.row_pitch + self.row_bytes))
            first += count
        return found


@dataclass(frozen=True)
class MemoryPlan:
    """Places of all tensors.

    Attributes
    ----------
    plan : Plan
    buffers : dict of (int, str) to Buffer
        By segment and root tensor (or constant).
    arena : dict of str to int
        Offset in region ARENA of each input and output of the network (also where an alias of another), of each state's old value and of
        each spilled tensor; that of a state's new value `weft.compiler.states` finds when the order of the transfers is known.
    arena_bytes : int
    lives : dict of str to Life
        Of all root tensors.
    """

    plan: Plan
    buffers: dict[tuple[int, str], Buffer]
    arena: dict[str, int]
    arena_bytes: int
    lives: dict[str, Life]


def _wanted(network: Network, plan: Plan, life: dict[str, Life]) -> list[list[Buffer]]:
    """Buffers without addresses, those together that share their bytes: a result takes those of its second operand."""
    wanted = [[Buffer(name, 0, life[name].height, life[name].row_bytes, life[name].pitch, *span)] for name, span in plan.resident.items()]
    for number, segment in enumerate(plan.segments):
        for name, rows in segment.rings.items():
            wanted.append([Buffer(name, 0, rows, life[name].row_bytes, life[name].pitch, number, number)])
        for step in network.steps[segment.first : segment.end]:
            if step.constant is not None:
                wanted.append([Buffer(step.second, 0, 1, step.constant.size, step.constant.size, number, number)])
    for number, segment in enumerate(plan.segments):
        if segment.overwritten is not None:
            names = segment.overwritten, network.root[network.steps[segment.first].output]
            old, new = (next(group for group in wanted if _there(group, name, number)) for name in names)
            wanted = [group for group in wanted if group is not old and group is not new] + [old + new]
    return wanted


def _there(group, name, number):
    return any(buffer.tensor == name and buffer.first <= number <= buffer.last for buffer in group)


ORDERS = (
    lambda group: (-group[0].size, group[0].first, group[0].tensor),
    lambda group: (group[0].first - group[-1].last, -group[0].size, group[0].first, group[0].tensor),
    lambda group: (group[0].first, -group[0].size, group[0].tensor),
)
"""Orders in which buffers find their places: the largest first, the longest life first, the earliest first."""


def _first_fit(wanted: list[list[Buffer]], config: NpuConfig, order) -> list[Buffer]:
    """Each at the lowest address that no buffer of its lifetime uses; addresses are whole words."""
    placed: list[Buffer] = []
    word = config.word_bytes
    for group in sorted(wanted, key=order):
        address, size = 0, group[0].size
        first, last = min(buffer.first for buffer in group), max(buffer.last for buffer in group)
        for other in sorted(placed, key=lambda other: other.address):
            together = other.first <= last and first <= other.last
            if together and other.address < address + size and address < other.address + other.size:
                address = -(-(other.address + other.size) // word) * word
        placed += [replace(buffer, address=address) for buffer in group]
    return placed


def _placed(bandings: Bandings, life: dict[str, Life], constants: int) -> tuple[Plan, list[Buffer]]:
    """The first plan whose buffers find places side by side."""
    network, config, failed = bandings.network, bandings.config, None
    for reserve in RESERVES:
        budget = int(config.act_bytes * (1 - reserve)) - constants
        try:
            plan = Partitioner(bandings, life, budget).plan()
        except WeftError as error:
            raise failed or error from None
        wanted = _wanted(network, plan, life)
        for order in ORDERS:
            placed = _first_fit(wanted, config, order)
            if all(buffer.address + buffer.size <= config.act_bytes for buffer in placed):
                return plan, placed
        failed = WeftError(
            f"the activation scratchpad of {config.act_kib} KiB is too small: its buffers find no place side by side",
            file=network.graph.file, remedy=f"set act_kib to {config.act_kib * 3 // 2} or so",
        )  # fmt: skip
    raise failed


def memory_plan(network: Network, config: NpuConfig, tilers: list[StepTiler]) -> MemoryPlan:
    """The plan, and addresses of all buffers.

    Raises
    ------
    WeftError
        If a step does not fit; it names the layer, the memory and what is missing.
    """
    constants = sum(step.constant.size + config.word_bytes for step in network.steps if step.constant is not None)
    life = lives(network, config, tilers)
    plan, placed = _placed(Bandings(network, config, tilers), life, constants)
    buffers = {(number, buffer.tensor): buffer for buffer in placed for number in range(buffer.first, buffer.last + 1)}
    arena, end = {}, 0
    states = network.graph.states
    later = {state.new for state in states}
    for name in dict.fromkeys((*network.inputs, *(state.old for state in states), *network.outputs, *sorted(plan.spilled))):
        if name not in later:
            arena[name] = end
            end += -(-extent_in_memory(network, name).size // ARENA_GRANULE) * ARENA_GRANULE
    return MemoryPlan(plan, buffers, arena, end, life)
