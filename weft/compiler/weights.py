"""Pass: the weight streams as bytes, and region MODEL that holds them and the constants."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Opcode, Params
from weft.compiler.fir import Taps
from weft.compiler.steps import Network, Step
from weft.compiler.tile import StepTiler, Stream, params_of
from weft.compiler.transfers import Action, Load

REGION_GRANULE = 64
"""Region MODEL, and each constant in it, is a multiple of so many bytes."""


@dataclass(frozen=True)
class WeightImage:
    """Region MODEL.

    Attributes
    ----------
    constants : bytes
    offsets : dict of int to int
        First byte of each stream, by its identity.
    tensors : dict of str to int
        First byte of each constant operand.
    """

    constants: bytes
    offsets: dict[int, int]
    tensors: dict[str, int]


def parameter_rows(step: Step, channels: slice, cols: int) -> np.ndarray:
    """Byte-planar parameters of a column tile, uint8[rows, C]: bias, multiplier (4 rows each), exponent.

    Channels that do not exist have zeros.
    """
    words = [step.bias] if params_of(step) == Params.BIAS else [step.bias, step.multiplier]
    planes = []
    for word in words:
        padded = np.zeros(cols, "<i4")
        padded[: len(word[channels])] = word[channels]
        planes.append(padded.view(np.uint8).reshape(cols, 4).T)
    if params_of(step) == Params.FULL:
        exponents = np.zeros((1, cols), np.int8)
        exponents[0, : len(step.exponent[channels])] = step.exponent[channels]
        planes.append(exponents.view(np.uint8))
    return np.concatenate(planes)


def _matmul_rows(step: Step, part, reduction) -> np.ndarray:
    """Weights of a part, int8[terms, Cout]: kernel rows, columns, bytes of a tap."""
    taps = step.taps(part.number).reshape(reduction.taps_y, reduction.taps_x, reduction.lanes, -1)
    ky, kx = slice(part.tap_y, part.tap_y + part.taps_y), slice(part.tap_x, part.tap_x + part.taps_x)
    return taps[ky, kx, part.lane : part.lane + part.lanes].reshape(part.terms, -1)


def _filter_rows(step: Step, part: Taps) -> np.ndarray:
    """Weights of a DEPTHWISE part, int8[rows of the array, C]: kernel rows across the filter, taps along it, zeros behind the last."""
    weights = step.taps(part.number)
    lines = weights if part.axis == 1 else weights.transpose(1, 0, 2)
    rows = np.zeros((part.passes * part.span, part.count, lines.shape[2]), np.int8)
    rows[: part.lines] = lines[part.line : part.line + part.lines, part.first : part.first + part.count]
    return rows.reshape(part.passes * part.pass_rows, -1)


def pack_int4(rows: np.ndarray, tiles: Sequence[int]) -> np.ndarray:
    """4-bit weights two a byte: of each reduction tile the first row in the lower halves, the second in the upper ones, and so on.

    Parameters
    ----------
    rows : int8[sum(tiles), C]
    tiles : sequence of int
        Rows of each tile; where they are odd, the last upper half is 0.

    Returns
    -------
    uint8[sum of halves, C]
    """
    ends = np.cumsum(tiles)
    even = np.insert(rows, ends[np.array(tiles) % 2 == 1], 0, axis=0).view(np.uint8)
    return even[0::2] & 0xF | even[1::2] << 4


def _weight_rows(tiler: StepTiler, stream: Stream) -> np.ndarray | None:
    """Rows of weights as they stand in the stream, for all output channels, int8 or uint8[rows, Cout]; None where there are none."""
    step, part, depth = tiler.step, stream.part, tiler.depth
    if isinstance(part, Taps):
        rows, tiles = _filter_rows(step, part), (part.pass_rows,) * part.passes
    elif step.opcode == Opcode.MATMUL:
        rows, tiles = _matmul_rows(step, part, tiler.reduction), part.tile_terms(depth)
    else:
        return None
    return pack_int4(rows, tiles) if depth.int4 else rows


def stream_bytes(tiler: StepTiler, stream: Stream) -> bytes:
    """One stream: the table if there is one, then for each column tile its rows of weights and its parameters."""
    step, cols = tiler.step, tiler.config.cols
    pieces, rows = [step.table], _weight_rows(tiler, stream)
    for tile in range(stream.first_tile, stream.first_tile + stream.tiles):
        channels = slice(tile * cols, (tile + 1) * cols)
        if rows is not None:
            weights = np.zeros((len(rows), cols), rows.dtype)
            weights[:, : rows[:, channels].shape[1]] = rows[:, channels]
            pieces.append(weights.tobytes())
        if stream.params != Params.NONE:
            pieces.append(parameter_rows(step, channels, cols).tobytes())
    return b"".join(pieces)


def weight_image(network: Network, actions: list[Action], tilers: list[StepTiler], config: NpuConfig) -> WeightImage:
    """All streams that are loaded, one behind the other in the order of their first use, and the constant operands."""
    constants, offsets, tensors = bytearray(), {}, {}
    for action in actions:
        if not isinstance(action, Load):
            continue
        if action.stream is not None and id(action.stream) not in offsets:
            content = stream_bytes(tilers[action.stream.step], action.stream)
            assert len(content) == action.stream.size, f"stream of {tilers[action.stream.step].step.name}: {len(content)} bytes"
            offsets[id(action.stream)] = len(constants)
            constants += content + bytes(-len(content) % config.weight_word_bytes)
        step = network.steps[action.step]
        if action.tensor is not None and step.constant is not None and action.tensor == step.second and action.tensor not in tensors:
            constants += bytes(-len(constants) % REGION_GRANULE)
            tensors[action.tensor] = len(constants)
            constants += step.constant.tobytes()
            constants += bytes(-len(constants) % REGION_GRANULE)
    constants += bytes(-len(constants) % REGION_GRANULE)
    return WeightImage(bytes(constants), offsets, tensors)
