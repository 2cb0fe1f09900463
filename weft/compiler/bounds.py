"""Whether each step sees bytes of its tensors alone, and each LOAD and STORE moves bytes of the tensor, constant or weights that it names.

A fault of the compiler that reads a neighbour's bytes would show as wrong results, or not at all where the neighbour holds the like. It
ends here, before any program leaves.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from golden.program import Planned
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import EXECUTE
from weft.compiler.memory_plan import MemoryPlan
from weft.compiler.plan import extent_in_memory, touched
from weft.compiler.steps import Extent, Network, View
from weft.compiler.transfers import Action, Load, Store, Use
from weft.compiler.weights import WeightImage

SIDES = (("DDR", "ddr_offset", "ddr_stride"), ("the scratchpad", "sram_address", "sram_stride"))


def check_views(network: Network):
    """Every step sees each tensor inside the rows as which it lies in memory, or all of it."""
    for step in network.steps:
        for name, extent, view in touched(step):
            reads_nothing = name == step.source and step.pad[0] >= step.result.height
            memory = extent_in_memory(network, network.root[name])
            if name == step.source and step.overlapping:  # what a pixel reads behind the row's end is padding
                extent = replace(extent, channels=view.dx)
            assert reads_nothing or _inside(extent, view, memory), f"{step.name} sees {name} of {memory} as {extent} through {view}"
        if step.constant is not None:
            memory = Extent(1, step.constant.size, 1)
            assert _inside(step.result, step.second_view, memory), f"{step.name} sees {step.second} of {memory} through {step.second_view}"


def _inside(extent: Extent, view: View | None, memory: Extent) -> bool:
    if view is None:
        return extent.size == memory.size
    low, last = sorted((view.y, view.y + (extent.height - 1) * view.dy))
    if view.row_bytes:
        first, end = view.spans(low, last + 1, extent)
        return first >= 0 and end <= memory.size
    end = view.x + (extent.width - 1) * view.dx + extent.channels
    return low >= 0 and last < memory.height and view.x >= 0 and end <= memory.row_bytes


@dataclass(frozen=True)
class Homes:
    """Where a transfer's bytes must lie: first byte and end in DDR, then in the scratchpad.

    Attributes
    ----------
    network, memory, image, config
        As the passes before made them.
    """

    network: Network
    memory: MemoryPlan
    image: WeightImage
    config: NpuConfig

    def of(self, action: Load | Store) -> tuple[int, int, int, int]:
        """Of an action: (first, end, first, end)."""
        if isinstance(action, Load) and action.stream is not None:
            first, word = self.image.offsets[id(action.stream)], self.config.weight_word_bytes
            return first, first - action.stream.size // -word * word, 0, self.config.weight_bytes
        buffer = self.memory.buffers[action.segment, action.tensor]
        place = buffer.address, buffer.address + buffer.size
        if action.tensor in self.image.tensors:
            first = self.image.tensors[action.tensor]
            return first, first + self.network.steps[action.step].constant.size, *place
        first = self.memory.arena[action.target if isinstance(action, Store) else action.place or action.tensor]
        return first, first + extent_in_memory(self.network, self.network.root[action.tensor]).size, *place


def check_transfers(actions: Iterable[Action], commands: Iterable[Planned], homes: Homes):
    """No LOAD or STORE leaves what it names, in DDR or in the scratchpad.

    Parameters
    ----------
    actions, commands
        In the order of the stream.
    """
    found, places = [], []
    for index, (action, planned) in enumerate(zip(actions, commands, strict=True)):
        assert isinstance(action, Use) == (planned.command.opcode in EXECUTE), f"command {index} is no {action}"
        if not isinstance(action, Use):
            dma = planned.command["dma"]
            found.append([index, dma["rows"], dma["row_bytes"], *(dma[field] for _, *fields in SIDES for field in fields)])
            places.append(homes.of(action))
    numbers, limits = np.array(found, np.int64).reshape(-1, 7).T, np.array(places, np.int64).reshape(-1, 4).T
    index, rows, row_bytes = numbers[:3]
    for side, (where, *_) in enumerate(SIDES):
        first, stride, low, end = numbers[3 + 2 * side], numbers[4 + 2 * side], limits[2 * side], limits[2 * side + 1]
        reach = first + (rows - 1) * stride + row_bytes
        outside = np.flatnonzero((first < low) | (reach > end))
        for each in outside[:1]:
            raise AssertionError(
                f"command {index[each]} moves bytes {first[each]} to {reach[each] - 1} of {where}, "
                f"what it names has {low[each]} to {end[each] - 1}"
            )
