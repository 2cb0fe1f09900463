"""Energy of a command, by part, from its record and a named table of energies per operation.

An estimate for comparing layers and configurations, not for signing off a chip: clock tree, pipeline registers and leakage
are not in the table and are not counted.
"""

import math
from dataclasses import dataclass, fields

from golden.machine_stream import stream_bytes
from hw.npu.config import KIB, NpuConfig
from hw.npu.interface.isa import EXECUTE, Command, Opcode, Second, Target
from hw.npu.walks.interpolation_walk import WEIGHT_BITS

SLICE_BYTES = 8
"""Memories are counted in slices of 64 bits, as the table states them."""


@dataclass(frozen=True)
class EnergyTable:
    """Picojoules of the operations that the records count.

    Attributes
    ----------
    name : str
        How reports call it.
    source : str
        Where the figures stand.
    multiply_8, multiply_32, add_16, add_32 : float
        Integer operations.
    sram_64 : tuple of (bytes, float)
        A 64-bit access of a memory of so many bytes, small to large; between and outside them a power law.
    dram_64 : float
        64 bits of DRAM, interface included.
    """

    name: str
    source: str
    multiply_8: float
    multiply_32: float
    add_16: float
    add_32: float
    sram_64: tuple[tuple[int, float], ...]
    dram_64: float

    def sram_byte(self, slice_capacity) -> float:
        """Picojoules of one byte of a memory whose 64-bit slices hold `slice_capacity` bytes each."""
        points = self.sram_64
        upper = next((i for i, (size, _) in enumerate(points) if slice_capacity <= size and i), len(points) - 1)
        (size_0, energy_0), (size_1, energy_1) = points[upper - 1], points[upper]
        slope = math.log(energy_1 / energy_0) / math.log(size_1 / size_0)
        return energy_0 * (slice_capacity / size_0) ** slope / SLICE_BYTES

    @property
    def mac(self) -> float:
        """One multiply-accumulate of the array: an 8-bit product and a 32-bit sum."""
        return self.multiply_8 + self.add_32

    @property
    def split_element(self) -> float:
        """An element of an array with ``int4``, whatever the width of the weights: two products of 8x4, their sum, and the 32-bit sum.

        No table has 8x4. It counts as half of an 8-bit product, as energies of products follow their bit products: of 8 and 32 bits,
        1 to 16, they are 0.2 and 3.1 pJ. The fifth bit that the lower half has for INT8 is left out.
        """
        return 2 * (self.multiply_8 / 2) + self.add_16 + self.add_32

    @property
    def dram_byte(self) -> float:
        """Picojoules of one byte of DRAM."""
        return self.dram_64 / SLICE_BYTES


HOROWITZ_45NM = EnergyTable(
    name="horowitz-45nm",
    source="M. Horowitz, Computing's Energy Problem, ISSCC 2014, figure 1.1.9: 45 nm, 0.9 V; DRAM at its lower end (1.3 to 2.6 nJ)",
    multiply_8=0.2,
    multiply_32=3.1,
    add_16=0.05,
    add_32=0.1,
    sram_64=((8 * KIB, 10.0), (32 * KIB, 20.0), (1024 * KIB, 100.0)),
    dram_64=1300.0,
)
TABLES = {table.name: table for table in (HOROWITZ_45NM,)}
"""The tables by name."""


@dataclass(frozen=True)
class Energy:
    """Picojoules by part.

    Attributes
    ----------
    array : float
        Multiply-accumulates of the array, and the adders of the vector path.
    accumulators : float
        Their memory: read and written by every wave.
    activations, weights : float
        The scratchpads.
    output : float
        Requantization.
    ddr : float
        Bytes on DDR.
    """

    array: float = 0.0
    accumulators: float = 0.0
    activations: float = 0.0
    weights: float = 0.0
    output: float = 0.0
    ddr: float = 0.0

    def __add__(self, other):
        return Energy(*(a + b for a, b in zip(self.values(), other.values())))

    def values(self) -> tuple[float, ...]:
        """The parts in order."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def microjoules(self) -> dict[str, float]:
        """The parts by name, in microjoules."""
        return {field.name: getattr(self, field.name) * 1e-6 for field in fields(self)}

    @property
    def total(self) -> float:
        """All parts, picojoules."""
        return sum(self.values())


def command_energy(command: Command, record: dict, config: NpuConfig, table: EnergyTable = HOROWITZ_45NM) -> Energy:
    """Energy of one command.

    Parameters
    ----------
    command : Command
    record : dict of str to int
        Its record, by the names of `hw.npu.interface.records.RECORD`.
    config : NpuConfig
    table : EnergyTable
    """
    activation = table.sram_byte(config.act_bytes * SLICE_BYTES // (config.BANKS * config.word_bytes))
    weight = table.sram_byte(config.weight_bytes * SLICE_BYTES // (config.WEIGHT_BANKS * config.weight_word_bytes))
    sram = record["sram_read_bytes"] + record["sram_write_bytes"]
    ddr = table.dram_byte * (record["ddr_read_bytes"] + record["ddr_write_bytes"])
    if command.opcode not in EXECUTE:
        to_weights = command["dma"]["target"] == Target.WEIGHTS
        return Energy(activations=0.0 if to_weights else sram * activation, weights=sram * weight if to_weights else 0.0, ddr=ddr)

    weight_bytes = min(stream_bytes(config, command), record["sram_read_bytes"])
    waves = record["active"]
    lanes = config.cols * waves
    entry_bytes = config.cols * config.accumulator_bits / 8
    return Energy(
        array=lanes * array_element(command, config, table),
        accumulators=2 * waves * entry_bytes * table.sram_byte(config.ACCUMULATOR_DEPTH * SLICE_BYTES),
        activations=(sram - weight_bytes) * activation,
        weights=weight_bytes * weight,
        output=record["sram_write_bytes"] * output_element(command, table),
        ddr=ddr,
    )


def array_element(command: Command, config: NpuConfig, table: EnergyTable) -> float:
    """Picojoules of one column for one step of the feeder.

    MATMUL: every row multiplies, used or not. DEPTHWISE: the rows of its groups, in the steps that carry an output pixel. Else one sum,
    in an INTERPOLATE with a product of 8 x 21 bits, which counts by its bit products.
    On an array with ``int4`` they cost the same at either width, where a MATMUL in INT4 does twice as much.
    """
    loops = command["loops"]
    element = table.split_element if config.int4 else table.mac
    if command.operation == Opcode.MATMUL:
        return config.rows * element
    if command.operation == Opcode.DEPTHWISE:
        return loops["span"] * loops["taps_x"] * element * min(1.0, loops["block_cols"] / loops["positions"])
    if command.operation == Opcode.INTERPOLATE:
        return table.multiply_8 * WEIGHT_BITS / 8 + table.add_32
    return table.add_32


PRODUCTS = {Second.NONE: 1, Second.ADD: 3, Second.SUB: 3, Second.MUL: 3}
"""32-bit products of an element of the output stage: requantization; a second operand has one of an operand and one of the result more."""


def output_element(command: Command, table: EnergyTable) -> float:
    """Picojoules of one element of the output stage: bias, product, rounding; a second operand adds products."""
    return (table.multiply_32 + 3 * table.add_32) * PRODUCTS[Second(command["second"]["operation"])]


__all__ = ["HOROWITZ_45NM", "TABLES", "Energy", "EnergyTable", "array_element", "command_energy", "output_element"]
