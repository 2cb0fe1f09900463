"""For each operator the function that adds it to a network, on which tensors it is possible, and how often it is chosen."""

from tests.random_networks import elementwise, movement, weighted
from tests.tflite_builder import BuilderTensor

IMAGES = {
    "CONV_2D": weighted.conv_2d,
    "DEPTHWISE_CONV_2D": weighted.depthwise_conv_2d,
    "AVERAGE_POOL_2D": weighted.average_pool_2d,
    "MAX_POOL_2D": weighted.max_pool_2d,
    "RESIZE_BILINEAR": movement.resize_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": movement.resize_nearest_neighbor,
    "TRANSPOSE_CONV": weighted.transpose_conv,
    "dilated by blocks": weighted.dilated_by_blocks,
}
"""On images of int8."""
INT8 = {
    **elementwise.INT8_FUNCTIONS,
    "ADD": elementwise.add,
    "FULLY_CONNECTED": weighted.fully_connected,
    "MAXIMUM": elementwise.maximum,
    "MINIMUM": elementwise.minimum,
    "MIRROR_PAD": movement.mirror_pad,
    "MUL": elementwise.mul,
    "PAD": movement.pad,
    "PADV2": movement.padv2,
    "PRELU": elementwise.prelu,
    "SQUARED_DIFFERENCE": elementwise.squared_difference,
    "SUB": elementwise.sub,
}
"""On int8 of any shape."""
BYTES = {
    **elementwise.BYTE_FUNCTIONS,
    "BATCH_TO_SPACE_ND": movement.batch_to_space_nd,
    "BROADCAST_TO": movement.broadcast_to,
    "CONCATENATION": movement.concatenation,
    "DEPTH_TO_SPACE": movement.depth_to_space,
    "EXPAND_DIMS": movement.expand_dims,
    "GATHER": movement.gather,
    "MEAN": movement.mean,
    "PACK": movement.pack,
    "REDUCE_MAX": movement.reduce_max,
    "REDUCE_MIN": movement.reduce_min,
    "RESHAPE": movement.reshape,
    "REVERSE_V2": movement.reverse,
    "SLICE": movement.slice_,
    "SPACE_TO_BATCH_ND": movement.space_to_batch_nd,
    "SPACE_TO_DEPTH": movement.space_to_depth,
    "SPLIT": movement.split,
    "SPLIT_V": movement.split_v,
    "SQUEEZE": movement.squeeze,
    "STRIDED_SLICE": movement.strided_slice,
    "SUM": movement.reduce_sum,
    "TILE": movement.tile,
    "TRANSPOSE": movement.transpose,
    "UNPACK": movement.unpack,
}
"""On int8 and uint8 of any shape."""
RANKS = {
    "BATCH_TO_SPACE_ND": (3, 4),
    "DEPTH_TO_SPACE": (4,),
    "MIRROR_PAD": (1, 2, 3, 4),
    "PAD": (1, 2, 3, 4),
    "PADV2": (1, 2, 3, 4),
    "PRELU": (1, 2, 3, 4),
    "SOFTMAX": (1, 2, 3, 4),
    "SPACE_TO_BATCH_ND": (3, 4),
    "SPACE_TO_DEPTH": (4,),
    "UNPACK": (2, 3, 4, 5),
}
"""Numbers of dimensions that an operator goes with, where not all of 1 to 5 do."""

ADDERS = {**IMAGES, **BYTES, **INT8}
WEIGHTS = {
    "RESHAPE": 12, "CONV_2D": 12, "DEPTHWISE_CONV_2D": 9, "EXPAND_DIMS": 4, "SQUEEZE": 4, "ADD": 6, "FULLY_CONNECTED": 3, "MUL": 3,
    "CONCATENATION": 3, "AVERAGE_POOL_2D": 2, "MAX_POOL_2D": 2, "MAXIMUM": 2, "TRANSPOSE": 2, "PAD": 2, "TRANSPOSE_CONV": 2,
}  # fmt: skip
"""How often an operator is chosen, of those that are possible; once where nothing is said."""


def possible(source: BuilderTensor) -> list[str]:
    """The operators that go with a tensor, in an order in which simple ones stand first."""
    image = source.dtype == "int8" and len(source.shape) == 4
    names = [*(IMAGES if image else ()), *BYTES, *(INT8 if source.dtype == "int8" else ())]
    return [name for name in names if len(source.shape) in RANKS.get(name, range(1, 6))]


SUPPORTED_IN_NETWORKS = frozenset(name for name in ADDERS if name.isupper())
"""TFLite's names of all operators that a network may have."""
