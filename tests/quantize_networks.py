"""A small int8 network of every layer that takes 4-bit weights, as a file, for the tests of ``weft quantize``."""

import numpy as np

from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model

LAYERS = {"conv": (6, 3, 3, 3), "depthwise": (1, 3, 3, 12), "grouped": (8, 1, 1, 6), "matrix": (5, 7 * 7 * 8), "square": (5, 5)}
"""Shapes of the weights, by the name of the layer's output."""


def network(seed=0, **changes) -> bytes:
    """An image of 7x7x3, five classes.

    Parameters
    ----------
    seed : int
        Of weights and biases.
    changes : dict
        By a tensor's name, fields of it to replace.
    """
    rng = np.random.default_rng(seed)
    shapes = {
        "x": (1, 7, 7, 3), "conv": (1, 7, 7, 6), "depthwise": (1, 7, 7, 12), "grouped": (1, 7, 7, 8), "matrix": (1, 5), "square": (1, 5),
        "y": (1, 5),
    }  # fmt: skip
    scales = {"x": 0.02, "conv": 0.05, "depthwise": 0.1, "grouped": 0.1, "matrix": 0.4, "square": 0.5, "y": 1 / 256}
    zero_points = {"x": 3, "conv": -128, "depthwise": -20, "grouped": 5, "matrix": 0, "square": 2, "y": -128}
    fields = {name: {"shape": shape, "scale": scales[name], "zero_point": zero_points[name]} for name, shape in shapes.items()}
    sources = dict(zip(LAYERS, ("x", "conv", "depthwise", "grouped", "matrix")))
    for name, shape in LAYERS.items():
        axis = 3 if name == "depthwise" else 0
        by_channel = rng.uniform(0.002, 0.02, 1 if name == "square" else shape[axis]).astype(np.float32)
        values = np.clip(np.rint(rng.normal(0, 40, shape)), -127, 127)
        bias = rng.integers(-300, 300, shape[axis])
        fields[f"{name}/w"] = {"shape": shape, "scale": by_channel, "axis": axis if by_channel.size > 1 else 0, "data": values}
        bias_scale = by_channel * np.float32(scales[sources[name]])
        fields[f"{name}/b"] = {"shape": bias.shape, "dtype": "int32", "scale": bias_scale, "data": bias}
    for name, change in changes.items():
        fields[name.replace("__", "/")].update(change)
    operators = [
        BuilderOperator("CONV_2D", ("x", "conv/w", "conv/b"), ("conv",), {"padding": "SAME", "activation": "RELU"}),
        BuilderOperator("DEPTHWISE_CONV_2D", ("conv", "depthwise/w", "depthwise/b"), ("depthwise",), {"depth_multiplier": 2}),
        BuilderOperator("CONV_2D", ("depthwise", "grouped/w", "grouped/b"), ("grouped",), {"padding": "VALID"}),
        BuilderOperator("FULLY_CONNECTED", ("grouped", "matrix/w", "matrix/b"), ("matrix",)),
        BuilderOperator("FULLY_CONNECTED", ("matrix", "square/w", "square/b"), ("square",)),
        BuilderOperator("SOFTMAX", ("square",), ("y",)),
    ]
    return build_model([BuilderTensor(name, **values) for name, values in fields.items()], operators, ["x"], ["y"])


def images(count, seed=0) -> np.ndarray:
    """Inputs that are not noise: smooth, and brighter or darker as a whole; int8[count, 7, 7, 3]."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 40, (count, 4, 4, 3)).repeat(2, axis=1).repeat(2, axis=2)[:, :7, :7]
    return np.clip(np.rint(coarse + rng.normal(0, 30, (count, 1, 1, 3))), -128, 127).astype(np.int8)
