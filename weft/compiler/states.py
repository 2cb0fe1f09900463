"""Pass: where the states of a network lie in region ARENA, so that one job finds what the last one left and nobody copies between them.

A state has one place. A job loads the old value from it and stores the new one to it, which is right where every load of the old bytes
stands before the stores of the new ones: `dependencies` makes each such store wait for these loads, and `golden.hazards` proves it. Where
the plan loads old bytes again after new ones were stored over them (two states that change places, an old value that comes a second time
in bands), the new value goes to a second place, and the NPU copies it to the first one when all else is done.
"""

from collections.abc import Iterable
from dataclasses import replace

from golden.program import Place, StatePlace
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Region
from weft.compiler.graph import State
from weft.compiler.memory_plan import ARENA_GRANULE, Buffer, MemoryPlan
from weft.compiler.plan import extent_in_memory
from weft.compiler.steps import Network
from weft.compiler.transfers import Action, Load, Store


def place_states(network: Network, memory: MemoryPlan, actions: list[Action], config: NpuConfig) -> tuple[MemoryPlan, list[Action]]:
    """The plan with a place for each state's new value, and the actions with the copies that are needed at their end."""
    arena, buffers, end = dict(memory.arena), dict(memory.buffers), memory.arena_bytes
    copies: list[Action] = []
    for state in network.graph.states:
        if not _read_late(network, memory, actions, state):
            arena[state.new] = arena[state.old]
            continue
        root = network.root[state.new]
        extent, number = extent_in_memory(network, root), len(memory.plan.segments)
        arena[state.new] = end
        end += -(-extent.size // ARENA_GRANULE) * ARENA_GRANULE
        rows = min(extent.height, max(1, config.act_bytes // extent.row_bytes))
        buffers[number, root] = Buffer(root, 0, rows, extent.row_bytes, extent.row_bytes, number, number)
        step = len(network.steps) - 1
        for row in range(0, extent.height, rows):
            count = min(rows, extent.height - row)
            copies += [
                Load(step, number, tensor=root, row=row, rows=count, place=state.new),
                Store(step, number, root, state.old, row, count),
            ]
    return replace(memory, arena=arena, buffers=buffers, arena_bytes=end), [*actions, *copies]


def _read_late(network: Network, memory: MemoryPlan, actions: Iterable[Action], state: State) -> bool:
    """Whether some load of the old value comes after a store of the new one to the same bytes, were both at one place."""
    stored: list[tuple[int, int]] = []
    for action in actions:
        if isinstance(action, Store) and action.target == state.new:
            stored.append(_bytes(memory, action))
        elif isinstance(action, Load) and action.tensor == state.old:
            low, high = _bytes(memory, action)
            if any(first < high and low < end for first, end in stored):
                return True
    return False


def _bytes(memory: MemoryPlan, action: Load | Store) -> tuple[int, int]:
    """Bytes of the tensor (first, end) that a transfer moves."""
    size = memory.buffers[action.segment, action.tensor].row_bytes
    return action.row * size, (action.row + action.rows) * size


def state_places(network: Network, memory: MemoryPlan, ordered: list[Action]) -> tuple[StatePlace, ...]:
    """Where the states lie, given the actions in the order of the stream."""
    found = []
    for state in network.graph.states:
        old = network.graph.tensors[state.old]
        targets = (state.old, state.new) if memory.arena[state.new] != memory.arena[state.old] else (state.new,)
        last = max(index for index, action in enumerate(ordered) if isinstance(action, Store) and action.target in targets)
        size, address = old.size, memory.arena[state.old]
        before, after = (
            Place(name, network.graph.tensors[name].shape, old.dtype, address, 1, size, size, Region.ARENA, index)
            for name, index in ((state.old, -1), (state.new, last))
        )
        copied = memory.arena[state.new] != address
        found.append(StatePlace(state.name, before, after, state.initial, network.root[state.new], copied))
    return tuple(found)
