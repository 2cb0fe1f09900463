"""A network as the NPU sees it: steps, each of which one layer's commands compute, and the tensors between them."""

from dataclasses import dataclass, field

import numpy as np

from hw.npu.isa import Opcode
from weft.compiler.graph import Graph, Operator

IDENTITY = (1 << 30, 1)
"""Multiplier and exponent that leave every value as it is: 2^30 / 2^31 * 2."""


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
class Step:
    """What one layer's commands compute. Arrays are not compared.

    Attributes
    ----------
    name, op : str
        Short unique name; the network's operators, as in ``CONV_2D+ADD``.
    title : str
        How messages call it.
    opcode : Opcode
        MATMUL, SUM or MAX.
    source, output, second : str
        Tensors; `second` is None unless `add` is given.
    image, result : Extent
        How source and output are seen.
    kernel, stride, dilation, pad : tuple of int
        ``(height, width)``; `pad` is ``(top, left)``.
    pad_value : int
        Value of a pixel outside the image.
    weights : int8[KH, KW, Cin, Cout] or None
    bias : int32[Cout] or None
        With ``zero_point * sum(weights)`` folded in.
    multiplier, exponent : int32[Cout] or int32[1]
        Requantization; one where all channels share it. Averages replace it block by block.
    single_rounding, average, average_counts_padding : bool
        `average`: divide by the positions of the window, padding included or not.
    zero_point, clamp_min, clamp_max : int
    table : bytes
        256 bytes that the clamped value is mapped through, or none.
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
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)
    pad_value: int = 0
    weights: np.ndarray | None = field(default=None, compare=False, repr=False)
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

    @property
    def reads(self) -> tuple[str, ...]:
        """Tensors that must be whole before the step."""
        return (self.source,) if self.second is None else (self.source, self.second)

    def rows_read(self, first: int, rows: int) -> tuple[int, int]:
        """First and last-plus-one image row that output rows ``first .. first + rows - 1`` read, inside the image."""
        low = first * self.stride[0] - self.pad[0]
        high = low + (rows - 1) * self.stride[0] + (self.kernel[0] - 1) * self.dilation[0] + 1
        return max(low, 0), min(high, self.image.height)


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
    """

    graph: Graph
    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    root: dict[str, str]
    host_ops: tuple[HostOp, ...]


def extent_of(shape: tuple[int, ...]) -> Extent:
    """How the planner sees a tensor: an NHWC image of batch 1 as it is, everything else as one row of pixels."""
    if len(shape) == 4 and shape[0] == 1:
        return Extent(*shape[1:])
    size = int(np.prod(shape, dtype=np.int64))
    channels = shape[-1] if shape else 1
    return Extent(1, size // channels, channels)
