"""Integers that TFLite derives from a network's scales before it runs: multipliers, exponents, clamps.

Every function repeats TFLite's own float and double arithmetic, in its order: one step in another precision changes
the last bit of a multiplier, and with it outputs. Products of floats may be infinite, as TFLite's are; a multiplier of such
a one is an `OverflowError`.
"""

import math
from dataclasses import dataclass

import numpy as np

from hw.npu.interface.isa import ADD_LEFT_SHIFT

ACTIVATIONS = {"NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0), "RELU_0_TO_1": (0.0, 1.0)}
"""Activations as real bounds: those that are fused, and RELU_0_TO_1, which is an operator only."""


def quantize_multiplier(real: float) -> tuple[int, int]:
    """A real factor as a Q31 multiplier and an exponent: ``real = multiplier / 2^31 * 2^exponent``.

    Source: ``QuantizeMultiplier`` in ``lite/kernels/internal/quantization_util.cc``: rounds half away from zero;
    a mantissa that rounds up to 2^31 is halved; what is below 2^-32 becomes zero.

    Parameters
    ----------
    real : float
        A double, not negative.

    Returns
    -------
    multiplier : int
        0, or 2^30 to 2^31 - 1.
    exponent : int
        Positive is a left shift; -31 or more.
    """
    if real == 0.0:
        return 0, 0
    mantissa, exponent = math.frexp(float(real))
    multiplier = math.floor(mantissa * 2.0**31 + 0.5)
    if multiplier == 1 << 31:
        multiplier, exponent = 1 << 30, exponent + 1
    return (0, 0) if exponent < -31 else (multiplier, exponent)


def quantize_multipliers(reals) -> tuple[np.ndarray, np.ndarray]:
    """`quantize_multiplier` of each element.

    Returns
    -------
    multipliers, exponents : int32[n]
    """
    pairs = [quantize_multiplier(real) for real in reals]
    return np.array([m for m, _ in pairs], np.int32), np.array([e for _, e in pairs], np.int32)


def convolution_multipliers(input_scale: float, filter_scales, output_scale: float, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Requantization of a convolution, one multiplier for each output channel.

    Source: ``PopulateConvolutionQuantizationParams`` in ``lite/kernels/kernel_util.cc``; every product is of doubles.
    CONV_2D and DEPTHWISE_CONV_2D take it for one filter scale too.

    Returns
    -------
    multipliers, exponents : int32[channels]
    """
    return quantize_multipliers(np.broadcast_to(weighted_factors(input_scale, filter_scales, output_scale), (channels,)))


@np.errstate(over="ignore")
def unsigned_convolution_multiplier(input_scale: float, filter_scale: float, output_scale: float, channels: int):
    """`convolution_multipliers` of a convolution of uint8, whose weights have one scale.

    Source: ``GetQuantizedConvolutionMultipler`` in ``lite/kernels/kernel_util.cc``: the product is of *floats*, the quotient of doubles.
    With the product of doubles 21 of 284 000 sums next to ties differ (``tests/unit/compiler/test_unsigned.py``).
    """
    product = np.float64(np.float32(input_scale) * np.float32(filter_scale))
    return quantize_multipliers(np.broadcast_to(product / np.float64(np.float32(output_scale)), (channels,)))


def weighted_factors(input_scale: float, filter_scales, output_scale: float) -> np.ndarray:
    """What the sums of an operator with weights are multiplied by, in doubles: input scale times filter scale by output scale.

    Returns
    -------
    float64[len(filter_scales)]
    """
    scales = np.asarray(filter_scales, np.float32).astype(np.float64)
    return np.float64(np.float32(input_scale)) * scales / np.float64(np.float32(output_scale))


@np.errstate(over="ignore")
def product_multiplier(scale1: float, scale2: float, output_scale: float) -> tuple[int, int]:
    """Multiplier and exponent of a product of two quantized numbers: MUL, and PRELU below 0.

    Source: ``lite/kernels/mul.cc`` and ``activations.cc``, ``Prepare``: product and quotient are of *floats*. Doubles, for both
    or for the quotient alone, give another result at ties (``tests/unit/golden/test_rules.py``).
    """
    real = np.float32(scale1) * np.float32(scale2) / np.float32(output_scale)
    return quantize_multiplier(float(real))


@np.errstate(over="ignore")
def scale_ratio(scale: float, output_scale: float) -> float:
    """Input scale by output scale as a float quotient, which PRELU takes for 0 and above (``activations.cc``)."""
    return float(np.float32(scale) / np.float32(output_scale))


def mean_multiplier(scale: float, output_scale: float, count: int) -> tuple[int, int]:
    """Multiplier and exponent of a MEAN of `count` values.

    Source: ``QuantizedMeanOrSum`` in ``lite/kernels/internal/reference/reduce.h``: the multiplier of the scales' ratio, a quotient of
    doubles, is shifted left by ``floor(log2(count))`` and divided by the count, towards 0; the exponent falls by the shift.
    Quantizing the real ratio / count instead is wrong: its multiplier is rounded to nearest. So is a float quotient, at ties.

    Returns
    -------
    multiplier : int
        Possibly below 2^30.
    exponent : int
        -31 or more.
    """
    multiplier, exponent = quantize_multiplier(np.float64(np.float32(scale)) / np.float64(np.float32(output_scale)))
    shift = min(count.bit_length() - 1, 32, 31 + exponent)
    return (multiplier << shift) // count, exponent - shift


@np.errstate(over="ignore")
def activation_range(activation: str, scale: float, zero_point: int, dtype="int8") -> tuple[int, int]:
    """Smallest and largest value that a fused activation lets through.

    Source: ``CalculateActivationRangeQuantized`` in ``lite/kernels/kernel_util.cc``: the quotient is a float32, rounded
    half away from zero.

    Parameters
    ----------
    activation : str
        A key of `ACTIVATIONS`.
    scale, zero_point
        Of the output.

    Raises
    ------
    OverflowError
        Where a bound of the activation is no int32 at this scale: TFLite refuses it.
    """
    info = np.iinfo(dtype)

    def quantize(real):
        quotient = float(np.float32(real) / np.float32(scale))
        if not abs(quotient) < 1 << 31:
            raise OverflowError(f"{real:g} / {scale:g} is no int32")
        return zero_point + int(math.copysign(math.floor(abs(quotient) + 0.5), quotient))

    low, high = ACTIVATIONS[activation]
    minimum = int(info.min) if low is None else max(int(info.min), quantize(low))
    maximum = int(info.max) if high is None else min(int(info.max), quantize(high))
    return minimum, maximum


@dataclass(frozen=True)
class AddParameters:
    """The integers of an int8 ADD or SUB.

    Attributes
    ----------
    multiplier1, shift1, multiplier2, shift2 : int
        Q31 multiplier and rounding right shift (0 or more) of each operand, after `ADD_LEFT_SHIFT`.
    output_multiplier, output_shift : int
        The same for the sum.
    """

    multiplier1: int
    shift1: int
    multiplier2: int
    shift2: int
    output_multiplier: int
    output_shift: int


@np.errstate(over="ignore")
def add_parameters(scale1: float, scale2: float, output_scale: float) -> AddParameters:
    """Multipliers of an int8 ADD or SUB.

    Source: ``lite/kernels/add.cc`` and ``sub.cc``, ``Prepare``: twice the larger scale is the common scale of the operands.

    Raises
    ------
    ValueError
        If TFLite refuses the scales: the sum's multiplier is 1 or more, or one is zero.
    """
    scale1, scale2, output_scale = np.float32(scale1), np.float32(scale2), np.float32(output_scale)
    twice_max = np.float64(np.float32(2) * max(scale1, scale2))
    reals = (
        np.float64(scale1) / twice_max,
        np.float64(scale2) / twice_max,
        twice_max / np.float64(np.float32(1 << ADD_LEFT_SHIFT) * output_scale),
    )
    numbers = []
    for real in reals:
        if not 0.0 < real < 1.0:
            raise ValueError(f"the multiplier {real:g} of an ADD or SUB must be between 0 and 1")
        multiplier, exponent = quantize_multiplier(real)
        if exponent > 0:
            raise ValueError(f"the multiplier {real!r} of an ADD or SUB rounds to 1")
        numbers += [multiplier, -exponent]
    return AddParameters(*numbers)


@dataclass(frozen=True)
class SquareParameters:
    """The integers of an int8 SQUARED_DIFFERENCE.

    Attributes
    ----------
    multiplier1, shift1, multiplier2, shift2 : int
        Q31 multiplier and rounding right shift (0 or more) of each operand, after its left shift.
    output_multiplier, output_exponent : int
        Of the square; the exponent is 0 or a right shift.
    """

    multiplier1: int
    shift1: int
    multiplier2: int
    shift2: int
    output_multiplier: int
    output_exponent: int


@np.errstate(over="ignore")
def square_parameters(scale1: float, scale2: float, output_scale: float, left_shift: int) -> SquareParameters:
    """Multipliers of an int8 SQUARED_DIFFERENCE whose operands are shifted left by so many bits.

    Source: ``lite/kernels/squared_difference.cc``, ``Prepare``: as in `add_parameters`, of doubles.

    Raises
    ------
    ValueError
        If the square's multiplier is 0, or 1 or more: TFLite aborts. Below 1 no square of 15 bits leaves int32.
    """
    scale1, scale2, output_scale = np.float32(scale1), np.float32(scale2), np.float32(output_scale)
    twice_max = 2 * np.float64(max(scale1, scale2))
    (multiplier1, exponent1), (multiplier2, exponent2) = (quantize_multiplier(np.float64(each) / twice_max) for each in (scale1, scale2))
    real = twice_max * twice_max / np.float64(np.float32(1 << 2 * left_shift) * output_scale)
    output = quantize_multiplier(real)
    if not 0.0 < real < 1.0 or output[1] > 0:
        factor = float(twice_max / 2) ** 2 / float(output_scale)
        raise ValueError(f"{factor:g}")
    return SquareParameters(multiplier1, -exponent1, multiplier2, -exponent2, *output)
