"""What a measurement of power found: picojoules a cycle of one netlist while a network runs, block by block."""

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class BlockPower:
    """A block of the NPU: all instances of a component, without the blocks below them.

    Attributes
    ----------
    room, component : str
        As in `weft.analysis.synthesis.figures.BlockFigures`.
    internal, switching, clock : float
        pJ a cycle: in the cells, of the loads that they drive, and of clock pins and clock gates.
    leakage : float
        mW.
    """

    room: str
    component: str
    internal: float
    switching: float
    clock: float
    leakage: float

    @property
    def dynamic(self) -> float:
        """Of all but the clock, pJ a cycle."""
        return self.internal + self.switching


@dataclass(frozen=True)
class MemoryPower:
    """Memories of a component, which are cut at their ports.

    Attributes
    ----------
    where : str
    count, rows, bits : int
        Memories, and words and bits of each.
    reads, writes : float
        Accesses a cycle, of all of them together; a write of some bytes is a part of one.
    energy : float
        pJ a cycle.
    """

    where: str
    count: int
    rows: int
    bits: int
    reads: float
    writes: float
    energy: float


@dataclass(frozen=True)
class LayerPower:
    """A layer: cycles in which its commands run, seen in so many windows, and pJ a cycle of gates, clock and memories in them."""

    name: str
    windows: int
    energy: float


@dataclass(frozen=True)
class Power:
    """Power of one netlist while a network runs.

    Attributes
    ----------
    config, library, network, note : str
        What was synthesized onto what, and what ran on which input.
    cycles, windows, window_cycles : int
        Of an inference, and how many windows of how many cycles of it were looked at.
    clock_mhz : float
    clock_source, memory_source, tree_source : str
        Where the clock, the energy of an access, and the estimate of the clock tree are from.
    disagreement : float
        Part of the flip-flops' bits that are not on the RTL what the gates make of the cycle before.
    tree : float
        pJ a cycle of the clock tree, an estimate.
    gates_clocked : float
        Part of the cycles in which the mean flip-flop has a clock.
    blocks : tuple of BlockPower
    memories : tuple of MemoryPower
    layers : tuple of LayerPower
    """

    config: str
    library: str
    network: str
    note: str
    cycles: int
    windows: int
    window_cycles: int
    clock_mhz: float
    clock_source: str
    memory_source: str
    tree_source: str
    disagreement: float
    tree: float
    gates_clocked: float
    blocks: tuple[BlockPower, ...]
    memories: tuple[MemoryPower, ...]
    layers: tuple[LayerPower, ...]

    @property
    def energy(self) -> float:
        """Of everything but leakage, pJ a cycle."""
        return sum(block.dynamic + block.clock for block in self.blocks) + self.tree + sum(each.energy for each in self.memories)

    @property
    def leakage(self) -> float:
        """Of all gates, mW."""
        return sum(block.leakage for block in self.blocks)

    @property
    def milliwatts(self) -> float:
        """While it runs without a pause."""
        return self.energy * self.clock_mhz * 1e-3 + self.leakage

    @property
    def inference_uj(self) -> float:
        """Microjoules of an inference, with the leakage of its time."""
        return self.milliwatts * self.cycles / self.clock_mhz * 1e-3

    def average(self, fps: float) -> float:
        """Mean power at so many inferences a second, mW; the clock stands between them, and only leakage goes on."""
        return self.energy * self.cycles * fps * 1e-9 + self.leakage

    def at(self, clock_mhz: float, source: str) -> "Power":
        """The same at another clock."""
        return dataclasses.replace(self, clock_mhz=clock_mhz, clock_source=source)

    def to_json(self) -> dict:
        """As plain values, with the sums."""
        sums = {"pj_per_cycle": self.energy, "leakage_mw": self.leakage, "power_mw": self.milliwatts, "inference_uj": self.inference_uj}
        return dataclasses.asdict(self) | sums
