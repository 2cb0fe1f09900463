"""How a DEPTHWISE step lies on the array: along which axis its taps run, how many kernel rows a pass takes, which outputs share a command.

The array is a transposed FIR filter (``docs/architecture.md``): K taps of a kernel row in K rows of the array, `span` kernel rows
side by side. Along the filter's axis output u needs the inputs ``stride * u - pad + dilation * k``; outputs that are
``dilation / gcd(stride, dilation)`` apart are one filter whose steps are ``dilation`` pixels: a *phase*.
"""

import math
from dataclasses import dataclass

from golden.machine_stream import rows_of
from hw.npu.interface.isa import LEAST_POSITIONS, MAX_SPAN, MOST_LAG
from weft.compiler.steps import Step


@dataclass(frozen=True)
class Taps:
    """What one command's partial sums cover.

    Attributes
    ----------
    axis : int
        The filter's: 0 height, 1 width.
    first, count : int
        Taps along it.
    lines, span : int
        Kernel rows across it, and how many of them a pass takes.
    line : int
        The first of these kernel rows.
    number : int
        Which of a weight's taps: `Step.taps`.
    """

    axis: int
    first: int
    count: int
    lines: int
    span: int
    line: int = 0
    number: int = 0

    @property
    def passes(self) -> int:
        """Reduction tiles."""
        return math.ceil(self.lines / self.span)

    @property
    def pass_rows(self) -> int:
        """Rows of the array, each with a weight for every channel, that a pass takes: kernel rows that a last one lacks have zeros."""
        return self.span * self.count

    def stream_rows(self, int4: bool) -> int:
        """Rows of the weight stream of a column tile; of 4-bit weights each holds two rows of the array."""
        return self.passes * rows_of(self.pass_rows, int4)


@dataclass(frozen=True)
class Fir:
    """A step on the array, its taps along one axis.

    Attributes
    ----------
    axis : int
        0: taps run along the height (``transposed``), 1: along the width.
    step : int
        Pixels from step to step: the dilation.
    stride : int
        Steps from output to output of a phase.
    phases : int
        Outputs from one of a phase to the next.
    parts : tuple of Taps
    """

    axis: int
    step: int
    stride: int
    phases: int
    parts: tuple[Taps, ...]

    def outputs(self, first: int, size: int, phase: int) -> tuple[int, int]:
        """First output of a phase in ``first .. first + size - 1``, and how many there are."""
        begin = first + (phase - first) % self.phases
        return begin, max(0, math.ceil((first + size - begin) / self.phases))

    def positions(self, step: Step, first: int, count: int, part: Taps) -> int:
        """Steps of a block row of `count` outputs from `first` on; where both of its ends see padding, the two are shared."""
        size, pad, stride = (step.image.height, step.image.width)[self.axis], step.pad[self.axis], step.stride[self.axis]
        needed = (count - 1) * self.stride + part.count
        begin = first * stride - pad + part.first * self.step
        before = math.ceil(max(0, -begin) / self.step)
        end = begin + (needed - 1) * self.step
        behind = math.ceil(max(0, end - size + 1) / self.step)
        shared = min(before, behind, max(0, needed - (count - 1) * self.stride - 1))
        return max(LEAST_POSITIONS, needed - shared)


def fir_along(step: Step, axis: int, array_rows: int) -> Fir:
    """The filter with its taps along an axis."""
    taps, lines = step.kernel[axis], step.kernel[1 - axis]
    stride, dilation = step.stride[axis], step.dilation[axis]
    common = math.gcd(stride, dilation)
    pieces = math.ceil(taps / array_rows)
    parts = []
    for index in range(pieces):
        first, end = index * taps // pieces, (index + 1) * taps // pieces
        parts.append(Taps(axis, first, end - first, lines, span_of(end - first, lines, array_rows)))
    return Fir(axis, dilation, stride // common, dilation // common, tuple(parts))


def span_of(taps: int, lines: int, array_rows: int) -> int:
    """Fewest kernel rows side by side that need the fewest passes."""
    most = min(MAX_SPAN, lines, array_rows // taps, 1 + MOST_LAG // taps)
    return math.ceil(lines / math.ceil(lines / most))
