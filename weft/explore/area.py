"""Relative area of a configuration: its multipliers and its SRAM, and a weighted sum of both.

What a designer can count before there is a layout. The sum compares configurations; it is no forecast in square millimetres.
"""

from dataclasses import dataclass

from hw.npu.config import NpuConfig

INT4_ELEMENT = 1.45
"""Area of an element of an array with ``int4``, of one without: its two multipliers have 9/8 of the bit products (8x5 and 8x4), and behind
them are a shift and an adder more, before them a second operand. Measured: ``weft synth systolic_array``, docs/int4.md.
"""
PE_BITS = 8 * 8
"""Bit products of a multiplier of the array, 8x8: the unit in which the others are counted."""
OUTPUT_PRODUCTS = ((32, 33),)
"""Widths of a lane's multipliers that requantize (`hw.npu.output.requantize`); a factor of 32 bits comes in halves of 16 and 17."""
SECOND_PRODUCTS = ((9, 33),)
"""Widths of a lane's multipliers for the second operand (`hw.npu.output.second_operand`): of the operand that is scaled. What is made of
both goes through the multiplier that requantizes."""
INTERPOLATION_PRODUCTS = ((8, 21),)
"""Widths of a column's multiplier for vectors around the array (`hw.npu.array.interpolator`), where the configuration has it."""
SOFTMAX_PRODUCTS = ((32, 33),)
"""Widths of the multipliers of the softmax unit, one for all lanes."""
BITS_PER_MULTIPLIER = 800
"""Bits of SRAM on the area of a multiplier of the array and what belongs to it.

In transistors: 64 AND gates and 56 full adders of the product 1 950, a 32-bit adder 900, 56 registers (two planes of weights, activation,
partial sum) of 24 each 1 350: 4 200. A bit of SRAM has 6, drawn about twice as dense as logic, on 60 % of a macro's area (the
rest are decoders and sense amplifiers): as much as 5 of logic. 4 200 / 5 = 840, rounded. Libraries differ by a factor of two either way.
"""
STATEMENT = (
    f"area: {BITS_PER_MULTIPLIER} bits of SRAM count as one 8x8 multiplier with its adder and registers; "
    "not in it: feeder, crossbars, queues, DMA, control"
)
"""What a table with areas says below it."""


@dataclass(frozen=True)
class Area:
    """What is counted.

    Attributes
    ----------
    array : float
        Multipliers of the array, one an element; an element with ``int4`` counts as `INT4_ELEMENT`.
    output, second, softmax : float
        Multipliers of the output stage, in multipliers of the array of as many bit products.
    interpolation : float
        The same of the vectors around the array.
    activations, weights, accumulators : int
        Bits of SRAM.
    """

    array: float
    output: float
    second: float
    softmax: float
    interpolation: float
    activations: int
    weights: int
    accumulators: int

    @property
    def multipliers(self) -> float:
        """All of them, in multipliers of the array."""
        return self.array + self.output + self.second + self.softmax + self.interpolation

    @property
    def sram_bits(self) -> int:
        """All of them."""
        return self.activations + self.weights + self.accumulators

    @property
    def total(self) -> float:
        """The weighted sum, in bits of SRAM."""
        return self.multipliers * BITS_PER_MULTIPLIER + self.sram_bits


def area_of(config: NpuConfig) -> Area:
    """What a configuration consists of."""
    return Area(
        array=config.rows * config.cols * (INT4_ELEMENT if config.int4 else 1),
        output=config.lanes * _in_array_multipliers(OUTPUT_PRODUCTS),
        second=config.lanes * _in_array_multipliers(SECOND_PRODUCTS),
        softmax=_in_array_multipliers(SOFTMAX_PRODUCTS),
        interpolation=config.interpolation * config.cols * _in_array_multipliers(INTERPOLATION_PRODUCTS),
        activations=8 * config.act_bytes,
        weights=8 * config.weight_bytes,
        accumulators=2 * config.ACCUMULATOR_DEPTH * config.cols * config.accumulator_bits,
    )


def _in_array_multipliers(products):
    return sum(a * b for a, b in products) / PE_BITS
