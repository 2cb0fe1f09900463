"""The random operators of int8 as files of uint8, for those that the compiler computes on int8 in their place."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from tests.random_operators.elementwise import add, maximum, minimum, mul, prelu, sub
from tests.random_operators.functions import FUNCTION_OPERATORS
from tests.random_operators.images import mean, reduce_max, reduce_min, resize_nearest_neighbor
from tests.random_operators.movement import MOVEMENT_OPERATORS
from tests.random_operators.pools import average_pool, max_pool
from tests.random_operators.weighted import conv2d, depthwise_conv2d, fully_connected, transpose_conv
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.unsigned import FOLLOWING, NEEDING

BYTES = {
    **FUNCTION_OPERATORS,
    **MOVEMENT_OPERATORS,
    "ADD": add, "AVERAGE_POOL_2D": average_pool, "CONV_2D": conv2d, "DEPTHWISE_CONV_2D": depthwise_conv2d,
    "FULLY_CONNECTED": fully_connected, "MAXIMUM": maximum, "MAX_POOL_2D": max_pool, "MEAN": mean, "MINIMUM": minimum, "MUL": mul,
    "PRELU": prelu, "REDUCE_MAX": reduce_max, "REDUCE_MIN": reduce_min, "RESIZE_NEAREST_NEIGHBOR": resize_nearest_neighbor, "SUB": sub,
    "TRANSPOSE_CONV": transpose_conv,
}  # fmt: skip
"""Generators of int8, some also of uint8."""
OUTLIERS = 0.6
"""Share of weights of which only a few leave int8, as in files that people have; of the others any number does."""


def _weights(rng, tensor: BuilderTensor) -> BuilderTensor:
    """Weights of one scale and a zero point, some of them farther from it than int8 reaches."""
    zero_point = int(np.clip(rng.integers(60, 200), 0, 255))
    data = np.clip(tensor.data.astype(np.int64) + zero_point, 0, 255)
    if rng.random() < OUTLIERS:
        data = np.clip(data, zero_point - 128, zero_point + 127)
        for _ in range(int(rng.integers(0, 4))):
            data[tuple(rng.integers(0, n) for n in data.shape)] = 255 if zero_point < 128 else 0
    else:
        data, zero_point = rng.integers(0, 256, data.shape), int(rng.choice([0, 255, rng.integers(0, 256)]))
    scale = float(np.float32(np.mean(tensor.scale)))
    return replace(tensor, dtype="uint8", scale=scale, zero_point=zero_point, axis=0, data=data.astype(np.uint8))


def _shifted(tensor: BuilderTensor) -> BuilderTensor:
    """Another tensor of the operator, 128 higher where it is int8."""
    if tensor.dtype != "int8":
        return tensor
    data = None if tensor.data is None else tensor.data.view(np.uint8) ^ 128
    return replace(tensor, dtype="uint8", zero_point=tensor.zero_point + 128, data=data)


def unsigned(make: Callable, rng) -> bytes:
    """An operator of a generator of int8 as one of uint8; behind one that the NPU also knows on uint8 a MINIMUM, which it does not."""
    while True:
        made = make(rng)
        if all(tensor.dtype in ("int8", "uint8", "int32") for tensor in made.tensors):
            break
    tensors = {tensor.name: _weights(rng, tensor) if tensor.name == "weights" else _shifted(tensor) for tensor in made.tensors}
    if "bias" in tensors:  # the reference compares its scale with the product of the others
        scale = float(np.float32(tensors["x"].scale) * np.float32(tensors["weights"].scale))
        tensors["bias"] = replace(tensors["bias"], scale=scale, axis=0)
    operators, outputs = [made.operator], list(made.operator.outputs)
    if made.operator.op in FOLLOWING:
        result = tensors[outputs[0]]
        tensors["last"] = replace(result, name="last", data=None)
        operators.append(BuilderOperator("MINIMUM", (result.name, result.name), ("last",)))
        outputs[0] = "last"
    return build_model(list(tensors.values()), operators, made.inputs, outputs)


UNSIGNED_OPERATORS = {op: partial(unsigned, BYTES[op]) for op in sorted(NEEDING | FOLLOWING)}
"""A generator of uint8 for each operator that `weft.compiler.unsigned` turns."""
