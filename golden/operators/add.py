"""ADD (TFLite ``reference_integer_ops::AddElementwise``)."""

import numpy as np

from golden.quantization import AddParameters
from golden.requantize import multiply_double_rounding
from hw.npu.isa import ADD_LEFT_SHIFT


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
    p = parameters
    zero1, zero2, zero_out = zero_points
    scaled1 = multiply_double_rounding(first.astype(np.int64) - zero1, p.multiplier1, ADD_LEFT_SHIFT, p.shift1)
    scaled2 = multiply_double_rounding(second.astype(np.int64) - zero2, p.multiplier2, ADD_LEFT_SHIFT, p.shift2)
    total = multiply_double_rounding(scaled1 + scaled2, p.output_multiplier, 0, p.output_shift)
    return np.clip(total + zero_out, *clamp).astype(np.int8)
