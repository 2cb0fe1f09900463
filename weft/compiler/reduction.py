"""How a MATMUL's reduction is cut into tiles of R bytes, or 2R with 4-bit weights: kernel rows and columns, chunks of bytes."""

from dataclasses import dataclass, replace
from functools import lru_cache

from golden.machine_stream import rows_of
from hw.npu.interface.isa import MAX_SPAN, Opcode
from hw.npu.walks.reduction_walk import reduction_tiles
from weft.compiler.fir import Taps
from weft.compiler.steps import Step

MOST_TAPS = 255
"""Of a kernel's side, in one command: the field has 8 bits."""


@lru_cache(maxsize=4096)
def tile_terms(taps_y: int, taps_x: int, lanes: int, span: int, depth: int) -> tuple[int, ...]:
    """Products a channel of each reduction tile of a MATMUL, as the hardware walks them; `depth` is the most that it takes."""
    return tuple(tile.rows for tile in reduction_tiles(taps_y=taps_y, taps_x=taps_x, lanes=lanes, span=span, rows=depth))


@dataclass(frozen=True)
class Depth:
    """What the array takes of a reduction in a cycle.

    Attributes
    ----------
    terms : int
        Products a channel: the rows of the array, with 4-bit weights twice as many.
    int4 : bool
        Weights are of 4 bits: a row of the stream holds those of two terms.
    """

    terms: int
    int4: bool = False

    def stream_rows(self, terms: int) -> int:
        """Rows of the weight stream for one reduction tile."""
        return rows_of(terms, self.int4)


@dataclass(frozen=True)
class Part:
    """A box of the reduction: what one command's partial sums cover.

    Attributes
    ----------
    tap_y, taps_y, tap_x, taps_x : int
        First kernel row and column, and how many.
    lane, lanes : int
        First byte of a tap, and how many.
    span : int
        Kernel rows that a reduction tile may hold.
    number : int
        Which of a weight's taps: `Step.taps`.
    """

    tap_y: int
    taps_y: int
    tap_x: int
    taps_x: int
    lane: int
    lanes: int
    span: int = 1
    number: int = 0

    @property
    def terms(self) -> int:
        """Products, and weights, a channel."""
        return self.taps_y * self.taps_x * self.lanes

    def tile_terms(self, depth: Depth) -> tuple[int, ...]:
        """The same of each reduction tile."""
        return tile_terms(self.taps_y, self.taps_x, self.lanes, self.span, depth.terms)

    def tile_rows(self, depth: Depth) -> list[int]:
        """Rows of the weight stream of each reduction tile."""
        return [depth.stream_rows(terms) for terms in self.tile_terms(depth)]

    def stream_rows(self, depth: Depth) -> int:
        """Rows of the weight stream of a column tile."""
        return sum(self.tile_rows(depth))

    def packed(self, depth: Depth) -> "Part":
        """The same with the smallest span that needs the fewest tiles."""
        if self.taps_x > 1 or self.taps_y == 1:
            return self
        spans = [replace(self, span=span) for span in range(1, MAX_SPAN + 1)]
        return min(spans, key=lambda part: (len(part.tile_terms(depth)), part.span))


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

    def whole(self, depth: Depth) -> list[Part]:
        """One part: everything."""
        return [Part(0, self.taps_y, 0, self.taps_x, 0, self.lanes).packed(depth)]

    def split(self, depth: Depth, limit: int) -> list[Part]:
        """Parts of at most `limit` rows of the weight stream, in its order: kernel rows, columns, chunks that are whole reduction tiles."""
        kernel_row = Part(0, 1, 0, self.taps_x, 0, self.lanes).stream_rows(depth)  # several, packed, take no more
        if kernel_row <= limit:
            step = limit // kernel_row
            firsts = range(0, self.taps_y, step)
            return [Part(y, min(step, self.taps_y - y), 0, self.taps_x, 0, self.lanes).packed(depth) for y in firsts]
        count = depth.terms * max(1, limit // depth.stream_rows(depth.terms))
        return [
            Part(ky, 1, kx, 1, lane, min(count, self.lanes - lane))
            for ky in range(self.taps_y)
            for kx in range(self.taps_x)
            for lane in range(0, self.lanes, count)
        ]


def window_parts(step: Step, rows: int) -> list[Part]:
    """Parts of a SUM's or a MAX's window: at most so many kernel rows each, 0 for as many as a command takes."""
    height, width = step.kernel
    rows, columns = min(rows or height, MOST_TAPS), min(width, MOST_TAPS)
    return [
        Part(y, min(rows, height - y), x, min(columns, width - x), 0, 1) for y in range(0, height, rows) for x in range(0, width, columns)
    ]


def window_taps(step: Step, part: Part | Taps) -> tuple[int, int] | None:
    """Kernel rows of a part of a SUM's or a MAX's window: the first, and how many; None of anything else, which reads whole windows."""
    return (part.tap_y, part.taps_y) if isinstance(part, Part) and step.opcode in (Opcode.SUM, Opcode.MAX) else None


def reduction_of(step: Step) -> Reduction:
    """Of a MATMUL. A kernel row of an undilated one is contiguous in NHWC; everything else goes tap by tap.

    A contiguous row never has more tiles than taps one by one: ``ceil(KW * Cin / R) <= KW * ceil(Cin / R)``.
    """
    height, width = step.kernel
    whole_pixels = step.source_view is None or step.source_view.dx == step.image.channels
    if whole_pixels and (step.dilation[1] == 1 or width == 1):
        return Reduction(height, 1, width * step.image.channels)
    return Reduction(height, width, step.image.channels)
