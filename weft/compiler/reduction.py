"""How a MATMUL's reduction is cut into tiles of R: kernel rows, kernel columns, chunks of consecutive bytes."""

from dataclasses import dataclass, replace

from hw.npu.isa import MAX_SPAN
from hw.npu.reduction_walk import reduction_tiles
from weft.compiler.steps import Step


def tile_rows(taps_y: int, taps_x: int, lanes: int, span: int, array_rows: int) -> list[int]:
    """Rows of each reduction tile of a MATMUL, as the hardware walks them."""
    return [tile.rows for tile in reduction_tiles(taps_y=taps_y, taps_x=taps_x, lanes=lanes, span=span, rows=array_rows)]


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
    """

    tap_y: int
    taps_y: int
    tap_x: int
    taps_x: int
    lane: int
    lanes: int
    span: int = 1

    @property
    def rows(self) -> int:
        """Rows of weights."""
        return self.taps_y * self.taps_x * self.lanes

    def tile_rows(self, array_rows: int) -> list[int]:
        """Rows of each reduction tile."""
        return tile_rows(self.taps_y, self.taps_x, self.lanes, self.span, array_rows)

    def packed(self, array_rows: int) -> "Part":
        """The same with the smallest span that needs the fewest tiles."""
        if self.taps_x > 1 or self.taps_y == 1:
            return self
        spans = [replace(self, span=span) for span in range(1, MAX_SPAN + 1)]
        return min(spans, key=lambda part: (len(part.tile_rows(array_rows)), part.span))


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

    def whole(self, array_rows: int) -> list[Part]:
        """One part: everything."""
        return [Part(0, self.taps_y, 0, self.taps_x, 0, self.lanes).packed(array_rows)]

    def split(self, array_rows: int, limit: int) -> list[Part]:
        """Parts of at most `limit` rows of weights, in the order of the weight stream: kernel rows, columns, chunks."""
        if self.taps_x * self.lanes <= limit:
            step = limit // (self.taps_x * self.lanes)
            firsts = range(0, self.taps_y, step)
            return [Part(y, min(step, self.taps_y - y), 0, self.taps_x, 0, self.lanes).packed(array_rows) for y in firsts]
        count = max(array_rows, limit // array_rows * array_rows)
        return [
            Part(ky, 1, kx, 1, lane, min(count, self.lanes - lane))
            for ky in range(self.taps_y)
            for kx in range(self.taps_x)
            for lane in range(0, self.lanes, count)
        ]


def reduction_of(step: Step) -> Reduction:
    """Of a MATMUL. A kernel row of an undilated one is contiguous in NHWC; everything else goes tap by tap.

    A contiguous row never has more tiles than taps one by one: ``ceil(KW * Cin / R) <= KW * ceil(Cin / R)``.
    """
    height, width = step.kernel
    whole_pixels = step.source_view is None or step.source_view.dx == step.image.channels
    if whole_pixels and (step.dilation[1] == 1 or width == 1):
        return Reduction(height, 1, width * step.image.channels)
    return Reduction(height, width, step.image.channels)
