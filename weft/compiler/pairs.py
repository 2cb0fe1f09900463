"""Pass: neighbouring pixels side by side, where a step has too few channels for the columns of the array.

A layer of 8 channels leaves half of 16 columns idle. Two neighbouring pixels of its result are 16 bytes one behind the other, so that
they are one pixel of twice the channels. A MATMUL gets a kernel that covers the windows of all of them, with zeros where a window does
not reach; a DEPTHWISE reads as many pixels at a time, and its taps run along the height, where they see each pixel's own neighbours.
Sums and bytes are the same; the waves are fewer.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Opcode
from weft.compiler.fuse.uses import NotSeen, seen_as
from weft.compiler.steps import Extent, Network, Step, View, extent_of
from weft.compiler.tile import StepTiler


def pair(network: Network, config: NpuConfig) -> Network:
    """The network with so many pixels side by side in each step as take the fewest cycles."""
    return replace(network, steps=tuple(_best(network, step, config) for step in network.steps))


def _best(network, step, config) -> Step:
    if step.opcode not in (Opcode.MATMUL, Opcode.DEPTHWISE):
        return step
    return min([step, *_options(network, step, config)], key=lambda each: StepTiler(0, each, config).band_cycles(each.result.height))


def _options(network: Network, step: Step, config: NpuConfig) -> Iterator[Step]:
    """The step with 2 pixels side by side, with 3, and so on."""
    source = extent_of(network.graph.tensors[network.root[step.source]].shape)
    whole = step.source_view is None and source == step.image
    constant = step.second is not None and step.constant is not None
    apart = step.stride[1] > 1 if step.opcode == Opcode.DEPTHWISE else step.dilation[1] > 1 and step.kernel[1] > 1
    if not whole or constant or apart:
        return
    for count in range(2, config.cols // step.result.channels + 1):
        if step.result.width % count == 0:
            try:
                yield _side_by_side(step, count)
            except NotSeen:
                return


def _side_by_side(step: Step, count: int) -> Step:
    """The step with `count` pixels of its result as one.

    Raises
    ------
    NotSeen
        If they do not lie one behind the other.
    """
    result = Extent(step.result.height, step.result.width // count, step.result.channels * count)
    second = step.second_view if step.second is None else seen_as(step.second_view, step.result, result)
    repeated: dict[str, Any] = {name: _repeated(value, count) for name, value in (("bias", step.bias), *_scaling(step))}
    common = replace(
        step,
        result=result,
        output_view=seen_as(step.output_view, step.result, result),
        second_view=second,
        stride=(step.stride[0], step.stride[1] * count),
        **repeated,
    )
    if step.opcode == Opcode.DEPTHWISE:
        weights: dict[str, Any] = {"weights": _repeated(step.weights, count), "rest": _repeated(step.rest, count)}
        image = Extent(step.image.height, step.image.width, step.image.channels * count)
        return replace(common, image=image, source_view=View(dx=step.image.channels), **weights)
    weights = {name: _apart(value, step.stride[1], count) for name, value in (("weights", step.weights), ("rest", step.rest))}
    return replace(common, kernel=weights["weights"].shape[:2], dilation=(step.dilation[0], 1), **weights)


def _repeated(values: np.ndarray | None, count: int) -> np.ndarray | None:
    """What belongs to channels, for those of each pixel."""
    return None if values is None else np.tile(values, count)


def _scaling(step):
    """Multipliers and exponents, where each channel has its own."""
    return [(name, getattr(step, name)) for name in ("multiplier", "exponent") if len(getattr(step, name)) > 1]


def _apart(weights: np.ndarray | None, stride: int, count: int) -> np.ndarray | None:
    """Weights of `count` windows that lie `stride` pixels apart, int8[KH, KW + (count - 1) * stride, Cin, count * Cout]."""
    if weights is None:
        return None
    height, width, inside, outside = weights.shape
    wide = np.zeros((height, width + (count - 1) * stride, inside, count * outside), weights.dtype)
    for number in range(count):
        wide[:, number * stride : number * stride + width, :, number * outside : (number + 1) * outside] = weights
    return wide
