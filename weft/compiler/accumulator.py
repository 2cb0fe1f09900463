"""Check: no sum of the network can leave the accumulators."""

import numpy as np

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from hw.npu.interface.isa import FRACTION_BITS, Opcode
from weft.compiler.steps import Network, Step


def largest_sum(step: Step) -> int:
    """A bound of the magnitude of what a step accumulates, for any int8 input.

    A sum may wrap on its way: only where it ends must fit.
    """
    if step.opcode == Opcode.INTERPOLATE:  # the weights of the taps are 1 together; the sum of -128 fits where one below that of 128 does
        return (128 << 2 * FRACTION_BITS) - 1
    if step.weights is None:
        return 128 * step.kernel[0] * step.kernel[1]
    weights = step.weights.astype(np.int64).reshape(-1, step.weights.shape[-1])
    if step.rest is not None:
        weights += step.rest.reshape(weights.shape)
    positive, negative = np.maximum(weights, 0).sum(axis=0), np.maximum(-weights, 0).sum(axis=0)
    return int(max((127 * positive + 128 * negative).max(), (128 * positive + 127 * negative).max()))


def check_accumulators(network: Network, config: NpuConfig):
    """Refuse a network whose sums need more bits.

    Raises
    ------
    WeftError
        It names the layer and the bits that it needs.
    """
    for step in network.steps:
        bits = largest_sum(step).bit_length() + 1
        if bits > config.accumulator_bits:
            raise WeftError(
                f"its sums need {bits} bits, accumulator_bits is {config.accumulator_bits}",
                file=network.graph.file,
                layer=step.title,
                remedy=f"set accumulator_bits to {bits} or more",
            )
