"""What a synthesis found: figures of one netlist, block by block."""

import dataclasses
from dataclasses import dataclass

from weft.analysis.synthesis.timing import Path


@dataclass(frozen=True)
class BlockFigures:
    """A block of the NPU: all instances of a component, without the blocks below them.

    Attributes
    ----------
    room, component : str
        The folder of ``hw/npu`` that it stands in, and its class in snake case.
    area, registers : float
        um2 of its gates, and the part of it that is flip-flops and clock gates.
    flip_flops, memory_bits : int
    inside, into : Path or None
        The slowest path from its registers to its registers, and the slowest one from anywhere to them.
    """

    room: str
    component: str
    area: float
    registers: float
    flip_flops: int
    memory_bits: int
    inside: Path | None
    into: Path | None


@dataclass(frozen=True)
class MemoryFigures:
    """Memories of one kind.

    Attributes
    ----------
    where : str
        Component that has them.
    count, rows, bits : int
        How many there are, and the words and bits of each.
    macro : str
        The library's macro that they are made of, empty where it has none; `macros` of it make one memory.
    macros : int
    area : float
        um2 of all these macros.
    """

    where: str
    count: int
    rows: int
    bits: int
    macro: str
    macros: int
    area: float


@dataclass(frozen=True)
class Synthesis:
    """Area and clock of one netlist.

    Attributes
    ----------
    config, top, library : str
        What was synthesized, and onto what.
    period_ps : float
        What the mapping aimed at.
    worst : Path or None
        The slowest path of all; None where nothing is clocked.
    timed_by, mapped_by : str
        The tools.
    area, registers : float
        um2 of the gates, without memories.
    gate_equivalent : float
        um2 of a NAND gate of two inputs; 0 where the library's is not known.
    flip_flops, gated, clock_gates : int
        Flip-flops, those of them behind a clock gate, and clock gates.
    memory_source : str
        Where the times of the memories that are cut are from.
    blocks : tuple of BlockFigures
    memories : tuple of MemoryFigures
    """

    config: str
    top: str
    library: str
    period_ps: float
    worst: Path | None
    timed_by: str
    mapped_by: str
    area: float
    registers: float
    gate_equivalent: float
    flip_flops: int
    gated: int
    clock_gates: int
    memory_source: str
    blocks: tuple[BlockFigures, ...]
    memories: tuple[MemoryFigures, ...]

    @property
    def kilo_gates(self) -> float:
        """Area in thousands of gate equivalents."""
        return self.area / self.gate_equivalent / 1000 if self.gate_equivalent else 0.0

    def to_json(self) -> dict:
        """As plain values."""
        return dataclasses.asdict(self)


def from_json(found: dict) -> Synthesis:
    """What `Synthesis.to_json` gave."""

    def path(values):
        return values and Path(**values)

    blocks = (BlockFigures(**{**each, "inside": path(each["inside"]), "into": path(each["into"])}) for each in found["blocks"])
    memories = (MemoryFigures(**each) for each in found["memories"])
    return Synthesis(**{**found, "worst": path(found["worst"]), "blocks": tuple(blocks), "memories": tuple(memories)})
