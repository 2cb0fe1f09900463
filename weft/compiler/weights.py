"""Pass: the weight streams as bytes, and region MODEL that holds them."""

from dataclasses import dataclass

import numpy as np

from hw.npu.isa import Params
from weft.compiler.steps import Step
from weft.compiler.tile import Stream, Tiling, params_of

REGION_GRANULE = 64
"""Region MODEL is a multiple of so many bytes."""


@dataclass(frozen=True)
class WeightImage:
    """Region MODEL.

    Attributes
    ----------
    constants : bytes
    offsets : tuple of int
        First byte of each stream of the tiling.
    lengths : tuple of int
        Bytes of each stream: a multiple of the AXI width and of C.
    """

    constants: bytes
    offsets: tuple[int, ...]
    lengths: tuple[int, ...]


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


def stream_bytes(step: Step, stream: Stream, reduction, cols: int) -> bytes:
    """One stream: the table if there is one, then for each column tile its parameters and its rows of weights."""
    pieces = [step.table]
    if step.weights is not None:
        part = stream.part
        taps = step.weights.reshape(reduction.taps_y, reduction.taps_x, reduction.lanes, -1)
        ky, kx = slice(part.tap_y, part.tap_y + part.taps_y), slice(part.tap_x, part.tap_x + part.taps_x)
        rows = taps[ky, kx, part.lane : part.lane + part.lanes].reshape(part.rows, -1)
        for tile in range(stream.first_tile, stream.first_tile + stream.tiles):
            channels = slice(tile * cols, (tile + 1) * cols)
            if stream.params != Params.NONE:
                pieces.append(parameter_rows(step, channels, cols).tobytes())
            weights = np.zeros((part.rows, cols), np.int8)
            weights[:, : rows[:, channels].shape[1]] = rows[:, channels]
            pieces.append(weights.tobytes())
    return b"".join(pieces)


def weight_image(tiling: Tiling) -> WeightImage:
    """All streams, one behind the other in the order of their use."""
    config, granule = tiling.config, tiling.config.weight_word_bytes
    constants, offsets, lengths = bytearray(), [], []
    for stream in tiling.streams:
        step = tiling.network.steps[stream.step]
        content = stream_bytes(step, stream, tiling.reductions[stream.step], config.cols)
        content += bytes(-len(content) % granule)
        offsets.append(len(constants))
        lengths.append(len(content))
        constants += content
    constants += bytes(-len(constants) % REGION_GRANULE)
    return WeightImage(bytes(constants), tuple(offsets), tuple(lengths))
