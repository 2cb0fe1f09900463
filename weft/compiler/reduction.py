"""How a step's reduction is cut into tiles of R: kernel rows, kernel columns, chunks of consecutive bytes."""

import math
from dataclasses import dataclass

from hw.npu.isa import Opcode
from weft.compiler.steps import Step


@dataclass(frozen=True)
class Part:
    """A box of reduction tiles.

    Attributes
    ----------
    tap_y, taps_y, tap_x, taps_x : int
        First kernel row and column, and how many.
    lane, lanes : int
        First byte of a tap, and how many.
    """

    tap_y: int
    taps_y: int
    tap_x: int
    taps_x: int
    lane: int
    lanes: int

    @property
    def rows(self) -> int:
        """Rows of weights."""
        return self.taps_y * self.taps_x * self.lanes

    def loops(self, array_rows: int) -> tuple[int, int, int]:
        """Taps, chunks, and the rows that the last chunk uses."""
        chunks = math.ceil(self.lanes / array_rows)
        return self.taps_y * self.taps_x, chunks, self.lanes - (chunks - 1) * array_rows


@dataclass(frozen=True)
class Reduction:
    """The whole reduction of a step.

    Attributes
    ----------
    taps_y, taps_x, lanes : int
        Kernel rows; kernel columns visited one by one, 1 where a kernel row is contiguous; bytes of a tap.
    """

    taps_y: int
    taps_x: int
    lanes: int

    @property
    def rows(self) -> int:
        """Rows of weights of a column tile."""
        return self.taps_y * self.taps_x * self.lanes

    def whole(self) -> list[Part]:
        """One part: everything."""
        return [Part(0, self.taps_y, 0, self.taps_x, 0, self.lanes)]


def reduction_of(step: Step, array_rows: int) -> Reduction:
    """A kernel row of an undilated MATMUL is contiguous in NHWC; everything else goes tap by tap.

    A contiguous row never has more tiles than taps one by one: ``ceil(KW * Cin / R) <= KW * ceil(Cin / R)``.
    """
    height, width = step.kernel
    if step.opcode != Opcode.MATMUL:
        return Reduction(height, width, min(step.image.channels, array_rows))
    if step.dilation[1] == 1 or width == 1:
        return Reduction(height, 1, width * step.image.channels)
    return Reduction(height, width, step.image.channels)


def split(reduction: Reduction, array_rows: int, limit: int) -> list[Part]:
    """Parts of at most `limit` rows of weights, in the order of the weight stream: kernel rows, columns, chunks."""
    if reduction.taps_x * reduction.lanes <= limit:
        step = limit // (reduction.taps_x * reduction.lanes)
        firsts = range(0, reduction.taps_y, step)
        return [Part(first, min(step, reduction.taps_y - first), 0, reduction.taps_x, 0, reduction.lanes) for first in firsts]
    count = max(array_rows, limit // array_rows * array_rows)
    return [
        Part(ky, 1, kx, 1, lane, min(count, reduction.lanes - lane))
        for ky in range(reduction.taps_y)
        for kx in range(reduction.taps_x)
        for lane in range(0, reduction.lanes, count)
    ]
