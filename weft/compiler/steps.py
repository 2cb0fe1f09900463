"""A network as the NPU sees it: steps, each of which one layer's commands compute, and the tensors between them."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from hw.npu.interface.isa import FRACTION_BITS, INT4_TWIN, Opcode, Second
from weft.compiler.graph import Graph, Operator

INT4_LIMITS = (-8, 7)
"""Least and most of a 4-bit weight."""
INT8_LIMITS = (-128, 127)
"""The same of one of 8 bits."""
HIGHEST_STACK = 8192
"""Most rows as which the images of a batch lie one below the other: a MAXIMUM makes one image of two such tensors, of at most 16384."""
IDENTITY = (1 << 30, 1)
"""Multiplier and exponent that leave every value as it is: 2^30 / 2^31 * 2."""

SWAPPED = {
    "first_zero_point": "zero_point",
    "first_multiplier": "multiplier",
    "first_shift": "shift",
    "zero_point": "first_zero_point",
    "multiplier": "first_multiplier",
    "shift": "first_shift",
}
"""Fields of an ADD's second operand that change places with its operands; of a MUL's the zero points, its shift is the product's."""


@dataclass(frozen=True)
class Extent:
    """Pixels of an image.

    Attributes
    ----------
    height, width, channels : int
    """

    height: int
    width: int
    channels: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of pixels."""
        return self.width * self.channels

    @property
    def size(self) -> int:
        """Bytes."""
        return self.height * self.row_bytes


@dataclass(frozen=True)
class View:
    """Which bytes of a tensor's rows a step sees: slices, interleaved pixels, broadcasts.

    Pixel (h, w) of the image or result begins in row ``y + h * dy`` of the tensor at byte ``x + w * dx``.

    Attributes
    ----------
    y, dy : int
        First row, and rows from image row to image row; 0 repeats one row.
    x, dx : int
        First byte of a row, and bytes from pixel to pixel; 0 repeats one pixel.
    row_bytes : int
        0: rows are those that the tensor has in memory. Else it is seen as bytes without gaps, in rows of so many; its own do not
        matter. Where a pixel reaches over a row's end, nothing outside the image is read.
    """

    y: int = 0
    dy: int = 1
    x: int = 0
    dx: int = 0
    row_bytes: int = 0

    def in_rows(self, extent: Extent) -> bool:
        """Of a view with rows of its own: no pixel reaches over a row's end."""
        return self.x + (extent.width - 1) * self.dx + extent.channels <= self.row_bytes

    def spans(self, low: int, high: int, extent: Extent) -> tuple[int, int]:
        """Of a view with rows of its own: bytes of the tensor (first, end) in its rows ``low .. high - 1``."""
        return low * self.row_bytes + self.x, (high - 1) * self.row_bytes + self.x + (extent.width - 1) * self.dx + extent.channels


@dataclass(frozen=True)
class Positions:
    """Where the outputs along an axis lie between the inputs, Q10: output n at ``first + n * step``.

    Attributes
    ----------
    first, step : int
        The first output may lie in front of the first input.
    """

    first: int
    step: int

    def of(self, output: int) -> tuple[int, int]:
        """The input at or in front of an output, and how far behind it that lies, Q10."""
        position = self.first + output * self.step
        return position >> FRACTION_BITS, position & ((1 << FRACTION_BITS) - 1)


@dataclass(frozen=True)
class Step:
    """What one layer's commands compute. Arrays are not compared.

    Attributes
    ----------
    name, op : str
        Short unique name; the network's operators, as in ``CONV_2D+ADD``.
    title : str
        How messages call it.
    opcode : Opcode
        MATMUL, DEPTHWISE, SUM, MAX, INTERPOLATE or SOFTMAX.
    source, output, second : str
        Tensors; `second` is None unless `add` is given.
    image, result : Extent
        How source and output are seen. With a view ``image.channels`` is what is read of a pixel.
    source_view, output_view, second_view : View or None
        Which bytes are seen, where they are not the whole tensor: None is pixel after pixel, row after row. A step with a source view
        whose `x` or `dx` differ from the whole reads nothing outside the image but where a pixel is outside as a whole.
    constant : ndarray or None
        Value of `second` where it is a constant, int8[bytes]: it is loaded from region MODEL.
    kernel, stride, dilation, pad : tuple of int
        ``(height, width)``; `pad` is ``(top, left)``.
    between : (Positions, Positions) or None
        INTERPOLATE: where its outputs lie along height and width; `stride` is the whole part of their steps, and `pad` does not matter.
    pad_value : int
        Value of a pixel outside the image.
    weights : int8[KH, KW, Cin, Cout], int8[KH, KW, C] in DEPTHWISE, or None
    rest : int16 of the shape of `weights`, or None
        What is multiplied by is the sum of both: a weight that int8 does not hold takes one tap more, one of 255 takes two.
    bias : int32[Cout] or None
        With ``zero_point * sum(weights)`` folded in.
    multiplier, exponent : int32[Cout] or int32[1]
        Requantization; one where all channels share it. Averages replace it block by block.
    single_rounding, average, average_counts_padding : bool
        `average`: divide by the positions of the window, padding included or not.
    zero_point, clamp_min, clamp_max : int
    table : bytes
        256 bytes that the clamped value is mapped through, or none; SOFTMAX: 256 int32, little-endian.
    add : dict
        Fields of the command's group ``second`` but addresses; empty without a second operand.
    macs : int
    """

    name: str
    op: str
    title: str
    opcode: Opcode
    source: str
    output: str
    image: Extent
    result: Extent
    source_view: View | None = None
    output_view: View | None = None
    second_view: View | None = None
    constant: np.ndarray | None = field(default=None, compare=False, repr=False)
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)
    between: tuple[Positions, Positions] | None = None
    pad_value: int = 0
    weights: np.ndarray | None = field(default=None, compare=False, repr=False)
    rest: np.ndarray | None = field(default=None, compare=False, repr=False)
    bias: np.ndarray | None = field(default=None, compare=False, repr=False)
    multiplier: np.ndarray = field(default=None, compare=False, repr=False)
    exponent: np.ndarray = field(default=None, compare=False, repr=False)
    single_rounding: bool = False
    average: bool = False
    average_counts_padding: bool = False
    zero_point: int = 0
    clamp_min: int = -128
    clamp_max: int = 127
    table: bytes = b""
    second: str | None = None
    add: dict = field(default_factory=dict)
    macs: int = 0

    def taps(self, number: int) -> np.ndarray:
        """What the weights' taps of a number multiply by: the weights themselves, then pieces of `rest` that are int8."""
        if number == 0:
            return self.weights
        first = np.clip(self.rest, *INT8_LIMITS)
        return (first if number == 1 else self.rest - first).astype(np.int8)

    @cached_property
    def int4(self) -> bool:
        """It has weights, and all of them fit 4 bits: an NPU with ``int4`` computes it so, whatever the file called them."""
        if self.opcode not in INT4_TWIN or self.weights is None or self.rest is not None:
            return False
        low, high = INT4_LIMITS
        return bool(self.weights.min() >= low and self.weights.max() <= high)

    @property
    def side_by_side(self) -> bool:
        """It may read several kernel rows in a cycle, so that its source has a pitch at which they do not meet in a bank."""
        return self.opcode in (Opcode.MATMUL, Opcode.DEPTHWISE) and self.kernel[0] > 1

    @property
    def overlapping(self) -> bool:
        """A DEPTHWISE that reads more of a row than its pixels' distance: neighbours side by side (`weft.compiler.pairs`)."""
        return self.opcode == Opcode.DEPTHWISE and self.source_view is not None and self.source_view.dx < self.image.channels

    @property
    def reads(self) -> tuple[str, ...]:
        """Tensors that must be whole before the step; a constant is none."""
        return (self.source,) if self.second is None or self.constant is not None else (self.source, self.second)

    def rows_read(self, first: int, rows: int, taps: tuple[int, int] | None = None) -> tuple[int, int]:
        """First and last-plus-one row of the source tensor that output rows ``first .. first + rows - 1`` read.

        Parameters
        ----------
        taps : (int, int) or None
            First kernel row, and how many; None for all of them.
        """
        tap, count = taps or (0, self.kernel[0])
        top, last = self.place(0, first)[0], self.place(0, first + rows - 1)[0]
        low = top + tap * self.dilation[0]
        high = last + (tap + count - 1) * self.dilation[0] + 1
        return _seen(self.source_view, max(low, 0), min(high, self.image.height))

    def place(self, axis: int, output: int) -> tuple[int, int]:
        """The input that tap 0 of an output sees along an axis, and how far behind it the output lies, Q10: 0 but in an INTERPOLATE."""
        if self.between is not None:
            return self.between[axis].of(output)
        return output * self.stride[axis] - self.pad[axis], 0

    def rows_second(self, first: int, rows: int) -> tuple[int, int]:
        """The same of the second operand."""
        return _seen(self.second_view, first, first + rows)

    def rows_written(self, first: int, rows: int) -> tuple[int, int]:
        """The same of the output."""
        return _seen(self.output_view, first, first + rows)


def pixel_by_pixel(maker: Step, reader: Step, root: dict[str, str]) -> bool:
    """Whether a step reads what another one makes, and each row of its result needs that row alone."""
    made = root[maker.output]
    if made == root[reader.source]:
        return reader.kernel[0] == reader.stride[0] == 1 and maker.result.height == reader.image.height
    return made in {root[name] for name in reader.reads}


def channel_by_channel(maker: Step, reader: Step) -> bool:
    """Whether the reader can begin with some channels of what a step with weights makes: a filter, or a MATMUL over single pixels."""
    same = maker.output == reader.source and maker.result == reader.image and maker.output_view is None and reader.source_view is None
    pixels = reader.opcode == Opcode.DEPTHWISE or (reader.opcode == Opcode.MATMUL and reader.kernel == (1, 1))
    return same and pixels and maker.opcode in (Opcode.MATMUL, Opcode.DEPTHWISE)


def _seen(view, low, high):
    """Rows of a tensor that image rows ``low .. high - 1`` are: the range that holds them."""
    if view is None or high <= low:
        return low, high
    return view.y + low * view.dy, view.y + (high - 1) * view.dy + 1


@dataclass(frozen=True)
class HostOp:
    """An operator that the host computes at an edge of the network.

    Attributes
    ----------
    operator : Operator
    before : bool
        Before the NPU runs, or after it.
    """

    operator: Operator
    before: bool


@dataclass(frozen=True)
class Network:
    """The network as steps.

    Attributes
    ----------
    graph : Graph
    steps : tuple of Step
        In an order in which they can be executed.
    inputs, outputs : tuple of str
        Tensors that the host hands to the NPU, and those it takes back.
    root : dict of str to str
        The tensor that owns the bytes of each tensor the NPU touches: itself, or what it is an alias of.
    host_ops : tuple of HostOp
    temporaries : frozenset of str
        Tensors that steps hand on within one operator: the graph has them for their shape, the network's file has not.
    """

    graph: Graph
    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    root: dict[str, str]
    host_ops: tuple[HostOp, ...]
    temporaries: frozenset[str] = frozenset()

    @cached_property
    def extents(self) -> dict[str, Extent]:
        """How the bytes of each tensor that the NPU touches would be laid out as a root: rows of pixels."""
        return {name: extent_of(self.graph.tensors[name].shape) for name in dict.fromkeys((*self.root, *self.root.values()))}


def swapped(add: dict) -> dict:
    """The fields of a second operand, ADD or MUL, for operands in the other order."""
    kept = ("first_shift",) if add["operation"] == Second.MUL else ()
    return {name if name in kept else SWAPPED.get(name, name): value for name, value in add.items()}


def rows_as_they_are(extent: Extent, view: View | None, memory: Extent) -> bool:
    """Whether a step that sees a tensor with an extent and a view sees the rows as which it lies in memory."""
    return not view.row_bytes if view is not None else extent.row_bytes == memory.row_bytes


def extent_of(shape: tuple[int, ...]) -> Extent:
    """How the planner sees a tensor: an NHWC image as it is, a batch of them one below the other, everything else as one row of pixels."""
    if len(shape) == 4 and (shape[0] == 1 or (shape[1:3] != (1, 1) and shape[0] * shape[1] <= HIGHEST_STACK)):
        return Extent(shape[0] * shape[1], *shape[2:])
    size = int(np.prod(shape, dtype=np.int64))
    channels = shape[-1] if shape else 1
    return Extent(1, size // channels, channels)
