"""Pass: where every tensor lies in the activation scratchpad, and the network's inputs and outputs in region ARENA.

Execute commands run in order, and one's reads are over before the next one writes, so that a tensor's bytes can be used
again as soon as its last reader stands before the new writer. Inputs live from the start (transfers are not ordered
with execute commands), outputs to the end.
"""

import math
from dataclasses import dataclass

from hw.npu.config import KIB, MAX_ACT_KIB, NpuConfig
from hw.npu.errors import WeftError
from weft.compiler.steps import Extent, Network, extent_of

ARENA_GRANULE = 64


@dataclass(frozen=True)
class Slot:
    """A tensor in the scratchpad.

    Attributes
    ----------
    tensor : str
        Root of its aliases.
    address, rows, row_bytes, row_pitch : int
        Row r starts at ``address + r * row_pitch``.
    first, last : int
        Steps during which it lives, both included; -1 is before the first.
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

    def pitch_of(self, extent: Extent) -> int:
        """Row pitch of the bytes seen as an image of this extent."""
        return self.row_pitch if extent.row_bytes == self.row_bytes else extent.row_bytes


@dataclass(frozen=True)
class MemoryPlan:
    """Places of all tensors.

    Attributes
    ----------
    slots : dict of str to Slot
        By root tensor.
    arena : dict of str to int
        Offset of each input and output of the network in region ARENA.
    arena_bytes : int
    """

    slots: dict[str, Slot]
    arena: dict[str, int]
    arena_bytes: int


def _lifetimes(network: Network) -> dict[str, tuple[int, int]]:
    """First and last step of each root tensor."""
    lives = {network.root[name]: (-1, -1) for name in network.inputs}
    for index, step in enumerate(network.steps):
        for name in (*step.reads, step.output):
            root = network.root[name]
            lives[root] = lives.get(root, (index, index))[0], index
    for name in network.outputs:
        root = network.root[name]
        lives[root] = lives[root][0], len(network.steps)
    return lives


def _dense(network: Network) -> set[str]:
    """Root tensors that some step sees with other rows than their own: they must have no gaps."""
    dense = set()
    for step in network.steps:
        for name, extent in ((step.source, step.image), (step.output, step.result), (step.second, step.result)):
            if name is None:
                continue
            root = network.root[name]
            if extent.row_bytes != extent_of(network.graph.tensors[root].shape).row_bytes:
                dense.add(root)
    return dense


def _shapes(network: Network, config: NpuConfig, padded: bool) -> list[Slot]:
    """Slots without addresses; `padded`: pitches that are a multiple of all banks get one word more."""
    dense, slots = _dense(network), []
    for root, (first, last) in _lifetimes(network).items():
        extent = extent_of(network.graph.tensors[root].shape)
        pitch = extent.row_bytes
        if padded and root not in dense and extent.height > 1 and pitch % (config.BANKS * config.word_bytes) == 0:
            pitch += config.word_bytes
        slots.append(Slot(root, 0, extent.height, extent.row_bytes, pitch, first, last))
    return slots


def _first_fit(slots: list[Slot], config: NpuConfig) -> list[Slot]:
    """The largest first, each at the lowest address that no tensor of its lifetime uses; addresses are whole words."""
    placed = []
    for slot in sorted(slots, key=lambda slot: (-slot.size, slot.first, slot.tensor)):
        address = 0
        for other in sorted(placed, key=lambda other: other.address):
            together = other.first <= slot.last and slot.first <= other.last
            if together and other.address < address + slot.size and address < other.address + other.size:
                address = -(-(other.address + other.size) // config.word_bytes) * config.word_bytes
        placed.append(Slot(slot.tensor, address, slot.rows, slot.row_bytes, slot.row_pitch, slot.first, slot.last))
    return placed


def _too_small(network, slots, config) -> WeftError:
    """The error for a network that does not fit: it names the step with the most living bytes."""

    def living(index):
        return sum(slot.size for slot in slots if slot.first <= index <= slot.last)

    worst = max(range(len(network.steps)), key=living)
    needed = max(living(worst), max(slot.address + slot.size for slot in slots))
    granule = math.lcm(KIB, config.BANKS * config.word_bytes)
    enough = -(-needed // granule) * granule // KIB
    return WeftError(
        f"the activation scratchpad of {config.act_kib} KiB is {-(-(needed - config.act_bytes) // KIB)} KiB too small"
        " for the tensors that live here",
        file=network.graph.file,
        layer=network.steps[worst].title,
        remedy=f"set act_kib to {enough} or more" if enough <= MAX_ACT_KIB else f"act_kib is at most {MAX_ACT_KIB}: use a smaller network",
    )


def memory_plan(network: Network, config: NpuConfig) -> MemoryPlan:
    """Addresses of all tensors.

    Raises
    ------
    WeftError
        If they do not fit; it names the layer, the memory and what is missing.
    """
    for padded in (True, False):
        slots = _first_fit(_shapes(network, config, padded), config)
        if all(slot.address + slot.size <= config.act_bytes for slot in slots):
            break
    else:
        raise _too_small(network, slots, config)
    arena, end = {}, 0
    for name in dict.fromkeys((*network.inputs, *network.outputs)):
        arena[name] = end
        end += -(-network.graph.tensors[name].size // ARENA_GRANULE) * ARENA_GRANULE
    return MemoryPlan({slot.tensor: slot for slot in slots}, arena, end)
