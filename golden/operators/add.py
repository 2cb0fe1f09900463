"""ADD and SUB (TFLite ``reference_integer_ops::AddElementwise``, ``reference_ops::SubElementwise``)."""

import numpy as np

from golden.quantization import AddParameters
from golden.requantize import multiply_double_rounding
from hw.npu.interface.isa import ADD_LEFT_SHIFT


def add(first, second, parameters: AddParameters, *, zero_points, clamp) -> np.ndarray:
    """Sum of two tensors of different scales.

    Both are brought to a common scale after a left shift, added, and requantized; all three products round twice.

    Parameters
    ----------
    first, second : int8[...]
        Of one shape, or of shapes that broadcast.
    parameters : AddParameters
    zero_points : (int, int, int)
        Of first, second and result.
    clamp : (int, int)

    Returns
    -------
    int8[...]
    """
    scaled1, scaled2 = _scaled(first, second, parameters, zero_points)
    return _requantized(scaled1 + scaled2, parameters, zero_points, clamp)


def subtract(first, second, parameters: AddParameters, *, zero_points, clamp) -> np.ndarray:
    """Difference of two tensors of different scales; parameters as in `add`.

    The scaled second operand is subtracted. Negating its multiplier instead, as older kernels did, rounds ties the other way;
    single rounding is wrong too (``tests/unit/golden/test_rules.py``).
    """
    scaled1, scaled2 = _scaled(first, second, parameters, zero_points)
    return _requantized(scaled1 - scaled2, parameters, zero_points, clamp)


def _scaled(first, second, p, zero_points):
    zero1, zero2, _ = zero_points
    scaled1 = multiply_double_rounding(first.astype(np.int64) - zero1, p.multiplier1, ADD_LEFT_SHIFT, p.shift1)
    scaled2 = multiply_double_rounding(second.astype(np.int64) - zero2, p.multiplier2, ADD_LEFT_SHIFT, p.shift2)
    return scaled1, scaled2


def _requantized(total, p, zero_points, clamp):
    y = multiply_double_rounding(total, p.output_multiplier, 0, p.output_shift)
    return np.clip(y + zero_points[2], *clamp).astype(np.int8)
