"""What the generators share: networks of one operator, and random scales, zero points and values."""

import numpy as np

from tests.tflite_builder import BuilderOperator, build_model

ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


class OneOperator(bytes):
    """The file of a network of one operator, and what it was built from, for networks that it becomes a part of.

    Attributes
    ----------
    tensors : sequence of BuilderTensor
    operator : BuilderOperator
    inputs : list of str
        Of the network.
    """

    def __new__(cls, op, tensors, inputs, outputs, options):
        constant = {tensor.name for tensor in tensors if tensor.data is not None}
        operator = BuilderOperator(op, tuple(inputs), tuple(outputs), options)
        open_inputs = [name for name in dict.fromkeys(inputs) if name is not None and name not in constant]
        made = super().__new__(cls, build_model(tensors, [operator], open_inputs, outputs))
        made.tensors, made.operator, made.inputs = tensors, operator, open_inputs
        return made


def one_operator(op, tensors, inputs, outputs, options=None) -> OneOperator:
    """A network of one operator; its inputs that are not constant are the network's."""
    return OneOperator(op, tensors, inputs, outputs, options or {})


def scale_of(rng, low=-9.0, high=-1.0):
    """A scale, spread over powers of two."""
    return float(np.float32(2.0 ** rng.uniform(low, high)))


def zero_point_of(rng, dtype="int8"):
    """A zero point, the ends of the type more often than others."""
    info = np.iinfo(dtype)
    return int(rng.choice([info.min, info.max, 0, rng.integers(info.min, info.max + 1)]))


def batch_of(rng):
    """Images of an operator that takes images: one, in a quarter of the cases more."""
    return int(rng.integers(2, 5)) if rng.random() < 0.25 else 1


def activation_of(rng):
    return str(rng.choice(ACTIVATIONS))


def random_bytes(rng, shape):
    """int8 values, sometimes only the extremes."""
    values = rng.integers(-128, 128, shape)
    return (np.where(values < 0, -128, 127) if rng.random() < 0.2 else values).astype(np.int8)


def random_nibbles(rng, shape):
    """Values of an int4 tensor as int8, sometimes only the extremes."""
    values = rng.integers(-8, 8, shape)
    return (np.where(values < 0, -8, 7) if rng.random() < 0.2 else values).astype(np.int8)


def random_value(rng, shape, dtype) -> np.ndarray:
    """A value for an input tensor."""
    if dtype == "float32":
        return rng.normal(0, 10, shape).astype(np.float32)
    values = random_bytes(rng, shape)
    return values if dtype == "int8" else values.view(np.uint8) ^ np.uint8(128)  # the extremes are 0 and 255
