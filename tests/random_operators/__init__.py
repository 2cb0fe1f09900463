"""Random networks of one operator, with shapes small enough for thousands and odd enough to find the corners.

Each generator takes a numpy random generator and gives the bytes of a TFLite file; `OPERATORS` lists them.
"""

from functools import partial

from tests.random_operators.elementwise import add, maximum, minimum, mul, prelu, squared_difference, sub
from tests.random_operators.functions import FUNCTION_OPERATORS
from tests.random_operators.images import mean, reduce_max, reduce_min, reduce_sum, resize_bilinear, resize_nearest_neighbor
from tests.random_operators.movement import MOVEMENT_OPERATORS
from tests.random_operators.pools import average_pool, max_pool
from tests.random_operators.values import random_bytes, random_value
from tests.random_operators.weighted import conv2d, depthwise_conv2d, fully_connected, transpose_conv

OPERATORS = {
    **FUNCTION_OPERATORS,
    **MOVEMENT_OPERATORS,
    "ADD": add,
    "AVERAGE_POOL_2D": average_pool,
    "CONV_2D": conv2d,
    "DEPTHWISE_CONV_2D": depthwise_conv2d,
    "FULLY_CONNECTED": fully_connected,
    "MAXIMUM": maximum,
    "MAX_POOL_2D": max_pool,
    "MEAN": mean,
    "MINIMUM": minimum,
    "MUL": mul,
    "PRELU": prelu,
    "REDUCE_MAX": reduce_max,
    "REDUCE_MIN": reduce_min,
    "RESIZE_BILINEAR": resize_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest_neighbor,
    "SQUARED_DIFFERENCE": squared_difference,
    "SUB": sub,
    "SUM": reduce_sum,
    "TRANSPOSE_CONV": transpose_conv,
}
"""A generator for each operator that Weft supports."""

INT4_OPERATORS = {
    "CONV_2D": partial(conv2d, weight_bits=4),
    "DEPTHWISE_CONV_2D": partial(depthwise_conv2d, weight_bits=4),
    "FULLY_CONNECTED": partial(fully_connected, weight_bits=4),
}
"""The same with int4 weights, for the operators that take them."""

__all__ = ["INT4_OPERATORS", "OPERATORS", "add", "random_bytes", "random_value"]
